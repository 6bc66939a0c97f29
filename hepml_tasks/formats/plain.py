"""What the formats of plain columns share: numbers, text and booleans, one value a row."""

from __future__ import annotations

from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc

from hepml_tasks.errors import FormatError

EXACT = 2**53
"""Up to here every integer is a floating-point number of double precision."""


def plain_type(field: pa.Field, format_: str) -> pa.DataType:
    """Return what a column is written as: a number, text or boolean.

    Parameters
    ----------
    field : pyarrow.Field
    format_ : str
        The format that an error names.

    Raises
    ------
    FormatError
        If the column is of another type: its remedy is in the message.
    """
    kind = field.type
    if pa.types.is_dictionary(kind):
        kind = kind.value_type
    if is_list(kind):
        raise FormatError(
            f"column {field.name!r} holds lists ({kind}), which have no place in {format_};"
            " convert with --pad N or --flatten, or to Parquet"
        )
    if pa.types.is_large_string(kind) or pa.types.is_string(kind):
        return pa.string()
    if pa.types.is_null(kind):
        # nothing but undefined values
        return pa.float64()
    if pa.types.is_floating(kind) or pa.types.is_integer(kind) or pa.types.is_boolean(kind):
        return kind
    raise FormatError(
        f"column {field.name!r} of type {kind} has no place in {format_}; convert to Parquet"
    )


def is_list(kind: pa.DataType) -> bool:
    """Tell whether a column holds a list a row."""
    tests = (pa.types.is_list, pa.types.is_large_list, pa.types.is_fixed_size_list)
    return any(test(kind) for test in tests)


def check_exact(column: pa.Array, name: str, format_: str) -> None:
    """Check that no integer is changed where all numbers are floating-point ones.

    Raises
    ------
    FormatError
        If one is too large.
    """
    if not pa.types.is_integer(column.type) or column.type.bit_width < 64:
        return
    found = pc.min_max(column).as_py()
    if found["max"] is not None and (found["max"] > EXACT or found["min"] < -EXACT):
        value = found["max"] if found["max"] > EXACT else found["min"]
        raise FormatError(
            f"column {name!r} holds {value}, which {format_} would round: its numbers are exact up"
            " to 2^53; make it text first, or convert to Parquet"
        )


def check_names(names: list[str], origin: str) -> None:
    """Check that every column has a name of its own.

    Raises
    ------
    FormatError
        Names the one that is there twice, or is empty.
    """
    if not names:
        raise FormatError(f"{origin}: there is no column")
    seen: set[str] = set()
    for number, name in enumerate(names, start=1):
        if name in seen:
            raise FormatError(f"{origin}: there are two columns {name!r}; rename one")
        if not name:
            raise FormatError(f"{origin}: column {number} has no name; give it one")
        seen.add(name)


def check_no_page(start: bytes, path: Path) -> None:
    """Check that a file isn't what a server tells people instead of sending it.

    Parameters
    ----------
    start : bytes
        The first bytes of the file.
    path : Path

    Raises
    ------
    FormatError
        If it is a web page.
    """
    text = start[:200].removeprefix(b"\xef\xbb\xbf").lstrip().lower()
    if text.startswith((b"<!doctype", b"<html", b"<head")):
        raise FormatError(f"{path}: is a web page and not a table; fetch the file itself")
