"""Columns and rows of a stream, chosen by expressions."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import replace
from typing import Any

import pyarrow as pa

from hepml_tasks.errors import FormatError
from hepml_tasks.formats.expressions import Expression, evaluate, parse
from hepml_tasks.formats.plain import check_names
from hepml_tasks.formats.stream import TableStream, nan_as_null, roles_in, with_roles
from hepml_tasks.spec import TableSpec


def columns_needed(table: TableSpec, known: list[str], origin: str) -> list[str]:
    """Return the columns of a file that a table is made of, in the file's order.

    Parameters
    ----------
    table : TableSpec
    known : list of str
        The file's columns.
    origin : str
        What errors name.

    Raises
    ------
    FormatError
        If an expression can't be read.
    """
    if not table.columns:
        return known
    texts = [*table.columns.values(), *([table.selection] if table.selection else [])]
    needed = {c for text in texts for c in parse(text, known, origin).columns.values()}
    return [name for name in known if name in needed]


def select(
    stream: TableStream, columns: Mapping[str, str], selection: str | None, origin: str
) -> TableStream:
    """Compute columns, and keep the rows that a selection keeps.

    Parameters
    ----------
    stream : TableStream
    columns : mapping of str to str
        An expression by the name of each new column; all columns as they are if there is none.
    selection : str, optional
        True for the rows to keep. Where it is undefined the row isn't kept.
    origin : str
        What errors name.

    Raises
    ------
    FormatError
        If an expression can't be read, or computed.
    """
    names = stream.schema.names
    texts = dict(columns) or {name: name for name in names}
    check_names(list(texts), origin)
    made = {name: parse(text, names, origin) for name, text in texts.items()}
    rule = None if selection is None else parse(selection, names, origin)
    empty = pa.RecordBatch.from_pylist([], schema=stream.schema)
    if rule is not None:
        kept = _computed(rule, empty, origin)
        if not pa.types.is_boolean(kept.type):
            raise FormatError(
                f"{origin}: selection {selection!r} gives {kept.type} and not true or false for"
                " each row; compare it with something, or use any(…) or all(…) of a list"
            )
    fields = []
    roles: dict[str, str] = {}
    known = roles_in(stream.schema)
    for name, expression in made.items():
        source = expression.only_column
        if source is not None:
            fields.append(stream.schema.field(source).with_name(name))
            roles |= {name: known[source]} if source in known else {}
        else:
            fields.append(pa.field(name, _computed(expression, empty, origin).type))
    schema = with_roles(pa.schema(fields, metadata=stream.schema.metadata), roles)

    def batches() -> Iterator[pa.RecordBatch]:
        for batch in stream.batches:
            if rule is not None:
                mask = _computed(rule, batch, origin)
                rows = batch.filter(mask, null_selection_behavior="drop")
            else:
                rows = batch
            found = [_computed(e, rows, origin) for e in made.values()]
            yield pa.RecordBatch.from_arrays(
                [c.cast(f.type) for c, f in zip(found, schema, strict=True)], schema=schema
            )

    rows = stream.rows if rule is None else None
    return replace(stream, schema=schema, batches=batches(), rows=rows)


def _computed(expression: Expression, batch: pa.RecordBatch, origin: str) -> pa.Array:
    if expression.only_column is not None:
        return batch.column(expression.only_column)
    import awkward as ak
    import numpy as np

    arrays = _awkward(batch, set(expression.columns.values()))
    try:
        value: Any = evaluate(expression, arrays)
        if not isinstance(value, ak.Array):
            value = ak.Array(np.full(batch.num_rows, value))
        return nan_as_null(ak.to_arrow(value, extensionarray=False, list_to32=True))
    except (TypeError, ValueError, OverflowError, ArithmeticError) as error:
        problem = str(error).strip().splitlines()[0]
        raise FormatError(
            f"{origin}: expression {expression.text!r} can't be computed ({problem})"
        ) from error


def _awkward(batch: pa.RecordBatch, names: Collection[str]) -> dict[str, Any]:
    import awkward as ak

    found = {}
    for name in names:
        column = batch.column(name)
        if pa.types.is_dictionary(column.type):
            column = column.cast(column.type.value_type)
        found[name] = ak.from_arrow(column)
    return found
