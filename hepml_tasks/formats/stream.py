"""A table that passes by in batches, so that a file larger than the memory can be converted."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field

import pyarrow as pa
import pyarrow.compute as pc

ROLES = b"hepml.roles"
"""Key of the schema's metadata with the columns' roles: a JSON object, role by column."""

SHAPE = b"hepml.shape"
"""Key of a field's metadata with the shape of an array that is kept as a flat list."""

_BATCH_BYTES = 4_000_000
_BATCH_ROWS = 65_536


@dataclass(frozen=True)
class TableStream:
    """A table in batches, read once from the first to the last.

    Parameters
    ----------
    schema : pyarrow.Schema
        Roles stand in its metadata under `ROLES`.
    batches : iterable of pyarrow.RecordBatch
        Of that schema. What is undefined is null.
    rows : int, optional
        The number of rows, where it is known before they are read.
    left_out : dict of str to int
        What a rule that was asked for leaves out, and how many of it; filled while the batches
        are read.
    """

    schema: pa.Schema
    batches: Iterable[pa.RecordBatch]
    rows: int | None = None
    left_out: dict[str, int] = field(default_factory=dict, compare=False)


def stream_of(table: pa.Table) -> TableStream:
    """Return a stream of a table that is in memory: it can be read more than once."""
    batches = table.to_batches(max_chunksize=rows_at_once(table.schema))
    return TableStream(table.schema, batches, table.num_rows)


def table_of(stream: TableStream) -> pa.Table:
    """Read a whole stream into memory."""
    return pa.Table.from_batches(list(stream.batches), schema=stream.schema)


def columns_of(table: pa.Table) -> Iterator[tuple[pa.Field, pa.Array]]:
    """Give the columns of a table, each as one array."""
    for field_, chunks in zip(table.schema, table.columns, strict=True):
        column = chunks.combine_chunks()
        # of some types and versions it stays in chunks
        if isinstance(column, pa.ChunkedArray):
            column = pa.concat_arrays(column.chunks)
        yield field_, column


def grouped(stream: TableStream, size: int) -> Iterator[pa.Table]:
    """Put batches together until they have some number of bytes.

    Parameters
    ----------
    stream : TableStream
    size : int
        Bytes.
    """
    waiting: list[pa.RecordBatch] = []
    held = 0
    for batch in stream.batches:
        waiting.append(batch)
        held += batch.nbytes
        if held >= size:
            yield pa.Table.from_batches(waiting, stream.schema)
            waiting, held = [], 0
    if waiting:
        yield pa.Table.from_batches(waiting, stream.schema)


def rows_at_once(schema: pa.Schema) -> int:
    """Return the number of rows of a batch of a few megabytes."""
    width = sum(_width(f.type) for f in schema)
    return max(1, min(_BATCH_ROWS, _BATCH_BYTES // max(width, 1)))


def _width(kind: pa.DataType) -> int:
    if pa.types.is_fixed_size_list(kind):
        return int(kind.list_size) * _width(kind.value_type)
    if pa.types.is_list(kind) or pa.types.is_large_list(kind):
        return 8 * _width(kind.value_type)
    try:
        return max(1, int(kind.bit_width) // 8)
    except ValueError:
        return 32


def roles_in(schema: pa.Schema) -> dict[str, str]:
    """Return the role of each column that has one, as the schema's metadata tell."""
    try:
        roles = json.loads((schema.metadata or {}).get(ROLES, b"{}"))
    except ValueError:
        return {}
    return roles if isinstance(roles, dict) else {}


def with_roles(schema: pa.Schema, roles: Mapping[str, str]) -> pa.Schema:
    """Return a schema with the roles of those of its columns that have one, and no others."""
    kept = {name: role for name, role in roles.items() if name in schema.names}
    metadata = {k: v for k, v in (schema.metadata or {}).items() if k != ROLES}
    if kept:
        metadata[ROLES] = json.dumps(kept).encode()
    return schema.with_metadata(metadata or None)


def undefined_as_null(stream: TableStream) -> TableStream:
    """Turn NaN into null, as all formats but Parquet write undefined numbers."""
    if not any(_may_hold_nan(f.type) for f in stream.schema):
        return stream

    def batches() -> Iterator[pa.RecordBatch]:
        for batch in stream.batches:
            columns = [nan_as_null(column) for column in batch.columns]
            yield pa.RecordBatch.from_arrays(columns, schema=stream.schema)

    return TableStream(stream.schema, batches(), stream.rows, stream.left_out)


def nan_as_null(column: pa.Array) -> pa.Array:
    """Return an array of numbers, or of lists of them, with null for NaN."""
    kind = column.type
    if pa.types.is_floating(kind):
        nan = pc.is_nan(column)
        return pc.if_else(nan, pa.scalar(None, kind), column) if pc.any(nan).as_py() else column
    if not _may_hold_nan(kind):
        return column
    values = column.values
    cleaned = nan_as_null(values)
    if cleaned is values:
        return column
    mask = column.is_null() if column.null_count else None
    # the values of a slice are those of the whole array: slice again what is put together
    if pa.types.is_fixed_size_list(kind):
        return pa.FixedSizeListArray.from_arrays(
            cleaned.slice(column.offset * kind.list_size, len(column) * kind.list_size),
            type=kind,
            mask=mask,
        )
    if mask is not None and column.offset:
        column = pa.concat_arrays([column])
        return nan_as_null(column)
    of = pa.LargeListArray if pa.types.is_large_list(kind) else pa.ListArray
    return of.from_arrays(column.offsets, cleaned, type=kind, mask=mask)


def _may_hold_nan(kind: pa.DataType) -> bool:
    lists = (pa.types.is_list, pa.types.is_large_list, pa.types.is_fixed_size_list)
    if any(test(kind) for test in lists):
        return _may_hold_nan(kind.value_type)
    return bool(pa.types.is_floating(kind))
