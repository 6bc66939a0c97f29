"""Faults of servers and disks: the right bytes come in the end, or one clear line does."""

from __future__ import annotations

import os
import random
import re
import resource
import shutil
import subprocess
import sys
import time
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from pathlib import Path

import pytest

from hepml_tasks import settings
from hepml_tasks.data import download
from hepml_tasks.data.fetch import fetch_file
from hepml_tasks.data.kept import kept_path
from hepml_tasks.data.transports import http
from hepml_tasks.errors import ChecksumError, DataError, OutputError

from .conftest import CONTENT, Handler, Site

pytestmark = pytest.mark.usefixtures("at_once")
OTHER = CONTENT.replace(b"2", b"3")


def fetch(file):
    return fetch_file(file, dataset="test-set")


def cut_after(number: int):
    return lambda handler: handler.serve(cut=number)


def refuse(status: int, **headers: str):
    return lambda handler: handler.answer(status, b"<html>no</html>", **headers)


def beginning(site: Site, file, number: int = 5000) -> None:
    """Leave the beginning of the file behind, as an interrupted download does."""
    site.faults.extend([cut_after(number), *[refuse(500)] * 5])
    with pytest.raises(DataError, match="answers with status 500"):
        fetch(file)
    site.faults.clear()
    site.requests.clear()


@pytest.mark.parametrize("ranges", [True, False], ids=["ranges", "no-ranges"])
@pytest.mark.parametrize("validators", [True, False], ids=["etag", "no-etag"])
def test_a_connection_cut_at_every_tenth_byte(site: Site, file_at, ranges, validators):
    content = CONTENT[:700]
    site.files["/data.csv"] = content
    site.ranges, site.validators = ranges, validators
    for cut in range(0, len(content), 10):
        site.faults.append(cut_after(cut))
        file = file_at(f"{site.url}/data.csv", content=content)
        path = fetch(file)
        assert path.read_bytes() == content
        path.unlink()


def test_every_connection_is_cut_after_ten_bytes(site: Site, file_at):
    content = CONTENT[:700]
    site.files["/data.csv"] = content
    site.faults.extend([cut_after(10)] * 100)
    assert fetch(file_at(f"{site.url}/data.csv", content=content)).read_bytes() == content
    assert len(site.requests) == 70
    # no byte was sent twice
    assert site.sent == 700


def test_a_server_that_ignores_ranges_and_cuts_does_not_keep_us_forever(site: Site, file_at):
    site.ranges = False
    site.faults.extend([cut_after(100)] * 100)
    with pytest.raises(DataError, match=r"the connection was cut \(asked 5 times\)"):
        fetch(file_at(f"{site.url}/data.csv"))


def test_the_rest_is_asked_for_in_a_later_process(site: Site, file_at):
    file = file_at(f"{site.url}/data.csv")
    beginning(site, file)
    assert fetch(file).read_bytes() == CONTENT
    assert site.asked == ["bytes=5000-"]
    assert [p.name for p in kept_path(file, dataset="test-set").parent.glob(".*.part*")] == []


@pytest.mark.parametrize("algorithm", ["sha256", None])
def test_a_file_that_changed_meanwhile_is_never_spliced(site: Site, file_at, algorithm):
    size = len(CONTENT) if algorithm else None
    file = file_at(f"{site.url}/data.csv", content=OTHER, algorithm=algorithm, size=size)
    beginning(site, file)
    site.files["/data.csv"] = OTHER
    assert fetch(file).read_bytes() == OTHER


def test_a_server_that_ignores_if_range_is_noticed(site: Site, file_at):
    file = file_at(f"{site.url}/data.csv", content=OTHER, algorithm=None, size=None)
    beginning(site, file)
    site.files["/data.csv"] = OTHER

    def ignores(handler: Handler) -> None:
        del handler.headers["If-Range"]
        handler.serve()

    site.faults.append(ignores)
    assert fetch(file).read_bytes() == OTHER
    assert site.asked == ["bytes=5000-", None]


def test_without_validator_and_checksum_nothing_is_joined(site: Site, file_at):
    site.validators = False
    file = file_at(f"{site.url}/data.csv", algorithm=None, size=None)
    beginning(site, file)
    assert fetch(file).read_bytes() == CONTENT
    assert site.asked == [None]


def test_a_wrong_beginning_is_fetched_once_more_in_one_piece(site: Site, file_at):
    site.validators = False
    site.files["/data.csv"] = OTHER
    file = file_at(f"{site.url}/data.csv")
    beginning(site, file)
    site.files["/data.csv"] = CONTENT
    assert fetch(file).read_bytes() == CONTENT
    assert site.asked == ["bytes=5000-", None]


def test_a_file_that_became_shorter_is_fetched_anew(site: Site, file_at):
    file = file_at(f"{site.url}/data.csv", content=CONTENT[:700], algorithm=None, size=None)
    beginning(site, file)
    site.files["/data.csv"] = CONTENT[:700]
    site.faults.append(refuse(416))
    assert fetch(file).read_bytes() == CONTENT[:700]


@pytest.mark.parametrize(
    ("status", "what", "times"),
    [
        (401, "it asks|asks who you are", 1),
        (403, "refuses the file", 1),
        (404, "has no such file", 1),
        (410, "is gone for good|gone for good", 1),
        (418, "answers with status 418", 1),
        (429, "is asked too often", 5),
        (500, "answers with status 500", 5),
        (503, "answers with status 503", 5),
    ],
)
def test_a_status_that_stays_is_one_line(site: Site, file_at, status, what, times):
    site.faults.extend([refuse(status)] * 9)
    with pytest.raises(DataError, match=what) as caught:
        fetch(file_at(f"{site.url}/data.csv"))
    assert len(site.requests) == times
    assert f"{site.url}/data.csv" in str(caught.value)
    assert "HEPML_MIRRORS" in str(caught.value)


@pytest.mark.parametrize("status", [429, 500, 503])
def test_a_status_that_passes_is_asked_again(site: Site, file_at, status):
    site.faults.extend([refuse(status)] * 4)
    assert fetch(file_at(f"{site.url}/data.csv")).read_bytes() == CONTENT


@pytest.mark.parametrize("kind", ["seconds", "date"])
def test_retry_after_is_waited_for(site: Site, file_at, kind):
    at = datetime.now(UTC) + timedelta(seconds=2)
    value = "1" if kind == "seconds" else format_datetime(at, usegmt=True)
    site.faults.append(refuse(429, Retry_After=value))
    start = time.monotonic()
    assert fetch(file_at(f"{site.url}/data.csv")).read_bytes() == CONTENT
    assert 0.9 < time.monotonic() - start < 4


@pytest.mark.parametrize("value", ["86400", "Fri, 31 Dec 2100 23:59:59 GMT"])
def test_who_asks_us_to_wait_for_hours_is_left_for_the_next(site: Site, start_site, file_at, value):
    site.faults.append(refuse(503, Retry_After=value))
    other = start_site()
    assert fetch(file_at(f"{site.url}/data.csv", f"{other.url}/data.csv")).read_bytes() == CONTENT
    assert len(site.requests) == 1


@pytest.mark.parametrize("value", ["soon", "-5", "1e9", "Fri, 99 Foo 2100"])
def test_a_retry_after_that_says_nothing_is_passed_over(value):
    assert http.retry_after(value) is None


def page(kind: str, body: bytes = b"\n<!DOCTYPE html><title>Sign in</title>"):
    return lambda handler: handler.answer(200, body, Content_Type=kind)


@pytest.mark.parametrize("algorithm", ["sha256", None])
@pytest.mark.parametrize(
    "fault",
    [
        page("text/html"),
        page("application/octet-stream"),
        page("text/html; charset=utf-8", b"<!-- single sign-on --><body>"),
    ],
    ids=["told", "not-told", "comment"],
)
def test_a_web_page_instead_of_data(site: Site, file_at, algorithm, fault):
    site.faults.append(fault)
    file = file_at(f"{site.url}/data.csv", algorithm=algorithm, size=None)
    with pytest.raises(DataError, match="answers with a web page and not with the file"):
        fetch(file)
    assert not kept_path(file, dataset="test-set").exists()


def test_data_that_a_server_calls_html_are_data(site: Site, file_at):
    site.faults.append(lambda handler: handler.serve(Content_Type="text/html"))
    assert fetch(file_at(f"{site.url}/data.csv")).read_bytes() == CONTENT


def test_a_wrong_size_is_told_before_a_byte_is_kept(site: Site, file_at):
    site.files["/data.csv"] = CONTENT + b"more"
    with pytest.raises(ChecksumError, match="is too long: 14004 bytes where 14000 are published"):
        fetch(file_at(f"{site.url}/data.csv"))
    kept = [p for p in settings.cache_dir().rglob("*") if p.is_file() and p.parent.name != "locks"]
    assert kept == []


def endless(handler: Handler) -> None:
    handler.send_response(200)
    handler.send_header("Transfer-Encoding", "chunked")
    handler.end_headers()
    block = b"x" * 65536
    while True:
        handler.wfile.write(b"%x\r\n%s\r\n" % (len(block), block))


def test_a_file_that_grows_is_stopped_at_the_published_size(site: Site, file_at):
    site.faults.append(endless)
    file = file_at(f"{site.url}/data.csv")
    with pytest.raises(ChecksumError, match="grows beyond the 14000 bytes that are published"):
        fetch(file)
    assert not list(kept_path(file, dataset="test-set").parent.glob("*.part"))


def unbounded(handler: Handler) -> None:
    handler.send_response(200)
    handler.send_header("Connection", "close")
    handler.end_headers()
    handler.wfile.write(CONTENT)
    handler.close_connection = True


def test_an_answer_without_a_length_needs_a_size_or_a_checksum(site: Site, file_at):
    site.faults.append(unbounded)
    with pytest.raises(DataError, match="a cut file can't be told from a whole one"):
        fetch(file_at(f"{site.url}/data.csv", algorithm=None, size=None))
    site.faults.append(unbounded)
    assert fetch(file_at(f"{site.url}/data.csv", size=None)).read_bytes() == CONTENT


def test_a_server_that_falls_silent_is_asked_again(site: Site, file_at, monkeypatch):
    monkeypatch.setattr(http, "TIMEOUT", (1.0, 0.3))

    def silent(handler: Handler) -> None:
        handler.serve(cut=3000)
        time.sleep(1)

    site.faults.append(silent)
    start = time.monotonic()
    assert fetch(file_at(f"{site.url}/data.csv")).read_bytes() == CONTENT
    assert time.monotonic() - start < 0.95
    assert site.asked == [None, "bytes=3000-"]


def test_a_server_that_only_drips_is_left_for_the_next(
    site: Site, start_site, file_at, monkeypatch
):
    monkeypatch.setattr(download, "SLOW_FOR", 0.1)
    monkeypatch.setattr(download, "ATTEMPTS", 1)
    site.step, site.pause = 10, 0.05
    other = start_site()
    assert fetch(file_at(f"{site.url}/data.csv", f"{other.url}/data.csv")).read_bytes() == CONTENT
    assert site.sent < 200


def no_room(limit: int):
    """Let no file of this process grow beyond a number of bytes: EFBIG, as a quota gives."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (limit, before[1]))
    return before


def test_a_quota_that_is_used_up_keeps_what_came_and_goes_on_later(site: Site, file_at):
    file = file_at(f"{site.url}/data.csv")
    before = no_room(6000)
    try:
        with pytest.raises(OutputError, match=r"can't be written \(File too large\).*HEPML_CACHE"):
            fetch(file)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert fetch(file).read_bytes() == CONTENT
    assert site.asked == [None, "bytes=6000-"]


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can mount a small disk")
@pytest.mark.parametrize("told", [True, False], ids=["size-told", "size-not-told"])
def test_a_disk_that_fills_up(site: Site, file_at, tmp_path: Path, monkeypatch, told):
    disk = tmp_path / "disk"
    disk.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=256k", "tmpfs", disk], check=True)
    try:
        monkeypatch.setenv("HEPML_CACHE", str(disk))
        content = random.Random(0).randbytes(400_000)
        site.files["/data.csv"] = content
        file = file_at(f"{site.url}/data.csv", content=content, size=len(content) if told else None)
        if not told:
            site.faults.append(chunked(content))
        problem = "the disk has fewer" if told else "No space left on device"
        with pytest.raises(OutputError, match=f"{problem}.*HEPML_CACHE") as caught:
            fetch(file)
        assert "\n" not in str(caught.value)
        assert not kept_path(file, dataset="test-set").exists()
        subprocess.run(["mount", "-o", "remount,size=4m", disk], check=True)
        assert fetch(file).read_bytes() == content
    finally:
        subprocess.run(["umount", disk], check=True)


def chunked(content: bytes):
    def send(handler: Handler) -> None:
        handler.send_response(200)
        handler.send_header("Transfer-Encoding", "chunked")
        handler.end_headers()
        handler.wfile.write(b"%x\r\n%s\r\n0\r\n\r\n" % (len(content), content))

    return send


def test_messages_and_notes_carry_no_password_and_no_query(site: Site, file_at):
    secret = site.url.replace("http://", "http://user:hunter2@") + "/data.csv?token=abc"
    site.faults.extend([refuse(404)])
    file = file_at(secret)
    with pytest.raises(DataError) as caught:
        fetch(file)
    assert "hunter2" not in str(caught.value)
    assert "abc" not in str(caught.value)
    fetch(file)
    for path in settings.cache_dir().rglob("*"):
        if path.is_file():
            assert not re.search(rb"hunter2|token=abc", path.read_bytes())


CHILD = """
import sys
from hepml_tasks.data.fetch import fetch_file
from hepml_tasks.spec import FileSpec
name, checksum, url = sys.argv[1:]
fetch_file(FileSpec(name=name, checksum=checksum or None, urls=(url,)), dataset="test-set")
"""


def killed_at(delay: float, site: Site, file) -> bool:
    """Kill a downloading process some time after its first request; say whether it was alive."""
    site.requests.clear()
    command = [sys.executable, "-c", CHILD, file.name, file.checksum or "", *file.urls]
    with subprocess.Popen(command) as job:
        end = time.monotonic() + 30
        while not site.requests:
            assert time.monotonic() < end
            time.sleep(0.001)
        time.sleep(delay)
        alive = job.poll() is None
        job.kill()
    return alive


def kill_and_fetch(site: Site, file, delays: list[float]) -> int:
    alive = 0
    for delay in delays:
        shutil.rmtree(settings.cache_dir(), ignore_errors=True)
        site.step, site.pause = 1400, 0.01
        alive += killed_at(delay, site, file)
        kept = kept_path(file, dataset="test-set")
        # what has the file's name has the file's bytes, at every moment
        assert not kept.exists() or kept.read_bytes() == CONTENT
        site.step, site.pause = 0, 0.0
        assert fetch(file).read_bytes() == CONTENT
    return alive


@pytest.mark.parametrize("algorithm", ["sha256", None])
def test_a_process_killed_at_some_moments_leaves_nothing_wrong(site: Site, file_at, algorithm):
    size = len(CONTENT) if algorithm else None
    file = file_at(f"{site.url}/data.csv", algorithm=algorithm, size=size)
    assert kill_and_fetch(site, file, [0.0, 0.03, 0.08, 0.1, 0.11]) >= 3


@pytest.mark.campaign
@pytest.mark.parametrize("algorithm", ["sha256", None])
def test_a_process_killed_at_any_moment_leaves_nothing_wrong(site: Site, file_at, algorithm):
    size = len(CONTENT) if algorithm else None
    file = file_at(f"{site.url}/data.csv", algorithm=algorithm, size=size)
    delays = [0.002 * i for i in range(100)]
    assert kill_and_fetch(site, file, delays) >= 30


@pytest.mark.campaign
@pytest.mark.needs("strace")
@pytest.mark.parametrize("algorithm", ["sha256", None])
@pytest.mark.parametrize("call", ["rename", "unlink", "fsync", "write", "chmod"])
def test_a_process_killed_at_each_call_of_the_system(
    site: Site, file_at, tmp_path, call, algorithm
):
    """Kill at the first, second … call of a kind, until a process gets to its end."""
    size = len(CONTENT) if algorithm else None
    file = file_at(f"{site.url}/data.csv", algorithm=algorithm, size=size)
    kept = kept_path(file, dataset="test-set")
    command = [sys.executable, "-B", "-c", CHILD, file.name, file.checksum or "", *file.urls]
    for number in range(1, 100):
        shutil.rmtree(settings.cache_dir(), ignore_errors=True)
        inject = f"inject={call}:signal=KILL:when={number}"
        trace = ["strace", "-f", "-o", str(tmp_path / "trace"), "-e", f"trace={call}"]
        done = subprocess.run([*trace, "-e", inject, *command], check=False, timeout=60)
        assert not kept.exists() or kept.read_bytes() == CONTENT
        assert fetch(file).read_bytes() == CONTENT
        if done.returncode == 0:
            assert number > 1, f"no {call} was seen"
            return
    pytest.fail("it never came to its end")
