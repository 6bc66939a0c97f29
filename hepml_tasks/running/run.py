"""Run a flow on a task: every fold fitted and predicted, each durable once it is finished."""

from __future__ import annotations

import os
import warnings
from collections.abc import Callable, Iterator
from concurrent.futures import BrokenExecutor
from pathlib import Path
from typing import Any

import pyarrow as pa
from pyarrow import parquet

from hepml_tasks.errors import RunError
from hepml_tasks.flows.description import describe, fingerprint, seeded
from hepml_tasks.running.environment import environment, package_versions
from hepml_tasks.running.fold import run_fold, run_fold_in_worker
from hepml_tasks.running.folder import (
    RunFolder,
    open_folder,
    run_key,
    write_json,
    write_parquet,
)
from hepml_tasks.running.task import Task
from hepml_tasks.spec import to_mapping

FoldDone = Callable[[int, int], None]
"""Called with the number of finished folds and of all folds."""


def run_name(task: Task, flow: str, estimator: Any, seed: int) -> str:
    """Return the name of a run's folder, equal for runs that would predict the same.

    Parameters
    ----------
    task : Task
    flow : str
        The flow's name for people.
    estimator : scikit-learn estimator
    seed : int
    """
    return _identify(task, flow, estimator, seed)[0]


def execute(
    task: Task,
    flow: str,
    estimator: Any,
    *,
    seed: int = 0,
    spool: Path,
    n_jobs: int | None = None,
    on_fold: FoldDone = lambda _done, _all: None,
) -> RunFolder:
    """Run every fold that isn't finished yet, and put the predictions together.

    Parameters
    ----------
    task : Task
    flow : str
        The flow's name for people.
    estimator : scikit-learn estimator
        Unfitted. Its open seeds are set to `seed`.
    seed : int
    spool : Path
        Where run folders are kept. A run that was interrupted there is gone on with.
    n_jobs : int, optional
        Processes; as many as there are cores by default. The cores are shared out among them.
    on_fold : callable
        Told of each finished fold.

    Returns
    -------
    RunFolder
        With predictions.parquet; the scores are the evaluation's.

    Raises
    ------
    RunError
        If a fold fails; the finished ones are kept.
    """
    name, description = _identify(task, flow, estimator, seed)
    folder = open_folder(spool, name, description)
    write_json(folder.path / "environment.json", environment())
    splits = task.splits
    waiting = [s for s in splits if not folder.fold_path(s.repeat, s.fold).is_file()]
    done = len(splits) - len(waiting)
    if done:
        on_fold(done, len(splits))
    for _ in _fold_by_fold(waiting, task, seeded(estimator, seed), folder, n_jobs):
        done += 1
        on_fold(done, len(splits))
    tables = [parquet.read_table(folder.fold_path(s.repeat, s.fold)) for s in splits]
    write_parquet(folder.path / "predictions.parquet", pa.concat_tables(tables))
    return folder


def _fold_by_fold(
    splits: list[Any], task: Task, estimator: Any, folder: RunFolder, n_jobs: int | None
) -> Iterator[None]:
    import joblib

    if not splits:
        return
    X, y, weight = task.data()
    cores = joblib.cpu_count()
    processes = min(n_jobs or cores, len(splits))
    options = {
        "class_sums": dict(task.events.class_sums),
        "positive": task.spec.roles.positive,
        "threads": max(1, cores // processes),
        "folder": folder.path,
    }
    if processes == 1:
        for split in splits:
            run_fold(estimator, X, y, weight, split, **options)
            yield
        return
    parallel = joblib.Parallel(
        n_jobs=processes, backend="loky", return_as="generator_unordered", pre_dispatch=processes
    )
    with warnings.catch_warnings():
        # said when a run is interrupted, and then it is no news
        warnings.filterwarnings("ignore", message=".*tasks which were still being processed")
        try:
            yield from parallel(
                joblib.delayed(run_fold_in_worker)(estimator, X, y, weight, s, **options)
                for s in splits
            )
        except BrokenExecutor as error:
            raise RunError(
                f"a process of the run died ({type(error).__name__}), perhaps for want of memory:"
                " run it again with --n-jobs 1; finished folds are kept"
            ) from error


def _identify(task: Task, flow: str, estimator: Any, seed: int) -> tuple[str, dict[str, Any]]:
    described = describe(estimator)
    head = {
        "task": {
            "name": task.spec.name,
            "split": task.split.name,
            "spec": to_mapping(task.spec),
            "evaluation": to_mapping(task.evaluation_spec()),
        },
        "flow": {"name": flow, "fingerprint": fingerprint(described), "description": described},
        "seed": seed,
        "data": {
            "table_sha256": task.events.sha256,
            "files": {f.name: f.checksum for f in task.spec.dataset.root.files},
        },
    }
    # the environment's own record says more; what is here decides whether two runs are the same
    key = run_key({**head, "versions": package_versions()})
    name = f"{task.spec.name}--{task.split.name}--{flow}--seed{seed}--{key}"
    return name.replace(os.sep, "_"), head
