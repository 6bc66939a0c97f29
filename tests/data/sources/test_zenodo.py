from __future__ import annotations

import hashlib

import pytest

from hepml_tasks.data.fetch import fetch_files
from hepml_tasks.data.sources import locate
from hepml_tasks.errors import DataError

from ...archives import Archive, told


def test_the_recorded_old_answer_is_read(archive: Archive):
    record = locate("zenodo:7078768")
    assert record.address == "zenodo:7078768"
    assert record.title == "Frictionless Data Test Dataset Without Descriptor"
    assert (record.doi, record.concept_doi) == ("10.5281/zenodo.7078768", "10.5281/zenodo.7078767")
    assert record.licence == "CC-BY-4.0"
    assert record.creators == ("FD Testing",)
    assert record.newest == "zenodo:7078768"
    assert record.relations == (("isVersionOf", "10.5281/zenodo.7078767"),)
    assert record.notices == ()
    assert record.citation == (
        "FD Testing (2022): Frictionless Data Test Dataset Without Descriptor. Zenodo."
        " https://doi.org/10.5281/zenodo.7078768"
    )
    capitals, table = record.files
    assert (capitals.name, capitals.size) == ("capitals.csv", 76)
    assert capitals.checksum == "md5:154d822b8c2aa259867067f01c0efee5"
    # the recorded link is at zenodo.org, which the settings have here
    bucket = "d24cde89-1d38-4713-b6f2-6a3796e458a6"
    assert capitals.urls == (f"{archive.url}/api/files/{bucket}/capitals.csv",)
    assert table.name == "table.xls"


def test_inveniordms_own_answer_is_read(archive: Archive):
    record = locate("zenodo:4924875")
    assert record.title == "Test data for the Pooch library"
    assert (record.doi, record.concept_doi) == ("10.5281/zenodo.4924875", "10.5281/zenodo.4924874")
    assert (record.version, record.licence) == ("1", "cc-by-4.0")
    assert [(f.name, f.size, f.checksum) for f in record.files] == [
        ("store.zip", 780, "md5:7008231125631739b64720d1526619ae"),
        ("tiny-data.txt", 59, "md5:70e2afd3fd7e336ae478b1e740a5f08e"),
    ]
    content = f"{archive.url}/api/records/4924875/files/tiny-data.txt/content"
    assert record.files[1].urls == (content,)


def test_the_present_answer_at_the_old_address_is_read(archive: Archive):
    # as zenodo-rdm's zenodojson.py has it: no last_child, no count, links to .../content
    found = archive.published(7078768)
    found["id"] = "7078768"
    link = "https://zenodo.org/api/records/7078768/files/capitals.csv/content"
    found["files"] = [{**found["files"][0], "links": {"self": link}}]
    relation = {
        "index": 0,
        "is_last": True,
        "parent": {"pid_type": "recid", "pid_value": "7078767"},
    }
    found["metadata"]["relations"]["version"] = [relation]
    record = locate("zenodo:7078768")
    assert record.files[0].urls == (link.replace("https://zenodo.org", archive.url),)
    assert record.newest == "zenodo:7078768"


def test_every_recorded_record_can_be_read(archive: Archive):
    for number, found in archive.zenodo.items():
        record = locate(f"zenodo:{number}")
        listed = found["files"]
        assert len(record.files) == len(
            listed.get("entries", listed) if isinstance(listed, dict) else listed
        )
        assert all(f.checksum and f.urls[0].startswith(archive.url) for f in record.files)


@pytest.mark.parametrize(
    "address",
    [
        "ZENODO:7078768",
        "10.5281/zenodo.7078768",
        "doi:10.5281/ZENODO.7078768",
        "https://doi.org/10.5281/zenodo.7078768",
        "http://dx.doi.org/10.5281/zenodo.7078768",
        "https://zenodo.org/record/7078768",
        "https://zenodo.org/records/7078768?preview=1",
        "http://www.zenodo.org/records/7078768#files".replace("http:", "https:"),
        "https://zenodo.org/api/records/7078768",
        "https://zenodo.org/doi/10.5281/zenodo.7078768",
        "{archive}/records/7078768",
        "  zenodo:7078768\n",
    ],
)
def test_a_record_has_many_addresses(archive: Archive, address):
    record = locate(address.format(archive=archive.url))
    assert record.address == "zenodo:7078768"
    assert len(record.files) == 2


@pytest.mark.parametrize(
    "address",
    [
        "https://zenodo.org/records/7078768/files/capitals.csv?download=1",
        "https://zenodo.org/api/records/7078768/files/capitals.csv/content",
    ],
)
def test_the_address_of_a_file_of_a_record_is_that_file_with_its_checksum(archive, address):
    (file,) = locate(address).files
    assert (file.name, file.size) == ("capitals.csv", 76)
    with pytest.raises(DataError, match=r"zenodo:7078768 has no file 'x.csv'; there are capitals"):
        locate("https://zenodo.org/records/7078768/files/x.csv")


def test_what_stands_for_all_versions_is_pinned_to_the_newest(archive: Archive):
    record = locate("10.5281/zenodo.7089245")
    assert record.address == record.newest == "zenodo:7089818"
    assert record.version == "1.4"
    (notice,) = record.notices
    assert notice == (
        "zenodo 7089245 stands for all versions: zenodo:7089818 (version 1.4) is the newest"
    )


def test_an_older_version_is_what_was_asked_for_and_the_newer_one_is_told(archive: Archive):
    record = locate("zenodo:7089279")
    assert (record.address, record.version, record.newest) == (
        "zenodo:7089279",
        "1.3",
        "zenodo:7089818",
    )
    assert record.notices == (
        "a newer version is there: zenodo:7089818; zenodo:7089279 (version 1.3) is what was"
        " asked for",
    )


def test_the_present_answers_dont_name_the_newest_which_is_asked_for(archive: Archive):
    found = archive.published(7089279)
    del found["metadata"]["relations"]["version"][0]["last_child"]
    assert locate("zenodo:7089279").newest == "zenodo:7089818"
    assert "/api/records/7089279/versions/latest" in archive.asked


def restrict(archive: Archive, **metadata: str) -> dict:
    """Hide a record's files as Zenodo does: they are listed for who may read them."""
    found = archive.published(7078768)
    found["metadata"] |= metadata
    found["files"] = []
    return found


def test_an_embargo_is_told_with_its_date(archive: Archive):
    restrict(archive, access_right="embargoed", embargo_date="2031-05-01")
    record = locate("zenodo:7078768")
    assert (record.access, record.embargoed_until) == ("embargoed", "2031-05-01")
    (notice,) = record.notices
    assert notice == (
        "the files of zenodo:7078768 are under embargo until 2031-05-01; who may read it sets"
        " ZENODO_TOKEN, or HEPML_ZENODO_TOKEN_FILE to the file with the token"
    )


def test_inveniordms_embargo_is_told_with_its_date(archive: Archive):
    archive.published(4924875)["access"] = {
        "record": "public",
        "files": "restricted",
        "embargo": {"active": True, "until": "2031-05-01", "reason": None},
        "status": "embargoed",
    }
    record = locate("zenodo:4924875")
    assert (record.access, record.embargoed_until) == ("embargoed", "2031-05-01")


@pytest.mark.usefixtures("at_once")
@pytest.mark.parametrize("kept", ["environment", "file"])
def test_a_restricted_record_is_read_with_a_token(archive: Archive, tmp_path, monkeypatch, kept):
    content = b"country,capital\n"
    found = archive.published(7078768)
    found["metadata"]["access_right"] = "restricted"
    found["files"][0] |= {
        "size": len(content),
        "checksum": f"md5:{hashlib.md5(content).hexdigest()}",
    }
    del found["files"][1]
    path = found["files"][0]["links"]["self"].removeprefix("https://zenodo.org")
    archive.files[path] = content
    archive.restricted = dict.fromkeys(["/api/records/7078768", path], "let-me-in")
    with pytest.raises(DataError, match=r"record 7078768 is restricted \(403\); who may read it"):
        locate("zenodo:7078768")
    if kept == "environment":
        monkeypatch.setenv("ZENODO_TOKEN", "let-me-in")
    else:
        (tmp_path / "token").write_text("let-me-in\n")
        monkeypatch.setenv("HEPML_ZENODO_TOKEN_FILE", str(tmp_path / "token"))
    record = locate("zenodo:7078768")
    assert record.access == "restricted"
    (fetched,) = fetch_files(record.files, dataset=record.dataset)
    assert fetched.read_bytes() == content


@pytest.mark.usefixtures("at_once")
def test_a_file_that_is_refused_says_what_a_token_is_for(archive: Archive):
    record = locate("zenodo:7078768")
    path = record.files[0].urls[0].removeprefix(archive.url)
    archive.restricted = {path: "let-me-in"}
    with pytest.raises(DataError, match=r"refuses the file \(403\).*; who may read it sets"):
        fetch_files(record.files[:1], dataset=record.dataset)


def test_the_record_that_was_never_there_is_refused(archive: Archive):
    with pytest.raises(DataError, match=r"/api/records/68358988: .* no record 68358988 \(404\); "):
        locate("10.5281/zenodo.68358988")


@pytest.mark.parametrize(
    "change",
    [
        {"id": 15},
        {"id": None},
        {"metadata": None},
        {"metadata": "text"},
        {"files": 5},
        {"files": [{"key": "a.csv", "size": "many"}]},
        {"files": [{"size": 3}]},
        {"files": [{"key": "a", "size": -3}]},
        {"files": [{"key": "a", "links": {"self": "file:///etc/passwd"}}]},
        {"files": [{"key": "a", "links": {"self": "javascript:alert(1)"}}]},
    ],
)
def test_an_answer_that_is_no_record_is_refused(archive: Archive, change):
    archive.published(7078768).update(change)
    with pytest.raises(DataError, match="its answer is no record of Zenodo"):
        locate("zenodo:7078768")


def test_names_that_are_no_plain_names_become_safe_ones(archive: Archive):
    found = archive.published(7078768)
    file = found["files"][0]
    names = ["../../etc/passwd", "a b (1).csv", ".hidden", "train/x.csv", "train_x.csv", "…"]
    found["files"] = [{**file, "key": name} for name in names]
    record = locate("zenodo:7078768")
    assert [f.name for f in record.files] == [
        "_.._.._etc_passwd",
        "a_b__1_.csv",
        "_.hidden",
        "train_x.csv",
        f"{file['bucket']}_train_x.csv",
        "_",
    ]
    assert "the file 'train/x.csv' is called train_x.csv here" in record.notices


def test_a_checksum_of_another_kind_is_none_and_that_is_told(archive: Archive):
    found = archive.published(7078768)
    found["files"][0]["checksum"] = "sha512:00"
    del found["files"][1]
    record = locate("zenodo:7078768")
    assert record.files[0].checksum is None
    assert record.notices == ("unverified, since no checksum is published: capitals.csv",)


def test_what_an_archive_says_doesnt_reach_the_terminals_controls(archive: Archive):
    archive.published(7078768)["metadata"]["title"] = "a\x1b[31mred\x07\n title"
    assert locate("zenodo:7078768").title == "a[31mred title"


def test_the_sandbox_has_its_own_address(monkeypatch):
    from hepml_tasks.data.sources.zenodo import _asked

    monkeypatch.delenv("HEPML_ZENODO_URL", raising=False)
    for address in ("10.5072/zenodo.12", "https://sandbox.zenodo.org/records/12"):
        asked = _asked(address)
        assert asked is not None
        assert (asked.base, asked.number) == ("https://sandbox.zenodo.org", 12)


def test_the_archive_is_told_who_asks_and_for_what(archive: Archive):
    locate("zenodo:7078768")
    ((_, headers),) = archive.requests
    assert headers["User-Agent"].startswith("hepml_tasks/")
    assert headers["Accept"] == "application/json"
    assert "Authorization" not in headers
    archive.faults.append(told([1, 2]))
    with pytest.raises(DataError, match="its answer is no object"):
        locate("zenodo:7078768")
