"""Send the finished runs of a spool, from any machine, any number of times, each once."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from hepml_tasks.errors import HepmlError, UnreachableError
from hepml_tasks.openml.connection import Connection
from hepml_tasks.openml.publication import publish_run
from hepml_tasks.running.folder import RunFolder
from hepml_tasks.running.spool import runs_in
from hepml_tasks.running.state import locked, state_of

_BUSY_PAUSE = 0.5
_BUSY_SECONDS = 60.0


@dataclass
class Sent:
    """What became of the runs of a spool, by the names of their folders.

    Parameters
    ----------
    sent, there : dict of str to int
        Run ids: sent now, and known to the server before.
    unfinished : list of str
        Runs without all of their folds, and those that failed.
    refused : dict of str to str
        Runs that could not be sent, with the reason.
    """

    sent: dict[str, int] = field(default_factory=dict)
    there: dict[str, int] = field(default_factory=dict)
    unfinished: list[str] = field(default_factory=list)
    refused: dict[str, str] = field(default_factory=dict)

    @property
    def is_all(self) -> bool:
        """Whether the server has every run of the spool."""
        return not self.unfinished and not self.refused

    def to_json(self) -> dict[str, Any]:
        """Give plain values."""
        return asdict(self)


def upload_spool(
    connection: Connection,
    spool: Path,
    *,
    tell: Callable[[str], None] = lambda _line: None,
) -> Sent:
    """Send every finished run of a spool that a server lacks.

    Parameters
    ----------
    connection : Connection
    spool : Path
    tell : callable
        Told in a line what becomes of each.

    Returns
    -------
    Sent
    """
    sent, later = Sent(), []
    end = time.monotonic() + _BUSY_SECONDS
    waiting = list(runs_in(spool))
    while waiting:
        for folder in waiting:
            try:
                # what another process sends meanwhile is looked at last
                with locked(folder, wait=False):
                    _send(connection, folder, sent, tell)
            except TimeoutError:
                later.append(folder)
            except UnreachableError as error:
                for left in (*later, *waiting[waiting.index(folder) :]):
                    sent.refused[left.path.name] = str(error)
                tell(str(error))
                return sent
            except HepmlError as error:
                sent.refused[folder.path.name] = str(error)
                tell(f"{folder.path.name}: not sent: {error}")
        if later and time.monotonic() > end:
            for folder in later:
                sent.refused[folder.path.name] = "another process works on it"
                tell(f"{folder.path.name}: not sent: another process works on it")
            later = []
        waiting, later = later, []
        if waiting:
            time.sleep(_BUSY_PAUSE)
    return sent


def _send(
    connection: Connection, folder: RunFolder, sent: Sent, tell: Callable[[str], None]
) -> None:
    name, state = folder.path.name, state_of(folder, busy=True)
    if state.state in {"started", "failed"}:
        sent.unfinished.append(name)
        tell(f"{name}: not finished, run it again")
        return
    if state.state == "broken":
        sent.refused[name] = state.reason
        tell(f"{name}: not sent: the folder is not whole ({state.reason}); copy it again")
        return
    done = publish_run(connection, folder, is_locked=True)
    (sent.there if done.was_there else sent.sent)[name] = done.run_id
    how = "was there" if done.was_there else "sent"
    tell(f"{name}: {how}, run {done.run_id}")
