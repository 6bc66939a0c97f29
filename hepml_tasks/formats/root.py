"""ROOT: a TTree's branches as columns.

Numbers, booleans, text and arrays of one length are columns as they are. Lists of any length need
a rule, which is applied where tables are opened. Written files have a tree ``events``, and beside
it a string ``hepml`` with roles and types.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import uproot

from hepml_tasks.errors import FormatError, HepmlError, nearest
from hepml_tasks.formats.marks import (
    columns_to_mark,
    lists_of,
    mark_name,
    needs_mark,
    numbers,
    shape_of,
)
from hepml_tasks.formats.notes import as_written, note_of, read_note, restored
from hepml_tasks.formats.plain import check_names, is_list, plain_type
from hepml_tasks.formats.selection import columns_needed
from hepml_tasks.formats.spool import rereadable
from hepml_tasks.formats.stream import SHAPE, TableStream, columns_of, grouped, rows_at_once
from hepml_tasks.spec import TableSpec

TREE = "events"
NOTE = "hepml"
_BASKETS_BYTES = 16_000_000
_KINDS = "iufb"
_NEWER = "ROOT::RNTuple"


@dataclass(frozen=True)
class _Branch:
    """A branch that is, or could be, a column."""

    branch: Any
    field: pa.Field | None
    """None where it is no column of any kind."""


@contextmanager
def open_stream(path: Path, table: TableSpec) -> Iterator[TableStream]:
    """Open a TTree of a ROOT file.

    Parameters
    ----------
    path : Path
    table : TableSpec
        Its `tree` names the tree where the file has several. Only the branches that its `columns`
        need are read.

    Yields
    ------
    TableStream
        Lists of any length are lists still.

    Raises
    ------
    FormatError
        If there is no such tree, or a branch is no column.
    """
    with _told(path):
        # from the root of the disk: what begins as an address does is none
        file = uproot.open(path.absolute())
    with file:
        with _told(path):
            tree = _tree(file, table.tree, path)
            branches = _branches(tree)
            text = file.get(NOTE)
            note = read_note(str(text), str(path)) if isinstance(text, str) else {}
        if not branches:
            raise FormatError(f"{path}: tree {tree.name!r} has no branch")
        # the marks of undefined values belong to their columns
        marks = {c: m for c, m in _marks(note).items() if c in branches and m in branches}
        known = [name for name in branches if name not in marks.values()]
        names = columns_needed(table, known, str(path))
        for name in names:
            if branches[name].field is None:
                raise FormatError(
                    f"{path}: branch {name!r} of type {branches[name].branch.typename} is no"
                    " column; choose others with --column, or by `columns` in a task's file"
                )
        schema = pa.schema([branches[name].field for name in names])
        typed = restored(schema, note)
        wanted = [branches[n] for n in (*names, *(marks[n] for n in names if n in marks))]

        def batches() -> Iterator[pa.RecordBatch]:
            for arrays in _arrays(tree, wanted, rows_at_once(schema), path):
                columns = [arrays[name] for name in names]
                for i, name in enumerate(names):
                    if name in marks:
                        columns[i] = _masked(columns[i], arrays[marks[name]])
                batch = pa.RecordBatch.from_arrays(columns, schema=schema)
                yield as_written(batch, typed, str(path))

        yield TableStream(typed, batches(), tree.num_entries)


def _marks(note: dict[str, Any]) -> dict[str, str]:
    found = note.get("undefined", {})
    return {str(k): str(v) for k, v in found.items()} if isinstance(found, dict) else {}


def _masked(column: pa.Array, mark: pa.Array) -> pa.Array:
    # by places, since if_else doesn't take lists of one length
    places = pc.if_else(mark, pa.scalar(None, pa.int64()), pa.array(np.arange(len(mark))))
    return column.take(places)


@contextmanager
def _told(path: Path) -> Iterator[None]:
    """Turn whatever uproot meets in a damaged file into one line that names it."""
    try:
        yield
    except HepmlError:
        raise
    except Exception as error:
        if isinstance(error, (FileNotFoundError, MemoryError)):
            raise
        problem = (str(error).strip() or type(error).__name__).splitlines()[0]
        raise FormatError(
            f"{path}: can't be read as ROOT ({problem[:200]}); is the file whole?"
        ) from error


def _tree(file: Any, wanted: str | None, path: Path) -> Any:
    trees = [k for k, kind in file.classnames(cycle=False).items() if kind == "TTree"]
    trees = list(dict.fromkeys(trees))
    if not trees:
        kinds = sorted(set(file.classnames(cycle=False).values()))
        others = ", ".join(kinds) or "nothing"
        remedy = "a table is read from a tree"
        if _NEWER in kinds:
            remedy += ", and not from an RNTuple: write a TTree, in uproot with `mktree`"
        raise FormatError(f"{path}: holds no TTree, but {others}; {remedy}")
    if wanted is None:
        if len(trees) > 1:
            raise FormatError(
                f"{path}: holds trees {', '.join(trees)}; name one with --tree, or as `tree` under"
                " `table` in a task's file"
            )
        return file[trees[0]]
    if wanted not in trees:
        raise FormatError(
            f"{path}: no tree {wanted!r}{nearest(wanted, trees)} (it holds {', '.join(trees)})"
        )
    return file[wanted]


def _branches(tree: Any) -> dict[str, _Branch]:
    """Return the branches without branches of their own, by the shortest name that is unique."""
    leaves = [
        (key, branch)
        for key, branch in tree.iteritems(recursive=True, full_paths=True)
        if not branch.branches
    ]
    times = Counter(branch.name for _, branch in leaves)
    found = {}
    for key, branch in leaves:
        name = branch.name if times[branch.name] == 1 else key
        found[name] = _Branch(branch, _field(name, branch.interpretation))
    return found


def _field(name: str, interpretation: Any) -> pa.Field | None:
    if isinstance(interpretation, uproot.AsStrings):
        return pa.field(name, pa.string())
    listed = isinstance(interpretation, uproot.AsJagged)
    content = interpretation.content if listed else interpretation
    if not isinstance(content, uproot.AsDtype):
        return None
    dtype = content.to_dtype
    base, shape = dtype.base, dtype.shape
    if base.kind not in _KINDS or base.itemsize > 8 or (listed and shape):
        return None
    kind = pa.from_numpy_dtype(base.newbyteorder("="))
    if listed:
        return pa.field(name, pa.list_(kind))
    if not shape:
        return pa.field(name, kind)
    metadata = {SHAPE: str(list(shape))} if len(shape) > 1 else None
    return pa.field(name, pa.list_(kind, int(np.prod(shape))), metadata=metadata)


def _arrays(
    tree: Any, wanted: list[_Branch], step: int, path: Path
) -> Iterator[dict[str, pa.Array]]:
    """Read the branches, some entries at a time."""
    chosen = {id(b.branch): b for b in wanted}
    with _told(path):
        pieces = tree.iterate(
            filter_branch=lambda branch: id(branch) in chosen,
            step_size=step,
            library="ak",
            how=tuple,
        )
        # uproot gives a tuple of arrays in the tree's order
        order = [
            chosen[id(branch)] for branch in tree.itervalues(recursive=True) if id(branch) in chosen
        ]
    while True:
        with _told(path):
            piece = next(pieces, None)
            if piece is None:
                return
            found = {
                b.field.name: _to_arrow(array, b.field.type)
                for b, array in zip(order, piece, strict=True)
                if b.field is not None
            }
        yield found


def _to_arrow(array: Any, kind: pa.DataType) -> pa.Array:
    import awkward as ak

    if pa.types.is_fixed_size_list(kind):
        return lists_of(ak.to_numpy(array), kind)
    found = ak.to_arrow(array, extensionarray=False, list_to32=True, string_to32=True)
    return found.cast(kind)


def write_stream(stream: TableStream, path: Path, *, name: str = TREE) -> None:
    """Write a ROOT file with a TTree ``events``.

    An undefined number is NaN where it is a floating-point one. Another column with undefined
    values has a branch beside it, ``NAME_undefined``, that is true where it is.

    Parameters
    ----------
    stream : TableStream
    path : Path
    name : str
        Not needed here.

    Raises
    ------
    FormatError
        For columns that no branch can hold.
    """
    del name
    schema = stream.schema
    check_names(schema.names, path.name)
    types = {f.name: _branch_type(f) for f in schema}
    needed = any(needs_mark(f.type) for f in schema)
    with rereadable(stream, path, needed=needed) as again:
        marked = columns_to_mark(schema, again.batches if needed else ())
        marks: dict[str, str] = {}
        for column in marked:
            marks[column] = mark_name(column, [*schema.names, *marks.values()])
        types |= {mark: np.dtype(bool) for mark in marks.values()}
        with uproot.recreate(path) as file:
            file[NOTE] = note_of(schema, undefined=marks)
            tree = file.mktree(TREE, types)
            for table in grouped(again, _BASKETS_BYTES):
                tree.extend(_branch_values(table, marks))


def _branch_type(field: pa.Field) -> Any:
    if field.name.endswith(".") or "/" in field.name:
        raise FormatError(
            f"column {field.name!r}: a branch's name has no '/' and doesn't end with '.'; rename it"
        )
    if is_list(field.type):
        kind = field.type
        if not pa.types.is_fixed_size_list(kind):
            plain_type(field, "ROOT")
        value = plain_type(pa.field(field.name, kind.value_type), "ROOT")
        if pa.types.is_string(value) or not kind.list_size:
            raise FormatError(
                f"column {field.name!r} of type {kind} has no place in ROOT; convert to Parquet"
            )
        return np.dtype((_numpy_type(value), shape_of(field)))
    kind = plain_type(field, "ROOT")
    return "string" if pa.types.is_string(kind) else _numpy_type(kind)


def _numpy_type(kind: pa.DataType) -> np.dtype[Any]:
    # ROOT has no numbers of half precision
    return np.dtype("f4" if pa.types.is_float16(kind) else kind.to_pandas_dtype())


def _branch_values(table: pa.Table, marks: dict[str, str]) -> dict[str, Any]:
    values: dict[str, Any] = {}
    for field, column in columns_of(table):
        if field.name in marks:
            values[marks[field.name]] = column.is_null().to_numpy(zero_copy_only=False)
        if is_list(field.type):
            array = numbers(column, field, "ROOT")
            values[field.name] = array.reshape(-1, *shape_of(field)).astype(
                _numpy_type(field.type.value_type), copy=False
            )
            continue
        kind = plain_type(field, "ROOT")
        written = column.cast(kind)
        if pa.types.is_string(kind):
            values[field.name] = _texts(pc.fill_null(written, ""))
        else:
            values[field.name] = numbers(written, field, "ROOT").astype(
                _numpy_type(kind), copy=False
            )
    return values


def _texts(column: pa.Array) -> Any:
    """Return text as uproot writes it: without a place for what is undefined."""
    import awkward as ak

    _, offsets, content = column.buffers()
    ends = np.frombuffer(offsets or b"\0" * 4, np.int32)
    ends = ends[column.offset : column.offset + len(column) + 1]
    characters = ak.contents.NumpyArray(
        np.frombuffer(content or b"", np.uint8), parameters={"__array__": "char"}
    )
    return ak.Array(
        ak.contents.ListOffsetArray(
            ak.index.Index32(ends), characters, parameters={"__array__": "string"}
        )
    )
