"""The evaluator: what happens when its worker dies, is too slow, or the server is restarted."""

from __future__ import annotations

import os
import re
import signal
import sqlite3
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path

import psutil
import pytest
import requests
from sqlalchemy import select, update

from hepml_tasks.server import worker as worker_module
from hepml_tasks.server.context import Services
from hepml_tasks.server.database import Evaluation, Run, Task, connect
from hepml_tasks.server.evaluator import Evaluator, differing, progress, rescore
from hepml_tasks.server.settings import Settings
from hepml_tasks.server.storage import FileStore
from hepml_tasks.server.worker import Worker, WorkerDied, WorkerTooSlow

from ..forks import start_server
from .conftest import Wire, dataset_description, id_in, make_arff, task_description
from .postgresql import Cluster
from .test_official_tasks import CUSTOM, predictions_arff, run_description, splits_arff


@pytest.fixture
def command(monkeypatch: pytest.MonkeyPatch) -> Callable[[str], None]:
    """Let the worker be another program."""

    def use(program: str) -> None:
        monkeypatch.setattr(worker_module, "_COMMAND", (sys.executable, "-c", program))

    return use


ECHO = "import sys, json\nfor line in sys.stdin: print(json.dumps(json.loads(line)), flush=True)"


def test_a_worker_does_one_job_after_the_other(
    command: Callable[[str], None], tmp_path: Path
) -> None:
    command(ECHO)
    worker = Worker(tmp_path / "log")
    try:
        assert [worker.evaluate({"job": n}, 30)["job"] for n in range(3)] == [0, 1, 2]
    finally:
        worker.end()


def test_a_worker_that_dies_is_replaced(command: Callable[[str], None], tmp_path: Path) -> None:
    command("import os, sys; sys.stdin.readline(); os._exit(9)")
    worker = Worker(tmp_path / "log")
    with pytest.raises(WorkerDied, match="status 9"):
        worker.evaluate({"job": 1}, 30)
    command(ECHO)
    assert worker.evaluate({"job": 2}, 30) == {"job": 2}
    worker.end()


def test_a_worker_that_is_too_slow_is_ended(command: Callable[[str], None], tmp_path: Path) -> None:
    command("import time; time.sleep(100)")
    worker = Worker(tmp_path / "log")
    with pytest.raises(WorkerTooSlow, match=r"longer than 0\.2 s"):
        worker.evaluate({"job": 1}, 0.2)
    command(ECHO)
    assert worker.evaluate({"job": 2}, 30) == {"job": 2}
    worker.end()


@pytest.mark.parametrize("said", ["not JSON", '{"job": 5}', "[]"])
def test_a_worker_that_talks_nonsense_is_ended(
    command: Callable[[str], None], tmp_path: Path, said: str
) -> None:
    command(f"import sys\nfor line in sys.stdin: print({said!r}, flush=True)")
    with pytest.raises(WorkerDied, match="can't be understood"):
        Worker(tmp_path / "log").evaluate({"job": 1}, 30)


def value(measure: str, number: float | None, fold: int | None = None) -> Evaluation:
    repeat = None if fold is None else 0
    return Evaluation(measure=measure, repeat=repeat, fold=fold, value=number)


@pytest.mark.parametrize(
    ("claimed", "found", "differs"),
    [
        (0.5, 0.5, []),
        (0.5, 0.5 + 1e-9, []),
        (0.5, 0.500001, ["auc"]),
        (None, 0.5, ["auc"]),
        (0.5, None, ["auc"]),
        (None, None, []),
        (float("inf"), float("inf"), []),
    ],
)
def test_claims_are_compared_to_many_digits(
    claimed: float | None, found: float | None, differs: list[str]
) -> None:
    claim = {"measure": "auc", "repeat": 0, "fold": 3, "value": claimed}
    time_claim = {"measure": "usercpu_time_millis", "repeat": 0, "fold": 3, "value": 1.0}
    assert differing([claim, time_claim], [value("auc", found, 3), value("auc", 9.0)]) == differs


def _publish(wire: Wire) -> int:
    dataset = id_in(
        wire.post(
            "data/", {"description": dataset_description("t"), "dataset": ("t.arff", make_arff())}
        ),
        "upload_data_set",
    )
    splits = ("splits.arff", splits_arff(range(80), range(80, 120)))
    task = wire.post("task/", {"description": task_description(dataset, CUSTOM), "splits": splits})
    flow_xml = (
        '<oml:flow xmlns:oml="http://openml.org/openml"><oml:name>f</oml:name>'
        "<oml:external_version>1</oml:external_version><oml:description>f</oml:description>"
        "</oml:flow>"
    )
    flow = id_in(wire.post("flow/", {"description": flow_xml}), "upload_flow")
    task_id = id_in(task, "upload_task")
    run = wire.post(
        "run/",
        {
            "description": run_description(task_id, flow),
            "predictions": ("predictions.arff", predictions_arff(range(80, 120))),
        },
    )
    return id_in(run, "upload_run", "run_id")


def test_a_run_whose_evaluation_was_cut_off_is_evaluated_after_a_restart(tmp_path: Path) -> None:
    with start_server(tmp_path) as server:
        run_id = _publish(Wire(server))
        # The first evaluation takes a second at least: the worker has to be started.
        assert Wire(server).report(run_id)["status"] in {"pending", "running"}
        os.kill(server.pid, signal.SIGKILL)
    with start_server(tmp_path) as server:
        assert Wire(server).evaluated(run_id)["status"] == "done"


class Watched:
    """A folder's runs under an evaluator of this process, whose worker is another program."""

    def __init__(self, data: Path) -> None:
        self.database = connect(None, data)
        news = threading.Event()
        services = Services(self.database, FileStore(data / "files"), Settings(), news.set)
        self.evaluator = Evaluator(services, news, Worker(data / "log"))

    def __enter__(self) -> Watched:
        self.evaluator.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.evaluator.end()
        self.database.engine.dispose()

    def run(self, run_id: int) -> Run:
        with self.database.read() as session:
            return session.get_one(Run, run_id)

    def wait(self, run_id: int, *states: str) -> Run:
        end = time.monotonic() + 60
        while (run := self.run(run_id)).state not in states:
            assert time.monotonic() < end, (run.state, run.error)
            time.sleep(0.01)
        return run


@pytest.fixture
def waiting(tmp_path: Path) -> tuple[Path, int]:
    """A folder whose only run has not been evaluated yet."""
    with start_server(tmp_path) as server:
        run_id = _publish(Wire(server))
    database = connect(None, tmp_path)
    with database.write() as session:
        run = session.get_one(Run, run_id)
        run.state, run.attempts, run.error = "pending", 0, None
    database.engine.dispose()
    return tmp_path, run_id


COUNTING = """
import json, pathlib, sys, time
counter = pathlib.Path({counter!r})
for line in sys.stdin:
    number = int(counter.read_text()) + 1
    counter.write_text(str(number))
    time.sleep(0.5)
    scores = {{"counted": {{"value": number}}}}
    print(json.dumps({{"job": json.loads(line)["job"], "scores": scores}}), flush=True)
"""


def test_scoring_again_during_an_evaluation_is_not_lost(
    waiting: tuple[Path, int], command: Callable[[str], None], tmp_path: Path
) -> None:
    data, run_id = waiting
    counter = tmp_path / "counter"
    counter.write_text("0")
    command(COUNTING.format(counter=str(counter)))
    with Watched(data) as watched:
        task = watched.wait(run_id, "running").task_id
        with watched.database.write() as session:
            assert rescore(session, task) == 1
            run = session.get_one(Run, run_id)
            assert progress(session, run) == "waits for the evaluator, 0 runs before it"
        watched.wait(run_id, "running")
        with watched.database.read() as session:
            said = progress(session, session.get_one(Run, run_id))
            assert said is not None
            assert re.fullmatch(r"is being evaluated since .* UTC, attempt 1 of 2", said)
        assert watched.wait(run_id, "done").started is None
        with watched.database.read() as session:
            assert session.scalars(select(Evaluation.value)).all() == [2.0]
            assert progress(session, session.get_one(Run, run_id)) is None


def test_an_evaluator_without_its_program_says_so_of_each_run(
    waiting: tuple[Path, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    data, run_id = waiting
    monkeypatch.setattr(worker_module, "_COMMAND", ("/no/such/program",))
    with Watched(data) as watched:
        error = watched.wait(run_id, "failed").error
        assert error is not None
        assert "No such file or directory: '/no/such/program'" in error
        assert "\n" not in error
        assert watched.evaluator.is_alive()


def test_a_run_whose_row_is_broken_does_not_stop_the_next(
    waiting: tuple[Path, int], command: Callable[[str], None]
) -> None:
    data, run_id = waiting
    command(ECHO)
    with sqlite3.connect(data / "server.sqlite") as raw:
        raw.execute("UPDATE tasks SET spec = 'no JSON'")
    raw.close()
    with Watched(data) as watched:
        error = watched.wait(run_id, "failed").error
        assert error is not None
        assert "JSONDecodeError" in error
        with watched.database.write() as session:
            session.execute(update(Task).values(spec=None))
            rescore(session, watched.run(run_id).task_id)
        assert watched.wait(run_id, "done").error is None


def test_a_run_whose_files_have_gone_has_failed_with_the_reason(tmp_path: Path) -> None:
    with start_server(tmp_path) as server:
        run_id = _publish(Wire(server))
        Wire(server).evaluated(run_id)
    for path in (tmp_path / "files").glob("??/*"):
        path.unlink()
    with start_server(tmp_path) as server:
        rescoring = requests.post(
            f"{server.pages}hepml/task/1/rescore", data={"api_key": server.apikey}, timeout=60
        )
        assert rescoring.json() == {"task_id": 1, "waiting": 1}
        report = Wire(server).evaluated(run_id)
        assert report["status"] == "failed"
        assert "No such file" in report["error"]


@pytest.mark.needs("postgresql")
def test_a_database_that_goes_away_for_a_moment_loses_no_run(
    cluster: Cluster, tmp_path: Path
) -> None:
    url = cluster.new_database()
    name = url.rpartition("/")[2]
    with start_server(tmp_path, database=url) as server:
        run_id = _publish(Wire(server))
        end = time.monotonic() + 2
        while time.monotonic() < end:
            cluster.run(
                f"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = '{name}'"
            )
            time.sleep(0.05)
        assert Wire(server).evaluated(run_id)["status"] == "done"


def test_a_run_that_kills_the_worker_twice_has_failed_with_the_reason(tmp_path: Path) -> None:
    with start_server(tmp_path) as server:
        wire = Wire(server)
        parent = psutil.Process(server.pid)
        run_id = _publish(wire)
        killed: set[int] = set()
        end = time.monotonic() + 60
        while wire.report(run_id)["status"] in {"pending", "running"}:
            assert time.monotonic() < end
            for child in parent.children():
                if child.pid not in killed:
                    child.kill()
                    killed.add(child.pid)
            time.sleep(0.02)
        report = wire.report(run_id)
        assert len(killed) == 2
        assert report["status"] == "failed"
        assert "ended with status -9" in report["error"]
        assert "2 times" in report["error"]
        assert report["error"] in wire.get(f"run/{run_id}").text
