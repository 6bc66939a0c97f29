"""Faults that are no kills: a server that errs, disks that are full, clocks that jump, copies."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from hepml_tasks.openml.publication import publish_run, runs_on
from hepml_tasks.running.spool import runs_in
from hepml_tasks.running.state import problem_of, state_of

from ..openml.front import LOST, Answer
from .conftest import Site
from .harness import check


def run_posts(site: Site) -> int:
    return sum(line.rstrip("/").endswith("/run") for line in site.front.posts)


class Erring:
    """Gives another answer than the server's to the first posts of some kind."""

    def __init__(self, site: Site, path: str, answer: Answer, times: int) -> None:
        self.path, self.answer, self.left = path, answer, times
        site.front.rules.append(self)

    def __call__(self, method: str, path: str, _came: Answer) -> Answer | None:
        if method != "POST" or not path.rstrip("/").endswith(self.path) or not self.left:
            return None
        self.left -= 1
        return self.answer


FAULTS = {
    "500 after it was stored": Answer(500, b"<html>internal error</html>", "text/html"),
    "an empty 200 after it was stored": Answer(200, b""),
    "cut off after it was stored": LOST,
    "a wrong answer after it was stored": Answer(200, b'{"no": "xml"}', "application/json"),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_a_run_whose_answer_was_none_is_there_once(site: Site, fault: str) -> None:
    site.field.flows = "prior"
    site.field.seeds = 3
    for path, times in (("/run", 2), ("/flow", 1)):
        Erring(site, path, FAULTS[fault], times)
    assert site.field.bot().wait() == 0
    assert check(site.field, site.connection, site.task_id) == 3


@pytest.mark.campaign
def test_a_server_that_never_answers_well_costs_no_run(site: Site) -> None:
    site.field.flows, site.field.seeds = "prior", 1
    erring = Erring(site, "/run", Answer(500, b"no"), 1000)
    # before it stores anything
    site.front.refuse = lambda m, p, _b: (
        Answer(500, b"no") if m == "POST" and p.rstrip("/").endswith("/run") else None
    )
    assert site.field.bot().wait() == 3
    assert [state_of(f).state for f in runs_in(site.field.spool)] == ["finished"]
    site.front.rules.remove(erring)
    site.front.refuse = lambda _m, _p, _b: None
    assert site.field.upload().wait() == 0
    assert check(site.field, site.connection, site.task_id) == 1


@pytest.mark.campaign
def test_many_that_upload_one_spool_at_once_send_each_run_once(site: Site) -> None:
    site.field.flows, site.field.seeds = "prior", 4
    assert site.field.start(site.field.command()).wait() == 0
    copy = site.field.folder / "copy"
    shutil.copytree(site.field.spool, copy)
    uploads = [site.field.upload() for _ in range(3)]
    # and from another machine, on which is a copy
    more = ["--server", site.field.server, "--key-file", site.field.key_file]
    uploads.append(site.field.start(["spool", "upload", "--spool", copy, *more]))
    assert [upload.wait() for upload in uploads] == [0] * 4
    assert site.field.upload().wait() == 0
    assert check(site.field, site.connection, site.task_id) == 4


def test_a_flow_that_a_server_kept_without_parameters_is_sent_anew(site: Site) -> None:
    import sqlite3

    site.field.flows, site.field.seeds = "logistic", 1
    assert site.field.start(site.field.command()).wait() == 0
    (folder,) = runs_in(site.field.spool)
    published = publish_run(site.connection, folder)
    site.connection.delete(f"run/{published.run_id}")
    # what production leaves behind when its search index is down
    with sqlite3.connect(site.server.data / "server.sqlite") as database:
        database.execute("DELETE FROM settings")
        database.execute("DELETE FROM setups")
        database.execute("DELETE FROM parameters WHERE flow_id = ?", [published.flow_id])
    again = publish_run(site.connection, folder)
    assert again.flow_id != published.flow_id
    assert len(runs_on(site.connection, site.task_id)) == 1


def test_half_a_copy_is_known_and_not_sent_and_the_rest_of_it_is(site: Site) -> None:
    site.field.flows, site.field.seeds = "prior", 2
    assert site.field.start(site.field.command()).wait() == 0
    whole = site.field.folder / "whole"
    site.field.spool.rename(whole)
    names = sorted(p.name for p in whole.iterdir() if p.is_dir())
    missing, cut = names
    # as rsync leaves it when it is interrupted: a file not yet there, and one that is half there
    shutil.copytree(whole, site.field.spool)
    (site.field.spool / missing / "predictions.json").unlink()
    path = site.field.spool / cut / "predictions.parquet"
    path.write_bytes(path.read_bytes()[:-100])
    assert site.field.upload().wait() == 3
    assert run_posts(site) == 0
    said = (site.field.folder / "out.txt").read_text()
    assert said.count("copy it again") == 2
    shutil.copytree(whole, site.field.spool, dirs_exist_ok=True)
    assert site.field.upload().wait() == 0
    assert check(site.field, site.connection, site.task_id) == 2


def test_a_bot_finishes_what_is_half_copied(site: Site) -> None:
    site.field.flows, site.field.seeds = "prior", 2
    assert site.field.start(site.field.command()).wait() == 0
    one, two = runs_in(site.field.spool)
    (one.path / "scores.json").write_text('{"scores": {"ams"')
    (one.path / "run.json").write_text('{"layout": 1, "uu')
    fold = two.path / "folds" / "r0f1.parquet"
    fold.write_bytes(fold.read_bytes()[:50])
    (two.path / "predictions.parquet").unlink()
    assert site.field.bot().wait() == 0
    assert problem_of(one) is problem_of(two) is None
    assert check(site.field, site.connection, site.task_id) == 2


@contextmanager
def small_disk(place: Path, size: str) -> Iterator[Path]:
    place.mkdir()
    if (
        os.geteuid() != 0
        or subprocess.run(
            ["mount", "-t", "tmpfs", "-o", f"size={size}", "none", str(place)], check=False
        ).returncode
    ):
        pytest.skip("a file system of a given size can only be made by root")
    try:
        yield place
    finally:
        subprocess.run(["umount", "--lazy", str(place)], check=True)


@pytest.mark.campaign
def test_a_spool_that_becomes_full_costs_no_finished_fold(site: Site, tmp_path: Path) -> None:
    site.field.flows, site.field.seeds = "prior", 6
    with small_disk(tmp_path / "disk", "256k") as disk:
        bot = site.field.bot(spool=disk / "spool")
        assert bot.wait() == 1
        said = bot.out.read_text()
        assert "can't be written (No space left on device)" in said
        assert "Traceback" not in said
        before = [state_of(run) for run in runs_in(disk / "spool")]
        subprocess.run(["mount", "-o", "remount,size=64m", str(disk)], check=True)
        assert site.field.bot(spool=disk / "spool").wait() == 0
        assert sum(state.folds for state in before) > 0
        shutil.copytree(disk / "spool", site.field.spool)
    assert check(site.field, site.connection, site.task_id) == 6


def test_a_cache_that_is_full_is_told_in_one_line(site: Site, tmp_path: Path) -> None:
    site.field.flows, site.field.seeds = "prior", 1
    with small_disk(tmp_path / "disk", "16k") as disk:
        site.field.env["HEPML_CACHE"] = str(disk)
        bot = site.field.bot()
        assert bot.wait() == 1
        said = bot.out.read_text().splitlines()
        assert len(said) == 1
        assert "No space left on device" in said[0]
        assert "HEPML_CACHE" in said[0]
        subprocess.run(["mount", "-o", "remount,size=64m", str(disk)], check=True)
        assert site.field.bot().wait() == 0


# libfaketime refuses the absolute deadline that Python gives to clock_nanosleep
SLEEPING_BY_SELECT = """
import select, sys, time
time.sleep = lambda seconds: select.select([], [], [], seconds)
from hepml_tasks.cli import main
sys.argv[0] = "hepml"
main()
"""


@pytest.mark.campaign
@pytest.mark.needs("faketime")
def test_a_clock_that_jumps_ends_no_run_too_early(site: Site, tmp_path: Path) -> None:
    (library,) = Path("/usr/lib").glob("*/faketime/libfaketime.so.1")
    clock = tmp_path / "clock"
    clock.write_text("+0\n")
    environment = {
        **os.environ,
        **site.field.env,
        "LD_PRELOAD": str(library),
        "FAKETIME_TIMESTAMP_FILE": str(clock),
        "FAKETIME_NO_CACHE": "1",
        "FAKETIME_DONT_FAKE_MONOTONIC": "1",
    }
    site.field.flows, site.field.seeds = "prior,logistic", 3
    to = ["--server", site.field.server, "--key-file", site.field.key_file]
    limits = ["--max-time", "2h", "--max-run-time", "1h", "--log", site.field.log]
    command = [sys.executable, "-c", SLEEPING_BY_SELECT, *site.field.command(*to, *limits)]
    bot = subprocess.Popen(list(map(str, command)), env=environment)
    over = threading.Event()

    def jump() -> None:
        for offset in ("+400d", "-3d", "+5h"):
            if over.wait(2):
                return
            clock.write_text(f"{offset}\n")

    thread = threading.Thread(target=jump)
    thread.start()
    try:
        assert bot.wait(300) == 0
    finally:
        over.set()
        thread.join()
    years = {json.loads(line)["time"][:4] for line in site.field.log.read_text().splitlines()}
    assert years  # what the log says of the time follows the clock, and nothing else does
    assert check(site.field, site.connection, site.task_id) == 6


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGUSR1])
def test_a_signal_ends_a_bot_soon_and_its_folds_are_kept(site: Site, number: int) -> None:
    site.field.flows, site.field.seeds = "extra-trees", 40
    bot = site.field.bot()
    end = time.monotonic() + 120
    while not list(site.field.spool.glob("*/folds/*.parquet")):
        assert bot.code is None and time.monotonic() < end
        time.sleep(0.01)
    start = time.monotonic()
    # a farm sends it to every process of the job
    bot.kill(number)
    assert bot.wait() == 3
    assert time.monotonic() - start < 10
    assert not list(site.field.spool.glob("*/failed.json"))
    kept = {p: p.stat().st_mtime_ns for p in site.field.spool.glob("*/folds/*.parquet")}
    site.field.seeds = 2
    assert site.field.bot().wait() == 0
    assert all(path.stat().st_mtime_ns == when for path, when in kept.items())


def test_a_signal_ends_a_bot_that_waits_for_a_slow_server_and_its_run_is_there_once(
    site: Site,
) -> None:
    site.field.flows, site.field.seeds = "prior", 1
    over = threading.Event()

    def slowly(method: str, path: str, _came: Answer) -> None:
        # the server has stored it, and takes its time to say so
        if method == "POST" and path.rstrip("/").endswith("/run"):
            over.wait(120)

    site.front.rules.append(slowly)
    bot = site.field.bot()
    end = time.monotonic() + 120
    while not run_posts(site):
        assert bot.code is None and time.monotonic() < end
        time.sleep(0.01)
    start = time.monotonic()
    bot.kill(signal.SIGTERM)
    assert bot.wait() == 3
    assert time.monotonic() - start < 10
    over.set()
    site.front.rules.remove(slowly)
    assert site.field.upload().wait() == 0
    assert check(site.field, site.connection, site.task_id) == 1
