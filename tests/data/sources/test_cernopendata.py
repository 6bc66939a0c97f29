from __future__ import annotations

import json
import zlib

import pytest

from hepml_tasks.data.fetch import fetch_files
from hepml_tasks.data.sources import locate
from hepml_tasks.errors import DataError

from ...archives import Archive, told

EOS = "root://eospublic.cern.ch//"
HIGGSML = "eos/opendata/atlas/higgs-challenge-2014/atlas-higgs-challenge-2014-v2.csv.gz"


def test_the_recorded_record_is_read(archive: Archive):
    record = locate("cernopendata:328")
    assert record.address == "cernopendata:328"
    assert record.title == "Dataset from the ATLAS Higgs Boson Machine Learning Challenge 2014"
    assert record.doi == "10.7483/OPENDATA.ATLAS.ZBP2.M5T8"
    assert record.creators == ("ATLAS collaboration",)
    assert record.citation == (
        "ATLAS collaboration (2014): Dataset from the ATLAS Higgs Boson Machine Learning"
        " Challenge 2014. CERN Open Data Portal."
        " https://doi.org/10.7483/OPENDATA.ATLAS.ZBP2.M5T8"
    )
    (file,) = record.files
    assert file.name == "atlas-higgs-challenge-2014-v2.csv.gz"
    assert (file.size, file.checksum) == (65630848, "adler32:e4717bbe")
    assert file.urls == (f"{archive.portal}/{HIGGSML}", f"{EOS}{HIGGSML}")


@pytest.mark.parametrize(
    "address",
    [
        "10.7483/OPENDATA.ATLAS.ZBP2.M5T8",
        "doi:10.7483/opendata.atlas.zbp2.m5t8",
        "https://doi.org/10.7483/OPENDATA.ATLAS.ZBP2.M5T8",
        "https://opendata.cern.ch/record/328",
        "http://opendata.cern.ch/record/328#files",
        "https://opendata.cern.ch/api/records/328",
        "https://opendata.cern.ch/record/328/files/atlas-higgs-challenge-2014-v2.csv.gz",
        "{portal}/record/328",
    ],
)
def test_a_record_has_many_addresses(archive: Archive, address):
    assert locate(address.format(portal=archive.portal)) == locate("cernopendata:328")


def test_a_doi_is_looked_up_as_the_portals_own_client_does(archive: Archive):
    locate("10.7483/OPENDATA.ATLAS.ZBP2.M5T8")
    asked = "doi:%2210.7483%2FOPENDATA.ATLAS.ZBP2.M5T8%22"
    assert archive.asked == [f"/api/records?page=1&size=1&q={asked}", "/api/records/328"]


def test_every_recorded_record_can_be_read(archive: Archive):
    for number, metadata in archive.cern.items():
        listed = metadata.get("files", [])
        data = [f for f in listed if f.get("type") is None]
        # what the index files list is tested below
        archive.cern[number] = {**metadata, "files": data}
        record = locate(f"cernopendata:{number}")
        assert record.creators
        assert len(record.files) == len(data)
        assert all(f.checksum and f.urls[1].startswith(EOS) for f in record.files)


def test_authors_licence_and_relations_are_told(archive: Archive):
    archive.cern[12100] = {**archive.cern[12100], "files": []}
    record = locate("cernopendata:12100")
    assert record.creators == ("Kallonen, Kimmo",)
    assert record.licence == "CC0-1.0"
    assert record.relations == (("isChildOf", "cernopendata:12021"),)
    assert record.notices == ("cernopendata:12100 has no files",)


def listed(*names: str) -> list[dict]:
    return [
        {"uri": f"{EOS}eos/opendata/cms/{n}", "size": 7, "checksum": "adler32:0b2c02d2"}
        for n in names
    ]


def test_index_files_are_read_and_verified(archive: Archive):
    metadata = archive.cern[12012]
    index = next(f for f in metadata["files"] if f["type"] == "index.json")
    content = json.dumps(listed("00/a.root", "01/a.root", "01/b.root")).encode()
    path = index["uri"].removeprefix(EOS)
    archive.files[f"/{path}"] = content
    checksum = f"adler32:{zlib.adler32(content):08x}"
    renewed = {**index, "size": len(content), "checksum": checksum}
    others = [f for f in metadata["files"] if f is not index]
    archive.cern[12012] = {**metadata, "files": [renewed, *others]}
    record = locate("cernopendata:12012")
    assert [f.name for f in record.files] == ["a.root", "01_a.root", "b.root"]
    assert record.files[1].urls[1] == f"{EOS}eos/opendata/cms/01/a.root"
    # index.txt says the same, without checksums
    assert not [p for p in archive.asked if p.endswith(".txt")]


def test_file_indices_of_a_record_come_before_its_index_files(archive: Archive):
    indices = [{"key": "a_file_index.json", "size": 14, "files": listed("a.root", "b.root")}]
    archive.cern[12012] = {**archive.cern[12012], "_file_indices": indices}
    record = locate("cernopendata:12012")
    assert [f.name for f in record.files] == ["a.root", "b.root"]
    assert len(archive.requests) == 1


def test_a_file_comes_over_http_with_the_portals_checksum(archive: Archive):
    content = b"EventId,x\n1,2\n"
    checksum = f"adler32:{zlib.adler32(content):08x}"
    (file,) = archive.cern[328]["files"]
    archive.cern[328] = {
        **archive.cern[328],
        "files": [{**file, "size": len(content), "checksum": checksum}],
    }
    archive.files[f"/{HIGGSML}"] = content
    record = locate("cernopendata:328")
    (path,) = fetch_files(record.files, dataset=record.dataset)
    assert path.read_bytes() == content


def test_what_is_on_tape_is_told(archive: Archive):
    archive.cern[328] = {**archive.cern[328], "availability": "ondemand"}
    (notice,) = locate("cernopendata:328").notices
    assert notice.startswith("cernopendata:328 is ondemand: some files are brought from tape")


def test_a_doi_that_the_portal_doesnt_have_is_refused(archive: Archive):
    with pytest.raises(DataError, match=r"10.7483/OPENDATA.X: .* has no record with this DOI;"):
        locate("10.7483/opendata.x")
    with pytest.raises(DataError, match=r"there is no record 5 \(404\); check the address"):
        locate("cernopendata:5")


@pytest.mark.parametrize(
    "answer",
    [
        {"id": 328},
        {"metadata": None},
        {"metadata": {}},
        {"metadata": {"title": "x", "recid": "329"}},
        {"metadata": {"title": "x", "files": [{"size": 3}]}},
        {"metadata": {"title": "x", "files": [{"uri": "/etc/passwd"}]}},
    ],
)
def test_an_answer_that_is_no_record_is_refused(archive: Archive, answer):
    archive.always(told(answer))
    with pytest.raises(DataError, match="its answer is no record of CERN Open Data"):
        locate("cernopendata:328")


def test_another_record_than_the_dois_is_refused(archive: Archive):
    archive.faults.append(told({"hits": {"total": 1, "hits": [{"id": 329}]}}))
    with pytest.raises(DataError, match="has the DOI 10.7483/OPENDATA.ATLAS.MQ5J.GHXA, and"):
        locate("10.7483/OPENDATA.ATLAS.ZBP2.M5T8")
