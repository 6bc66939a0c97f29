"""How far a bot is, in the log of a batch job: a line now and then, and no carriage return."""

from __future__ import annotations

import time
from collections.abc import Callable

from hepml_tasks.bot.log import Event

_OVER = {"sent", "not_sent", "run_failed", "held"}


class Progress:
    """Counts what is done, and says so at most once in a while.

    Parameters
    ----------
    runs : int
        How many there are to do.
    say : callable
        Prints a line.
    every : float
        Seconds between two lines.
    publishes : bool
        Whether a run is over only when it was sent.
    """

    def __init__(
        self, runs: int, say: Callable[[str], None], *, every: float, publishes: bool
    ) -> None:
        self._runs, self._say, self._every = runs, say, every
        self._over = _OVER if publishes else {"run_done", "run_failed", "held"}
        self._begun = self._said = time.monotonic()
        self._ended: set[str] = set()
        self._folds = 0

    def __call__(self, event: Event) -> None:
        """Take an event into account."""
        self._folds += event["event"] == "fold_done"
        if event["event"] in self._over:
            self._ended.add(event["folder"])
        if time.monotonic() - self._said >= self._every:
            self._said = time.monotonic()
            self._say(self.line())

    def line(self) -> str:
        """Return how far it is."""
        gone = time.monotonic() - self._begun
        done = len(self._ended)
        left = f", about {_short(gone / done * (self._runs - done))} left" if done else ""
        return f"{done} of {self._runs} runs, {self._folds} folds in {_short(gone)}{left}"


def _short(seconds: float) -> str:
    return f"{seconds:.0f} s" if seconds < 120 else f"{seconds / 60:.0f} min"
