"""What a format has no place for, as a line of JSON in a place where it allows one.

ARFF, ROOT and HDF5 files that are written here carry the roles of their columns and the types that
the format doesn't know. Other readers see a comment, a string, an attribute.
"""

from __future__ import annotations

import json
from typing import Any

import pyarrow as pa

from hepml_tasks.errors import FormatError
from hepml_tasks.formats.plain import is_list
from hepml_tasks.formats.stream import roles_in, with_roles

_TYPES: dict[str, pa.DataType] = {
    **{str(t): t for t in (pa.int8(), pa.int16(), pa.int32(), pa.int64())},
    **{str(t): t for t in (pa.uint8(), pa.uint16(), pa.uint32(), pa.uint64())},
    **{str(t): t for t in (pa.float16(), pa.float32(), pa.float64())},
    **{str(t): t for t in (pa.bool_(), pa.string(), pa.large_string())},
    "category": pa.dictionary(pa.int32(), pa.string()),
}


def note_of(schema: pa.Schema, **more: Any) -> str:
    """Return roles and types of a schema's columns, and what else a format wants to remember.

    Parameters
    ----------
    schema : pyarrow.Schema
    **more
        Plain data.

    Returns
    -------
    str
        ASCII, one line.
    """
    types = {f.name: _name(f.type) for f in schema}
    note = {"roles": roles_in(schema), "types": {n: t for n, t in types.items() if t}, **more}
    return json.dumps({k: v for k, v in note.items() if v})


def read_note(text: str, origin: str) -> dict[str, Any]:
    """Return a note as plain data.

    Raises
    ------
    FormatError
        If it is none.
    """
    try:
        note = json.loads(text)
    except ValueError:
        note = None
    if not isinstance(note, dict) or not all(
        isinstance(note.get(key, {}), dict) for key in ("roles", "types")
    ):
        raise FormatError(f"{origin}: the note of its columns' roles and types is damaged")
    return note


def restored(schema: pa.Schema, note: dict[str, Any]) -> pa.Schema:
    """Return a schema with the types and roles of a note, where they fit what was read.

    A type fits where the stored one was made of it: `as_written` casts without loss.
    """
    fields = []
    for field in schema:
        kind = _told(str(note.get("types", {}).get(field.name)), field.type)
        fields.append(field.with_type(kind) if _fits(field.type, kind) else field)
    return with_roles(
        pa.schema(fields, metadata=schema.metadata),
        {str(k): str(v) for k, v in note.get("roles", {}).items()},
    )


def as_written(batch: pa.RecordBatch, schema: pa.Schema, origin: str) -> pa.RecordBatch:
    """Cast a batch to the types of a schema that `restored` returned.

    Raises
    ------
    FormatError
        If a value has no place in the type that the note tells.
    """
    columns = []
    for field, column in zip(schema, batch.columns, strict=True):
        if column.type == field.type:
            columns.append(column)
            continue
        try:
            if pa.types.is_dictionary(field.type):
                columns.append(column.dictionary_encode().cast(field.type))
            else:
                # a shorter floating-point number was written in full: rounding finds it again
                rounds = pa.types.is_floating(field.type) or is_list(field.type)
                columns.append(column.cast(field.type, safe=not rounds))
        except pa.ArrowInvalid as error:
            raise FormatError(
                f"{origin}: column {field.name!r} is not the {field.type} that the file says"
                f" ({str(error).splitlines()[0]})"
            ) from error
    return pa.RecordBatch.from_arrays(columns, schema=schema)


def _told(name: str, stored: pa.DataType) -> pa.DataType:
    if pa.types.is_fixed_size_list(stored) and name.endswith("[]"):
        return pa.list_(_TYPES.get(name[:-2], stored.value_type), stored.list_size)
    return _TYPES.get(name, stored)


def _name(kind: pa.DataType) -> str:
    if pa.types.is_fixed_size_list(kind):
        return f"{_name(kind.value_type)}[]"
    if pa.types.is_dictionary(kind):
        return "category" if kind == _TYPES["category"] else ""
    return str(kind) if str(kind) in _TYPES else ""


def _fits(stored: pa.DataType, kind: pa.DataType) -> bool:
    if stored == kind:
        return True
    if is_list(stored):
        return is_list(kind) and _fits(stored.value_type, kind.value_type)
    if pa.types.is_string(stored):
        tests = (pa.types.is_dictionary, pa.types.is_large_string, pa.types.is_boolean)
        return any(test(kind) for test in tests)
    number = pa.types.is_floating(stored) or pa.types.is_integer(stored)
    return number and bool(pa.types.is_integer(kind) or pa.types.is_floating(kind))
