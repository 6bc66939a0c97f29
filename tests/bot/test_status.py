from __future__ import annotations

import json
from pathlib import Path

import pytest

import hepml_tasks as hep
from hepml_tasks.bot.plan import plan
from hepml_tasks.bot.status import count, spool_status
from hepml_tasks.bot.worker import work
from hepml_tasks.flows import find_flow
from hepml_tasks.openml.connection import Connection
from hepml_tasks.running.state import locked, mark_failed


@pytest.fixture
def spool(small_task: Path, tmp_path: Path) -> Path:
    """A spool with a finished run, one begun, one that failed, and one that is broken."""
    folder = tmp_path / "spool"
    jobs = plan([hep.load_task(small_task)], [find_flow("prior")], spool=folder, seeds=range(4))
    work(jobs, spool=folder)
    _, begun, failed, broken = (job.folder for job in jobs)
    for run in (begun, failed):
        for name in ("scores.json", "predictions.json", "predictions.parquet"):
            (run.path / name).unlink()
        next((run.path / "folds").glob("*.parquet")).unlink()
    mark_failed(failed, kind="memory", reason="it took 9 GB")
    table = broken.path / "predictions.parquet"
    table.write_bytes(table.read_bytes()[:-9])
    return folder


def test_each_run_is_counted_in_one_state(spool):
    numbers = count(spool_status(spool))
    assert numbers == {
        "published": 0,
        "finished": 1,
        "started": 1,
        "failed": 1,
        "broken": 1,
        "busy": 0,
    }


def test_a_run_that_a_process_works_on_is_busy(spool, small_task):
    (job,) = plan([hep.load_task(small_task)], [find_flow("prior")], spool=spool)
    with locked(job.folder):
        busy = [s.name for s in spool_status(spool) if s.state.busy]
    assert busy == [job.key]


def test_the_command_names_what_failed_with_its_reason_and_exits_with_work_left(hepml, spool):
    answer = hepml("bot", "status", "--spool", spool)
    assert answer.returncode == 3
    assert "1 finished, 1 started, 1 failed, 1 broken" in answer.stdout
    assert "failed: it took 9 GB" in answer.stdout


def test_a_script_reads_every_run_of_it(hepml, spool):
    told = json.loads(hepml("bot", "status", "--spool", spool, "--json").stdout)
    states = {run["state"]: run for run in told["runs"]}
    assert set(states) == {"finished", "started", "failed", "broken"}
    assert states["started"]["folds"] == 2
    assert states["failed"]["reason"] == "it took 9 GB"
    assert told["server"] is None


def test_where_nothing_is_left_but_failures_the_exit_code_says_so(hepml, spool, small_task):
    jobs = plan([hep.load_task(small_task)], [find_flow("prior")], spool=spool, seeds=range(4))
    work([job for job in jobs if job.state != "failed"], spool=spool)
    assert hepml("bot", "status", "--spool", spool).returncode == 4


def test_what_a_server_took_is_published_there_and_only_there(connection, small_task, tmp_path):
    jobs = plan(
        [hep.load_task(small_task)],
        [find_flow("prior")],
        spool=tmp_path,
        connection=connection,
        seeds=[81],
    )
    work(jobs, spool=tmp_path, connection=connection)
    assert count(spool_status(tmp_path), connection.key)["published"] == 1
    elsewhere = Connection("http://127.0.0.1:9/api/v1/xml", "0" * 32)
    assert count(spool_status(tmp_path), elsewhere.key)["finished"] == 1


def test_a_server_that_is_away_is_said_and_the_spool_told_nevertheless(hepml, spool, tmp_path):
    key = tmp_path / "key"
    key.write_text("0" * 32)
    there = ["--server", "http://127.0.0.1:9", "--key-file", key]
    answer = hepml("bot", "status", "--spool", spool, *there, "--json")
    assert answer.returncode == 3
    told = json.loads(answer.stdout)
    assert told["counts"]["failed"] == 1
    assert told["server"]["answers"] is False
    assert "127.0.0.1:9" in told["server"]["error"]
