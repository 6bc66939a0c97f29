from __future__ import annotations

from pathlib import Path

import joblib
import psutil
import pytest

from hepml_tasks.running.resources import cores, memory_limit


@pytest.mark.parametrize(
    "environment",
    [
        {"SLURM_CPUS_PER_TASK": "1"},
        {"OMP_NUM_THREADS": "1,1"},
        {"NSLOTS": "1", "OMP_NUM_THREADS": "64"},
        {"LSB_DJOB_NUMPROC": "1"},
    ],
)
def test_no_more_cores_are_used_than_the_batch_system_grants(environment):
    assert cores(environment) == 1


@pytest.mark.parametrize("environment", [{}, {"SLURM_CPUS_PER_TASK": "4096"}, {"NCPUS": "many"}])
def test_no_more_cores_are_used_than_there_are(environment):
    assert cores(environment) == joblib.cpu_count()


def test_a_slot_of_htcondor_says_what_it_has(tmp_path: Path):
    ad = tmp_path / "machine.ad"
    ad.write_text('Name = "slot1@node"\nCpus = 1\nMemory = 2048\nDisk = 5\n')
    environment = {"_CONDOR_MACHINE_AD": str(ad)}
    assert cores(environment) == 1
    assert memory_limit(environment, groups=tmp_path) == 2048 << 20


@pytest.mark.parametrize(
    ("environment", "megabytes"),
    [
        ({"SLURM_MEM_PER_NODE": "1500"}, 1500),
        ({"SLURM_MEM_PER_CPU": "300"}, 300),
        ({"SLURM_MEM_PER_CPU": "300", "SLURM_CPUS_PER_TASK": "2"}, 600),
    ],
)
def test_slurm_says_how_much_memory_a_job_has(environment, megabytes, tmp_path):
    assert memory_limit(environment, groups=tmp_path) == megabytes << 20


def test_the_limit_of_a_control_group_counts(tmp_path: Path):
    for name in ("memory.max", "memory/memory.limit_in_bytes"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(f"{700 << 20}\n")
    assert memory_limit({}, groups=tmp_path) == 700 << 20


def test_a_control_group_without_limit_leaves_the_machines_memory(tmp_path: Path):
    (tmp_path / "memory").mkdir()
    (tmp_path / "memory.max").write_text("max\n")
    (tmp_path / "memory" / "memory.limit_in_bytes").write_text("9223372036854771712\n")
    assert memory_limit({}, groups=tmp_path) == psutil.virtual_memory().total
