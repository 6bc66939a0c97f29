"""Score a run folder: what its own machine says of it, before any server does."""

from __future__ import annotations

from hepml_tasks.evaluation.evaluate import Evaluation, evaluate
from hepml_tasks.evaluation.predictions import check_against_splits, from_table
from hepml_tasks.evaluation.truth import truth_from_table
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
        Also written to scores.json, which marks the run as complete.
    """
    spec = task.evaluation_spec()
    origin = str(folder.path / "predictions.parquet")
    predictions = from_table(folder.predictions, positive=spec.positive, origin=origin)
    check_against_splits(predictions, task.splits, origin=origin)
    truth = truth_from_table(task.events.table, spec, origin=f"dataset {task.spec.dataset.name}")
    evaluation = evaluate(predictions, truth, spec)
    write_json(folder.path / "scores.json", evaluation.to_json())
    return evaluation
