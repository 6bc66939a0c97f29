"""The bot whose folds are fitted by the workers of a real Dask cluster on this machine."""

from __future__ import annotations

import json
import sys
import threading
import time
import types
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import cloudpickle
import pytest
from sklearn.dummy import DummyClassifier

import hepml_tasks as hep
from hepml_tasks.bot.log import Log
from hepml_tasks.bot.plan import plan
from hepml_tasks.bot.worker import Limits, work
from hepml_tasks.errors import FarmError
from hepml_tasks.flows import Flow, find_flow
from hepml_tasks.running.cluster import Cluster
from hepml_tasks.running.folder import folders_in
from hepml_tasks.running.state import failure_of, state_of

FLOWS = [find_flow("prior"), find_flow("logistic")]


def local_cluster() -> Any:
    from distributed import LocalCluster

    return LocalCluster(
        n_workers=2,
        threads_per_worker=1,
        host="127.0.0.1",
        dashboard_address="127.0.0.1:0",
        silence_logs=50,
    )


@pytest.fixture(scope="module")
def dask() -> Iterator[Any]:
    with local_cluster() as cluster:
        yield cluster


@pytest.fixture
def cluster(dask) -> Iterator[Cluster]:
    from distributed import Client

    with Client(dask) as client:
        yield Cluster(client)


@pytest.fixture
def task(small_task: Path) -> hep.Task:
    return hep.load_task(small_task)


class Bad(DummyClassifier):
    """Raises, leaves or sleeps."""

    def __init__(self, what="", strategy="prior", random_state=None, constant=None):
        super().__init__(strategy=strategy, random_state=random_state, constant=constant)
        self.what = what

    def fit(self, X, y, sample_weight=None):
        if self.what == "raises":
            raise ValueError("out of luck")
        if self.what == "exits":
            raise SystemExit(5)
        if self.what == "sleeps":
            time.sleep(6)
        return super().fit(X, y, sample_weight)


@pytest.fixture
def bad(monkeypatch):
    """Give flows that misbehave, as the registry would, to the workers too."""
    here = sys.modules[__name__]
    cloudpickle.register_pickle_by_value(here)

    def make(what: str) -> Flow:
        module = types.ModuleType(f"hepml_tasks.flows.{what}")
        module.build = lambda: Bad(what)
        monkeypatch.setitem(sys.modules, module.__name__, module)
        return Flow(what, what, what)

    yield make
    cloudpickle.unregister_pickle_by_value(here)


def predictions(spool: Path) -> dict[str, Any]:
    return {folder.path.name: folder.predictions for folder in folders_in(spool)}


@pytest.mark.slow
def test_the_command_line_runs_a_suite_on_a_cluster_and_predicts_the_same(
    dask, hepml, task, small_task, tmp_path
):
    suite = tmp_path / "suite.yaml"
    suite.write_text(
        f"name: here\ntitle: One task\ndescription: Of a test.\ntasks:\n  - task: {small_task}\n"
    )
    there, here = tmp_path / "there", tmp_path / "here"
    done = hepml(
        *("bot", "run", "--suite", suite, "--flows", "prior,logistic", "--spool", there),
        *("--dask", dask.scheduler_address, "--log", tmp_path / "log", "--json"),
    )
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["waiting"] == 2
    events = [json.loads(line)["event"] for line in (tmp_path / "log").read_text().splitlines()]
    assert (events.count("fold_done"), events.count("fold_begun")) == (6, 0)
    assert work(plan([task], FLOWS, spool=here), spool=here).waiting == 2
    assert predictions(there).keys() == predictions(here).keys()
    assert all(predictions(there)[n].equals(table) for n, table in predictions(here).items())


def test_runs_that_a_cluster_finished_are_published(connection, cluster, task, tmp_path):
    jobs = plan([task], FLOWS, spool=tmp_path, connection=connection, seeds=[61])
    outcome = work(jobs, spool=tmp_path, connection=connection, cluster=cluster)
    assert (outcome.published, outcome.failed, outcome.left) == (2, (), 0)


@pytest.mark.parametrize(
    ("what", "reason"), [("raises", "ValueError: out of luck"), ("exits", "SystemExit: 5")]
)
def test_a_flow_that_fails_on_a_worker_is_noted_and_stops_no_other(
    cluster, task, tmp_path, bad, what, reason
):
    jobs = plan([task], [bad(what), FLOWS[0]], spool=tmp_path)
    outcome = work(jobs, spool=tmp_path, cluster=cluster)
    assert (outcome.waiting, outcome.left, len(outcome.failed)) == (1, 0, 1)
    kept = failure_of(jobs[0].folder)
    assert kept["kind"] == "failed"
    assert reason in kept["reason"]


def test_the_time_ends_the_bot_while_a_worker_fits_and_no_run_has_failed(
    cluster, task, tmp_path, bad
):
    jobs = plan([task], [bad("sleeps")], spool=tmp_path)
    start = time.monotonic()
    outcome = work(jobs, spool=tmp_path, cluster=cluster, limits=Limits(max_seconds=2))
    assert time.monotonic() - start < 6
    assert (outcome.left, outcome.failed) == (1, ())
    assert state_of(jobs[0].folder).state == "started"
    assert failure_of(jobs[0].folder) is None


def test_a_scheduler_that_goes_away_ends_the_bot_in_a_line_and_no_run_has_failed(
    task, tmp_path, bad
):
    from distributed import Client

    own = local_cluster()
    with Client(own.scheduler_address) as client:
        jobs = plan([task], [bad("sleeps"), FLOWS[0]], spool=tmp_path)
        end = threading.Timer(2, own.close)
        end.start()
        with pytest.raises(FarmError, match=r"scheduler went away; .* the same command goes on"):
            work(jobs, spool=tmp_path, cluster=Cluster(client), log=Log())
        end.join()
    assert [failure_of(job.folder) for job in jobs] == [None, None]


@pytest.mark.parametrize(
    "limit", [("--n-jobs", "2"), ("--max-memory", "4G"), ("--max-run-time", "1h")]
)
@pytest.mark.parametrize("where", [("--dask", "tcp://h:1"), ("--farm", "local")])
def test_a_limit_that_a_cluster_cannot_keep_is_refused(hepml, limit, where):
    done = hepml("bot", "run", "--suite", "hep-toy", *where, *limit)
    assert done.returncode == 2
    assert f"{limit[0]} can't be kept with --dask or --farm" in done.stderr
