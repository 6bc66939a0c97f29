"""Dask clusters on this machine or as jobs of a batch system, started for as long as needed."""

from __future__ import annotations

import os
import shlex
import shutil
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from hepml_tasks.errors import FarmError, UnknownNameError
from hepml_tasks.running.cluster import Cluster, missing_dask

_DEFAULTS = {"cores": 1, "memory": "4GB"}
"""Of a worker, where the user's Dask configuration doesn't say it."""


@dataclass(frozen=True)
class Farm:
    """A place where workers can be started.

    Parameters
    ----------
    start : callable
        Takes the number of workers, returns a Dask cluster that keeps as many.
    program : str, optional
        What must be on this machine.
    """

    start: Callable[[int], Any]
    program: str | None = None


@contextmanager
def started(name: str, workers: int) -> Iterator[Cluster]:
    """Give a cluster of our own on a farm, and end it afterwards.

    Parameters
    ----------
    name : str
        One of `FARMS`.
    workers : int
        One that dies is replaced.

    Raises
    ------
    FarmError
        If the batch system isn't here, or doesn't take the jobs.
    MissingExtraError
        If Dask isn't installed.
    """
    if name not in FARMS:
        raise UnknownNameError("farm", name, FARMS)
    farm = FARMS[name]
    if farm.program is not None and shutil.which(farm.program) is None:
        raise FarmError(
            f"{farm.program} is not on this machine: --farm {name} starts workers from a node that"
            " can submit jobs"
        )
    try:
        from distributed import Client
    except ImportError:
        raise missing_dask() from None
    try:
        cluster = farm.start(workers)
    except ImportError:
        raise missing_dask() from None
    except (OSError, RuntimeError, ValueError) as error:
        raise FarmError(f"no workers on farm {name}: {str(error).splitlines()[0]}") from error
    with cluster, Client(cluster) as client:
        yield Cluster(client, workers)


def _local(workers: int) -> Any:
    from distributed import LocalCluster

    return LocalCluster(
        n_workers=workers, threads_per_worker=1, host="127.0.0.1", dashboard_address="127.0.0.1:0"
    )


def _slurm(workers: int) -> Any:
    from dask_jobqueue.slurm import SLURMCluster

    return _kept(SLURMCluster(**_settings("slurm")), workers)


def _htcondor(workers: int) -> Any:
    from dask_jobqueue.htcondor import HTCondorCluster

    return _kept(HTCondorCluster(**_settings("htcondor", disk="4GB")), workers)


def _kept(cluster: Any, workers: int) -> Any:
    # as many all the time: scale() would not replace a job that was killed
    cluster.adapt(minimum=workers, maximum=workers)
    return cluster


def _settings(name: str, **more: Any) -> dict[str, Any]:
    """Return what a worker needs; queue, account, times are Dask's configuration (jobqueue)."""
    import dask
    import dask_jobqueue  # noqa: F401 - declares the defaults of what is read here

    def configured(key: str) -> Any:
        return dask.config.get(f"jobqueue.{name}.{key}", None)

    ours = {k: v for k, v in os.environ.items() if k.startswith("HEPML_")}
    return {
        **{k: v for k, v in {**_DEFAULTS, **more}.items() if configured(k) is None},
        "python": configured("python") or sys.executable,
        "job_script_prologue": [
            *(configured("job-script-prologue") or []),
            *(f"export {k}={shlex.quote(v)}" for k, v in sorted(ours.items())),
        ],
        "scheduler_options": {"dashboard_address": ":0", **(configured("scheduler-options") or {})},
    }


FARMS = {
    "local": Farm(_local),
    "slurm": Farm(_slurm, program="sbatch"),
    "htcondor": Farm(_htcondor, program="condor_submit"),
}
