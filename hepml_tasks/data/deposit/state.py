"""What a deposit's folder remembers: which draft it became, on each server."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from hepml_tasks.errors import ServerError
from hepml_tasks.formats.atomic import write_atomically

STATE = ".zenodo.json"


@dataclass(frozen=True)
class State:
    """What is remembered of a folder's deposit on one server.

    Parameters
    ----------
    mark : str
        Names the draft while its number isn't known yet.
    deposit : int, optional
        The draft's number.
    new_version_of : str, optional
        As it was asked for.
    inherited : tuple of str
        Files that the new version began with.
    described : str
        Checksum of the metadata that were sent.
    """

    mark: str
    deposit: int | None = None
    new_version_of: str | None = None
    inherited: tuple[str, ...] = ()
    described: str = ""


def _all_states(folder: Path) -> dict[str, Any]:
    try:
        states = json.loads((folder / STATE).read_text("utf-8"))
    except FileNotFoundError:
        return {}
    except (OSError, ValueError) as error:
        raise ServerError(
            f"{folder / STATE}: can't be read ({error}); it says which draft the folder became:"
            " repair it, or delete it to begin another draft"
        ) from error
    return states if isinstance(states, dict) else {}


def read_state(folder: Path, base: str) -> State | None:
    """Return what is remembered of a folder's deposit on a server."""
    known = _all_states(folder).get(base)
    if known is None:
        return None
    try:
        return State(**{**known, "inherited": tuple(known["inherited"])})
    except (KeyError, TypeError) as error:
        raise ServerError(
            f"{folder / STATE}: not what an upload wrote ({error}); delete it to begin another"
            " draft"
        ) from error


def write_state(folder: Path, base: str, state: State) -> None:
    """Remember a folder's deposit on a server."""
    states = {**_all_states(folder), base: asdict(state)}
    write_atomically(folder / STATE, json.dumps(states, indent=1).encode())
