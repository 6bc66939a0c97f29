"""What this process may use of its machine: cores and memory, as the batch system grants them."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Mapping
from pathlib import Path

_CORES = ("SLURM_CPUS_PER_TASK", "NSLOTS", "PBS_NCPUS", "NCPUS", "LSB_DJOB_NUMPROC")
"""Variables in which Slurm, Grid Engine, PBS and LSF say how many cores a job has."""

_MEGABYTE = 1 << 20
_UNLIMITED = 1 << 60
"""Control groups of version 1 write a number near 2**63 where there is no limit."""


def cores(environment: Mapping[str, str] | None = None) -> int:
    """Return how many cores this process may use.

    The smallest of the machine's, the affinity mask's and the control group's quota (all found by
    joblib), the batch system's own figure, and ``OMP_NUM_THREADS``.

    Parameters
    ----------
    environment : mapping, optional
        ``os.environ`` by default.
    """
    import joblib

    env = os.environ if environment is None else environment
    granted = [_number(env.get(name)) for name in (*_CORES, "OMP_NUM_THREADS")]
    granted.append(_number(_machine_ad(env).get("Cpus")))
    return max(1, min([int(joblib.cpu_count()), *(n for n in granted if n)]))


def memory_limit(
    environment: Mapping[str, str] | None = None, *, groups: Path = Path("/sys/fs/cgroup")
) -> int:
    """Return how many bytes of memory this process and its children may use together.

    The smallest of the machine's, the control groups' limits, and the batch system's own figure.

    Parameters
    ----------
    environment : mapping, optional
        ``os.environ`` by default.
    groups : Path
        Where the control groups are mounted.
    """
    import psutil

    env = os.environ if environment is None else environment
    limits = [psutil.virtual_memory().total, *_group_limits(groups)]
    if node := _number(env.get("SLURM_MEM_PER_NODE")):
        limits.append(node * _MEGABYTE)
    if core := _number(env.get("SLURM_MEM_PER_CPU")):
        limits.append(core * _MEGABYTE * (_number(env.get("SLURM_CPUS_PER_TASK")) or 1))
    if machine := _number(_machine_ad(env).get("Memory")):
        limits.append(machine * _MEGABYTE)
    return min(limits)


def _number(text: str | None) -> int:
    """Return the whole number that a text begins with (``OMP_NUM_THREADS`` may be a list), or 0."""
    found = re.match(r"\s*(\d+)", text or "")
    return int(found[1]) if found else 0


def _machine_ad(env: Mapping[str, str]) -> dict[str, str]:
    """Return what HTCondor says of the slot that this job is in."""
    try:
        text = Path(env["_CONDOR_MACHINE_AD"]).read_text("utf-8", "replace")
    except (KeyError, OSError):
        return {}
    lines = (line.partition("=") for line in text.splitlines())
    return {name.strip(): value.strip() for name, equals, value in lines if equals}


def _group_limits(groups: Path) -> Iterator[int]:
    """Yield the limits of the control group of this process and of those above it."""
    try:
        lines = Path("/proc/self/cgroup").read_text().splitlines()
    except OSError:
        return
    for line in lines:
        _, controllers, path = line.split(":", 2)
        if controllers == "":
            base, name = groups, "memory.max"
        elif "memory" in controllers.split(","):
            base, name = groups / "memory", "memory.limit_in_bytes"
        else:
            continue
        inner = base / path.lstrip("/")
        # in a container the path is the host's: its own group is then the mount's root
        places = [p for p in (inner, *inner.parents) if p == base or base in p.parents]
        for place in places or [base]:
            try:
                limit = _number((place / name).read_text())
            except OSError:
                continue
            if 0 < limit < _UNLIMITED:
                yield limit
