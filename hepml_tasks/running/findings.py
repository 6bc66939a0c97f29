"""A finding of a check of data."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import pyarrow as pa
import pyarrow.compute as pc

Level = Literal["ok", "warning", "error"]


@dataclass(frozen=True)
class Finding:
    """What one check found.

    Parameters
    ----------
    check : str
        What was looked at: ``columns``, ``weights`` …
    level : {"ok", "warning", "error"}
        An error is what makes runs wrong or impossible; a warning is what a reader of scores has
        to know.
    figure : str
        What was found, with its number.
    column : str
        The column that it is about, where it is one.
    """

    check: str
    level: Level
    figure: str
    column: str = ""


def has_column(table: pa.Table, name: str | None) -> bool:
    """Whether a table has a column of that name, and no second one."""
    return name is not None and table.column_names.count(name) == 1


def count_true(mask: pa.ChunkedArray) -> int:
    """Return how many values of a mask are true; null counts as false."""
    return int(pc.sum(mask).as_py() or 0)
