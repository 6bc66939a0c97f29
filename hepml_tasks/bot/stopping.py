"""How a bot is asked to end: a signal, or the time that it was given."""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any

SIGNALS = (signal.SIGTERM, signal.SIGINT, signal.SIGUSR1, signal.SIGUSR2)
"""Slurm sends the one that ``--signal`` names before it ends a job; the others send SIGTERM."""


class Stop:
    """Whether the bot is to end, and why.

    Parameters
    ----------
    on_stop : callable
        Told the reason, once.
    """

    def __init__(self, on_stop: Callable[[str], None] = lambda _reason: None) -> None:
        self.event = threading.Event()
        self.reason = ""
        self._on_stop = on_stop

    def ask(self, reason: str) -> None:
        """Have the bot end; only the first reason counts."""
        if not self.event.is_set():
            self.reason = reason
            self.event.set()
            # a signal's handler must not wait for a lock that what it interrupted holds
            threading.Thread(target=self._on_stop, args=(reason,), daemon=True).start()

    def __bool__(self) -> bool:
        return self.event.is_set()


@contextmanager
def asked_by_signals(stop: Stop) -> Iterator[None]:
    """Take the signals of terminals and batch systems as a request to end.

    A second one ends the process as if nobody had listened.
    """
    before: dict[int, Any] = {}

    def handle(number: int, _frame: FrameType | None) -> None:
        stop.ask(signal.Signals(number).name)
        for one, handler in before.items():
            signal.signal(one, handler)

    if threading.current_thread() is threading.main_thread():
        before = {number: signal.signal(number, handle) for number in SIGNALS}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


@contextmanager
def asked_after(stop: Stop, seconds: float | None) -> Iterator[None]:
    """Ask to end when a time is over; it is measured by a clock that doesn't jump."""
    if seconds is None:
        yield
        return
    timer = threading.Timer(seconds, stop.ask, [f"its {seconds:g} s are over (--max-time)"])
    timer.daemon = True
    if seconds > 0:
        timer.start()
    else:
        stop.ask("it was given no time (--max-time)")
    try:
        yield
    finally:
        timer.cancel()
