"""What a run's scores are computed from, wherever it comes from: a folder, a file, a server."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from hepml_tasks.errors import RunError
from hepml_tasks.evaluation.claims import Claim, claims_of
from hepml_tasks.evaluation.evaluate import Evaluation, Truth, evaluate
from hepml_tasks.evaluation.predictions import (
    Predictions,
    check_against_splits,
    from_table,
    read_predictions,
)
from hepml_tasks.evaluation.truth import truth_from_table
from hepml_tasks.running.folder import RunFolder
from hepml_tasks.running.task import Task, task_of
from hepml_tasks.spec import EvaluationSpec
from hepml_tasks.splits import Split


@dataclass(frozen=True, eq=False)
class Evidence:
    """A run's predictions, what is true of its events, and what was claimed of it.

    Parameters
    ----------
    name : str
        What the run is called, for messages.
    predictions : Predictions
    splits : sequence of Split
        The task's.
    truth : Truth
    spec : EvaluationSpec
    claims : tuple of Claim
        Empty where nothing is claimed.
    """

    name: str
    predictions: Predictions
    splits: Sequence[Split]
    truth: Truth
    spec: EvaluationSpec
    claims: tuple[Claim, ...] = ()

    def evaluate(self, metrics: Sequence[str] | None = None) -> Evaluation:
        """Compute the task's metrics, or others, as server and client do.

        Parameters
        ----------
        metrics : sequence of str, optional
            Names of what to compute instead of the task's own and those of other packages.

        Raises
        ------
        RunError
            For predictions that aren't those of the task's test events, each once.
        MetricError, UnknownNameError
            For a metric that can't be computed or isn't known.
        """
        check_against_splits(self.predictions, self.splits, origin=self.name)
        return evaluate(self.predictions, self.truth, self.spec, metrics=metrics)


def from_folder(folder: RunFolder, task: Task | None = None) -> Evidence:
    """Take a run from its folder; scores.json, where it is there, is what it claims.

    Parameters
    ----------
    folder : RunFolder
    task : Task, optional
        By default the one that the folder itself describes.

    Raises
    ------
    RunError
        For a folder without predictions, or data that aren't those of the run.
    """
    chosen = task_of(folder) if task is None else task
    spec = chosen.evaluation_spec()
    recorded = str(folder.description["data"]["table_sha256"])
    if spec.data_sha256 != recorded:
        raise RunError(
            f"{folder.path}: the run was made on other data than task {chosen.name} has here"
            f" (sha256 {recorded[:12]}…, here {str(spec.data_sha256)[:12]}…)"
        )
    claims: tuple[Claim, ...] = ()
    if folder.is_complete:
        claims = claims_of(folder.scores, by="scores.json")
    origin = str(folder.path / "predictions.parquet")
    predictions = from_table(folder.predictions, spec, origin=origin)
    return _with_truth(str(folder.path), predictions, chosen, spec, claims)


def from_file(path: Path, task: Task) -> Evidence:
    """Take predictions from an ARFF file as OpenML keeps it, which claims nothing.

    Parameters
    ----------
    path : Path
    task : Task
        The task that they are of.

    Raises
    ------
    RunError, FormatError
        Name the file and the column.
    """
    spec = task.evaluation_spec()
    predictions = read_predictions(path, spec)
    return _with_truth(str(path), predictions, task, spec, ())


def _with_truth(
    name: str,
    predictions: Predictions,
    task: Task,
    spec: EvaluationSpec,
    claims: tuple[Claim, ...],
) -> Evidence:
    if task.spec.private is not None:
        raise RunError(
            f"{name}: the labels of task {task.name} are withheld: the server that made the task"
            " scores its runs"
        )
    origin = f"dataset {task.spec.dataset.name}"
    truth = truth_from_table(task.events.table, spec, origin=origin)
    return Evidence(name, predictions, task.splits, truth, spec, claims)
