"""The server is killed in the middle of its work: what was answered with success is still there.

Clients publish runs without a pause while the server is killed with SIGKILL at random moments and
started again. Afterwards everything that a client was told is compared with what is there.
"""

from __future__ import annotations

import hashlib
import os
import random
import signal
import socket
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import psutil
import pytest
import requests
from sqlalchemy import select

from hepml_tasks.server.database import Run, RunFile, StoredFile, connect
from hepml_tasks.server.process import ServerProcess
from hepml_tasks.server.storage import FileStore

from ..forks import start_server
from .conftest import Backend, Wire, dataset_description, id_in, make_arff, new_backend
from .conftest import task_description as task_xml
from .test_official_tasks import CUSTOM, predictions_arff, run_description, splits_arff

CLIENTS = 4
FLOW = (
    '<oml:flow xmlns:oml="http://openml.org/openml"><oml:name>f</oml:name>'
    "<oml:external_version>1</oml:external_version><oml:description>f</oml:description></oml:flow>"
)


@dataclass
class Told:
    """What the clients were told: the mark of a run, its id, the checksum of its predictions."""

    runs: dict[str, tuple[int, str]] = field(default_factory=dict)
    sent: set[str] = field(default_factory=set)
    refused: list[str] = field(default_factory=list)


class Clients:
    """Clients that publish without a pause, and go on when the server has come back."""

    def __init__(self, wire: Wire, task: int, flow: int) -> None:
        self.wire, self.task, self.flow = wire, task, flow
        self.told, self.lock, self.stop = Told(), threading.Lock(), threading.Event()
        self.threads = [threading.Thread(target=self._work, args=(n,)) for n in range(CLIENTS)]

    def __enter__(self) -> Clients:
        for thread in self.threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop.set()
        for thread in self.threads:
            thread.join()

    def _work(self, client: int) -> None:
        number = 0
        while not self.stop.is_set():
            number += 1
            mark = f"client:{client},run:{number}"
            predictions = predictions_arff(range(80, 120), seed=1000 * client + number)
            predictions += "% filling\n" * 20_000  # so that a kill meets uploads, too
            with self.lock:
                self.told.sent.add(mark)
            details = f"<oml:run_details>{mark}</oml:run_details>"
            try:
                answer = self.wire.post(
                    "run/",
                    {
                        "description": run_description(self.task, self.flow, details),
                        "predictions": ("predictions.arff", predictions),
                    },
                )
            except requests.RequestException:
                time.sleep(0.02)  # killed, or not yet back
                continue
            with self.lock:
                if answer.status_code == 200:
                    sha256 = hashlib.sha256(predictions.encode()).hexdigest()
                    self.told.runs[mark] = (id_in(answer, "upload_run", "run_id"), sha256)
                else:
                    self.told.refused.append(answer.text)


@contextmanager
def again(backend: Backend, port: int) -> Iterator[ServerProcess]:
    with start_server(backend.data, database=backend.database, port=port) as server:
        yield server


def kill(server: ServerProcess) -> None:
    """Kill the server; its evaluator ends by itself when nobody reads its answers."""
    workers = psutil.Process(server.pid).children(recursive=True)
    os.kill(server.pid, signal.SIGKILL)
    server.end()
    _, alive = psutil.wait_procs(workers, timeout=60)
    assert not alive


def campaign(backend: Backend, *, kills: int, seed: int) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    chance = random.Random(seed)
    with again(backend, port) as server:
        wire = Wire(server)
        files = {"description": dataset_description("t"), "dataset": ("t.arff", make_arff())}
        dataset = id_in(wire.post("data/", files), "upload_data_set")
        splits = ("splits.arff", splits_arff(range(80), range(80, 120)))
        document = task_xml(dataset, CUSTOM)
        task = id_in(wire.post("task/", {"description": document, "splits": splits}), "upload_task")
        flow = id_in(wire.post("flow/", {"description": FLOW}), "upload_flow")
    with Clients(wire, task, flow) as clients:
        for number in range(kills):
            with again(backend, port) as server:
                before = len(clients.told.runs)
                end = time.monotonic() + 60
                # at every other kill the server has done some work; else it may be starting
                while number % 2 and len(clients.told.runs) == before:
                    assert time.monotonic() < end, clients.told.refused
                    time.sleep(0.01)
                time.sleep(chance.uniform(0, 0.7))
                kill(server)
    told = clients.told
    assert not told.refused
    assert len(told.runs) >= kills // 2
    with again(backend, port) as server:
        check_files(backend)
        check_rows(backend, told)
        last = max(run for run, _ in told.runs.values())
        assert Wire(server).evaluated(last, seconds=300)["status"] == "done"
        for mark, (run, sha256) in told.runs.items():
            report = Wire(server).report(run)
            assert (report["status"], report["details"]) == ("done", mark), report
            assert set(report["scores"]) == {"predictive_accuracy", "area_under_roc_curve"}
            assert sha256 in {name.partition(".")[0] for name in stored_names(backend)}


def stored_names(backend: Backend) -> set[str]:
    return {path.name for path in (backend.data / "files").glob("??/*")}


def check_files(backend: Backend) -> None:
    """After a start every row has its file, whole, and every file its row."""
    database = connect(backend.database, backend.data, upgrade=False)
    store = FileStore(backend.data / "files")
    with database.read() as session:
        rows = {store.path(file): file for file in session.scalars(select(StoredFile))}
    database.engine.dispose()
    assert set(rows) == set(store.stored())
    for path, file in rows.items():
        content = path.read_bytes()
        assert (len(content), hashlib.sha256(content).hexdigest()) == (file.size, file.sha256)
    assert not list((store.directory / "incoming").iterdir())


def check_rows(backend: Backend, told: Told) -> None:
    """Every run that was told is there once; one that nobody was told of is whole, too."""
    database = connect(backend.database, backend.data, upgrade=False)
    with database.read() as session:
        runs = {run.id: run for run in session.scalars(select(Run))}
        files = Counter(session.scalars(select(RunFile.run_id)))
    database.engine.dispose()
    for mark, (run, _) in told.runs.items():
        assert runs[run].run_details == mark
    assert {run.run_details for run in runs.values()} <= told.sent
    assert len({run.run_details for run in runs.values()}) == len(runs)
    assert files == dict.fromkeys(runs, 2)  # description and predictions
    # at most one upload of each client was under way at each kill
    assert len(runs) - len(told.runs) <= len(told.sent) - len(told.runs)


@pytest.fixture(
    params=["sqlite", pytest.param("postgresql", marks=pytest.mark.needs("postgresql"))]
)
def fresh(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Backend:
    return new_backend(request, tmp_path_factory)


@pytest.mark.slow
def test_what_was_answered_outlives_kills(tmp_path: Path) -> None:
    campaign(Backend(tmp_path), kills=5, seed=0)


@pytest.mark.campaign
@pytest.mark.parametrize("seed", [1, 2])
def test_what_was_answered_outlives_many_kills(fresh: Backend, seed: int) -> None:
    campaign(fresh, kills=30, seed=seed)


def test_a_kill_between_file_and_row_leaves_neither(tmp_path: Path) -> None:
    # the file is on disk and its row is not: what a kill at the worst moment leaves
    with start_server(tmp_path) as server:
        wire = Wire(server)
        files = {"description": dataset_description("t"), "dataset": ("t.arff", make_arff())}
        id_in(wire.post("data/", files), "upload_data_set")
    store = FileStore(tmp_path / "files")
    with (tmp_path / "orphan").open("wb+") as orphan:
        orphan.write(b"orphan")
        orphan.seek(0)
        left = store.add(orphan, ".arff")
    assert left.path.exists()
    with start_server(tmp_path):
        assert not left.path.exists()
        check_files(Backend(tmp_path))
