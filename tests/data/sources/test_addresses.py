from __future__ import annotations

import hashlib
from dataclasses import replace
from pathlib import Path

import pytest

from hepml_tasks.data.fetch import fetch_file, fetch_files
from hepml_tasks.data.sources import locate
from hepml_tasks.errors import ChecksumError, DataError
from hepml_tasks.spec import FileSpec

from ...archives import Archive

CONTENT = b"country,capital\n"
FILE = FileSpec(
    name="capitals.csv",
    size=len(CONTENT),
    checksum=f"md5:{hashlib.md5(CONTENT).hexdigest()}",
    urls=("zenodo:7078768",),
)


@pytest.mark.parametrize(
    ("address", "said"),
    [
        ("328", "of which archive? Write zenodo:328 or cernopendata:328"),
        ("10.1000/xyz", "a DOI of no archive that is known here"),
        ("https://doi.org/10.1000/xyz", "a DOI of no archive that is known here"),
        ("", "is no address"),
        ("higgs", "is no address, and no file of this name is here; an address is a record such"),
        ("ftp://host/file.csv", "is no address"),
        ("zenodo:", "is no address"),
        ("zenodo.328", "is no address; did you mean zenodo:328?"),
        ("http://host", "names no file; give the whole address"),
        ("https://foreign\\@zenodo.org/file.csv", "is no address that can be read in one way"),
        ("http://host:port/file.csv", "is no address"),
        ("/no/such/file", r"/no/such/file (no such file)"),
        ("/", "Is a directory"),
    ],
)
def test_what_is_no_address_is_refused_with_what_is_one(address, said):
    with pytest.raises(DataError) as caught:
        locate(address)
    assert said in str(caught.value)


def test_a_file_on_a_server_has_nothing_to_verify_it_by():
    record = locate("https://user:secret@host.org/some/data%20set.csv?download=1")
    assert record.address == "https://host.org/some/data%20set.csv"
    (file,) = record.files
    assert (file.name, file.size, file.checksum) == ("data_set.csv", None, None)
    assert file.urls == ("https://user:secret@host.org/some/data%20set.csv?download=1",)
    assert "unverified, since no checksum is published: data_set.csv" in record.notices
    assert "secret" not in record.dataset


def test_a_root_address_is_a_file():
    (file,) = locate("root://eospublic.cern.ch//eos/opendata/cms/a.root").files
    assert file.name == "a.root"


def test_a_file_on_this_machine_is_read_where_it_is(tmp_path: Path, monkeypatch):
    path = tmp_path / "events.csv"
    path.write_bytes(CONTENT)
    monkeypatch.chdir(tmp_path)
    for address in (str(path), f"file://{path}", "events.csv", "./events.csv"):
        record = locate(address)
        assert record.address == str(path)
        assert record.files[0].size == len(CONTENT)
        assert fetch_files(record.files, dataset=record.dataset) == [path]
    path.write_bytes(CONTENT.upper())
    with pytest.raises(ChecksumError, match="wrong checksum"):
        fetch_files(record.files, dataset=record.dataset)


@pytest.fixture
def capitals(archive: Archive) -> Archive:
    """Let the record 7078768 have a file of known bytes."""
    found = archive.published(7078768)
    found["files"][0] |= {"size": FILE.size, "checksum": FILE.checksum}
    archive.files["/api/files/d24cde89-1d38-4713-b6f2-6a3796e458a6/capitals.csv"] = CONTENT
    return archive


@pytest.mark.usefixtures("capitals")
@pytest.mark.parametrize("address", (*FILE.urls, "10.5281/zenodo.7078767"))
def test_a_task_may_name_a_record_for_its_file(address):
    path = fetch_file(replace(FILE, urls=(address,)), dataset="test-set")
    assert path.read_bytes() == CONTENT


@pytest.mark.usefixtures("capitals")
def test_a_record_may_be_a_mirror(monkeypatch):
    monkeypatch.setenv("HEPML_MIRRORS", "zenodo:7078768")
    # by its checksum, whatever it is called there
    file = replace(FILE, name="other.csv", urls=())
    assert fetch_file(file, dataset="test-set").read_bytes() == CONTENT


def test_an_address_at_an_archive_is_where_the_settings_have_it(capitals: Archive):
    bucket = "https://zenodo.org/api/files/d24cde89-1d38-4713-b6f2-6a3796e458a6"
    file = replace(FILE, urls=(f"{bucket}/capitals.csv",))
    assert fetch_file(file, dataset="test-set").read_bytes() == CONTENT
    assert len(capitals.requests) == 1


@pytest.mark.usefixtures("at_once")
def test_a_record_that_cant_be_asked_is_one_of_the_places_that_failed(capitals, monkeypatch):
    monkeypatch.setenv("HEPML_MIRRORS", "zenodo:5,zenodo:7089818")
    assert fetch_file(FILE, dataset="test-set").read_bytes() == CONTENT
    file = replace(FILE, checksum=f"md5:{0:032x}", urls=("zenodo:4924875",))
    with pytest.raises(DataError) as caught:
        fetch_file(file, dataset="test-set")
    said = str(caught.value)
    assert "there is no record 5 (404)" in said
    assert "zenodo:7089818 has no file capitals.csv" in said
    assert "zenodo:4924875 has no file capitals.csv" in said
