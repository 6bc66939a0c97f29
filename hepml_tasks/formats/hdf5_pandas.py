"""Tables that pandas wrote to HDF5 with ``DataFrame.to_hdf``, of both of its formats.

pandas keeps the names of some columns as pickles. They are read as what they are, lists of text,
opcode by opcode; nothing is unpickled.
"""

from __future__ import annotations

import pickletools
from typing import Any

import h5py
import pyarrow as pa

from hepml_tasks.errors import FormatError
from hepml_tasks.formats.hdf5 import Column, field_of, follow

_TEXTS = {"UNICODE", "BINUNICODE", "SHORT_BINUNICODE", "BINUNICODE8"}
_BYTES = {"STRING", "BINSTRING", "SHORT_BINSTRING"}
_BUILD = {"PROTO", "FRAME", "STOP", "MARK", "EMPTY_LIST", "LIST", "APPEND", "APPENDS"}
_NUMBERS = frozenset({"INT", "BININT", "BININT1", "TUPLE", "TUPLE2"})
_REMEMBER = {"PUT", "BINPUT", "LONG_BINPUT", "MEMOIZE"}


def pandas_columns(group: Any, origin: str) -> dict[str, Column]:
    """Return the columns of a group that pandas wrote.

    Parameters
    ----------
    group : h5py.Group
        With the attribute ``pandas_type``.
    origin : str
        What errors name.

    Raises
    ------
    FormatError
        For what isn't a frame, or holds Python objects.
    """
    kind = _text(group.attrs["pandas_type"])
    if kind in {"frame_table", "appendable_frame"}:
        return _of_table(group, origin)
    if kind == "frame":
        return _of_blocks(group, origin)
    raise FormatError(
        f"{origin}: {group.name} is a {kind} of pandas and no frame; write it with"
        ' frame.to_hdf(path, key=…, format="table")'
    )


def _of_table(group: Any, origin: str) -> dict[str, Column]:
    """Format "table": a compound dataset, several columns of one type in one of its fields."""
    dataset = follow(group, "table", origin)
    if "meta" in group:
        raise FormatError(
            f"{origin}: {group.name} has categories of pandas, which are not read; write them as"
            " text"
        )
    columns: dict[str, Column] = {}
    for part in dataset.dtype.names or ():
        if part == "index":
            continue
        dtype = dataset.dtype[part]
        base, shape = dtype.base, dtype.shape
        told = dataset.attrs.get(f"{part}_kind")
        names = [part]
        if part.startswith("values_block_"):
            names = texts_of_pickle(told, f"{origin}: {group.name}/table, columns of {part}")
        if len(names) != (shape[0] if shape else 1):
            raise FormatError(f"{origin}: {group.name}/table has other columns than it tells")
        _check_plain(dataset, part, origin)
        undefined = _text(dataset.attrs.get(f"{part}_nan_rep", "nan")).encode()
        truth = _text(dataset.attrs.get(f"{part}_dtype", "")) == "bool"
        for index, name in enumerate(names):
            field = pa.field(name, pa.bool_()) if truth else field_of(name, base, (), origin)
            columns[name] = Column(field, dataset, part, index if shape else None, undefined)
    axes = group.attrs.get("non_index_axes", b"")
    order = texts_of_pickle(axes, f"{origin}: {group.name}, order of its columns", _NUMBERS)
    return {n: columns[n] for n in order} if set(order) == set(columns) else columns


def _check_plain(dataset: Any, part: str, origin: str) -> None:
    """Refuse numbers that stand for something else, such as dates."""
    kind = _text(dataset.attrs.get(f"{part}_dtype", ""))
    if "datetime" in kind or "timedelta" in kind:
        raise FormatError(
            f"{origin}: {part} holds {kind}, which is not read; write it as text or a number"
        )


def _of_blocks(group: Any, origin: str) -> dict[str, Column]:
    """Format "fixed": an array a type, with the names of its columns beside it."""
    columns: dict[str, Column] = {}
    for number in range(int(group.attrs.get("nblocks", 0))):
        names = follow(group, f"block{number}_items", origin)[:]
        values = follow(group, f"block{number}_values", origin)
        if values.ndim != 2 or h5py.check_vlen_dtype(values.dtype) is not None:
            raise FormatError(
                f"{origin}: {group.name} holds Python objects of pandas, such as text, which are"
                ' not read; write it with frame.to_hdf(path, key=…, format="table")'
            )
        _check_plain(values, "value", origin)
        # PyTables keeps booleans as bits, which h5py reads as numbers
        truth = values.id.get_type().get_class() == h5py.h5t.BITFIELD
        for index, raw in enumerate(names.tolist()):
            name = _text(raw)
            field = pa.field(
                name, pa.bool_() if truth else field_of(name, values.dtype, (), origin).type
            )
            columns[name] = Column(field, values, index=index)
    axis = [_text(raw) for raw in follow(group, "axis0", origin)[:].tolist()]
    if set(axis) != set(columns):
        raise FormatError(f"{origin}: {group.name} has other columns than it tells")
    return {name: columns[name] for name in axis}


def _text(raw: Any) -> str:
    return raw.decode("utf-8", "replace") if isinstance(raw, bytes) else str(raw)


def texts_of_pickle(raw: Any, where: str, beside: frozenset[str] = frozenset()) -> list[str]:
    """Read a pickled list of text without unpickling it.

    Parameters
    ----------
    raw : bytes, or a numpy value of them
        As PyTables keeps an attribute.
    where : str
        What errors name.
    beside : frozenset of str
        Opcodes of what else may stand there, and is passed over.

    Returns
    -------
    list of str

    Raises
    ------
    FormatError
        If the pickle is anything else.
    """
    told = raw.tobytes() if hasattr(raw, "tobytes") else raw
    told = told.encode("latin-1") if isinstance(told, str) else told
    found: list[str] = []
    try:
        for opcode, argument, _ in pickletools.genops(told):
            if opcode.name in _TEXTS | _BYTES:
                found.append(str(argument))
            elif opcode.name not in _BUILD | _REMEMBER | beside:
                raise ValueError(f"it holds {opcode.name}")
    except (ValueError, TypeError, UnicodeDecodeError) as error:
        raise FormatError(
            f"{where}: their names are a pickle of more than text ({error}), which is not read;"
            ' write the file with frame.to_hdf(path, key=…, format="table", data_columns=True)'
        ) from error
    return found
