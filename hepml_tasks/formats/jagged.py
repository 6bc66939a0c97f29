"""Lists of any length made rows or columns, by a rule that was asked for."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from hepml_tasks.errors import FormatError
from hepml_tasks.formats.plain import check_names, is_list
from hepml_tasks.formats.stream import TableStream, roles_in, with_roles

Ints = npt.NDArray[np.int64]


def check_ruled(schema: pa.Schema, origin: str) -> None:
    """Check that no column holds lists whose length differs from row to row.

    Raises
    ------
    FormatError
        Names the column and the rules that there are.
    """
    names = [f.name for f in schema if is_list(f.type) and not pa.types.is_fixed_size_list(f.type)]
    if names:
        others = f" and {len(names) - 1} others hold" if len(names) > 1 else " holds"
        raise FormatError(
            f"{origin}: {names[0]!r}{others} a list per event: say how it becomes a table,"
            " with --flatten (a row per element) or --pad N (N columns), or with `flatten: true`"
            " or `pad: N` under `table` in a task's file"
        )


def flattened(stream: TableStream, origin: str) -> TableStream:
    """Give each element of the lists a row, and repeat the values beside them.

    Parameters
    ----------
    stream : TableStream
        All of its columns of lists have equally many elements in a row.
    origin : str
        What errors name.

    Returns
    -------
    TableStream
        A row without elements is left out, and counted in `left_out`.

    Raises
    ------
    FormatError
        While the batches are read, if lists of different length meet.
    """
    schema = stream.schema
    lists = [i for i, f in enumerate(schema) if is_list(f.type)]
    if not lists:
        return stream
    fields = [_element(f) if i in lists else f for i, f in enumerate(schema)]
    flat = pa.schema(fields, metadata=schema.metadata)

    def batches() -> Iterator[pa.RecordBatch]:
        start = 0
        for batch in stream.batches:
            lengths = {i: _lengths(batch.column(i)) for i in lists}
            first = lengths[lists[0]]
            for i in lists[1:]:
                if not np.array_equal(first, lengths[i]):
                    row = int(np.flatnonzero(first != lengths[i])[0])
                    names = schema.names
                    raise FormatError(
                        f"{origin}: in row {start + row} {names[lists[0]]!r} has {first[row]}"
                        f" elements and {names[i]!r} has {lengths[i][row]}: they can't share rows;"
                        " choose columns that belong together, or pad them"
                    )
            parents = pa.array(np.repeat(np.arange(batch.num_rows), first))
            columns = [
                pc.list_flatten(c) if i in lists else c.take(parents)
                for i, c in enumerate(batch.columns)
            ]
            _count(stream, "rows without elements", int((first == 0).sum()))
            start += batch.num_rows
            yield pa.RecordBatch.from_arrays(columns, schema=flat)

    return replace(stream, schema=flat, batches=batches(), rows=None)


def padded(stream: TableStream, size: int, origin: str) -> TableStream:
    """Give each column of lists a fixed number of columns, null beyond a list's end.

    Parameters
    ----------
    stream : TableStream
    size : int
    origin : str
        What errors name.

    Returns
    -------
    TableStream
        Elements beyond `size` are left out, and counted in `left_out`.
    """
    schema = stream.schema
    fields: list[pa.Field] = []
    roles: dict[str, str] = {}
    known = roles_in(schema)
    for field in schema:
        new = [field]
        if is_list(field.type):
            element = _element(field)
            new = [element.with_name(f"{field.name}_{i}") for i in range(size)]
        fields += new
        if field.name in known:
            roles |= {f.name: known[field.name] for f in new}
    wide = pa.schema(fields, metadata=schema.metadata)
    check_names(wide.names, origin)
    wide = with_roles(wide, roles)

    def batches() -> Iterator[pa.RecordBatch]:
        for batch in stream.batches:
            columns: list[pa.Array] = []
            for field, column in zip(schema, batch.columns, strict=True):
                if not is_list(field.type):
                    columns.append(column)
                    continue
                lengths = _lengths(column)
                values = pc.list_flatten(column)
                starts = np.concatenate([[0], np.cumsum(lengths)[:-1]]) if len(lengths) else lengths
                for i in range(size):
                    beyond = lengths <= i
                    places = np.where(beyond, 0, starts + i)
                    columns.append(values.take(pa.array(places, pa.int64(), mask=beyond)))
                over = int(np.maximum(lengths - size, 0).sum())
                _count(stream, f"elements of {field.name} beyond {size}", over)
            yield pa.RecordBatch.from_arrays(columns, schema=wide)

    return replace(stream, schema=wide, batches=batches())


def _element(field: pa.Field) -> pa.Field:
    element = field.type.value_type
    if is_list(element):
        raise FormatError(
            f"column {field.name!r} holds lists of lists ({field.type}), which no rule takes apart;"
            " choose other columns, or convert to Parquet"
        )
    return pa.field(field.name, element)


def _lengths(column: pa.Array) -> Ints:
    lengths: Any = pc.fill_null(pc.list_value_length(column), 0)
    return np.asarray(lengths.to_numpy(zero_copy_only=False), dtype=np.int64)


def _count(stream: TableStream, what: str, number: int) -> None:
    if number:
        stream.left_out[what] = stream.left_out.get(what, 0) + number
