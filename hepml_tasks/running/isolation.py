"""An engine that keeps flows apart from the bot: what one of them does ends no other."""

from __future__ import annotations

import contextlib
import itertools
import os
import pickle
import queue
import socket
import sys
import threading
import time
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from multiprocessing.connection import Connection, Pipe
from types import TracebackType
from typing import Any, Literal, TypeVar

from hepml_tasks.errors import OutputError, RunError
from hepml_tasks.running.engines import Engine, FoldWork
from hepml_tasks.running.fold import run_fold, thread_pools
from hepml_tasks.running.nursery import Begun, Call, Drop, Ended, Keep, resident, tend
from hepml_tasks.running.resources import cores, memory_limit
from hepml_tasks.splits import Split

Kind = Literal["failed", "crashed", "memory", "time"]
"""``failed``: it raised, or gave NaN; ``crashed``: its process died; ``time``: it took too long."""

T = TypeVar("T")

_LOOK = 0.2
_SPARE = 0.05
_LEAST = 32 << 20


class FlowFailedError(RunError):
    """A flow did not do its work, and would not do it the next time either.

    Parameters
    ----------
    message : str
    kind : str
    """

    def __init__(self, message: str, kind: Kind) -> None:
        super().__init__(message)
        self.kind = kind

    def __reduce__(self) -> tuple[type[FlowFailedError], tuple[str, Kind]]:
        # it comes back from the worker of a cluster
        return type(self), (str(self), self.kind)


class StoppedError(Exception):
    """The work was asked to end; what is finished is kept."""


@dataclass(frozen=True)
class Watch:
    """What ends a run early, and who is told of its folds.

    Parameters
    ----------
    stop : Event
        Set when the work is to end.
    max_seconds : float, optional
        How long a run's folds may take.
    on_begun : callable
        Told of a fold that is begun, and of its process.
    """

    stop: threading.Event
    max_seconds: float | None = None
    on_begun: Callable[[Split, int], None] = lambda _split, _pid: None


class Isolation:
    """Processes for folds, a child each, that are kept from harming anything else.

    Parameters
    ----------
    processes : int, optional
        How many folds are fitted at once; one a core by default. The cores are shared out.
    max_memory : int, optional
        Bytes that this process and all folds may use together; what the batch system, the control
        group and the machine grant by default. Each fold has an equal share.
    """

    def __init__(self, *, processes: int | None = None, max_memory: int | None = None) -> None:
        available = cores()
        self.processes = processes or available
        self.threads = max(1, available // self.processes)
        self._max_memory = max_memory
        self._numbers = itertools.count()
        self._calls: dict[int, queue.SimpleQueue[Begun | Ended]] = {}
        self._lock = threading.Lock()
        self._channel: Connection | None = None

    def __enter__(self) -> Isolation:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        with self._lock:
            if self._channel is not None:
                # closing it would not reach the nursery while a thread listens here
                with socket.socket(fileno=os.dup(self._channel.fileno())) as both_ways:
                    both_ways.shutdown(socket.SHUT_RDWR)
                self._channel = None

    def engine(self, watch: Watch) -> Engine:
        """Return the engine that fits the folds of a run here.

        It raises `FlowFailedError`, or `StoppedError` when it is told to stop.

        Parameters
        ----------
        watch : Watch
        """

        def engine(work: FoldWork) -> Iterator[None]:
            X, y, weight = work.task.data()
            options = work.options(threads=self.threads)
            with self._sharing((work.estimator, X, y, weight, options)) as key:
                yield from self._folds(key, work, watch)

        return engine

    def call(self, function: Callable[..., None], data: Any, watch: Watch) -> None:
        """Call ``function(data)`` in a child, and wait for it; raises as the engine does."""
        with self._sharing(data) as key:
            answers: queue.SimpleQueue[Begun | Ended] = queue.SimpleQueue()
            self._send(key, function, (), answers)
            while True:
                answer = awaited(answers, watch)
                if isinstance(answer, Ended):
                    _raise(answer, "the scores could not be computed")
                    return

    def _folds(self, key: int, work: FoldWork, watch: Watch) -> Iterator[None]:
        answers: queue.SimpleQueue[Begun | Ended] = queue.SimpleQueue()
        splits = {self._send(key, _fold, (split,), answers): split for split in work.splits}
        begun: float | None = None
        again: set[tuple[int, int]] = set()
        while splits:
            answer = awaited(answers, watch, begun)
            if isinstance(answer, Begun):
                begun = begun or time.monotonic()
                watch.on_begun(splits[answer.number], answer.pid)
                continue
            split = splits.pop(answer.number)
            place = (split.repeat, split.fold)
            if answer.killed and place not in again:
                # a farm that ends a job may reach the fold before it reaches the bot
                again.add(place)
                splits[self._send(key, _fold, (split,), answers)] = split
                continue
            _raise(answer, f"the flow failed in repeat {split.repeat}, fold {split.fold}")
            yield

    @contextlib.contextmanager
    def _sharing(self, data: Any) -> Iterator[int]:
        key = next(self._numbers)
        self._post(Keep(key, pickle.dumps(data, protocol=5)))
        try:
            yield key
        finally:
            with contextlib.suppress(RunError):
                self._post(Drop(key))

    def _send(
        self,
        key: int,
        function: Callable[..., None],
        arguments: tuple[Any, ...],
        answers: queue.SimpleQueue[Begun | Ended],
    ) -> int:
        number = next(self._numbers)
        self._calls[number] = answers
        self._post(Call(number, key, function, arguments))
        return number

    def _post(self, message: Keep | Call | Drop) -> None:
        with self._lock:
            if self._channel is None:
                self._channel = self._start()
            try:
                self._channel.send(message)
            except OSError as error:
                self._channel = None
                raise RunError(f"the process that keeps flows apart died: {error}") from error

    def _start(self) -> Connection:
        """Fork the nursery from a thread that never computed.

        OpenMP's pool belongs to the thread that made it: a child of another thread makes its own.
        """
        # what a fold looks for is found once, here, and not in every child
        thread_pools(len(sys.modules))

        ours, theirs = Pipe()
        forked = threading.Event()
        memory = self._share_of_memory()
        thread = threading.Thread(
            target=self._fork_and_listen, args=(ours, theirs, forked, memory), daemon=True
        )
        thread.start()
        forked.wait()
        return ours

    def _fork_and_listen(
        self, ours: Connection, theirs: Connection, forked: threading.Event, memory: int
    ) -> None:
        with warnings.catch_warnings():
            # what other threads do here does not matter to the child, which computes nothing
            warnings.simplefilter("ignore", DeprecationWarning)
            pid = os.fork()
        if pid == 0:
            try:
                tend(theirs, processes=self.processes, memory=memory)
            finally:
                os._exit(0)
        theirs.close()
        forked.set()
        # this thread lives as long as the child: the kernel takes its end for the parent's
        with contextlib.suppress(EOFError, OSError):
            while True:
                answer = ours.recv()
                self._calls[answer.number].put(answer)
                if isinstance(answer, Ended):
                    del self._calls[answer.number]
        os.waitpid(pid, 0)
        with self._lock:
            if self._channel is ours:
                self._channel = None
            ours.close()
        for number, answers in list(self._calls.items()):
            answers.put(Ended(number, "cancelled"))

    def _share_of_memory(self) -> int:
        whole = self._max_memory or int(memory_limit() * (1 - _SPARE))
        share = (whole - resident(os.getpid())) // self.processes
        if share < _LEAST:
            raise RunError(
                f"{whole / 1e6:.0f} MB of memory are too little for {self.processes} processes:"
                " give more with --max-memory, or take fewer with --n-jobs"
            )
        return share


def awaited(answers: queue.SimpleQueue[T], watch: Watch, begun: float | None = None) -> T:
    """Return the next answer, unless what watches the work ends it before.

    Parameters
    ----------
    answers : SimpleQueue
    watch : Watch
    begun : float, optional
        When the first fold was begun, by the clock that doesn't jump.

    Raises
    ------
    StoppedError
        If the work is to end.
    FlowFailedError
        If it took too long.
    """
    while True:
        if watch.stop.is_set():
            raise StoppedError
        taken = 0.0 if begun is None else time.monotonic() - begun
        if watch.max_seconds is not None and taken > watch.max_seconds:
            raise FlowFailedError(
                f"its folds took longer than {watch.max_seconds:g} s (--max-run-time)", "time"
            )
        with contextlib.suppress(queue.Empty):
            return answers.get(timeout=_LOOK)


def _raise(answer: Ended, what: str) -> None:
    if answer.how == "unwritten":
        raise OutputError(answer.reason)
    if answer.how == "failed":
        raise FlowFailedError(answer.reason, "failed")
    if answer.how == "memory":
        raise FlowFailedError(f"{what}: {answer.reason} (--max-memory)", "memory")
    if answer.how == "cancelled":
        raise RunError("the process that keeps flows apart died; run it again")
    if answer.how != "done":
        raise FlowFailedError(f"{what}: {answer.reason}", "crashed")


def _fold(data: Any, split: Split) -> None:
    estimator, X, y, weight, options = data
    run_fold(estimator, X, y, weight, split, **options)
