"""A real XRootD server, its own client, and the bytes that the kernel counts between them."""

from __future__ import annotations

import builtins
import hashlib
import os
import random
import shutil
import subprocess
import sys
import time
from pathlib import Path

import pytest

from hepml_tasks.data import download
from hepml_tasks.data.fetch import fetch_file
from hepml_tasks.data.kept import kept_path
from hepml_tasks.data.transports import xrootd as transport
from hepml_tasks.errors import ChecksumError, DataError
from hepml_tasks.spec import FileSpec

pytestmark = [pytest.mark.needs("xrootd"), pytest.mark.usefixtures("at_once")]
SIZE = 100_000_000


def fetch(file: FileSpec) -> Path:
    return fetch_file(file, dataset="test-set")


def publish(xrootd, content: bytes, name: str = "data.csv", **more) -> FileSpec:
    (xrootd.folder / name).write_bytes(content)
    checksum = f"md5:{hashlib.md5(content).hexdigest()}"
    facts = {"checksum": checksum, "size": len(content), **more}
    return FileSpec(name=name, urls=(f"{xrootd.url}//{name}",), **facts)


def test_a_file_of_a_root_address(xrootd):
    content = random.Random(1).randbytes(3_000_000)
    assert fetch(publish(xrootd, content)).read_bytes() == content


def test_a_root_address_may_be_a_mirror(xrootd, monkeypatch):
    file = publish(xrootd, b"x" * 1000)
    (xrootd.folder / "test-set").mkdir(exist_ok=True)
    shutil.move(xrootd.folder / "data.csv", xrootd.folder / "test-set" / "data.csv")
    monkeypatch.setenv("HEPML_MIRRORS", f"{xrootd.url}//")
    file = FileSpec(name=file.name, checksum=file.checksum)
    assert fetch(file).read_bytes() == b"x" * 1000


CHILD = """
import sys
from hepml_tasks.data.fetch import fetch_file
from hepml_tasks.spec import FileSpec
name, checksum, url = sys.argv[1:]
fetch_file(FileSpec(name=name, checksum=checksum, urls=(url,)), dataset="test-set")
"""


def killed_beyond(size: int, file: FileSpec) -> int:
    """Kill a process once it has fetched so much; return what it left."""
    folder = kept_path(file, dataset="test-set").parent
    command = [sys.executable, "-c", CHILD, file.name, str(file.checksum), *file.urls]
    with subprocess.Popen(command) as job:
        end = time.monotonic() + 30
        while sum(p.stat().st_size for p in folder.glob("*.part")) < size:
            assert time.monotonic() < end
            assert job.poll() is None
        job.kill()
    (part,) = folder.glob(".*.part")
    return part.stat().st_size


def test_a_fetch_that_is_killed_in_the_middle_is_resumed(xrootd):
    content = random.Random(2).randbytes(SIZE)
    file = publish(xrootd, content, "large.bin")
    left = killed_beyond(SIZE // 4, file)
    assert SIZE // 4 <= left < SIZE
    before = xrootd.sent
    path = fetch(file)
    came = xrootd.sent - before
    assert hashlib.md5(path.read_bytes()).hexdigest() == hashlib.md5(content).hexdigest()
    # the rest and the wire's own bytes, and nothing of what was there
    assert SIZE - left <= came < (SIZE - left) * 1.05
    print(f"{left} bytes left by the killed process, {came} of {SIZE} came the second time")


def test_a_file_that_changed_meanwhile_is_fetched_anew(xrootd):
    content = random.Random(3).randbytes(SIZE)
    file = publish(xrootd, content, "changed.bin", checksum=None)
    other = random.Random(4).randbytes(SIZE)
    command = FileSpec(name=file.name, urls=file.urls, size=None)
    folder = kept_path(command, dataset="test-set").parent
    script = CHILD.replace("checksum=checksum, ", "")
    with subprocess.Popen([sys.executable, "-c", script, file.name, "", *file.urls]) as job:
        while not any(p.stat().st_size > SIZE // 5 for p in folder.glob("*.part")):
            assert job.poll() is None
        job.kill()
    (xrootd.folder / "changed.bin").write_bytes(other)
    os.utime(xrootd.folder / "changed.bin", (1, 1))
    assert fetch(command).read_bytes() == other


def test_a_wrong_size_is_told_before_the_bytes_are_fetched(xrootd):
    file = publish(xrootd, b"x" * 50_000_000, size=49_999_999)
    before = xrootd.sent
    with pytest.raises(ChecksumError, match="is too long: 50000000 bytes where 49999999 are"):
        fetch(file)
    assert xrootd.sent - before < 10_000


def test_wrong_bytes_are_set_aside(xrootd):
    file = publish(xrootd, b"x" * 1000)
    (xrootd.folder / "data.csv").write_bytes(b"y" * 1000)
    with pytest.raises(ChecksumError, match=r"root://.*data.csv: wrong checksum: md5:"):
        fetch(file)
    assert kept_path(file, dataset="test-set").with_name("data.csv.wrong").exists()


def test_a_file_that_the_server_does_not_have(xrootd):
    file = FileSpec(name="data.csv", size=1, urls=(f"{xrootd.url}//nowhere/data.csv",))
    with pytest.raises(DataError, match=r"root://.*nowhere/data.csv: the server has no such file"):
        fetch(file)


def test_a_file_that_may_not_be_read(xrootd):
    file = publish(xrootd, b"x" * 1000, "private.csv")
    (xrootd.folder / "private.csv").chmod(0o600)
    with pytest.raises(DataError, match="does not let you read the file"):
        fetch(file)


def test_a_host_that_does_not_answer_is_one_line(file_at, monkeypatch):
    monkeypatch.setattr(download, "ATTEMPTS", 2)
    monkeypatch.setitem(transport._LIMITS, "ConnectionWindow", 1)
    with pytest.raises(DataError, match=r"9//data.csv: (no answer|does not answer)") as told:
        fetch(file_at("root://127.0.0.1:9//data.csv"))
    assert "\n" not in str(told.value)


def test_a_missing_extra_is_one_sentence_with_the_command(file_at, monkeypatch):
    known = builtins.__import__

    def without(name, *arguments, **more):
        if name.partition(".")[0] == "XRootD":
            raise ImportError(name)
        return known(name, *arguments, **more)

    monkeypatch.setattr(builtins, "__import__", without)
    with pytest.raises(DataError, match=r"pip install 'hepml_tasks\[xrootd\]'"):
        fetch(file_at("root://eospublic.cern.ch//eos/data.csv"))


BOT = """
import sys
from pathlib import Path
import hepml_tasks as hep
from hepml_tasks.bot.plan import plan
from hepml_tasks.bot.worker import work
from hepml_tasks.data.fetch import fetch_file
from hepml_tasks.flows import find_flow
from hepml_tasks.spec import FileSpec
name, checksum, url, task, spool = sys.argv[1:]
fetch_file(FileSpec(name=name, checksum=checksum, urls=(url,)), dataset="test-set")
jobs = plan([hep.load_task(task)], [find_flow("prior")], spool=Path(spool))
done = work(jobs, spool=Path(spool))
print(len(jobs), len(done.failed), done.left)
"""


@pytest.mark.slow
def test_flows_are_kept_apart_in_a_process_that_has_read_from_a_server(
    xrootd, small_task, tmp_path
):
    file = publish(xrootd, b"x" * 1000)
    known = [file.name, file.checksum, *file.urls, small_task, tmp_path / "spool"]
    done = subprocess.run(
        [sys.executable, "-c", BOT, *map(str, known)],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.stdout.split() == ["1", "0", "0"], done.stderr
