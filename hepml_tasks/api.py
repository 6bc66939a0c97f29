"""What a script uses: run an estimator on a task, look at the scores, publish the run."""

from __future__ import annotations

import math
import os
from collections.abc import Mapping
from contextlib import nullcontext
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hepml_tasks import settings
from hepml_tasks.evaluation.runs import score_run
from hepml_tasks.running.cluster import connected
from hepml_tasks.running.folder import RunFolder
from hepml_tasks.running.run import FoldDone, execute, run_name
from hepml_tasks.running.state import forget_failure, locked, mend
from hepml_tasks.running.task import Task

if TYPE_CHECKING:
    import pyarrow as pa
    from distributed import Client

    from hepml_tasks.metrics import Score
    from hepml_tasks.openml.publication import Published


@dataclass(frozen=True, eq=False)
class Run:
    """A finished run: its folder, and what is in it.

    Parameters
    ----------
    folder : RunFolder
    """

    folder: RunFolder

    @cached_property
    def scores(self) -> Mapping[str, Score]:
        """Each metric's value, uncertainty, interval and method, by the metric's name."""
        from hepml_tasks.metrics import Score

        def number(x: float | None) -> float:
            return math.nan if x is None else x

        return {
            name: Score(
                value=number(s["value"]),
                uncertainty=number(s["uncertainty"]),
                interval=(number(s["interval"][0]), number(s["interval"][1])),
                method=s["method"],
                n=s["n"],
                n_eff=number(s["n_eff"]),
            )
            for name, s in self.folder.scores["scores"].items()
        }

    @property
    def predictions(self) -> pa.Table:
        """One row a test event: repeat, fold, row, truth, prediction, a confidence a class."""
        return self.folder.predictions

    def publish(self, server: str, *, apikey: str | None = None) -> Published:
        """Put the run on an OpenML server, exactly once.

        Parameters
        ----------
        server : str
            ``openml.org``, ``test.openml.org`` or an address.
        apikey : str, optional
            Found as `hepml_tasks.openml.connection.connect` says by default.
        """
        from hepml_tasks.openml.connection import connect
        from hepml_tasks.openml.publication import publish_run

        return publish_run(connect(server, apikey=apikey), self.folder)


def run_from_predictions(
    path: str | os.PathLike[str],
    task: Task,
    *,
    name: str,
    about: str,
    version: str = "1",
    spool: Path | None = None,
) -> Run:
    """Make a run of predictions that another program made.

    Parameters
    ----------
    path : path-like
        A table in CSV, Parquet, ARFF, HDF5 or ROOT, as
        `hepml_tasks.evaluation.elsewhere.adopt_predictions` wants it.
    task : Task
        From `load_task`; its `splits` say which rows are tested in which fold.
    name : str
        What the flow is called.
    about : str
        How the predictions were made.
    version : str
        Of the flow.
    spool : Path, optional
        As of `run`.

    Returns
    -------
    Run
        Scored as every run, and marked as made elsewhere.

    Raises
    ------
    RunError, DataError
        For a table that isn't that of the task's test events, each once.
    """
    from hepml_tasks.evaluation.elsewhere import Maker, adopt_predictions

    spool = settings.spool_dir() if spool is None else spool
    maker = Maker(name=name, about=about, version=version)
    return Run(adopt_predictions(Path(path), task, maker, spool=spool))


def run(
    estimator: Any,
    task: Task,
    *,
    name: str | None = None,
    seed: int = 0,
    spool: Path | None = None,
    n_jobs: int | None = None,
    dask: str | Client | None = None,
    on_fold: FoldDone = lambda _done, _all: None,
) -> Run:
    """Run an estimator on every fold of a task and score it.

    Parameters
    ----------
    estimator : scikit-learn estimator
        With `fit`, `predict` and `predict_proba`; it need not be registered anywhere. Wrap it in
        `hepml_tasks.flows.weighted.WeightedClassifier` for balanced weights in the fit and a
        selection by AMS.
    task : Task
        From `load_task`.
    name : str, optional
        What the flow is called in folders and on pages; the estimator's class by default.
    seed : int
        Becomes every `random_state` that is None.
    spool : Path, optional
        Where the run's folder is made: see `hepml_tasks.settings.spool_dir`. The same run in the
        same spool is not fitted again, an interrupted one is finished.
    n_jobs : int, optional
        Processes; as many as there are cores by default.
    dask : str or distributed.Client, optional
        The address of a Dask scheduler, or a client of it: its workers fit the folds instead.
    on_fold : callable
        Told the number of finished folds and of all folds.

    Returns
    -------
    Run

    Raises
    ------
    RunError, FlowError
        If the estimator fails, or gives scores that are no numbers; finished folds are kept.

    Examples
    --------
    >>> import hepml_tasks as hep
    >>> from sklearn.naive_bayes import GaussianNB
    >>> from sklearn.pipeline import make_pipeline
    >>> from sklearn.impute import SimpleImputer
    >>> task = hep.load_task("toy-higgs", events=2000)
    >>> result = hep.run(make_pipeline(SimpleImputer(), GaussianNB()), task)
    >>> 0.5 < result.scores["roc_auc"].value < 1
    True
    """
    spool = settings.spool_dir() if spool is None else spool
    flow = name or type(estimator).__name__
    folder = RunFolder(spool / run_name(task, flow, estimator, seed))
    if not folder.is_complete:
        # another process may be at it: it is waited for, and what it has finished is not done again
        with locked(folder):
            if not folder.is_complete:
                mend(folder)
                with nullcontext() if dask is None else connected(dask) as cluster:
                    execute(
                        task,
                        flow,
                        estimator,
                        seed=seed,
                        spool=spool,
                        n_jobs=n_jobs,
                        engine=None if cluster is None else cluster.engine(),
                        on_fold=on_fold,
                    )
                score_run(folder, task)
                forget_failure(folder)
    return Run(folder)
