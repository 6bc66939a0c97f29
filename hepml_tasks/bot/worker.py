"""The bot's loop: run what is left, publish what is finished, lose nothing on the way."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from hepml_tasks.bot.plan import Job
from hepml_tasks.errors import HepmlError, OutputError, ServerError
from hepml_tasks.evaluation.runs import score_run
from hepml_tasks.openml.connection import Connection
from hepml_tasks.openml.publication import publish_run
from hepml_tasks.running.run import FoldDone, execute

OnFold = Callable[[Job], FoldDone]
"""Gives, for a job, what is told of its finished folds."""
OnEvent = Callable[[str], None]
"""Told, in a line for people, of each thing that is done or fails."""


@dataclass(frozen=True)
class Outcome:
    """What a bot did with a plan.

    Parameters
    ----------
    published : int
        Runs put on the server, or found there.
    waiting : int
        Finished runs that could not be sent: they are in the spool.
    failed : tuple of str
        Runs that failed, each with its reason in a line.
    left : int
        Runs that were not begun, for want of time.
    """

    published: int = 0
    waiting: int = 0
    failed: tuple[str, ...] = ()
    left: int = 0


def work(
    jobs: Sequence[Job],
    *,
    spool: Path,
    connection: Connection | None = None,
    n_jobs: int | None = None,
    max_seconds: float | None = None,
    on_fold: OnFold = lambda _job: lambda _done, _all: None,
    on_event: OnEvent = lambda _line: None,
) -> Outcome:
    """Do what is left of a plan.

    Parameters
    ----------
    jobs : sequence of Job
        From `plan`.
    spool : Path
    connection : Connection, optional
        Where finished runs are published; without one they stay in the spool.
    n_jobs : int, optional
        Processes a run.
    max_seconds : float, optional
        No job is begun after that time.
    on_fold : callable
    on_event : callable

    Returns
    -------
    Outcome
    """
    begun = time.monotonic()
    published, waiting, left = 0, 0, 0
    failed: list[str] = []
    for job in jobs:
        if job.state == "published":
            published += 1
            continue
        if max_seconds is not None and time.monotonic() - begun > max_seconds:
            left += 1
            continue
        try:
            if job.state != "finished":
                _run(job, spool=spool, n_jobs=n_jobs, on_fold=on_fold, on_event=on_event)
            if connection is None:
                waiting += 1
                continue
            done = publish_run(connection, job.folder)
        except ServerError as error:
            # the run is safe in its folder: the same command sends it later
            waiting += 1
            on_event(f"{job.name}: not sent: {error}")
        except OutputError:
            # no other run could be kept either
            raise
        except HepmlError as error:
            failed.append(f"{job.name}: {error}")
            on_event(f"{job.name}: failed: {error}")
        else:
            published += 1
            on_event(f"{job.name}: run {done.run_id} of task {done.task_id} is on the server")
    return Outcome(published, waiting, tuple(failed), left)


def _run(job: Job, *, spool: Path, n_jobs: int | None, on_fold: OnFold, on_event: OnEvent) -> None:
    start = time.monotonic()
    folder = execute(
        job.task,
        job.flow.name,
        job.flow.build(),
        seed=job.seed,
        spool=spool,
        n_jobs=n_jobs,
        on_fold=on_fold(job),
    )
    evaluation = score_run(folder, job.task)
    primary = job.task.spec.metrics.primary
    # without labels the server alone has a score
    score = evaluation.scores.get(primary)
    found = (
        "finished" if score is None else f"{primary} {score.value:.3g} ± {score.uncertainty:.2g}"
    )
    on_event(f"{job.name}: {found} in {time.monotonic() - start:.1f} s")
