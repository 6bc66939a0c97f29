from __future__ import annotations

import os
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from hepml_tasks.data.cache import state_of
from hepml_tasks.data.fetch import fetch_file, fetch_files
from hepml_tasks.data.kept import kept_path
from hepml_tasks.errors import ChecksumError, DataError, OutputError

from .conftest import CONTENT, Handler, Site

pytestmark = pytest.mark.usefixtures("at_once")


def fetch(file):
    return fetch_file(file, dataset="test-set")


def test_a_file_is_downloaded_once_and_verified(site: Site, file_at):
    file = file_at(f"{site.url}/data.csv")
    assert state_of(file, dataset="test-set") == "absent"
    assert fetch(file).read_bytes() == CONTENT
    assert fetch(file).read_bytes() == CONTENT
    assert len(site.requests) == 1
    assert state_of(file, dataset="test-set") == "verified"


@pytest.mark.parametrize("algorithm", ["md5", "sha256"])
def test_whatever_checksum_the_archive_publishes_is_compared(site: Site, file_at, algorithm):
    assert fetch(file_at(f"{site.url}/data.csv", algorithm=algorithm)).read_bytes() == CONTENT


def test_adler32_is_compared_too(site: Site, file_at):
    import zlib

    from hepml_tasks.spec import FileSpec

    file = FileSpec(
        name="data.csv",
        checksum=f"adler32:{zlib.adler32(CONTENT):08x}",
        urls=(f"{site.url}/data.csv",),
    )
    assert fetch(file).read_bytes() == CONTENT
    site.files["/data.csv"] = CONTENT.replace(b"2", b"3")
    kept_path(file, dataset="test-set").unlink()
    with pytest.raises(ChecksumError, match="wrong checksum: adler32:"):
        fetch(file)


def test_threads_that_ask_at_once_download_once(site: Site, file_at):
    file = file_at(f"{site.url}/data.csv")
    with ThreadPoolExecutor(8) as pool:
        paths = list(pool.map(lambda _: fetch(file), range(8)))
    assert len(set(paths)) == 1
    assert len(site.requests) == 1


CHILD = """
import sys
from hepml_tasks.data.fetch import fetch_file
from hepml_tasks.spec import FileSpec
sys.stdin.readline()
name, checksum, url = sys.argv[1:]
print(fetch_file(FileSpec(name=name, checksum=checksum, urls=(url,)), dataset="test-set"))
"""


def test_jobs_that_start_in_the_same_second_download_once(site: Site, file_at):
    file = file_at(f"{site.url}/data.csv")
    # long enough for all of them to meet
    site.step, site.pause = 2000, 0.1
    command = [sys.executable, "-c", CHILD, file.name, file.checksum, *file.urls]
    jobs = [
        subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        for _ in range(8)
    ]
    for job in jobs:
        job.stdin.write("go\n")
        job.stdin.flush()
    paths = {job.communicate(timeout=60)[0].strip() for job in jobs}
    assert [job.returncode for job in jobs] == [0] * 8
    (path,) = paths
    assert Path(path).read_bytes() == CONTENT
    assert len(site.requests) == 1


def test_a_holder_that_is_killed_lets_go_of_the_lock_and_its_bytes_are_kept(site: Site, file_at):
    file = file_at(f"{site.url}/data.csv")
    site.step, site.pause = 1400, 0.05
    command = [sys.executable, "-c", CHILD, file.name, file.checksum, *file.urls]
    with subprocess.Popen(command, stdin=subprocess.PIPE, text=True) as job:
        job.stdin.write("go\n")
        job.stdin.flush()
        while site.sent < 5000:
            pass
        job.kill()
    site.step, site.pause = 0, 0.0
    assert fetch(file).read_bytes() == CONTENT
    first, second = site.asked
    assert first is None
    assert int(second.removeprefix("bytes=").removesuffix("-")) >= 1400


def test_a_mirror_folder_is_read_in_place(tmp_path: Path, file_at, monkeypatch):
    (tmp_path / "data.csv").write_bytes(CONTENT)
    monkeypatch.setenv("HEPML_MIRRORS", str(tmp_path))
    file = file_at("http://127.0.0.1:9/never")
    assert fetch(file) == tmp_path / "data.csv"
    assert state_of(file, dataset="test-set") == "verified"


def test_a_mirror_may_be_a_url_with_a_folder_a_dataset(site: Site, file_at, monkeypatch):
    site.files = {"/eos/test-set/data.csv": CONTENT}
    monkeypatch.setenv("HEPML_MIRRORS", f"{site.url}/eos/")
    assert fetch(file_at()).read_bytes() == CONTENT


def test_a_url_may_be_a_file_on_this_machine(tmp_path: Path, file_at):
    path = tmp_path / "a b" / "data.csv"
    path.parent.mkdir()
    path.write_bytes(CONTENT)
    assert fetch(file_at(path.as_uri())) == path
    assert fetch(file_at(str(path))) == path


def test_wrong_bytes_are_never_used_and_the_next_place_is_tried(
    site: Site, tmp_path: Path, file_at, monkeypatch
):
    (tmp_path / "data.csv").write_bytes(CONTENT.replace(b"2", b"3"))
    site.files["/wrong/data.csv"] = CONTENT.replace(b"2", b"4")
    monkeypatch.setenv("HEPML_MIRRORS", f"{tmp_path},{site.url}/wrong")
    assert fetch(file_at(f"{site.url}/data.csv")).read_bytes() == CONTENT
    assert (tmp_path / "data.csv").exists()


def test_a_wrong_checksum_names_file_both_checksums_and_the_remedy(site: Site, file_at):
    bad = CONTENT.replace(b"2", b"3")
    site.files["/data.csv"] = bad
    file = file_at(f"{site.url}/data.csv")
    with pytest.raises(
        ChecksumError, match=r"data.csv: wrong checksum: sha256:\w+, published is sha256:.*MIRRORS"
    ):
        fetch(file)
    kept = kept_path(file, dataset="test-set")
    assert not kept.exists()
    assert kept.with_name("data.csv.wrong").read_bytes() == bad
    reason = kept.with_name("data.csv.wrong.txt").read_text()
    assert reason.startswith(f"{site.url}/data.csv: wrong checksum: sha256:")


def test_wrong_bytes_everywhere_list_every_place(start_site, file_at):
    sites = [start_site(), start_site()]
    for site in sites:
        site.files["/data.csv"] = CONTENT.replace(b"2", b"3")
    with pytest.raises(ChecksumError) as caught:
        fetch(file_at(*(f"{site.url}/data.csv" for site in sites)))
    assert all(f"{site.url}/data.csv: wrong checksum" in str(caught.value) for site in sites)


def test_a_truncated_file_is_told_by_its_size(tmp_path: Path, file_at, monkeypatch):
    (tmp_path / "data.csv").write_bytes(CONTENT[:-10])
    monkeypatch.setenv("HEPML_MIRRORS", str(tmp_path))
    with pytest.raises(ChecksumError, match=r"is truncated: 13990 bytes where 14000 are published"):
        fetch(file_at())


def test_a_verified_file_that_changes_is_noticed(tmp_path: Path, file_at, monkeypatch):
    (tmp_path / "data.csv").write_bytes(CONTENT)
    monkeypatch.setenv("HEPML_MIRRORS", str(tmp_path))
    path = fetch(file_at())
    path.write_bytes(CONTENT.replace(b"2", b"3"))
    with pytest.raises(ChecksumError, match="wrong checksum"):
        fetch(file_at())


def test_a_kept_file_that_changes_is_set_aside_and_fetched_again(site: Site, file_at):
    file = file_at(f"{site.url}/data.csv")
    path = fetch(file)
    path.write_bytes(b"x" * len(CONTENT))
    assert fetch(file).read_bytes() == CONTENT
    assert path.with_name("data.csv.wrong").read_bytes() == b"x" * len(CONTENT)


def test_a_kept_file_that_was_only_touched_is_not_fetched_again(site: Site, file_at):
    file = file_at(f"{site.url}/data.csv")
    os.utime(fetch(file), (1, 1))
    assert fetch(file).read_bytes() == CONTENT
    assert len(site.requests) == 1


def test_a_file_that_is_nowhere_lists_every_place_that_was_tried(site: Site, file_at):
    file = file_at(f"{site.url}/lost.csv", "http://127.0.0.1:9/data.csv", "/nowhere/data.csv")
    with pytest.raises(DataError) as caught:
        fetch(file)
    message = str(caught.value)
    assert "lost.csv: 127.0.0.1 has no such file (404)" in message
    assert "http://127.0.0.1:9/data.csv: does not answer" in message
    assert "/nowhere/data.csv (no such file)" in message
    assert "HEPML_MIRRORS" in message
    assert "\n" not in message


def test_without_a_published_checksum_the_first_download_decides(site: Site, file_at):
    file = file_at(f"{site.url}/data.csv", algorithm=None, size=None)
    path = fetch(file)
    assert path.read_bytes() == CONTENT
    assert state_of(file, dataset="test-set") == "unverified"
    path.unlink()
    site.files["/data.csv"] = CONTENT.replace(b"2", b"3")
    with pytest.raises(ChecksumError, match="wrong checksum"):
        fetch(file)
    site.files["/data.csv"] = CONTENT
    assert fetch(file).read_bytes() == CONTENT


def test_without_a_published_checksum_a_mirrors_file_is_remembered_as_well(
    tmp_path: Path, file_at, monkeypatch
):
    path = tmp_path / "data.csv"
    path.write_bytes(CONTENT)
    monkeypatch.setenv("HEPML_MIRRORS", str(tmp_path))
    file = file_at(algorithm=None, size=None)
    assert fetch(file) == path
    assert state_of(file, dataset="test-set") == "unverified"
    path.write_bytes(CONTENT.replace(b"2", b"3"))
    with pytest.raises(ChecksumError, match="wrong checksum"):
        fetch(file)


def many(site: Site, file_at, number: int):
    files = []
    for i in range(number):
        content = CONTENT + b"%d" % i
        site.files[f"/{i}.csv"] = content
        files.append(file_at(f"{site.url}/{i}.csv", content=content, name=f"{i}.csv"))
    return files


def test_several_files_come_at_once_within_the_limit(site: Site, file_at):
    files = many(site, file_at, 9)
    released = threading.Event()

    def held(handler: Handler) -> None:
        released.wait(20)
        handler.serve()

    site.faults.extend([held] * 9)
    with ThreadPoolExecutor(1) as pool:
        fetching = pool.submit(fetch_files, files, dataset="test-set", at_once=3)
        end = time.monotonic() + 20
        while len(site.requests) < 3:
            assert time.monotonic() < end
        time.sleep(0.3)
        assert len(site.requests) == 3
        released.set()
        paths = fetching.result()
    assert [path.read_bytes() for path in paths] == [CONTENT + b"%d" % i for i in range(9)]


def test_a_file_that_fails_does_not_lose_the_others(site: Site, file_at):
    files = many(site, file_at, 5)
    del site.files["/1.csv"], site.files["/3.csv"]
    with pytest.raises(DataError, match="2 of the 5 files of dataset test-set can't be had"):
        fetch_files(files, dataset="test-set")
    assert [state_of(f, dataset="test-set") == "verified" for f in files] == [1, 0, 1, 0, 1]


def test_a_cache_that_cannot_be_written_is_one_line(site: Site, file_at, tmp_path, monkeypatch):
    (tmp_path / "cache").write_text("a file where a folder should be")
    monkeypatch.setenv("HEPML_CACHE", str(tmp_path / "cache"))
    with pytest.raises(OutputError, match="can't be written .*HEPML_CACHE"):
        fetch_files(many(site, file_at, 3), dataset="test-set")
