"""What a bot does, event by event: JSON lines for programs, lines for people."""

from __future__ import annotations

import contextlib
import json
import os
import platform
import threading
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from hepml_tasks.errors import OutputError

Event = Mapping[str, Any]
"""Has `time` and `event`, and what belongs to it: `run`, `repeat`, `fold`, `reason` …"""
Sink = Callable[[Event], None]


class Log:
    """Tells every event to all who listen, one at a time.

    Parameters
    ----------
    sinks : sequence of callable
    """

    def __init__(self, sinks: Sequence[Sink] = ()) -> None:
        self._sinks = list(sinks)
        self._lock = threading.Lock()

    def tell(self, event: str, **about: Any) -> None:
        """Tell an event."""
        told = {"time": datetime.now(UTC).isoformat(timespec="milliseconds"), "event": event}
        with self._lock:
            for sink in self._sinks:
                sink({**told, **about})


def to_file(path: Path) -> Sink:
    """Return the sink that appends JSON lines to a file, to which several bots may write.

    A disk that becomes full costs lines, and no run.

    Raises
    ------
    OutputError
        If the file can't be opened.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o666)
    except OSError as error:
        raise OutputError(
            f"{path}: can't be written ({error.strerror}); name another file with --log"
        ) from error
    who = {"host": platform.node(), "pid": os.getpid()}

    def sink(event: Event) -> None:
        with contextlib.suppress(OSError):
            # in one piece, so that the lines of two bots are not mixed
            os.write(handle, (json.dumps({**event, **who}) + "\n").encode())

    return sink


_LINES: dict[str, str] = {
    "run_done": "{run}: {found} in {seconds:.1f} s",
    "run_failed": "{run}: failed: {reason}",
    "sent": "{run}: run {run_id} of task {task_id} is on the server",
    "not_sent": "{run}: not sent: {reason}",
    "held": "{run}: left to another bot",
    "stopping": "stopping: {reason}; what is finished is kept",
    "trying_again": "{run}: {reason}; trying again in {seconds:g} s",
}


def line_of(event: Event) -> str | None:
    """Return an event as a line for people, or None for one that only a program wants to know."""
    form = _LINES.get(event["event"])
    return None if form is None else form.format_map(dict(event))
