"""Score a run folder: what its own machine says of it, before any server does."""

from __future__ import annotations

from dataclasses import dataclass

from hepml_tasks.evaluation.claims import Verdict, verify
from hepml_tasks.evaluation.evaluate import Evaluation
from hepml_tasks.evaluation.evidence import from_folder
from hepml_tasks.running.folder import RunFolder, write_json
from hepml_tasks.running.task import Task


def score_run(folder: RunFolder, task: Task) -> Evaluation:
    """Compute a finished run's scores and keep them in its folder.

    Parameters
    ----------
    folder : RunFolder
        With predictions.parquet.
    task : Task
        The task that it ran on.

    Returns
    -------
    Evaluation
        Also written to scores.json, which marks the run as complete. Without any score where
        the task's labels are withheld.
    """
    if task.spec.private is not None:
        evaluation = Evaluation({}, {}, {}, n_rows=folder.predictions.num_rows)
    else:
        evaluation = from_folder(folder, task).evaluate()
    write_json(folder.path / "scores.json", evaluation.to_json())
    return evaluation


@dataclass(frozen=True)
class Rescored:
    """A run folder whose scores were computed again.

    Parameters
    ----------
    verdict : Verdict
        Of the scores that it had before.
    new : tuple of str
        The metrics that it didn't have before.
    evaluation : Evaluation
    """

    verdict: Verdict
    new: tuple[str, ...]
    evaluation: Evaluation


def rescore_run(folder: RunFolder) -> Rescored:
    """Compute a run folder's scores again, with metrics that have come since, and keep them.

    Parameters
    ----------
    folder : RunFolder
        With predictions.parquet; its own description says what the task is.

    Returns
    -------
    Rescored
        scores.json has the new evaluation.
    """
    evidence = from_folder(folder)
    verdict = verify(evidence)
    evaluation = evidence.evaluate()
    had = {claim.metric for claim in evidence.claims}
    write_json(folder.path / "scores.json", evaluation.to_json())
    return Rescored(verdict, tuple(m for m in evaluation.scores if m not in had), evaluation)
