"""The bot on a real Slurm: an array of parts, and Dask's workers as jobs."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import yaml

import hepml_tasks as hep
from hepml_tasks.flows import find_flow
from hepml_tasks.running.folder import RunFolder, folders_in

pytestmark = pytest.mark.needs("slurm")


@pytest.fixture
def suite(small_task: Path, tmp_path: Path) -> Path:
    """Return a suite of one small task."""
    path = tmp_path / "suite.yaml"
    tasks = [{"task": str(small_task)}]
    text = {"name": "small", "title": "Small", "description": "One task.", "tasks": tasks}
    path.write_text(yaml.safe_dump(text))
    return path


def test_an_array_does_a_plan_and_none_of_its_jobs_speaks_to_another(
    slurm, hepml, suite, small_task, tmp_path
):
    spool = tmp_path / "shared"
    sent = hepml(
        *("submit", "slurm", "--suite", suite, "--flows", "prior,logistic", "--seeds", "0,1"),
        *("--jobs", 2, "--spool", spool, "--json", "--"),
        *(f"--output={tmp_path}/log-%a", "--cpus-per-task=1"),
        env=slurm.environment,
    )
    assert sent.returncode == 0, sent.stderr
    job = json.loads(sent.stdout)["job"]
    slurm.wait()
    logs = "".join(p.read_text() for p in sorted(tmp_path.glob("log-*")))
    assert [slurm.exit_code(f"{job}_{part}") for part in (1, 2)] == ["0:0", "0:0"], logs
    runs = list(folders_in(spool))
    assert len(runs) == 4
    assert all(run.is_complete for run in runs)
    task = hep.load_task(small_task)
    for run in runs:
        flow, seed = run.description["flow"]["name"], run.description["seed"]
        here = hep.run(find_flow(flow).build(), task, name=flow, seed=seed, spool=tmp_path / "here")
        assert here.folder.path.name == run.path.name
        assert here.predictions.equals(run.predictions)


def test_a_refusal_of_slurm_is_one_line(slurm, hepml, suite, tmp_path):
    sent = hepml(
        *("submit", "slurm", "--suite", suite, "--spool", tmp_path, "--", "--partition=none"),
        env=slurm.environment,
    )
    assert sent.returncode == 1
    assert sent.stderr.startswith("hepml: error: sbatch did not take the jobs: sbatch: error:")
    assert sent.stderr.count("\n") == 1


@pytest.mark.campaign
def test_dask_starts_its_workers_as_jobs_and_ends_them(slurm, hepml, small_task, tmp_path):
    done = hepml(
        *("run", small_task, "--flow", "extra-trees", "--spool", tmp_path / "there", "--json"),
        *("--farm", "slurm", "--workers", 2),
        env=slurm.environment,
        cwd=tmp_path,
    )
    assert done.returncode == 0, done.stderr
    there = RunFolder(Path(json.loads(done.stdout)["folder"]))
    flow = find_flow("extra-trees").build()
    here = hep.run(flow, hep.load_task(small_task), name="extra-trees", spool=tmp_path / "here")
    assert here.folder.path.name == there.path.name
    assert here.predictions.equals(there.predictions)
    slurm.wait(30)
