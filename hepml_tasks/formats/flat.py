"""Parquet files that came from outside: flat tables of numbers and text, within bounds.

What the file says of itself is looked at first, and no column is read that is nested, of another
type, or too large. Nothing in such a file is ever unpickled.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

import pyarrow as pa
from pyarrow import parquet

from hepml_tasks.errors import FormatError, nearest

MOST_ROWS = 200_000_000
MOST_BYTES = 8_000_000_000
"""Of all columns that are read, decompressed."""

_MOST_COLUMNS = 1_000
_LONGEST_NAME = 1_000_000
_MOST_ENTRIES = 1_000_000


def read_flat(
    path: str | os.PathLike[str],
    columns: Sequence[str] | None = None,
    *,
    rows: int | None = None,
    most_bytes: int = MOST_BYTES,
) -> pa.Table:
    """Read a Parquet file of plain columns.

    Parameters
    ----------
    path : path-like
    columns : sequence of str, optional
        The columns to read, which have to be there; all by default.
    rows : int, optional
        How many rows it must have.
    most_bytes : int
        How large the columns may be, decompressed.

    Returns
    -------
    pyarrow.Table

    Raises
    ------
    FormatError
        If it is no Parquet, or no such table; the message names the file.
    """
    origin = Path(path)
    try:
        with parquet.ParquetFile(
            origin,
            pre_buffer=False,
            thrift_string_size_limit=_LONGEST_NAME,
            thrift_container_size_limit=_MOST_ENTRIES,
        ) as file:
            names = _checked(file, origin, columns, rows, most_bytes)
            table = file.read(names, use_threads=False)
            table.validate(full=True)
    except FormatError:
        raise
    except FileNotFoundError:
        raise FormatError(f"{origin}: no such file") from None
    except (pa.ArrowException, OSError, ValueError, OverflowError, MemoryError) as error:
        problem = (str(error) or type(error).__name__).splitlines()[0]
        raise FormatError(f"{origin}: can't be read as Parquet ({problem})") from error
    if table.num_rows != file.metadata.num_rows:
        raise FormatError(f"{origin}: has another number of rows than it says")
    return table


def _checked(
    file: parquet.ParquetFile,
    origin: Path,
    columns: Sequence[str] | None,
    rows: int | None,
    most_bytes: int,
) -> list[str]:
    """Look at what a file says of itself, and return the columns to read."""
    schema, metadata = file.schema_arrow, file.metadata
    if len(schema.names) > _MOST_COLUMNS or len(set(schema.names)) < len(schema.names):
        raise FormatError(f"{origin}: more than {_MOST_COLUMNS} columns, or two of the same name")
    wanted = schema.names if columns is None else list(columns)
    for name in wanted:
        if name not in schema.names:
            raise FormatError(f"{origin}: column {name!r} is missing{nearest(name, schema.names)}")
        if not _is_plain(schema.field(name).type):
            kind = str(schema.field(name).type)[:60]
            raise FormatError(f"{origin}: column {name!r} is {kind}, neither numbers nor text")
    found = metadata.num_rows
    if rows is not None and found != rows:
        raise FormatError(f"{origin}: has {found} rows where there must be {rows}")
    size = 0
    for group in range(metadata.num_row_groups):
        part = metadata.row_group(group)
        for number in range(part.num_columns):
            column = part.column(number)
            if column.path_in_schema in wanted:
                size += column.total_uncompressed_size
    # a column of one value takes no room in the file, and eight bytes a row in memory
    size = max(size, 8 * found * len(wanted))
    if found > MOST_ROWS or size > most_bytes:
        raise FormatError(
            f"{origin}: {found} rows, {size} bytes when decompressed; {most_bytes} are allowed"
        )
    return wanted


def _is_plain(kind: pa.DataType) -> bool:
    if pa.types.is_dictionary(kind):
        kind = kind.value_type
    return bool(
        pa.types.is_integer(kind)
        or pa.types.is_floating(kind)
        or pa.types.is_boolean(kind)
        or pa.types.is_string(kind)
        or pa.types.is_large_string(kind)
    )
