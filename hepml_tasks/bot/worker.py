"""The bot's loop: run what is left, publish what is finished, lose nothing on the way."""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from hepml_tasks.bot.claims import Claims
from hepml_tasks.bot.log import Log
from hepml_tasks.bot.plan import Job
from hepml_tasks.bot.stopping import Stop, asked_after, asked_by_signals
from hepml_tasks.errors import FarmError, HepmlError, OutputError, ServerError
from hepml_tasks.evaluation.runs import score_run
from hepml_tasks.openml.connection import Connection
from hepml_tasks.openml.details import key_of
from hepml_tasks.openml.publication import publish_run, runs_on
from hepml_tasks.running.cluster import Cluster
from hepml_tasks.running.folder import RunFolder
from hepml_tasks.running.isolation import FlowFailedError, Isolation, StoppedError, Watch
from hepml_tasks.running.run import FoldDone, execute
from hepml_tasks.running.state import (
    failure_of,
    forget_failure,
    locked,
    mark_failed,
    mend,
    problem_of,
)
from hepml_tasks.splits import Split

OnFold = Callable[[Job], FoldDone]
"""Gives, for a job, what is told of its finished folds."""

_LAST_WORDS = 8.0
"""Seconds that what is being sent has when the bot is asked to end."""
_BETWEEN_ROUNDS = 2.0


@dataclass(frozen=True)
class Limits:
    """What a bot may use.

    Parameters
    ----------
    n_jobs : int, optional
        Folds that are fitted at once, of one run or of several; one a core by default.
    max_memory : int, optional
        Bytes for the bot and all folds together; what the batch system grants by default.
    max_seconds : float, optional
        The bot ends then: a run in progress is stopped, and its finished folds are kept.
    max_run_seconds : float, optional
        The folds of a run may take so long; then it has failed.
    """

    n_jobs: int | None = None
    max_memory: int | None = None
    max_seconds: float | None = None
    max_run_seconds: float | None = None


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
        Runs that failed, now or earlier, each with its reason in a line.
    left : int
        Runs that are not finished, as the bot was asked to end.
    held : int
        Runs that another bot has in hand.
    """

    published: int = 0
    waiting: int = 0
    failed: tuple[str, ...] = ()
    left: int = 0
    held: int = 0


@dataclass
class _Bot:
    """What the threads of a bot share."""

    jobs: deque[Job]
    spool: Path
    connection: Connection | None
    claims: Claims
    isolation: Isolation
    cluster: Cluster | None
    stop: Stop
    log: Log
    on_fold: OnFold
    max_run_seconds: float | None
    retry_failed: bool
    lock: threading.Lock = field(default_factory=threading.Lock)
    ended: dict[str, str] = field(default_factory=dict)
    reasons: dict[str, str] = field(default_factory=dict)
    broken: BaseException | None = None

    def work(self) -> None:
        """Do job after job, until there is none or the bot is asked to end."""
        while not self.stop:
            with self.lock:
                if not self.jobs:
                    return
                job = self.jobs.popleft()
            try:
                self._end(job, self._do(job))
            except StoppedError:
                return
            except BaseException as error:
                # no other run could be kept either, or it is a fault of ours
                self.broken = error
                self.stop.ask(str(error))
                return

    def _end(self, job: Job, how: str, reason: str = "") -> str:
        with self.lock:
            self.ended[job.key] = how
            if reason:
                self.reasons[job.key] = f"{job.name}: {reason}"
        return how

    def _do(self, job: Job) -> str:
        if job.state == "published":
            return "published"
        try:
            with ExitStack() as held:
                held.enter_context(locked(job.folder, wait=False))
                if not job.folder.is_complete or problem_of(job.folder) is not None:
                    failure = failure_of(job.folder)
                    if failure is not None and not self.retry_failed:
                        return self._end(job, "failed", str(failure.get("reason")))
                    if not held.enter_context(self.claims.held(job.folder.path.name)):
                        self.log.tell("held", **job.about)
                        return "held"
                    if self._is_there_by_now(job):
                        return "published"
                    self._run(job)
                if self.connection is None:
                    return "waiting"
                return self._send(job, self.connection)
        except TimeoutError:
            self.log.tell("held", **job.about)
            return "held"
        except (FarmError, OutputError):
            raise
        except HepmlError as error:
            if isinstance(error, FlowFailedError):
                mark_failed(job.folder, kind=error.kind, reason=str(error))
            self.log.tell("run_failed", **job.about, reason=str(error))
            return self._end(job, "failed", str(error))

    def _is_there_by_now(self, job: Job) -> bool:
        """Whether another bot has published a run since the plan was made."""
        if self.connection is None or job.task_id is None:
            return False
        try:
            runs = runs_on(self.connection, job.task_id)
        except ServerError:
            return False
        return any(details.get("key") == key_of(job.folder) for details in runs.values())

    def _run(self, job: Job) -> None:
        start = time.monotonic()
        mend(job.folder)
        self.log.tell("run_begun", **job.about)

        def begun(split: Split, pid: int) -> None:
            at = {"repeat": split.repeat, "fold": split.fold, "process": pid}
            self.log.tell("fold_begun", **job.about, **at)

        told = self.on_fold(job)

        def done(count: int, of: int) -> None:
            self.log.tell("fold_done", **job.about, done=count, of=of)
            told(count, of)

        watch = Watch(self.stop.event, self.max_run_seconds, begun)
        folder = execute(
            job.task,
            job.label,
            job.build(),
            seed=job.seed,
            spool=self.spool,
            engine=(self.cluster or self.isolation).engine(watch),
            on_fold=done,
        )
        self.isolation.call(_score, (folder, job.task), Watch(self.stop.event))
        forget_failure(folder)
        found = _found(job, folder)
        self.log.tell("run_done", **job.about, found=found, seconds=time.monotonic() - start)

    def _send(self, job: Job, connection: Connection) -> str:
        self.log.tell("sending", **job.about)

        def again(reason: str, seconds: float) -> None:
            self.log.tell("trying_again", **job.about, reason=reason, seconds=seconds)
            if self.stop.event.wait(seconds):
                raise StoppedError

        try:
            sent = publish_run(connection, job.folder, is_locked=True, pause=again)
        except ServerError as error:
            # the run is safe in its folder: the same command sends it later
            self.log.tell("not_sent", **job.about, reason=str(error))
            return "waiting"
        ids = {"run_id": sent.run_id, "task_id": sent.task_id, "was_there": sent.was_there}
        self.log.tell("sent", **job.about, **ids)
        return "published"


def work(
    jobs: Sequence[Job],
    *,
    spool: Path,
    connection: Connection | None = None,
    limits: Limits | None = None,
    cluster: Cluster | None = None,
    retry_failed: bool = False,
    wait: bool = False,
    on_fold: OnFold = lambda _job: lambda _done, _all: None,
    log: Log | None = None,
) -> Outcome:
    """Do what is left of a plan.

    Parameters
    ----------
    jobs : sequence of Job
        From `plan`.
    spool : Path
    connection : Connection, optional
        Where finished runs are published; without one they stay in the spool.
    limits : Limits, optional
    cluster : Cluster, optional
        Its workers fit the folds, instead of processes of this machine. Of the limits only
        `max_seconds` counts for them then: their resources are the cluster's.
    retry_failed : bool
        Also do runs that failed before.
    wait : bool
        Wait for the runs that other bots have in hand, and take over those of a dead one.
    on_fold : callable
    log : Log, optional

    Returns
    -------
    Outcome

    Raises
    ------
    OutputError
        If the spool can't be written.
    FarmError
        If the cluster is gone.
    """
    limits, log = limits or Limits(), log or Log()
    stop = Stop(lambda reason: log.tell("stopping", reason=reason))
    log.tell("bot_begun", jobs=len(jobs), spool=str(spool))
    with (
        asked_by_signals(stop),
        asked_after(stop, limits.max_seconds),
        Isolation(processes=limits.n_jobs, max_memory=limits.max_memory) as isolation,
        Claims(connection, spool) as claims,
    ):
        bot = _Bot(
            deque(jobs),
            spool,
            connection,
            claims,
            isolation,
            cluster,
            stop,
            log,
            on_fold,
            limits.max_run_seconds,
            retry_failed,
        )
        _round(bot)
        while wait and not stop and (held := _held(bot, jobs)):
            if not stop.event.wait(_BETWEEN_ROUNDS):
                bot.jobs.extend(held)
                _round(bot)
    if bot.broken is not None:
        raise bot.broken
    outcome = _outcome(bot, jobs)
    log.tell("bot_done", **{**vars(outcome), "failed": list(outcome.failed)})
    return outcome


def _round(bot: _Bot) -> None:
    at_once = bot.isolation.processes if bot.cluster is None else bot.cluster.workers
    threads = [
        threading.Thread(target=bot.work, daemon=True) for _ in range(min(at_once, len(bot.jobs)))
    ]
    for thread in threads:
        thread.start()
    end: float | None = None
    while alive := [thread for thread in threads if thread.is_alive()]:
        alive[0].join(0.2)
        if bot.stop:
            end = end or time.monotonic() + _LAST_WORDS
            if time.monotonic() > end:
                # what is being sent may be sent again: the server has it once
                return


def _held(bot: _Bot, jobs: Sequence[Job]) -> list[Job]:
    return [job for job in jobs if bot.ended.get(job.key) == "held"]


def _outcome(bot: _Bot, jobs: Sequence[Job]) -> Outcome:
    with bot.lock:
        how = [bot.ended.get(job.key, "") for job in jobs]
        failed = tuple(bot.reasons[j.key] for j in jobs if bot.ended.get(j.key) == "failed")
    # one that was being sent when the bot ended is whole in its folder
    cut = [job for job, h in zip(jobs, how, strict=True) if not h]
    whole = sum(job.folder.is_complete for job in cut)
    return Outcome(
        published=how.count("published"),
        waiting=how.count("waiting") + whole,
        failed=failed,
        left=len(cut) - whole,
        held=how.count("held"),
    )


def _score(data: tuple[RunFolder, Any]) -> None:
    score_run(*data)


def _found(job: Job, folder: RunFolder) -> str:
    primary = job.task.spec.metrics.primary
    # without labels the server alone has a score
    score = folder.scores["scores"].get(primary)
    if score is None or score["value"] is None:
        return "finished"
    spread = "" if score["uncertainty"] is None else f" ± {score['uncertainty']:.2g}"
    return f"{primary} {score['value']:.3g}{spread}"
