"""Which of several bots that share a queue does a run: leases of a server of this package.

On other servers, and while the server is away, a bot works without: then what two of them do at
once is done twice, and still published once.
"""

from __future__ import annotations

import contextlib
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType

from hepml_tasks.errors import ServerError
from hepml_tasks.openml.connection import Connection
from hepml_tasks.running.spool import spool_id

SECONDS = 120
"""How long a lease lasts; it is renewed three times as often."""


class Claims:
    """The runs that this bot has in hand.

    Parameters
    ----------
    connection : Connection, optional
    spool : Path
        Its UUID is the holder's name.
    seconds : int
        How long a lease lasts.
    """

    def __init__(
        self, connection: Connection | None, spool: Path, *, seconds: int = SECONDS
    ) -> None:
        self._connection, self._seconds = connection, seconds
        self._holder = "" if connection is None else spool_id(spool)
        self._names: set[str] = set()
        self._lock = threading.Lock()
        self._over = threading.Event()
        self._ours = False

    def __enter__(self) -> Claims:
        with contextlib.suppress(ServerError):
            self._ours = self._connection is not None and self._connection.is_ours()
        if self._ours:
            threading.Thread(target=self._renew, daemon=True).start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._over.set()

    @contextmanager
    def held(self, name: str) -> Iterator[bool]:
        """Hold the lease on a run, renewed until the block ends.

        Yields
        ------
        bool
            False where another bot has it.
        """
        if not self._ours:
            yield True
            return
        granted = self._ask("leases", [name])
        if granted is not None and name not in granted:
            yield False
            return
        with self._lock:
            self._names.add(name)
        try:
            yield True
        finally:
            with self._lock:
                self._names.discard(name)
            self._ask("leases/release", [name])

    def _renew(self) -> None:
        while not self._over.wait(self._seconds / 3):
            with self._lock:
                names = sorted(self._names)
            if names:
                self._ask("leases", names)

    def _ask(self, path: str, names: list[str]) -> list[str] | None:
        """Return the names that were granted, or None where nobody could be asked."""
        fields = {
            "holder": self._holder,
            "names": json.dumps(names),
            "seconds": str(self._seconds),
        }
        if self._connection is None:
            return None
        try:
            return list(self._connection.post_json(path, fields=fields).get("granted", []))
        except ServerError:
            return None
