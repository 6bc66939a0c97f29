"""Everything that this package raises on bad input, in one tree.

::

    HepmlError
    ├── SpecError              a task, dataset or suite file is wrong
    │   └── UnknownNameError   no task, flow, metric … of that name
    ├── DataError              a file or table is wrong
    │   ├── ChecksumError      the bytes are not the published ones
    │   ├── ColumnError        a column is missing or misspelt
    │   └── FormatError        a file can't be read as what it claims to be
    ├── MetricError            arrays that a metric can't be computed from (also a ValueError)
    ├── FlowError              a flow can't be built or described
    │   └── MissingExtraError  a flow's package isn't installed
    ├── RunError               a run is incomplete or its predictions are wrong
    ├── FarmError              a batch system isn't there or refused a job
    ├── ServerError            a server refused or could not be reached
    │   ├── UnreachableError   nothing answers at that address
    │   └── BrokenAnswerError  it answered with no answer: what was asked may be done or not
    └── OutputError            a result can't be written

A message is one line that names what came, where, and what to do.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable


class HepmlError(Exception):
    """Base of all errors of this package."""


class SpecError(HepmlError):
    """A task, dataset or suite file is wrong."""


class UnknownNameError(SpecError):
    """Nothing is known by that name.

    Parameters
    ----------
    kind : str
        What was looked for: ``"task"``, ``"flow"``, ``"metric"`` …
    name : str
        The name that was not found.
    known : iterable of str
        The names that exist.
    remedy : str
        How to see them all.
    """

    def __init__(self, kind: str, name: str, known: Iterable[str], *, remedy: str = "") -> None:
        super().__init__(
            f"no {kind} is called {name!r}{nearest(name, known)}{remedy and '; '}{remedy}"
        )


class DataError(HepmlError):
    """A file or table is wrong."""


class ChecksumError(DataError):
    """The bytes are not the published ones."""


class ColumnError(DataError):
    """A column is missing or misspelt."""


class FormatError(DataError):
    """A file can't be read as what it claims to be."""


class MetricError(HepmlError, ValueError):
    """Arrays that a metric can't be computed from; the message names the argument."""


class FlowError(HepmlError):
    """A flow can't be built, described or rebuilt."""


class MissingExtraError(FlowError):
    """A flow's package isn't installed."""


class RunError(HepmlError):
    """A run is incomplete or its predictions are wrong."""


class FarmError(HepmlError):
    """A batch system isn't there, or refused a job."""


class ServerError(HepmlError):
    """A server refused what was asked.

    Parameters
    ----------
    message : str
        What was asked, of whom, and the answer.
    code : int, optional
        The OpenML error code.
    """

    def __init__(self, message: str, code: int | None = None) -> None:
        super().__init__(message)
        self.code = code


class UnreachableError(ServerError):
    """Nothing answers at that address."""


class BrokenAnswerError(ServerError):
    """A server answered with no answer: what was asked may be done or not."""


class OutputError(HepmlError):
    """A result can't be written where it should go."""


def nearest(name: str, known: Iterable[str]) -> str:
    """Say which known name is meant, for the end of an error message.

    Parameters
    ----------
    name : str
        What came.
    known : iterable of str
        What is allowed.

    Returns
    -------
    str
        ``"; did you mean 'x'?"``, the list of names where they are few, or ``""``.
    """
    names = sorted(set(known))
    folded = {n.casefold(): n for n in names}
    if name.casefold() in folded:
        return f"; did you mean {folded[name.casefold()]!r}?"
    close = difflib.get_close_matches(name, names, n=1, cutoff=0.5) or [
        folded[n] for n in difflib.get_close_matches(name.casefold(), folded, n=1, cutoff=0.5)
    ]
    if close:
        return f"; did you mean {close[0]!r}?"
    if names and len(names) <= 12:
        return f"; there are {', '.join(names)}"
    return ""
