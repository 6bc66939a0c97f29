"""Some of a record's files."""

from __future__ import annotations

import fnmatch
from collections.abc import Sequence
from dataclasses import replace

from hepml_tasks.data.sources.record import PublishedFile, Record, file_specs
from hepml_tasks.errors import DataError, nearest


def only(record: Record, name: str) -> Record:
    """Return a record with one of its files alone.

    Parameters
    ----------
    record : Record
    name : str
        As the archive has it.

    Raises
    ------
    DataError
        If it has no such file.
    """
    ((wanted,), _) = file_specs([PublishedFile(name, None, None, ())])
    found = tuple(f for f in record.files if f.name == wanted.name)
    if not found:
        raise DataError(f"{record.address} has no file {name!r}{_known(record)}")
    return replace(record, files=found)


def matching(record: Record, patterns: Sequence[str]) -> Record:
    """Return a record with the files that match any of some patterns.

    Parameters
    ----------
    record : Record
    patterns : sequence of str
        Such as ``*.csv``; each of them has to match a file.

    Raises
    ------
    DataError
        If one doesn't.
    """
    for pattern in patterns:
        if not any(fnmatch.fnmatchcase(f.name, pattern) for f in record.files):
            raise DataError(f"{record.address} has no file {pattern!r}{_known(record)}")
    chosen = (f for f in record.files if any(fnmatch.fnmatchcase(f.name, p) for p in patterns))
    return replace(record, files=tuple(chosen))


def _known(record: Record) -> str:
    names = [f.name for f in record.files]
    return "; it has none at all" if not names else nearest("", names) or f"; it has {len(names)}"
