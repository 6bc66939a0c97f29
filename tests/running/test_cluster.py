"""Folds on a real Dask cluster: a scheduler and two worker processes on this machine."""

from __future__ import annotations

import importlib
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import cloudpickle
import pytest
from sklearn.dummy import DummyClassifier

import hepml_tasks as hep
from hepml_tasks.errors import FarmError, RunError, UnknownNameError, UnreachableError
from hepml_tasks.flows import FLOWS, find_flow
from hepml_tasks.running import cluster as clusters
from hepml_tasks.running.cluster import fit_fold, orders
from hepml_tasks.running.engines import FoldWork
from hepml_tasks.running.farms import started
from hepml_tasks.running.folder import RunFolder


@dataclass(frozen=True)
class Workers:
    client: Any
    address: str
    cache: Path


@pytest.fixture(scope="module")
def dask(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Workers]:
    """Start a cluster whose workers share a cache that isn't ours."""
    from distributed import Client, LocalCluster

    cache = tmp_path_factory.mktemp("node") / "cache"
    with (
        LocalCluster(
            n_workers=2,
            threads_per_worker=1,
            host="127.0.0.1",
            dashboard_address="127.0.0.1:0",
            silence_logs=50,
            env={"HEPML_CACHE": str(cache)},
        ) as cluster,
        Client(cluster) as client,
    ):
        yield Workers(client, cluster.scheduler_address, cache)


@pytest.fixture(autouse=True)
def _by_value() -> Iterator[None]:
    """Let the workers have the estimators of this module, which they can't import."""
    cloudpickle.register_pickle_by_value(sys.modules[__name__])
    yield
    cloudpickle.unregister_pickle_by_value(sys.modules[__name__])


@pytest.fixture
def task(small_task: Path) -> hep.Task:
    return hep.load_task(small_task)


def test_a_cluster_predicts_what_this_machine_does_to_the_last_bit(dask, task, tmp_path):
    flow, told = find_flow("logistic").build(), []
    here = hep.run(flow, task, spool=tmp_path / "here", n_jobs=1)
    there = hep.run(
        flow, task, spool=tmp_path / "there", dask=dask.client, on_fold=lambda *n: told.append(n)
    )
    assert there.folder.path.name == here.folder.path.name
    assert there.predictions.equals(here.predictions)
    assert there.scores == here.scores
    assert told == [(1, 3), (2, 3), (3, 3)]
    assert there.folder.fold_record(0, 2)["fit_seconds"] > 0


TASKS = {
    "binary-classification": "toy-higgs",
    "multiclass-classification": "toy-higgs-process",
    "regression": "toy-higgs-mass",
    "anomaly-detection": "toy-higgs-anomaly",
    "tracking": "toy-tracks",
    "across-nuisance": "toy-higgs-tes",
}

CASES = [(flow, type_) for flow in FLOWS.values() for type_ in flow.types]


@pytest.mark.campaign
@pytest.mark.parametrize(("flow", "type_"), CASES, ids=[f"{f.name}-{t}" for f, t in CASES])
def test_every_flow_predicts_the_same_on_one_core_two_processes_and_a_cluster(
    dask, flow, type_, tmp_path
):
    # an event of tracks has hundreds of rows
    task = hep.load_task(TASKS[type_], events=8 if type_ == "tracking" else 600)
    runs = [
        hep.run(flow.build(), task, name=flow.name, spool=tmp_path / str(n), **how)
        for n, how in enumerate([{"n_jobs": 1}, {"n_jobs": 2}, {"dask": dask.client}])
    ]
    assert runs[1].predictions.equals(runs[0].predictions)
    assert runs[2].predictions.equals(runs[0].predictions)


class Failing(DummyClassifier):
    """Fails in one fold while a file says so."""

    def __init__(self, marker="", strategy="prior"):
        self.marker = marker
        super().__init__(strategy=strategy)

    def fit(self, X, y, sample_weight=None):
        if Path(self.marker).exists() and y[0] == "s":
            raise ValueError("out of luck")
        return super().fit(X, y, sample_weight)


def test_a_fold_that_fails_is_told_as_on_this_machine_and_the_same_call_goes_on(
    dask, task, tmp_path
):
    marker = tmp_path / "marker"
    marker.touch()
    flow = Failing(marker=str(marker))
    with pytest.raises(RunError, match=r"failed in repeat 0, fold \d: ValueError: out of luck"):
        hep.run(flow, task, spool=tmp_path / "spool", dask=dask.client)
    marker.unlink()
    run = hep.run(flow, task, spool=tmp_path / "spool", dask=dask.client)
    assert run.predictions.num_rows == 1500


def test_a_flow_that_a_worker_does_not_have_is_one_line(dask, task, tmp_path, monkeypatch):
    # a module that came after the workers, beside this process alone
    (tmp_path / "only_here.py").write_text(
        "from sklearn.dummy import DummyClassifier\n\n\nclass Absent(DummyClassifier):\n    pass\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    absent = importlib.import_module("only_here").Absent
    with pytest.raises(RunError, match="can't build the flow .*No module named 'only_here'"):
        hep.run(absent(), task, spool=tmp_path / "spool", dask=dask.client)


class Deadly(DummyClassifier):
    """Kills its process so often as there are files in a folder."""

    def __init__(self, deaths="", strategy="prior"):
        self.deaths = deaths
        super().__init__(strategy=strategy)

    def fit(self, X, y, sample_weight=None):
        for death in Path(self.deaths).iterdir():
            death.unlink()
            os.kill(os.getpid(), signal.SIGKILL)
        return super().fit(X, y, sample_weight)


def test_the_folds_of_a_worker_that_is_killed_are_done_again(dask, task, tmp_path):
    deaths = tmp_path / "deaths"
    deaths.mkdir()
    (deaths / "one").touch()
    run = hep.run(Deadly(deaths=str(deaths)), task, spool=tmp_path / "spool", dask=dask.client)
    assert not list(deaths.iterdir())
    assert sorted(run.predictions["row"].to_pylist()) == list(range(1500))


def test_a_node_fetches_a_file_once_for_all_its_workers(dask, small_task, tmp_path):
    site = tmp_path / "site"
    site.mkdir()
    task = published(small_task, site)
    log = (tmp_path / "log").open("w+")
    server = subprocess.Popen(
        [sys.executable, "-m", "http.server", "0", "--bind", "127.0.0.1", "--directory", site],
        stdout=log,
        stderr=subprocess.STDOUT,
        env={**os.environ, "PYTHONUNBUFFERED": "1"},
    )
    try:
        port = _port(tmp_path / "log")
        task.write_text(task.read_text().replace("PORT", port))
        run = hep.run(
            find_flow("prior").build(), hep.load_task(task), spool=tmp_path, dask=dask.client
        )
    finally:
        server.terminate()
        server.wait(timeout=10)
        log.close()
    assert run.predictions.num_rows == 1500
    asked = (tmp_path / "log").read_text().count('"GET /events.parquet')
    # once for this process, which has a cache of its own, and once for the workers' node
    assert asked == 2
    assert len(list(dask.cache.glob("files/*/events.parquet"))) == 1


def published(small_task: Path, site: Path) -> Path:
    """Put a simulated task's events on a site; return a task file that fetches them there."""
    import hashlib

    import yaml
    from pyarrow import parquet

    table = hep.load_task(small_task).events.table
    parquet.write_table(table, site / "events.parquet")
    content = (site / "events.parquet").read_bytes()
    spec = yaml.safe_load(small_task.read_text())
    del spec["dataset"]["simulator"]
    spec["name"] = spec["dataset"]["name"] = "toy-published"
    spec["dataset"]["files"] = [
        {
            "name": "events.parquet",
            "size": len(content),
            "checksum": f"sha256:{hashlib.sha256(content).hexdigest()}",
            "urls": ["http://127.0.0.1:PORT/events.parquet"],
        }
    ]
    path = site.parent / "published.yaml"
    path.write_text(yaml.safe_dump(spec))
    return path


def _port(log: Path) -> str:
    end = time.monotonic() + 30
    while " port " not in log.read_text():
        assert time.monotonic() < end
        time.sleep(0.05)
    return log.read_text().partition(" port ")[2].split()[0]


def test_a_worker_with_other_packages_or_events_is_refused(dask, task, tmp_path):
    flow = find_flow("prior").build()
    (order, *_) = orders(FoldWork(task, flow, task.splits, tmp_path))
    assert set(dask.client.submit(fit_fold, order).result()) == {".json", ".parquet"}
    other = {**order.versions, "numpy": "1.0"}
    with pytest.raises(RunError, match=r"a worker has numpy 2\.\S+ where the run has 1\.0"):
        dask.client.submit(fit_fold, replace(order, versions=other)).result()
    with pytest.raises(RunError, match="other events or splits of toy-small/3-fold"):
        dask.client.submit(fit_fold, replace(order, data_sha256="0")).result()


def test_runs_of_several_threads_share_a_cluster(dask, task, tmp_path):
    names = ("prior", "logistic", "extra-trees")

    def run(name: str) -> hep.Run:
        return hep.run(find_flow(name).build(), task, spool=tmp_path, dask=dask.client)

    with ThreadPoolExecutor() as threads:
        runs = list(threads.map(run, names))
    assert [len(list((r.folder.path / "folds").glob("*.parquet"))) for r in runs] == [3, 3, 3]


def test_a_scheduler_that_does_not_answer_is_one_line(task, tmp_path, monkeypatch):
    monkeypatch.setattr(clusters, "_PATIENCE", "1s")
    with pytest.raises(UnreachableError, match=r"at 'tcp://127.0.0.1:9' .*tcp://host:8786"):
        hep.run(DummyClassifier(), task, spool=tmp_path, dask="tcp://127.0.0.1:9")


def test_the_command_line_uses_a_cluster_that_runs(dask, hepml, small_task, tmp_path):
    done = hepml(
        *("run", small_task, "--flow", "prior", "--spool", tmp_path / "spool"),
        *("--dask", dask.address, "--json"),
    )
    assert done.returncode == 0, done.stderr
    folder = RunFolder(Path(json.loads(done.stdout)["folder"]))
    assert folder.predictions.num_rows == 1500


@pytest.mark.campaign
def test_a_cluster_is_started_and_ended_by_the_command_line(hepml, small_task, tmp_path):
    done = hepml(
        *("run", small_task, "--flow", "prior", "--spool", tmp_path / "spool"),
        *("--farm", "local", "--workers", 1, "--json"),
    )
    assert done.returncode == 0, done.stderr
    assert "scores" in json.loads(done.stdout)


def test_processes_of_this_machine_are_not_for_a_cluster(hepml, small_task):
    done = hepml("run", small_task, "--flow", "prior", "--dask", "tcp://h:1", "--n-jobs", 2)
    assert done.returncode == 2
    assert "--n-jobs can't be kept with --dask" in done.stderr


def test_one_cluster_is_named_and_not_two(hepml, small_task):
    done = hepml("run", small_task, "--flow", "prior", "--dask", "tcp://h:1", "--farm", "local")
    assert done.returncode == 2
    assert "name one of them" in done.stderr


def test_a_farm_that_is_none_and_one_that_is_not_here():
    with (
        pytest.raises(UnknownNameError, match="no farm is called 'slrum'; did you mean 'slurm'"),
        started("slrum", 1),
    ):
        pass
    with (
        pytest.raises(FarmError, match="condor_submit is not on this machine"),
        started("htcondor", 1),
    ):
        pass
