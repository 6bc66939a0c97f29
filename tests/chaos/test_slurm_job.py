"""Jobs of a Slurm array are killed in the middle of runs; the same array again does the rest."""

from __future__ import annotations

import random
import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

import hepml_tasks as hep
from hepml_tasks.flows import find_flow
from hepml_tasks.openml.connection import Connection
from hepml_tasks.openml.publication import runs_on
from hepml_tasks.openml.registration import find_task_id
from hepml_tasks.running.folder import RunFolder, folders_in

from ..farms.slurm import Slurm, running

pytestmark = [pytest.mark.campaign, pytest.mark.needs("slurm")]
KILLS = 10
FLOWS = ("logistic", "extra-trees", "hist-gradient-boosting")


@pytest.fixture
def slurm() -> Iterator[Slurm]:
    home = Path(tempfile.mkdtemp(prefix="hepml-slurm-"))
    try:
        with running(home) as system:
            yield system
    finally:
        shutil.rmtree(home, ignore_errors=True)


def in_the_middle(spool: Path) -> list[RunFolder]:
    """List the runs that were begun and are not finished."""
    return [folder for folder in folders_in(spool) if not folder.is_complete]


def test_ten_kills_cost_no_run_and_publish_none_twice(
    slurm, scratch_server, hepml, small_task, tmp_path
):
    spool, chance = tmp_path / "spool", random.Random(11)
    suite = tmp_path / "suite.yaml"
    tasks = [{"task": str(small_task)}]
    text = {"name": "small", "title": "Small", "description": "One task.", "tasks": tasks}
    suite.write_text(yaml.safe_dump(text))
    key = tmp_path / "key"
    key.write_text(scratch_server.apikey)

    def submit(seeds: range) -> None:
        sent = hepml(
            *("submit", "slurm", "--suite", suite, "--flows", ",".join(FLOWS), "--jobs", 2),
            *("--seeds", ",".join(map(str, seeds)), "--server", scratch_server.pages.rstrip("/")),
            *("--key-file", key, "--spool", spool, "--"),
            *("--cpus-per-task=1", f"--output={tmp_path}/log-%A-%a"),
            env=slurm.environment,
        )
        assert sent.returncode == 0, sent.stderr

    kills = in_a_run = 0
    seeds = range(0)
    while kills < KILLS:
        # what is left of the plan, and some more of it
        seeds = range(len(seeds) + 2)
        submit(seeds)
        while kills < KILLS and (queued := slurm.queued()):
            jobs = [line.split()[0] for line in queued if line.endswith("RUNNING")]
            if jobs and in_the_middle(spool):
                time.sleep(chance.uniform(0, 1))
                open_runs = in_the_middle(spool)
                killed = subprocess.run(
                    ["scancel", "--signal=KILL", "--full", chance.choice(jobs)],
                    env=slurm.environment,
                    check=False,
                )
                kills += killed.returncode == 0
                in_a_run += killed.returncode == 0 and bool(open_runs)
                time.sleep(1)
            time.sleep(0.2)
    slurm.wait(600)
    submit(seeds)
    slurm.wait(600)
    print(f"{kills} jobs killed, {in_a_run} with a run in the middle")
    assert in_a_run >= KILLS // 2

    task = hep.load_task(small_task)
    keys = []
    for flow in FLOWS:
        for seed in seeds:
            here = hep.run(
                find_flow(flow).build(), task, name=flow, seed=seed, spool=tmp_path / "here"
            )
            keys.append(here.folder.path.name.rpartition("--")[2])
            there = RunFolder(spool / here.folder.path.name)
            assert here.predictions.equals(there.predictions)
    connection = Connection(scratch_server.server, scratch_server.apikey)
    task_id = find_task_id(connection, task.evaluation_spec())
    assert task_id is not None
    published = [details.get("key") for details in runs_on(connection, task_id).values()]
    assert [published.count(key) for key in keys] == [1] * len(keys)
