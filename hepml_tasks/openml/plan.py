"""What a registration does, step by step, shown as a diff between the server and the files."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

Change = Literal["same", "add", "remove", "wait"]

_MARKS: dict[Change, str] = {"same": " ", "add": "+", "remove": "-", "wait": "~"}


@dataclass(frozen=True)
class Step:
    """One thing on a server.

    Parameters
    ----------
    change : {"same", "add", "remove", "wait"}
        ``wait``: it can't be made before the server has finished something.
    subject : str
        Such as ``task toy-higgs/4-fold``.
    id : int, optional
        None where it is not there yet.
    note : str
        What it is made of, or why.
    """

    change: Change
    subject: str
    id: int | None = None
    note: str = ""

    def __str__(self) -> str:
        number = "" if self.id is None else f" {self.id}"
        note = f" ({self.note})" if self.note else ""
        return f"{_MARKS[self.change]}{self.subject}{number and f':{number}'}{note}"


def head(server: str, files: Iterable[str]) -> str:
    """Return the two lines above a diff."""
    return f"--- {server}\n+++ {' '.join(files)}"


def summary(steps: Iterable[Step], *, dry_run: bool) -> str:
    """Say in one line what was done, or would be."""
    steps = list(steps)
    count = {change: sum(s.change == change for s in steps) for change in _MARKS}
    if not count["add"] and not count["remove"] and not count["wait"]:
        return "nothing to do: everything is there"
    verb = "would be " if dry_run else ""
    parts = [f"{count['add']} {verb}added"]
    parts += [f"{count['remove']} {verb}removed"] if count["remove"] else []
    parts += [f"{count['wait']} waiting for the server"] if count["wait"] else []
    return ", ".join([*parts, f"{count['same']} there already"])
