"""HDF5: a dataset a column, a compound dataset, a table of pandas, or arrays such as showers.

Nothing outside the file is ever read: links, storage and virtual datasets that lead out of it are
refused.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from hepml_tasks.errors import FormatError
from hepml_tasks.formats.hdf5_write import NOTE, write_stream
from hepml_tasks.formats.marks import lists_of
from hepml_tasks.formats.notes import as_written, read_note, restored
from hepml_tasks.formats.plain import is_list
from hepml_tasks.formats.selection import columns_needed
from hepml_tasks.formats.stream import SHAPE, TableStream, rows_at_once
from hepml_tasks.spec import TableSpec

__all__ = ["Column", "field_of", "follow", "open_stream", "write_stream"]

_CACHED_CHUNK = 64_000_000
_STEPS = 16


@dataclass(frozen=True)
class Column:
    """A column, and where its values are.

    Parameters
    ----------
    field : pyarrow.Field
    dataset : h5py.Dataset
    part : str, optional
        The field of a compound dataset.
    index : int, optional
        The place in each row of a dataset of two dimensions.
    undefined : bytes, optional
        The text that says that a text is undefined.
    """

    field: pa.Field
    dataset: Any
    part: str | None = None
    index: int | None = None
    undefined: bytes | None = None


@contextmanager
def open_stream(path: Path, table: TableSpec) -> Iterator[TableStream]:
    """Open a table in an HDF5 file.

    Parameters
    ----------
    path : Path
    table : TableSpec
        Its `member` names a group or dataset, where it isn't the root or the only group there.

    Yields
    ------
    TableStream
        An array a row is a list of one length, and its shape stands in the field's metadata.

    Raises
    ------
    FormatError
        If there is no such member, it is no table, or leads out of the file.
    """
    # whole chunks are read, once: HDF5 would keep a megabyte of them for every dataset
    with h5py.File(path, "r", rdcc_nbytes=0) as file:
        member = _member(file, table.member, str(path))
        note = _note(member, str(path))
        columns = _columns(member, str(path))
        columns |= {n: _as_list(columns[n]) for n in note.get("lists", ()) if n in columns}
        marks = note.get("undefined") or {}
        marks = {c: m for c, m in marks.items() if c in columns and m in columns}
        known = [n for n in _ordered(columns, note) if n not in marks.values()]
        names = columns_needed(table, known, str(path))
        wanted = [columns[n] for n in (*names, *(marks[n] for n in names if n in marks))]
        rows = _rows(wanted, str(path))
        schema = pa.schema([columns[n].field for n in names])
        typed = restored(schema, note)

        def batches() -> Iterator[pa.RecordBatch]:
            step = _step(wanted, rows_at_once(schema))
            for start in range(0, rows, step):
                arrays = _arrays(wanted, start, min(rows, start + step), str(path))
                found = []
                for name in names:
                    column = arrays[name]
                    if name in marks:
                        places = pa.array(np.arange(len(column)))
                        mark = pc.if_else(arrays[marks[name]], pa.scalar(None, pa.int64()), places)
                        column = column.take(mark)
                    found.append(column)
                yield as_written(pa.RecordBatch.from_arrays(found, schema=schema), typed, str(path))

        yield TableStream(typed, batches(), rows)


def _note(member: Any, origin: str) -> dict[str, Any]:
    text = member.attrs.get(NOTE)
    return read_note(text, origin) if isinstance(text, str) else {}


def _as_list(column: Column) -> Column:
    """Make a list of one value again what was one when it was written."""
    field = column.field
    if is_list(field.type):
        return column
    return replace(column, field=pa.field(field.name, pa.list_(field.type, 1)))


def _ordered(columns: Mapping[str, Column], note: Mapping[str, Any]) -> list[str]:
    order = note.get("columns")
    if isinstance(order, list) and set(order) <= set(columns):
        return [*order, *(c for c in columns if c not in order)]
    return list(columns)


def follow(group: Any, steps: str, origin: str, hops: int = 0) -> Any:
    """Return what a path leads to, if the way stays within the file.

    Parameters
    ----------
    group : h5py.Group
        Where the path starts.
    steps : str
    origin : str
        The file that errors name.
    hops : int
        The number of links that were followed.

    Raises
    ------
    FormatError
        If a link on the way leads out of the file, or to nothing.
    """
    found = group.file["/"] if steps.startswith("/") else group
    for step in filter(None, steps.split("/")):
        link = found.get(step, getlink=True) if isinstance(found, h5py.Group) else None
        if isinstance(link, h5py.ExternalLink):
            raise FormatError(
                f"{origin}: {step!r} is a link to another file ({link.filename}), which is not"
                " followed; copy what it points to into this file"
            )
        if isinstance(link, h5py.SoftLink):
            if hops > _STEPS:
                raise FormatError(f"{origin}: {step!r} is a link that leads to itself")
            found = follow(found, link.path, origin, hops + 1)
        elif link is None:
            there = ", ".join(list(found)[:8]) if isinstance(found, h5py.Group) else "no members"
            raise FormatError(
                f"{origin}: no {step!r} in {found.name} (it has {there}); name what is there as"
                " `member`"
            )
        else:
            found = found[step]
    if isinstance(found, h5py.Dataset) and (found.external or found.is_virtual):
        raise FormatError(
            f"{origin}: {found.name} keeps its values in other files, which are not read; repack"
            " it into one file"
        )
    return found


def _member(file: Any, wanted: str | None, origin: str) -> Any:
    member = follow(file, wanted or "/", origin)
    if wanted is not None or "pandas_type" in member.attrs:
        return member
    # a file of a single group is that group
    for _ in range(_STEPS):
        members = {name: follow(member, name, origin) for name in member}
        groups = [m for m in members.values() if isinstance(m, h5py.Group)]
        if len(groups) == len(members) > 1:
            names = ", ".join(list(members)[:8])
            raise FormatError(
                f"{origin}: holds groups {names}; name one with --member, or as `member` under"
                " `table` in a task's file"
            )
        if len(members) != 1 or not groups:
            return member
        (member,) = groups
        if "pandas_type" in member.attrs:
            return member
    return member


def _columns(member: Any, origin: str) -> dict[str, Column]:
    if isinstance(member, h5py.Dataset):
        return _parts(member, origin)
    if "pandas_type" in member.attrs:
        from hepml_tasks.formats.hdf5_pandas import pandas_columns

        return pandas_columns(member, origin)
    datasets = {n: follow(member, n, origin) for n in member}
    datasets = {n: d for n, d in datasets.items() if isinstance(d, h5py.Dataset)}
    if not datasets:
        raise FormatError(f"{origin}: no dataset in {member.name}; name a group with --member")
    if len(datasets) == 1:
        (dataset,) = datasets.values()
        if dataset.dtype.names:
            return _parts(dataset, origin)
    return {n: Column(field_of(n, d.dtype, d.shape[1:], origin), d) for n, d in datasets.items()}


def _parts(dataset: Any, origin: str) -> dict[str, Column]:
    """Return the fields of a compound dataset, or a dataset as the only column."""
    if not dataset.dtype.names:
        name = dataset.name.rpartition("/")[2]
        return {name: Column(field_of(name, dataset.dtype, dataset.shape[1:], origin), dataset)}
    if dataset.ndim != 1:
        raise FormatError(f"{origin}: {dataset.name} is a table of {dataset.ndim} dimensions")
    columns = {}
    for name in dataset.dtype.names:
        dtype = dataset.dtype[name]
        columns[name] = Column(field_of(name, dtype.base, dtype.shape, origin), dataset, name)
    return columns


def field_of(name: str, dtype: Any, shape: tuple[int, ...], origin: str) -> pa.Field:
    """Return the column that values of a numpy type and shape become.

    Raises
    ------
    FormatError
        If they are neither numbers nor text.
    """
    kind = None
    if h5py.check_string_dtype(dtype) is not None or dtype.kind == "S":
        kind = pa.string()
    elif dtype.kind in "iufb" and dtype.itemsize <= 8 and dtype.names is None:
        kind = pa.from_numpy_dtype(dtype.newbyteorder("="))
    if kind is None or 0 in shape or (shape and pa.types.is_string(kind)):
        text = f" of shape {shape}" if shape else ""
        raise FormatError(
            f"{origin}: {name!r} holds {dtype}{text}, which is no column; choose others by"
            " `member`, or repack the file"
        )
    # an array of one value is a value
    size = int(np.prod(shape)) if shape else 1
    metadata = {SHAPE: json.dumps(list(shape))} if shape and (size == 1 or len(shape) > 1) else None
    return pa.field(name, pa.list_(kind, size) if size > 1 else kind, metadata=metadata)


def _rows(columns: list[Column], origin: str) -> int:
    lengths = {c.dataset.name: c.dataset.shape[:1] for c in columns}
    if len(set(lengths.values())) > 1 or () in lengths.values():
        told = ", ".join(
            f"{n} {shape[0] if shape else 'one value'}" for n, shape in lengths.items()
        )
        raise FormatError(
            f"{origin}: its datasets have different numbers of rows ({told[:200]}); choose those"
            " that belong together with --column (`columns` in a task's file), or one with --member"
        )
    (shape,) = set(lengths.values())
    return int(shape[0])


def _step(columns: list[Column], step: int) -> int:
    """Return how many rows to read at once: whole chunks, since a part costs as much."""
    chunks = [c.dataset.chunks[0] for c in columns if c.dataset.chunks]
    if not chunks:
        return step
    chunk = max(chunks)
    if chunk <= step:
        return int(step // chunk * chunk)
    size = sum(
        int(np.prod(c.dataset.shape[1:] or (1,))) * c.dataset.dtype.itemsize for c in columns
    )
    return int(chunk) if chunk * size <= _CACHED_CHUNK else step


def _arrays(columns: list[Column], start: int, stop: int, origin: str) -> dict[str, pa.Array]:
    read: dict[str, Any] = {}
    found = {}
    for column in columns:
        place = column.dataset.name
        if place not in read:
            read[place] = column.dataset[start:stop]
        values = read[place]
        if column.part is not None:
            values = values[column.part]
        if column.index is not None:
            values = values[:, column.index]
        found[column.field.name] = _to_arrow(values, column, origin)
    return found


def _to_arrow(values: Any, column: Column, origin: str) -> pa.Array:
    kind = column.field.type
    if pa.types.is_string(kind):
        try:
            texts = pa.array([bytes(v) for v in values.tolist()], pa.binary()).cast(pa.string())
        except (pa.ArrowInvalid, TypeError) as error:
            raise FormatError(f"{origin}: {column.field.name!r} is not UTF-8 text") from error
        if column.undefined is not None:
            gone = pc.equal(texts, column.undefined.decode("utf-8", "replace"))
            texts = pc.if_else(gone, pa.scalar(None, pa.string()), texts)
        return texts
    values = np.asarray(values)
    values = values.astype(values.dtype.newbyteorder("="), copy=False)
    if is_list(kind):
        return lists_of(values, kind)
    if pa.types.is_boolean(kind):
        values = values.astype(bool, copy=False)
    return pa.array(np.ascontiguousarray(values.reshape(-1)), kind)
