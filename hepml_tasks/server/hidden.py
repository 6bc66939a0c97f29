"""What is scored of a run on withheld labels, and which of its scores are told.

The evaluator scores the public and the private part of the test events. Only the public part's
scores become evaluations; the private part's wait in a table that no answer is made from.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from hepml_tasks.pages.model import plain_json
from hepml_tasks.server.context import Services
from hepml_tasks.server.database import PrivateScore, PrivateTask, Run, Submission, now
from hepml_tasks.server.errors import Refused
from hepml_tasks.server.secrets import truth_path
from hepml_tasks.server.withholding import PARTITION

_log = logging.getLogger(__name__)

PUBLIC, PRIVATE = "public", "private"


def with_truth(
    session: Session, services: Services, job: dict[str, Any], task_id: int
) -> dict[str, Any]:
    """Give a job of the evaluator the withheld labels, where its task has some."""
    task = session.get(PrivateTask, task_id)
    if task is None:
        return job
    parts = {name: [name] for name in (PUBLIC, PRIVATE)}
    spec = {**job["spec"], "partitions": {"column": PARTITION, "parts": parts}}
    return {**job, "dataset": str(truth_path(services, task.folder)), "spec": spec}


def what_is_told(
    session: Session, run: Run, result: Mapping[str, Any], error: str | None
) -> tuple[Mapping[str, Any], str | None]:
    """Hide what a result says of withheld labels, and keep it until it is revealed.

    Parameters
    ----------
    session : Session
    run : Run
    result : mapping
        As the evaluator gives it.
    error : str or None
        Why there is none.

    Returns
    -------
    mapping, str or None
        What may be stored with the run and told.
    """
    task = session.get(PrivateTask, run.task_id)
    if task is None:
        return result, error
    hidden = session.get(PrivateScore, run.id)
    if hidden is not None:
        session.delete(hidden)
        session.flush()
    if error is not None:
        # a metric's complaint may speak of labels
        _log.warning("run %d of private task %d: %s", run.id, run.task_id, error)
        return {}, "the evaluation failed; the reason is in the server's log"
    parts = result.get("partitions") or {}
    rounded = {part: _rounded(parts.get(part, {}), task.digits) for part in (PUBLIC, PRIVATE)}
    session.add(PrivateScore(run_id=run.id, scores=plain_json(rounded[PRIVATE])))
    shown = {part: rounded[part] for part in _shown(task)}
    folds = {
        name: [{"repeat": 0, "fold": 0, "value": score.get("value")}]
        for name, score in rounded[PUBLIC].items()
    }
    return {"scores": rounded[PUBLIC], "folds": folds, "partitions": shown}, None


def reveal_scores(session: Session, task_id: int) -> int:
    """Put the private scores of a task's runs among what is told of them.

    Returns
    -------
    int
        How many runs have one.
    """
    rows = session.execute(
        select(Run, PrivateScore)
        .join(PrivateScore, PrivateScore.run_id == Run.id)
        .where(Run.task_id == task_id)
    ).all()
    for run, hidden in rows:
        run.partitions = {**run.partitions, PRIVATE: hidden.scores}
    return len(rows)


def revealed_tasks(session: Session) -> frozenset[int]:
    """Give the private tasks whose private scores are told."""
    found = select(PrivateTask.task_id).where(PrivateTask.revealed.is_not(None))
    return frozenset(session.scalars(found))


def count_submission(session: Session, task_id: int, user_id: int) -> None:
    """Count a run that is being accepted, or refuse it where a user has sent enough for a day.

    Parameters
    ----------
    session : Session
        The one that stores the run, so that either both happen or nothing.

    Raises
    ------
    Refused
        210.
    """
    task = session.get(PrivateTask, task_id)
    if task is None:
        return
    day = now().date().isoformat()
    row = session.get(Submission, (task_id, user_id, day))
    if row is None:
        row = Submission(task_id=task_id, user_id=user_id, day=day, number=0)
        session.add(row)
    if row.number >= task.per_day:
        raise Refused(
            210,
            f"task {task_id} takes {task.per_day} runs of a user in a day, and had {row.number} of"
            " yours today; the next day begins at 00:00 UTC",
        )
    row.number += 1


def _shown(task: PrivateTask) -> tuple[str, ...]:
    return (PUBLIC,) if task.revealed is None else (PUBLIC, PRIVATE)


def _rounded(value: Any, digits: int) -> Any:
    if isinstance(value, float):
        return float(f"{value:.{digits}g}")
    if isinstance(value, Mapping):
        return {key: _rounded(inner, digits) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [_rounded(inner, digits) for inner in value]
    return value
