"""What goes wrong between an archive and whoever asks it."""

from __future__ import annotations

import pytest

from hepml_tasks.data.sources import locate
from hepml_tasks.errors import DataError

from ...archives import Archive, page, serving, told

pytestmark = pytest.mark.usefixtures("at_once")


@pytest.mark.parametrize("address", ["zenodo:7078768", "cernopendata:328"])
@pytest.mark.parametrize(
    ("status", "said"),
    [
        (401, r"record \d+ is restricted \(401\); "),
        (403, r"record \d+ is restricted \(403\); "),
        (404, r"there is no record \d+ \(404\); check the address"),
        (410, r"record \d+ was withdrawn for good \(410\); look for a newer version"),
        (418, r"answers with status 418; check the address"),
        (429, r"is asked too often \(429\) \(asked 5 times\); try again later"),
        (500, r"answers with status 500 \(asked 5 times\); try again later"),
        (503, r"answers with status 503 \(asked 5 times\); try again later"),
    ],
)
def test_a_refusal_is_one_line_with_address_and_remedy(archive: Archive, address, status, said):
    archive.always((status, {}, b"<html>sorry</html>"))
    number = address.partition(":")[2]
    with pytest.raises(DataError, match=rf"/api/records/{number}: .*{said}") as caught:
        locate(address)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("status", [429, 500, 502])
def test_what_passes_is_waited_for(archive: Archive, status):
    archive.faults.extend([(status, {"Retry-After": "0"}, b"")] * 4)
    assert locate("zenodo:7078768").address == "zenodo:7078768"
    assert len(archive.requests) == 5


def test_who_asks_to_wait_for_long_is_told_of(archive: Archive):
    archive.always((429, {"Retry-After": "3600"}, b""))
    with pytest.raises(DataError, match=r"\(429\), and asks to wait 3600 s; try then"):
        locate("zenodo:7078768")
    assert len(archive.requests) == 1


@pytest.mark.parametrize("address", ["zenodo:7078768", "10.7483/OPENDATA.ATLAS.ZBP2.M5T8"])
def test_a_web_page_is_no_record(archive: Archive, address):
    archive.always(page())
    with pytest.raises(DataError, match=r"answers with a web page where .* look at it in a browse"):
        locate(address)


@pytest.mark.parametrize("content", [b"", b"{", b"no json", b"\xff\xfe", b"[" * 100_000])
def test_an_answer_that_is_no_json_is_refused(archive: Archive, content):
    archive.always((200, {"Content-Type": "application/json"}, content))
    with pytest.raises(DataError, match="answers with no JSON where record 7078768 is expected"):
        locate("zenodo:7078768")


def test_redirects_without_end_are_refused(archive: Archive):
    archive.always((302, {"Location": "/api/records/7078768"}, b""))
    with pytest.raises(DataError, match="its redirects go round in a circle"):
        locate("zenodo:7078768")


def test_a_foreign_host_is_asked_without_the_token(archive: Archive, monkeypatch):
    monkeypatch.setenv("ZENODO_TOKEN", "let-me-in")
    seen = []

    def foreign(path: str, headers: dict[str, str]):
        seen.append((path, headers))
        return told(archive.zenodo[7078768])

    with serving(foreign) as url:
        archive.faults.append((302, {"Location": f"{url}/api/records/7078768"}, b""))
        assert locate("zenodo:7078768").address == "zenodo:7078768"
    assert archive.requests[0][1]["Authorization"] == "Bearer let-me-in"
    ((_, headers),) = seen
    assert "let-me-in" not in str(headers)


def test_an_archive_that_doesnt_answer_is_told_of(monkeypatch):
    monkeypatch.setenv("HEPML_ZENODO_URL", "http://127.0.0.1:9")
    with pytest.raises(DataError, match=r"^http://127.0.0.1:9/api/records/5: does not answer \(as"):
        locate("zenodo:5")


def test_an_answer_without_end_is_cut(archive: Archive, monkeypatch):
    monkeypatch.setattr("hepml_tasks.data.sources.answers._LARGEST", 1000)
    with pytest.raises(DataError, match="its answer has no end"):
        locate("cernopendata:328")
