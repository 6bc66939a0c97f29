from __future__ import annotations

import functools
import hashlib
import http.server
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from hepml_tasks import settings
from hepml_tasks.data.fetch import fetch_file
from hepml_tasks.errors import ChecksumError, DataError
from hepml_tasks.spec import DatasetSpec, FileSpec

CONTENT = b"EventId,x\n1,2\n" * 1000


class Recording(http.server.SimpleHTTPRequestHandler):
    requests: list[str]

    def do_GET(self) -> None:
        self.requests.append(self.path)
        super().do_GET()

    def log_message(self, *_: object) -> None:
        pass


class Site:
    """A real HTTP server on a folder."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.requests: list[str] = []
        handler = type("Handler", (Recording,), {"requests": self.requests})
        self.server = http.server.ThreadingHTTPServer(
            ("127.0.0.1", 0), functools.partial(handler, directory=str(folder))
        )
        self.url = f"http://127.0.0.1:{self.server.server_port}"


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    folder = tmp_path / "site"
    folder.mkdir()
    (folder / "data.csv").write_bytes(CONTENT)
    site = Site(folder)
    thread = threading.Thread(target=site.server.serve_forever)
    thread.start()
    yield site
    site.server.shutdown()
    thread.join()
    site.server.server_close()


def file_at(*urls: str, content: bytes = CONTENT) -> tuple[FileSpec, DatasetSpec]:
    file = FileSpec(
        name="data.csv",
        size=len(content),
        checksum=f"sha256:{hashlib.sha256(content).hexdigest()}",
        urls=urls,
    )
    dataset = DatasetSpec(
        name="test-set",
        version="1",
        description="",
        licence="CC0",
        creators=(),
        citation="",
        files=(file,),
    )
    return file, dataset


def test_a_file_is_downloaded_once_and_verified(site: Site):
    file, dataset = file_at(f"{site.url}/data.csv")
    assert fetch_file(file, dataset).read_bytes() == CONTENT
    assert fetch_file(file, dataset).read_bytes() == CONTENT
    assert len(site.requests) == 1


def test_many_jobs_that_ask_at_once_download_once(site: Site):
    file, dataset = file_at(f"{site.url}/data.csv")
    with ThreadPoolExecutor(8) as pool:
        paths = list(pool.map(lambda _: fetch_file(file, dataset), range(8)))
    assert len(set(paths)) == 1
    assert len(site.requests) == 1


def test_a_mirror_folder_is_read_in_place(site: Site, monkeypatch: pytest.MonkeyPatch):
    file, dataset = file_at("http://127.0.0.1:9/never")
    monkeypatch.setenv("HEPML_MIRRORS", str(site.folder))
    assert fetch_file(file, dataset) == site.folder / "data.csv"


def test_a_mirror_may_be_a_url_with_a_folder_a_dataset(site: Site, monkeypatch: pytest.MonkeyPatch):
    (site.folder / "test-set").mkdir()
    (site.folder / "data.csv").rename(site.folder / "test-set" / "data.csv")
    file, dataset = file_at()
    monkeypatch.setenv("HEPML_MIRRORS", f"{site.url}/")
    assert fetch_file(file, dataset).read_bytes() == CONTENT


def test_wrong_bytes_are_never_used_and_the_next_place_is_tried(
    site: Site, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    bad = tmp_path / "bad"
    bad.mkdir()
    (bad / "data.csv").write_bytes(CONTENT.replace(b"2", b"3"))
    file, dataset = file_at(f"{site.url}/data.csv")
    monkeypatch.setenv("HEPML_MIRRORS", str(bad))
    assert fetch_file(file, dataset).read_bytes() == CONTENT
    assert (bad / "data.csv").exists()


def test_a_wrong_checksum_names_file_both_checksums_and_the_remedy(site: Site):
    (site.folder / "data.csv").write_bytes(CONTENT.replace(b"2", b"3"))
    file, dataset = file_at(f"{site.url}/data.csv")
    with pytest.raises(
        ChecksumError, match=r"data.csv: wrong checksum: sha256:\w+, published is sha256:.*MIRRORS"
    ):
        fetch_file(file, dataset)
    aside = [p.name for p in (settings.cache_dir() / "files").rglob("*") if p.is_file()]
    assert "data.csv.wrong" in aside
    assert "data.csv" not in aside


def test_a_truncated_file_is_told_by_its_size(site: Site, monkeypatch: pytest.MonkeyPatch):
    (site.folder / "data.csv").write_bytes(CONTENT[:-10])
    file, dataset = file_at()
    monkeypatch.setenv("HEPML_MIRRORS", str(site.folder))
    with pytest.raises(ChecksumError, match=r"is truncated: 13990 bytes where 14000 are published"):
        fetch_file(file, dataset)


def test_a_verified_file_that_changes_is_noticed(site: Site, monkeypatch: pytest.MonkeyPatch):
    file, dataset = file_at()
    monkeypatch.setenv("HEPML_MIRRORS", str(site.folder))
    path = fetch_file(file, dataset)
    path.write_bytes(CONTENT.replace(b"2", b"3"))
    with pytest.raises(ChecksumError, match="wrong checksum"):
        fetch_file(file, dataset)


def test_a_file_that_is_nowhere_lists_every_place_that_was_tried(site: Site):
    file, dataset = file_at(f"{site.url}/lost.csv", "http://127.0.0.1:9/data.csv")
    with pytest.raises(DataError, match=r"lost.csv \(HTTPError.*127.0.0.1:9.*HEPML_MIRRORS"):
        fetch_file(file, dataset)
