"""Scoring runs, one after the other, in the order of their upload."""

from __future__ import annotations

import json
import logging
import math
import threading
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from sqlalchemy import delete, func, select, update
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.orm import Session

from hepml_tasks.evaluation.claims import agree
from hepml_tasks.pages.model import plain_json
from hepml_tasks.server.context import Services, get_file
from hepml_tasks.server.database import Dataset, Evaluation, Feature, Run, RunFile, Task, now
from hepml_tasks.server.hidden import what_is_told, with_truth
from hepml_tasks.server.measures import PROCEDURES, REGRESSION
from hepml_tasks.server.worker import Worker, WorkerDied, WorkerTooSlow
from hepml_tasks.spec import TaskType

_log = logging.getLogger(__name__)

_ATTEMPTS = 2
_UNFINISHED = ("pending", "running")
_PAUSE_SECONDS = 5.0
_OF_NUMBERS = ("mean_absolute_error", "root_mean_squared_error")


class Evaluator(threading.Thread):
    """The thread that feeds waiting runs to the worker and stores what it finds.

    Parameters
    ----------
    services : Services
    news : Event
        Set by whoever lets a run wait.
    worker : Worker
        The process that does the work.
    """

    def __init__(self, services: Services, news: threading.Event, worker: Worker) -> None:
        super().__init__(name="evaluator", daemon=True)
        self._services = services
        self._worker = worker
        self._news = news
        self._ending = threading.Event()

    def end(self) -> None:
        """End the thread and the worker; the run that it is at waits for the next start."""
        self._ending.set()
        self._news.set()
        self._worker.end()
        self.join(10.0)

    def run(self) -> None:
        """Work until `end` is called."""
        while not self._ending.is_set():
            self._news.clear()
            try:
                if self._evaluate_next():
                    continue
            except SQLAlchemyError:
                _log.exception("the database failed; the evaluator tries again")
            self._news.wait(_PAUSE_SECONDS)

    def _evaluate_next(self) -> bool:
        run_id = self._next()
        if run_id is None:
            return False
        try:
            self._evaluate(run_id)
        except SQLAlchemyError:
            raise
        except Exception as error:
            # Whatever it is, it is said of this run, and the next ones have their turn.
            _log.exception("run %d can't be evaluated", run_id)
            self._finish(run_id, {}, f"the evaluation failed: {type(error).__name__}: {error}")
        return True

    def _next(self) -> int | None:
        # Nothing is at work here, so that a run in "running" is one that was cut off: by the end
        # of the server, or of the database.
        waiting = select(Run.id).where(Run.state.in_(_UNFINISHED)).order_by(Run.id).limit(1)
        with self._services.database.read() as session:
            if session.scalar(waiting) is None:
                return None
        with self._services.database.write() as session:
            run_id = session.scalar(waiting)
            if run_id is not None:
                run = session.get_one(Run, run_id)
                run.state, run.attempts, run.started = "running", run.attempts + 1, now()
        return run_id

    def _evaluate(self, run_id: int) -> None:
        with self._services.database.read() as session:
            run = session.get(Run, run_id)
            job = None if run is None else make_job(session, self._services, run)
        if run is None:
            return
        if job is None:
            self._finish(run_id, {}, None)
            return
        try:
            result = self._worker.evaluate(job, self._services.settings.evaluation_seconds)
        except WorkerTooSlow as error:
            self._finish(run_id, {}, str(error))
        except WorkerDied as error:
            if self._ending.is_set():
                # The server ended it, so that this attempt says nothing about the run.
                self._wait(run_id, attempts=run.attempts - 1)
            elif run.attempts < _ATTEMPTS:
                self._wait(run_id, attempts=run.attempts)
            else:
                self._finish(run_id, {}, f"{error}, {run.attempts} times")
        else:
            error_line = result.get("error")
            self._finish(run_id, result, None if error_line is None else str(error_line))

    def _wait(self, run_id: int, *, attempts: int) -> None:
        with self._services.database.write() as session:
            values = {"state": "pending", "attempts": max(attempts, 0), "started": None}
            session.execute(update(Run).where(Run.id == run_id).values(**values))

    def _finish(self, run_id: int, result: Mapping[str, Any], error: str | None) -> None:
        with self._services.database.write() as session:
            run = session.get(Run, run_id)
            if run is None or run.state != "running":  # deleted meanwhile, or to be scored again
                return
            session.execute(delete(Evaluation).where(Evaluation.run_id == run_id))
            result, error = what_is_told(session, run, result, error)
            evaluations = list(_evaluations(run_id, result)) if error is None else []
            session.add_all(evaluations)
            run.differs = differing(run.claims, evaluations)
            run.partitions = plain_json(result.get("partitions") or {}) if error is None else {}
            run.state, run.error = ("done", None) if error is None else ("failed", error)
            run.started = None


def make_job(session: Session, services: Services, run: Run) -> dict[str, Any] | None:
    """Describe the work on a run for the worker.

    Returns
    -------
    dict or None
        `None` where no measure applies.
    """
    task = session.get_one(Task, run.task_id)
    dataset = session.get_one(Dataset, task.dataset_id)
    predictions = session.get_one(RunFile, (run.id, "predictions"))
    spec = json.loads(task.spec) if task.spec else default_spec(session, task, dataset)
    if not spec["metrics"]:
        return None
    files = {
        "predictions": predictions.file_id,
        "dataset": task.truth_id or dataset.file_id,
        "splits": task.splits_id,
    }
    paths = {
        name: str(services.files.path(get_file(session, file_id)))
        for name, file_id in files.items()
    }
    return with_truth(session, services, {**paths, "spec": spec, "job": run.id}, task.id)


def default_spec(session: Session, task: Task, dataset: Dataset) -> dict[str, Any]:
    """Make the evaluation of a task that came without one: OpenML's own, unweighted."""
    feature = session.scalar(
        select(Feature).where(Feature.dataset_id == dataset.id, Feature.name == task.target)
    )
    labels = sorted(feature.values) if feature else []
    regression = task.type_id == REGRESSION
    metrics = list(_OF_NUMBERS) if regression else ["predictive_accuracy"]
    if len(labels) == 2:
        metrics.append("area_under_roc_curve")
    name = PROCEDURES[task.procedure_id].name
    return {
        "task": dataset.name,
        "split": name,
        "title": f"{dataset.name}: {task.target}, {name}",
        "description": "",
        "target": task.target,
        "type": "regression" if regression else _type_of(labels),
        "positive": labels[-1] if len(labels) == 2 else None,
        "weight": None,
        "event_id": None,
        "class_sums": None,
        "metrics": metrics,
        "primary": task.measure if task.measure in metrics else next(iter(metrics), ""),
        "partitions": None,
        "doi": None,
        "citation": dataset.fields.get("citation"),
    }


def _type_of(labels: Sequence[str]) -> TaskType:
    return "binary-classification" if len(labels) == 2 else "multiclass-classification"


def _number(value: Any) -> float | None:
    """Give a value for the database: infinite ones are results too, NaN is none."""
    if isinstance(value, bool) or not isinstance(value, int | float) or math.isnan(value):
        return None
    return float(value)


def _evaluations(run_id: int, result: Mapping[str, Any]) -> Iterable[Evaluation]:
    for measure, score in result.get("scores", {}).items():
        yield Evaluation(
            run_id=run_id,
            measure=measure,
            repeat=None,
            fold=None,
            value=_number(score.get("value")),
            detail=plain_json(score),
        )
    for measure, folds in result.get("folds", {}).items():
        for fold in folds:
            yield Evaluation(
                run_id=run_id,
                measure=measure,
                repeat=int(fold["repeat"]),
                fold=int(fold["fold"]),
                value=_number(fold.get("value")),
                detail={},
            )


def differing(claims: Iterable[Mapping[str, Any]], evaluations: Iterable[Evaluation]) -> list[str]:
    """Give the measures in which a claim is not what the server found, in order of claiming.

    Measures that the server doesn't compute, such as times, can't differ; nor can those of a
    learning curve's samples.
    """
    found = {(e.measure, e.repeat, e.fold): e.value for e in evaluations}
    differs: dict[str, None] = {}
    for claim in claims:
        key = (claim["measure"], claim["repeat"], claim["fold"])
        if key not in found or "sample" in claim:
            continue
        if not agree(claim["value"], found[key]):
            differs[claim["measure"]] = None
    return list(differs)


def rescore(session: Session, task_id: int) -> int:
    """Let all runs of a task be evaluated again, for instance after a metric was added.

    Returns
    -------
    int
        How many runs wait now.
    """
    runs = session.scalars(
        select(Run)
        .join(RunFile, (RunFile.run_id == Run.id) & (RunFile.field == "predictions"))
        .where(Run.task_id == task_id)
    ).all()
    for run in runs:
        run.state, run.attempts, run.error, run.started = "pending", 0, None, None
    return len(runs)


def progress(session: Session, run: Run) -> str | None:
    """Say in a line what an unfinished run waits for.

    Returns
    -------
    str or None
        `None` for a run that is done or has failed.
    """
    if run.state == "running":
        since = "" if run.started is None else f" since {run.started.isoformat(sep=' ')} UTC"
        return f"is being evaluated{since}, attempt {run.attempts} of {_ATTEMPTS}"
    if run.state == "pending":
        before = session.scalar(
            select(func.count()).where(Run.state.in_(_UNFINISHED), Run.id < run.id)
        )
        again = f"; attempt {run.attempts} ended without an answer" if run.attempts else ""
        return f"waits for the evaluator, {before} runs before it{again}"
    return None
