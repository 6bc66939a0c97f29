"""Workers of a Dask cluster are killed in the middle of fits, again and again."""

from __future__ import annotations

import os
import random
import signal
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

import hepml_tasks as hep
from hepml_tasks.errors import RunError
from hepml_tasks.flows import find_flow
from hepml_tasks.openml.connection import Connection
from hepml_tasks.openml.publication import publish_run, runs_on

pytestmark = pytest.mark.campaign
KILLS = 20
FLOWS = ("hist-gradient-boosting", "extra-trees", "mlp")


class Killer(threading.Thread):
    """Kills a worker that has a fold in hand, as soon as there is one again."""

    def __init__(self, client) -> None:
        super().__init__(daemon=True)
        self.client, self.random = client, random.Random(7)
        self.in_a_fit, self.stop = 0, threading.Event()

    def run(self) -> None:
        pids = {}
        while self.in_a_fit < KILLS and not self.stop.wait(0.2):
            busy = sorted(w for w, keys in self.client.processing().items() if keys)
            if not busy:
                continue
            victim = self.random.choice(busy)
            pids = self.client.run(os.getpid, workers=[victim], on_error="ignore")
            # somewhere in the fold, which takes one or two seconds
            time.sleep(self.random.uniform(0.0, 1.0))
            still = self.client.processing().get(victim)
            if victim in pids and still:
                os.kill(pids[victim], signal.SIGKILL)
                self.in_a_fit += 1


def test_twenty_kills_cost_no_run_and_change_no_prediction(scratch_server, tmp_path: Path):
    from distributed import Client, LocalCluster

    task = hep.load_task("toy-higgs", events=4000)
    cluster = LocalCluster(
        n_workers=2,
        threads_per_worker=1,
        host="127.0.0.1",
        dashboard_address="127.0.0.1:0",
        silence_logs=50,
    )
    failures: list[str] = []
    done: list[tuple[str, int]] = []

    def run(job: tuple[str, int]) -> hep.Run:
        name, seed = job
        while True:
            try:
                return hep.run(
                    find_flow(name).build(),
                    task,
                    name=name,
                    seed=seed,
                    spool=tmp_path / "spool",
                    dask=client,
                )
            except RunError as error:
                # a fold that too many workers died of; the same call goes on
                failures.append(str(error))

    with cluster, Client(cluster) as client, ThreadPoolExecutor(2) as threads:
        killer = Killer(client)
        killer.start()
        runs, seed = {}, 0
        while killer.is_alive() or not runs:
            jobs = [(name, seed) for name in FLOWS]
            runs |= dict(zip(jobs, threads.map(run, jobs), strict=True))
            done += jobs
            seed += 1
            assert seed < 100
    print(f"{killer.in_a_fit} kills in a fit, {len(runs)} runs, {len(failures)} went on by hand")
    assert killer.in_a_fit == KILLS
    assert len({run.folder.path for run in runs.values()}) == len(done)

    connection = Connection(scratch_server.server, scratch_server.apikey)
    for (name, seed), run in runs.items():
        here = hep.run(
            find_flow(name).build(), task, name=name, seed=seed, spool=tmp_path / "here", n_jobs=1
        )
        assert here.predictions.equals(run.predictions)
        published = publish_run(connection, run.folder)
    uuids = [d["uuid"] for d in runs_on(connection, published.task_id).values()]
    for run in runs.values():
        assert uuids.count(run.folder.description["uuid"]) == 1
