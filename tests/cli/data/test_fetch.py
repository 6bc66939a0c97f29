from __future__ import annotations

import hashlib
import json
import threading
import zlib
from collections.abc import Iterator
from pathlib import Path

import pytest

from ...archives import Archive, archive_at_settings
from ...conftest import Hepml

CONTENT = b"country,capital\n" * 100
BUCKET = "/api/files/d24cde89-1d38-4713-b6f2-6a3796e458a6"


@pytest.fixture
def archive(real_data: Path) -> Iterator[Archive]:
    """Serve the recorded records; zenodo:7078768 has files of known bytes."""
    with archive_at_settings(real_data) as archive:
        found = archive.published(7078768)
        for file in found["files"]:
            content = CONTENT + file["key"].encode()
            file |= {"size": len(content), "checksum": f"md5:{hashlib.md5(content).hexdigest()}"}
            archive.files[f"{BUCKET}/{file['key']}"] = content
        yield archive


def test_a_dry_run_tells_what_a_record_has(archive: Archive, hepml: Hepml):
    done = hepml("data", "fetch", "10.7483/OPENDATA.ATLAS.ZBP2.M5T8", "--dry-run")
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    name = "atlas-higgs-challenge-2014-v2.csv.gz"
    first, *_ = done.stdout.splitlines()
    assert first == (
        "Dataset from the ATLAS Higgs Boson Machine Learning Challenge 2014 (cernopendata:328)"
    )
    assert "DOI: 10.7483/OPENDATA.ATLAS.ZBP2.M5T8\n" in done.stdout
    url = f"{archive.portal}/eos/opendata/atlas/higgs-challenge-2014/{name}"
    row = next(line for line in done.stdout.splitlines() if line.startswith(name))
    assert row.split() == [name, "65630848", "adler32:e4717bbe", "absent", url]
    assert done.stdout.endswith("\n1 file, 65630848 bytes; nothing was fetched\n")
    assert [path.partition("?")[0] for path in archive.asked] == [
        "/api/records",
        "/api/records/328",
    ]


def test_a_dry_run_is_for_scripts_too(archive: Archive, hepml: Hepml):
    done = hepml("data", "fetch", "10.7483/OPENDATA.ATLAS.ZBP2.M5T8", "--dry-run", "--json")
    told = json.loads(done.stdout)
    assert told["address"] == "cernopendata:328"
    assert told["dataset"] == "cernopendata-328"
    (file,) = told["files"]
    assert (file["size"], file["checksum"], file["state"], file["path"]) == (
        65630848,
        "adler32:e4717bbe",
        "absent",
        None,
    )
    assert file["urls"][0].startswith(archive.portal)
    assert file["urls"][1].startswith("root://eospublic.cern.ch//eos/")


def test_a_record_is_fetched_once_into_the_cache_and_copied(archive, hepml, tmp_path):
    folder = tmp_path / "data"
    done = hepml("data", "fetch", "zenodo:7078768", "--to", folder)
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines() == [str(folder / "capitals.csv"), str(folder / "table.xls")]
    # no bar where there is no terminal
    assert done.stderr == ""
    assert (folder / "capitals.csv").read_bytes() == CONTENT + b"capitals.csv"
    assert len(archive.requests) == 3
    again = hepml("data", "fetch", "10.5281/zenodo.7078768", "--to", folder, "--json")
    assert again.returncode == 0, again.stderr
    told = json.loads(again.stdout)
    assert [f["state"] for f in told["files"]] == ["verified", "verified"]
    assert [f["path"] for f in told["files"]] == done.stdout.split()
    assert len(archive.requests) == 4


def test_files_are_chosen_by_pattern(archive: Archive, hepml: Hepml):
    done = hepml("data", "fetch", "zenodo:7078768", "--file", "*.csv")
    (path,) = done.stdout.split()
    assert path.endswith("/capitals.csv")
    done = hepml("data", "fetch", "zenodo:7078768", "--file", "*.root")
    assert done.returncode == 1
    assert done.stderr == (
        "hepml: error: zenodo:7078768 has no file '*.root'; there are capitals.csv, table.xls\n"
    )


def test_what_is_there_already_is_never_replaced(archive, hepml, tmp_path):
    (tmp_path / "capitals.csv").write_text("mine")
    done = hepml("data", "fetch", "zenodo:7078768", "--to", tmp_path)
    assert done.returncode == 1
    assert "capitals.csv: is there already and is another file; move it away" in done.stderr
    assert (tmp_path / "capitals.csv").read_text() == "mine"


@pytest.mark.parametrize("jobs", [1, 2])
def test_several_files_come_at_once_up_to_a_limit(archive: Archive, hepml: Hepml, jobs: int):
    open_now, most, changed = 0, 0, threading.Condition()

    class Counted(dict[str, bytes]):
        def __getitem__(self, path: str) -> bytes:
            nonlocal open_now, most
            with changed:
                open_now += 1
                most = max(most, open_now)
                changed.notify_all()
                changed.wait_for(lambda: most == 2, timeout=0.5 if jobs == 1 else 20)
                open_now -= 1
            return super().__getitem__(path)

    archive.files = Counted(archive.files)
    assert hepml("data", "fetch", "zenodo:7078768", "--jobs", jobs).returncode == 0
    assert most == jobs


def test_a_newer_version_is_told_beside_what_was_asked_for(archive: Archive, hepml: Hepml):
    done = hepml("data", "fetch", "zenodo:7089279", "--dry-run")
    assert done.returncode == 0
    assert done.stderr == (
        "hepml: a newer version is there: zenodo:7089818; zenodo:7089279 (version 1.3) is what"
        " was asked for\n"
    )


def test_an_embargo_is_told_and_nothing_is_fetched(archive: Archive, hepml: Hepml):
    found = archive.published(7078768)
    found["metadata"] |= {"access_right": "embargoed", "embargo_date": "2031-05-01"}
    found["files"] = []
    assert hepml("data", "fetch", "zenodo:7078768", "--dry-run").returncode == 0
    done = hepml("data", "fetch", "zenodo:7078768")
    assert done.returncode == 1
    last = done.stderr.splitlines()[-1]
    assert last == (
        "hepml: error: the files of zenodo:7078768 are embargoed until 2031-05-01; who may read"
        " it sets ZENODO_TOKEN, or HEPML_ZENODO_TOKEN_FILE to the file with the token"
    )


def test_wrong_bytes_are_not_handed_out(archive: Archive, hepml: Hepml, tmp_path: Path):
    path = f"{BUCKET}/capitals.csv"
    archive.files[path] = archive.files[path].replace(b"c", b"k")
    done = hepml("data", "fetch", "zenodo:7078768", "--to", tmp_path / "data")
    assert done.returncode == 1
    assert "wrong checksum: md5:" in done.stderr
    assert not (tmp_path / "data").exists()


def test_a_tasks_files_are_fetched_by_its_name(archive, hepml, monkeypatch, tmp_path):
    done = hepml("data", "fetch", "higgsml", "--dry-run", "--json")
    told = json.loads(done.stdout)
    assert (told["dataset"], told["address"]) == ("higgsml", "cernopendata:328")
    assert told["files"][0]["checksum"] == "adler32:e4717bbe"
    # where the settings have the portal, and not where the task's file has it
    assert told["files"][0]["from"].startswith(f"{archive.portal}/eos/opendata/atlas/")
    done = hepml("data", "fetch", "toy-higgs")
    assert done.returncode == 0
    assert done.stderr == (
        "hepml: dataset toy-higgs is simulated here: there is nothing to fetch\n"
    )
    done = hepml("data", "fetch", "higsml")
    assert done.returncode == 1
    assert done.stderr.endswith("or a path; did you mean 'higgsml'?\n")
    assert archive.requests == []


def test_a_tasks_file_may_come_from_a_mirror(hepml, real_mirror, real_task_file):
    done = hepml("data", "fetch", real_task_file, "--dry-run", "--json")
    (file,) = json.loads(done.stdout)["files"]
    assert Path(file["from"]) == real_mirror / file["name"]
    done = hepml("data", "fetch", real_task_file)
    assert done.returncode == 0, done.stderr
    assert Path(done.stdout.strip()).parent == real_mirror


def test_a_file_at_an_address_is_fetched_and_told_to_be_unverified(archive, hepml):
    url = f"{archive.url}{BUCKET}/capitals.csv"
    done = hepml("data", "fetch", url)
    assert done.returncode == 0
    assert "unverified, since no checksum is published: capitals.csv" in done.stderr
    path = Path(done.stdout.strip())
    assert path.read_bytes() == archive.files[f"{BUCKET}/capitals.csv"]


@pytest.mark.parametrize(
    ("arguments", "code"), [((), 2), (("zenodo:1", "--jobs", "0"), 2), (("328",), 1)]
)
def test_what_is_typed_wrongly_is_told(hepml: Hepml, arguments, code):
    done = hepml("data", "fetch", *arguments)
    assert done.returncode == code
    assert "Traceback" not in done.stderr


def test_the_adler32_of_the_portal_is_compared(archive: Archive, hepml: Hepml):
    content = b"EventId,x\n"
    (file,) = archive.cern[328]["files"]
    file = {**file, "size": len(content), "checksum": f"adler32:{zlib.adler32(content):08x}"}
    archive.cern[328] = {**archive.cern[328], "files": [file]}
    archive.files["/" + file["uri"].removeprefix("root://eospublic.cern.ch//")] = content
    done = hepml("data", "fetch", "cernopendata:328")
    assert done.returncode == 0, done.stderr
    assert Path(done.stdout.strip()).read_bytes() == content
