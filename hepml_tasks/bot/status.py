"""How a spool and a server stand, run by run and in numbers."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hepml_tasks.errors import HepmlError, ServerError
from hepml_tasks.openml.connection import Connection
from hepml_tasks.running.spool import runs_in
from hepml_tasks.running.state import RunState, state_of


@dataclass(frozen=True)
class Standing:
    """A run of the spool.

    Parameters
    ----------
    name : str
        Its folder's.
    state : RunState
    """

    name: str
    state: RunState

    def to_json(self) -> dict[str, Any]:
        """Give plain values."""
        told = self.state
        return {
            "run": self.name,
            "state": told.state,
            "folds": told.folds,
            "reason": told.reason,
            "published": list(told.published),
            "busy": told.busy,
        }


def spool_status(spool: Path) -> list[Standing]:
    """Return how each run of a spool stands."""
    found = []
    for folder in runs_in(spool):
        try:
            state = state_of(folder)
        except HepmlError as error:
            state = RunState("broken", 0, str(error))
        found.append(Standing(folder.path.name, state))
    return found


def count(standings: list[Standing], server: str | None = None) -> dict[str, int]:
    """Return how many runs are in each state.

    Parameters
    ----------
    standings : list of Standing
    server : str, optional
        Its name for file names: runs that it took are counted as published.
    """
    numbers: Counter[str] = Counter()
    for one in standings:
        there = one.state.published if server is None else server in one.state.published
        numbers["published" if one.state.state == "finished" and there else one.state.state] += 1
        numbers["busy"] += one.state.busy
    states = ("published", "finished", "started", "failed", "broken", "busy")
    return {state: numbers[state] for state in states}


def server_status(connection: Connection) -> dict[str, Any]:
    """Return what a server says of runs that bots have in hand, and of its own work.

    On a server that is none of this package there is only its address.
    """
    told: dict[str, Any] = {"server": connection.root, "answers": True, "leases": []}
    try:
        if connection.is_ours():
            told["leases"] = connection.get_json("leases")["leases"]
        else:
            connection.get("evaluationmeasure/list")
    except ServerError as error:
        told |= {"answers": False, "error": str(error)}
    return told
