"""The rows of a sparse ARFF file: what isn't written is zero, or the first declared value."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import pyarrow as pa

from hepml_tasks.errors import FormatError
from hepml_tasks.formats.arff_header import Attribute, unescape

_MOST_CELLS = 50_000_000
"""A row can be as short as two brackets, however many columns it stands for."""

_FIRST_ROW = re.compile(rb"(?:\s*%[^\n]*\n)*\s*\{")
_CELL = re.compile(
    r"""\s*(\d{1,9})\s+(?:'((?:[^'\\]|\\.)*)'|"((?:[^"\\]|\\.)*)"|([^\s,{}'"]+))\s*(,|$)"""
)


def is_sparse(body: bytes) -> bool:
    """Say whether rows are sparse ones, by the first."""
    return _FIRST_ROW.match(body) is not None


def read_sparse_rows(
    body: bytes,
    attributes: Sequence[Attribute],
    types: Sequence[pa.DataType],
    path: Path,
    line: int,
) -> pa.Table:
    """Parse sparse rows into a dense table.

    Parameters
    ----------
    body : bytes
    attributes : sequence of Attribute
    types : sequence of pyarrow.DataType
        Of the columns.
    path : Path
        What errors name.
    line : int
        The number of the first line.

    Returns
    -------
    pyarrow.Table
        Columns named by their numbers. Numbers that aren't written are 0, nominal values the
        first that the header declares, texts null; ``?`` is null.

    Raises
    ------
    FormatError
        Names the line, or says that the table would be too large.
    """
    written: list[tuple[list[int], list[str | None]]] = [([], []) for _ in attributes]
    rows = 0
    for number, text in enumerate(_lines(body, path, line), start=line):
        if not text or text.startswith("%"):
            continue
        for column, value in _cells(text, len(attributes), f"{path}, line {number}"):
            places, values = written[column]
            if places and places[-1] == rows:
                raise FormatError(f"{path}, line {number}: column {column} is given twice")
            places.append(rows)
            values.append(value)
        rows += 1
        if rows * len(attributes) > _MOST_CELLS:
            raise FormatError(
                f"{path}: sparse rows that stand for more than {_MOST_CELLS} values; write dense"
                " rows, or fewer columns"
            )
    columns = [
        _column(rows, places, values, attribute, type_, path)
        for (places, values), attribute, type_ in zip(written, attributes, types, strict=True)
    ]
    return pa.table(columns, names=[str(i) for i in range(len(attributes))])


def _lines(body: bytes, path: Path, line: int) -> Iterator[str]:
    try:
        yield from (text.strip() for text in body.decode("utf-8").split("\n"))
    except UnicodeDecodeError as error:
        raise FormatError(f"{path}: not UTF-8 text after line {line} ({error.reason})") from error


def _cells(text: str, columns: int, where: str) -> Iterator[tuple[int, str | None]]:
    if not (text.startswith("{") and text.endswith("}")):
        raise FormatError(f"{where}: a dense row among sparse ones: {text[:40]!r}")
    inner, position = text[1:-1].strip(), 0
    while position < len(inner):
        match = _CELL.match(inner, position)
        if match is None:
            rest = inner[position : position + 40].strip()
            raise FormatError(f"{where}: no column and value in {rest!r}")
        column, single, double, bare, _ = match.groups()
        if int(column) >= columns:
            raise FormatError(f"{where}: column {column}, there are 0 to {columns - 1}")
        if bare is not None:
            yield int(column), None if bare == "?" else bare
        else:
            yield int(column), unescape(single if single is not None else double)
        position = match.end()


def _column(
    rows: int,
    places: list[int],
    values: list[str | None],
    attribute: Attribute,
    type_: pa.DataType,
    path: Path,
) -> pa.Array:
    if pa.types.is_string(type_):
        unwritten = (attribute.values or (None,))[0]
        texts = np.full(rows, unwritten, dtype=object)
        texts[places] = values
        return pa.array(texts, type_)
    try:
        given = pa.array(values, pa.string()).cast(type_)
    except pa.ArrowInvalid as error:
        message = str(error).splitlines()[0]
        raise FormatError(f"{path}: column {attribute.name!r}: {message}") from error
    numbers = np.zeros(rows, type_.to_pandas_dtype())
    numbers[places] = given.fill_null(0).to_numpy(zero_copy_only=False)
    if not given.null_count:
        return pa.array(numbers)
    undefined = np.zeros(rows, dtype=bool)
    undefined[places] = given.is_null().to_numpy(zero_copy_only=False)
    return pa.array(numbers, mask=undefined)
