"""What fits the folds of a run: processes of this machine, or whatever else takes `FoldWork`.

An engine is a function. It is given the folds that are to be done, and yields as each of them has
its files in the run folder, in any order.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import BrokenExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hepml_tasks.errors import RunError
from hepml_tasks.running.fold import run_fold, run_fold_in_worker
from hepml_tasks.running.resources import cores
from hepml_tasks.running.task import Task
from hepml_tasks.splits import Split


@dataclass(frozen=True, eq=False)
class FoldWork:
    """Folds of a run that are to be done.

    Parameters
    ----------
    task : Task
    estimator : scikit-learn estimator
        Unfitted, its seeds set.
    splits : sequence of Split
        The folds that have no files yet; not empty.
    folder : Path
        The run folder.
    """

    task: Task
    estimator: Any
    splits: Sequence[Split]
    folder: Path

    def options(self, *, threads: int) -> dict[str, Any]:
        """Return what `run_fold` is told beside events and split."""
        return {
            "class_sums": dict(self.task.events.class_sums),
            "positive": self.task.spec.roles.positive,
            "threads": threads,
            "folder": self.folder,
            "unlabelled": not self.task.spec.kind.labelled,
            "target": self.task.spec.kind.target,
            "group": self.task.events.group,
            "across": self.task.events.across,
        }


Engine = Callable[[FoldWork], Iterator[None]]
"""Does the folds and yields once for each; raises `RunError` for one that fails."""


def in_processes(n_jobs: int | None = None) -> Engine:
    """Return the engine that spreads folds over processes of this machine, by joblib.

    Parameters
    ----------
    n_jobs : int, optional
        Processes; as many as there are cores by default. The cores are shared out among them. With
        one, folds are fitted in this process.
    """

    def engine(work: FoldWork) -> Iterator[None]:
        available = cores()
        processes = min(n_jobs or available, len(work.splits))
        options = work.options(threads=max(1, available // processes))
        X, y, weight = work.task.data()
        if processes == 1:
            for split in work.splits:
                run_fold(work.estimator, X, y, weight, split, **options)
                yield
            return
        yield from _by_joblib(
            processes, [(work.estimator, X, y, weight, s) for s in work.splits], options
        )

    return engine


def _by_joblib(
    processes: int, folds: Sequence[tuple[Any, ...]], options: dict[str, Any]
) -> Iterator[None]:
    import joblib

    parallel = joblib.Parallel(
        n_jobs=processes, backend="loky", return_as="generator_unordered", pre_dispatch=processes
    )
    with warnings.catch_warnings():
        # said when a run is interrupted, and then it is no news
        warnings.filterwarnings("ignore", message=".*tasks which were still being processed")
        try:
            yield from parallel(
                joblib.delayed(run_fold_in_worker)(*fold, **options) for fold in folds
            )
        except BrokenExecutor as error:
            raise RunError(
                f"a process of the run died ({type(error).__name__}), perhaps for want of memory:"
                " run it again with --n-jobs 1; finished folds are kept"
            ) from error
