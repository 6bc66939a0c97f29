"""Run a flow on a task: every fold fitted and predicted, each durable once it is finished."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
from pyarrow import parquet

from hepml_tasks.flows.description import describe, fingerprint, seeded
from hepml_tasks.running.engines import Engine, FoldWork, in_processes
from hepml_tasks.running.environment import begin_session, package_versions
from hepml_tasks.running.folder import (
    RunFolder,
    open_folder,
    run_key,
    write_predictions,
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
    engine: Engine | None = None,
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
    engine : Engine, optional
        What fits the folds, instead of processes of this machine.
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
    splits = task.splits
    waiting = [s for s in splits if not folder.fold_path(s.repeat, s.fold).is_file()]
    if waiting or not (folder.path / "environment.json").is_file():
        begin_session(folder)
    done = len(splits) - len(waiting)
    if done:
        on_fold(done, len(splits))
    if waiting:
        work = FoldWork(task, seeded(estimator, seed), waiting, folder.path)
        for _ in (engine or in_processes(n_jobs))(work):
            done += 1
            on_fold(done, len(splits))
    tables = [parquet.read_table(folder.fold_path(s.repeat, s.fold)) for s in splits]
    write_predictions(folder, pa.concat_tables(tables))
    return folder


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
