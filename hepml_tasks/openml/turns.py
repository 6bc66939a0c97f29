"""One at a time registers a task: of two that begin at once, one finds what the other made."""

from __future__ import annotations

import contextlib
import json
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from filelock import FileLock

from hepml_tasks.errors import OutputError, ServerError, UnreachableError
from hepml_tasks.openml.connection import Connection
from hepml_tasks.running.spool import spool_id

_LOCK = ".registering.lock"
_SECONDS = 600
_PAUSE = 0.5


@contextmanager
def turn(connection: Connection, spool: Path, name: str) -> Iterator[None]:
    """Wait until nobody else of this spool, nor of a server of this package, registers a task.

    Parameters
    ----------
    connection : Connection
    spool : Path
    name : str
        The task's.

    Raises
    ------
    ServerError
        If the server can't be reached.
    OutputError
        If the spool can't be written.
    """
    try:
        holding = FileLock(spool / _LOCK).acquire()
    except OSError as error:
        raise OutputError(f"{spool / _LOCK}: can't be written ({error.strerror})") from error
    with holding:
        if not connection.is_ours():
            yield
            return
        fields = {
            "names": json.dumps([f"register {name}"]),
            # a bot that was killed is known again
            "holder": spool_id(spool),
            "seconds": str(_SECONDS),
        }
        _take(connection, fields)
        try:
            yield
        finally:
            # else it runs out by itself
            with contextlib.suppress(ServerError):
                connection.post_json("leases/release", fields=fields)


def _take(connection: Connection, fields: dict[str, str]) -> None:
    end = time.monotonic() + _SECONDS
    while time.monotonic() < end:
        try:
            if connection.post_json("leases", fields=fields)["granted"]:
                return
        except UnreachableError:
            raise
        except ServerError:
            # an older server has no leases
            return
        time.sleep(_PAUSE)
