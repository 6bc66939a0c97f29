"""A column that says which part of a dataset a row is from: a file, or a range of rows."""

from __future__ import annotations

from collections.abc import Sequence

import pyarrow as pa
import pyarrow.compute as pc

from hepml_tasks.errors import ColumnError, DataError, FormatError, nearest
from hepml_tasks.spec import PartsSpec


def marked(table: pa.Table, parts: PartsSpec | None, origin: str) -> pa.Table:
    """Return a table with the column that says which range of rows each row is in.

    Parameters
    ----------
    table : pyarrow.Table
    parts : PartsSpec, optional
        Without it, or without its rows, the table is given back as it is.
    origin : str
        What errors name.

    Raises
    ------
    DataError
        If the parts have more rows than the table, or fewer.
    """
    if parts is None or not parts.rows:
        return table
    if parts.end != table.num_rows:
        raise DataError(
            f"{origin}: {table.num_rows} rows where the parts in {parts.column!r} end at"
            f" {parts.end}; correct dataset.parts.rows"
        )
    ranges = sorted(parts.rows.items(), key=lambda part: part[1])
    return _with_marks(table, parts, [(name, b - a) for name, (a, b) in ranges], origin)


def stacked(
    tables: Sequence[pa.Table], names: Sequence[str], parts: PartsSpec, origins: Sequence[str]
) -> pa.Table:
    """Put tables one below the other, with a column that says which one each row is from.

    Parameters
    ----------
    tables : sequence of pyarrow.Table
        With the same columns, in any order; numbers that are whole in one of them may be
        fractions in another.
    names : sequence of str
        What the column says of each.
    parts : PartsSpec
    origins : sequence of str
        What errors name.

    Raises
    ------
    ColumnError
        If a table has other columns than the first.
    FormatError
        If a column is of another kind in one of them.
    """
    first = tables[0].column_names
    for table, origin in zip(tables[1:], origins[1:], strict=True):
        for wanted, found, place in (
            (first, table.column_names, origin),
            (table.column_names, first, origins[0]),
        ):
            for name in wanted:
                if name not in found:
                    raise ColumnError(
                        f"{place}: has no column {name!r}, which another file of the dataset has"
                        f"{nearest(name, found)}"
                    )
    try:
        whole = pa.concat_tables([t.select(first) for t in tables], promote_options="permissive")
    except (pa.ArrowInvalid, pa.ArrowTypeError) as error:
        problem = str(error).splitlines()[0]
        raise FormatError(f"{', '.join(origins)}: are not one table ({problem})") from error
    counts = [(name, t.num_rows) for name, t in zip(names, tables, strict=True)]
    return _with_marks(whole, parts, counts, origins[0])


def joined(
    tables: Sequence[pa.Table], names: Sequence[str], parts: PartsSpec, origins: Sequence[str]
) -> pa.Table:
    """Put tables of the same part side by side, and then the parts one below the other.

    Parameters
    ----------
    tables : sequence of pyarrow.Table
    names : sequence of str
        The part of each.
    parts : PartsSpec
    origins : sequence of str
        What errors name.

    Returns
    -------
    pyarrow.Table
        The rows of a part in the order of its first file.

    Raises
    ------
    DataError
        If a row has no partner or two of them, or a column is in two files of a part.
    ColumnError, FormatError
        As `stacked`.
    """
    whole: dict[str, tuple[pa.Table, str]] = {}
    for table, name, origin in zip(tables, names, origins, strict=True):
        if name not in whole:
            whole[name] = table, origin
            continue
        left, first = whole[name]
        whole[name] = _beside(left, table, parts.join, origin), first
    one, places = [t for t, _ in whole.values()], [o for _, o in whole.values()]
    table = stacked(one, list(whole), parts, places)
    if not all(name.isdecimal() for name in whole):
        return table
    place = table.column_names.index(parts.column)
    return table.set_column(place, parts.column, table[parts.column].cast(pa.int64()))


def _beside(left: pa.Table, right: pa.Table, by: Sequence[str], origin: str) -> pa.Table:
    """Put a table beside another, each row beside its partner."""
    for name in by:
        for table in (left, right):
            if name not in table.column_names:
                raise ColumnError(
                    f"{origin}: no column {name!r}, by which dataset.parts.join puts files side by"
                    f" side{nearest(name, table.column_names)}"
                )
    twice = sorted((set(left.column_names) & set(right.column_names)) - set(by))
    if twice:
        raise DataError(f"{origin}: column {twice[0]!r} is in another file of its part too")
    order = "hepml order of rows"
    numbered = left.append_column(order, pa.array(range(left.num_rows), pa.int64()))
    try:
        found = numbered.join(right, keys=list(by), join_type="inner").sort_by(order)
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError) as error:
        raise DataError(f"{origin}: can't be joined: {str(error).splitlines()[0]}") from error
    alone = pc.count_distinct(found[order]).as_py() == found.num_rows
    if not alone or not left.num_rows == right.num_rows == found.num_rows:
        raise DataError(
            f"{origin}: its rows and those of the other file of its part have not one partner each"
            f" by {', '.join(by)}"
        )
    names = [*left.column_names, *(c for c in right.column_names if c not in by)]
    return found.select(names).combine_chunks()


def _with_marks(
    table: pa.Table, parts: PartsSpec, counts: Sequence[tuple[str, int]], origin: str
) -> pa.Table:
    if parts.column in table.column_names:
        raise ColumnError(
            f"{origin}: has a column {parts.column!r} itself; give dataset.parts.column another"
            " name"
        )
    marks = pa.chunked_array([pa.repeat(name, count) for name, count in counts], pa.string())
    return table.append_column(parts.column, marks)
