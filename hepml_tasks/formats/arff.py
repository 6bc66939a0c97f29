"""ARFF, the format in which OpenML keeps datasets, splits and predictions.

Format: the attribute-relation file format of Weka (dense rows only), plain ASCII when written
here, parsed by Arrow's CSV reader and written by Arrow's string kernels.
"""

from __future__ import annotations

import io
import os
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Literal

import pyarrow as pa
import pyarrow.compute as pc
from pyarrow import csv

from hepml_tasks.errors import FormatError

AttributeType = Literal["numeric", "string", "nominal"]
_NUMERIC = {"numeric", "real", "integer"}
_NAME = re.compile(
    r"""@attribute\s+(?:'((?:[^'\\]|\\.)*)'|"((?:[^"\\]|\\.)*)"|(\S+))\s+(.*)$""",
    re.IGNORECASE,
)
_VALUE = re.compile(
    r"""\s*(?:'((?:[^'\\]|\\.)*)'|"((?:[^"\\]|\\.)*)"|([^,{}]*[^,{}\s])?)\s*(,|$)"""
)
_PLAIN = re.compile(r"[A-Za-z0-9_.+\-]+")
_ROWS_AT_ONCE = 50_000


@dataclass(frozen=True)
class Attribute:
    """A column as the header declares it.

    Parameters
    ----------
    name : str
    type : {"numeric", "string", "nominal"}
    values : tuple of str, optional
        The allowed values of a nominal attribute, in the header's order.
    """

    name: str
    type: AttributeType
    values: tuple[str, ...] | None = None


@dataclass(frozen=True)
class ArffFile:
    """A whole file: its relation's name, its attributes, its rows."""

    relation: str
    attributes: tuple[Attribute, ...]
    table: pa.Table


def read_arff(path: str | os.PathLike[str]) -> ArffFile:
    """Read a dense ARFF file.

    Parameters
    ----------
    path : path-like

    Returns
    -------
    ArffFile
        Numeric attributes as float64 (int64 where declared INTEGER), nominal and string ones
        as strings; ``?`` is null.

    Raises
    ------
    FormatError
        If the header or a row isn't dense ARFF: the message names file and line.
    """
    path = Path(path)
    with path.open("rb") as file:
        relation, attributes, types, lines = _read_header(file, path)
        body = file.read()
    if not attributes:
        raise FormatError(f"{path}: no @ATTRIBUTE before @DATA; is this an ARFF file?")
    if body.lstrip()[:1] == b"{":
        raise FormatError(f"{path}: sparse ARFF is not supported; write dense rows")
    return ArffFile(relation, attributes, _read_rows(body, attributes, types, path, lines))


def _read_header(
    file: IO[bytes], path: Path
) -> tuple[str, tuple[Attribute, ...], list[pa.DataType], int]:
    relation, attributes, types = "", [], []
    for number, raw in enumerate(file, start=1):
        try:
            line = raw.decode("utf-8").strip()
        except UnicodeDecodeError as error:
            raise FormatError(f"{path}, line {number}: not UTF-8 text ({error.reason})") from error
        keyword = line.split(None, 1)[0].casefold() if line else ""
        if not line or line.startswith("%"):
            continue
        if keyword == "@relation":
            relation = _unquote(line[len("@relation") :].strip())
        elif keyword == "@attribute":
            attribute, type_ = _parse_attribute(line, path, number)
            attributes.append(attribute)
            types.append(type_)
        elif keyword == "@data":
            return relation, tuple(attributes), types, number
        else:
            raise FormatError(
                f"{path}, line {number}: expected @RELATION, @ATTRIBUTE or @DATA,"
                f" found {line[:40]!r}"
            )
    raise FormatError(f"{path}: ends before @DATA; the file is truncated or not ARFF")


def _parse_attribute(line: str, path: Path, number: int) -> tuple[Attribute, pa.DataType]:
    match = _NAME.match(line)
    if not match:
        raise FormatError(f"{path}, line {number}: no name and type in {line[:60]!r}")
    single, double, bare, declared = match.groups()
    name = bare if bare is not None else _unescape(single if single is not None else double)
    declared = declared.strip()
    if declared.startswith("{"):
        if not declared.endswith("}"):
            raise FormatError(f"{path}, line {number}: nominal values without a closing brace")
        values = tuple(_split_values(declared[1:-1]))
        return Attribute(name, "nominal", values), pa.string()
    kind = declared.split()[0].casefold() if declared else ""
    if kind in _NUMERIC:
        return Attribute(name, "numeric"), pa.int64() if kind == "integer" else pa.float64()
    if kind in {"string", "date"}:
        return Attribute(name, "string"), pa.string()
    raise FormatError(
        f"{path}, line {number}: attribute {name!r} has unknown type {declared[:40]!r}"
    )


def _split_values(text: str) -> list[str]:
    values, position = [], 0
    while position < len(text):
        match = _VALUE.match(text, position)
        if not match:
            break
        single, double, bare, _ = match.groups()
        values.append(bare if bare is not None else _unescape(single or double or ""))
        position = match.end()
    return values


def _unquote(text: str) -> str:
    if len(text) >= 2 and text[0] == text[-1] and text[0] in "'\"":
        return _unescape(text[1:-1])
    return text


def _unescape(text: str) -> str:
    return re.sub(r"\\(.)", r"\1", text)


def _read_rows(
    body: bytes,
    attributes: Sequence[Attribute],
    types: Sequence[pa.DataType],
    path: Path,
    lines_before: int,
) -> pa.Table:
    # Duplicate names are legal for Arrow but not for a dataset: number the columns while reading.
    columns = [str(i) for i in range(len(attributes))]
    if not body.strip():
        table = pa.table([pa.array([], t) for t in types], names=columns)
        return table.rename_columns([a.name for a in attributes])
    quote = '"' if b"'" not in body[:1_000_000] and b'"' in body[:1_000_000] else "'"

    def skip_comments(row: csv.InvalidRow) -> str:
        return "skip" if (row.text or "").lstrip().startswith("%") else "error"

    try:
        table = csv.read_csv(
            io.BytesIO(body),
            read_options=csv.ReadOptions(column_names=columns, use_threads=False),
            parse_options=csv.ParseOptions(
                quote_char=quote,
                double_quote=False,
                escape_char="\\",
                newlines_in_values=False,
                invalid_row_handler=skip_comments,
            ),
            convert_options=csv.ConvertOptions(
                column_types=dict(zip(columns, types, strict=True)),
                null_values=["?", " ?"],
                strings_can_be_null=True,
                quoted_strings_can_be_null=False,
            ),
        )
    except pa.ArrowInvalid as error:
        raise FormatError(
            f"{path}: {_explain(str(error), attributes)} (rows start at line {lines_before + 1})"
        ) from error
    table = table.rename_columns([a.name for a in attributes])
    for index, attribute in enumerate(attributes):
        if attribute.type == "nominal":
            _check_nominal(table.column(index), attribute, path)
    return table


def _explain(message: str, attributes: Sequence[Attribute]) -> str:
    column = re.search(r"In CSV column #(\d+)", message)
    if column:
        name = attributes[int(column[1])].name
        return f"column {name!r}: {message.split(':', 1)[-1].strip().splitlines()[0]}"
    return message.splitlines()[0]


def _check_nominal(column: pa.ChunkedArray, attribute: Attribute, path: Path) -> None:
    unknown = set(pc.unique(column).to_pylist()) - set(attribute.values or ()) - {None}
    if unknown:
        raise FormatError(
            f"{path}: column {attribute.name!r} holds {sorted(unknown)[0]!r},"
            " which its header doesn't declare"
        )


def attributes_of(table: pa.Table) -> tuple[Attribute, ...]:
    """Declare a table's columns: numbers numeric, dictionaries nominal, text nominal too.

    Parameters
    ----------
    table : pyarrow.Table

    Returns
    -------
    tuple of Attribute
        Text columns become nominal with their sorted values, since OpenML wants a nominal
        target and the stock client reads it as a category.
    """
    attributes = []
    for field, column in zip(table.schema, table.columns, strict=True):
        if pa.types.is_dictionary(field.type) or pa.types.is_string(field.type):
            values = sorted(
                v for v in pc.unique(column.cast(pa.string())).to_pylist() if v is not None
            )
            attributes.append(Attribute(field.name, "nominal", tuple(values)))
        elif pa.types.is_boolean(field.type):
            attributes.append(Attribute(field.name, "nominal", ("false", "true")))
        elif pa.types.is_floating(field.type) or pa.types.is_integer(field.type):
            attributes.append(Attribute(field.name, "numeric"))
        else:
            raise FormatError(
                f"column {field.name!r} of type {field.type} has no place in ARFF;"
                " use Parquet, or flatten it first"
            )
    return tuple(attributes)


def write_arff(
    table: pa.Table,
    path: str | os.PathLike[str],
    *,
    relation: str,
    attributes: Sequence[Attribute] | None = None,
    comment: str = "",
) -> None:
    """Write a dense, plain-ASCII ARFF file.

    Parameters
    ----------
    table : pyarrow.Table
        Null and NaN are written as ``?``.
    path : path-like
    relation : str
    attributes : sequence of Attribute, optional
        One a column, in order; `attributes_of` by default.
    comment : str
        Lines written above the relation.

    Raises
    ------
    FormatError
        For infinite values, names or values that aren't ASCII, and types without a place in ARFF.
    """
    with Path(path).open("w", encoding="ascii", newline="\n") as file:
        render_arff(table, file, relation=relation, attributes=attributes, comment=comment)


def render_arff(
    table: pa.Table,
    file: IO[str],
    *,
    relation: str,
    attributes: Sequence[Attribute] | None = None,
    comment: str = "",
) -> None:
    """Write as `write_arff` does, into an open text file."""
    attributes = attributes_of(table) if attributes is None else tuple(attributes)
    for line in comment.splitlines():
        file.write(f"% {_ascii(line, 'comment')}\n")
    file.write(f"@RELATION {_quote(relation)}\n\n")
    for attribute in attributes:
        file.write(f"@ATTRIBUTE {_quote(attribute.name)} {_declared(attribute)}\n")
    file.write("\n@DATA\n")
    for batch in table.to_batches(max_chunksize=_ROWS_AT_ONCE):
        columns = [
            _as_text(column, attribute)
            for column, attribute in zip(batch.columns, attributes, strict=True)
        ]
        if batch.num_rows:
            rows = pc.binary_join_element_wise(*columns, ",")
            file.write("\n".join(rows.to_pylist()))
            file.write("\n")


def _declared(attribute: Attribute) -> str:
    if attribute.type == "nominal":
        return "{" + ", ".join(_quote(v) for v in attribute.values or ()) + "}"
    return {"numeric": "NUMERIC", "string": "STRING"}[attribute.type]


def _as_text(column: pa.Array, attribute: Attribute) -> pa.Array:
    if attribute.type == "numeric":
        if pa.types.is_floating(column.type):
            column = pc.if_else(pc.is_nan(column), pa.scalar(None, column.type), column)
            if pc.any(pc.is_inf(column)).as_py():
                raise FormatError(
                    f"column {attribute.name!r} holds an infinite value, which ARFF can't say"
                )
        return pc.fill_null(column.cast(pa.string()), "?")
    text = column.cast(pa.string())
    quoted = {v: _quote(v) for v in pc.unique(text).to_pylist() if v is not None}
    if any(k != v for k, v in quoted.items()):
        encoded = text.dictionary_encode()
        words = pa.array([quoted[v] for v in encoded.dictionary.to_pylist()], pa.string())
        text = pa.DictionaryArray.from_arrays(encoded.indices, words).cast(pa.string())
    return pc.fill_null(text, "?")


def _quote(text: str) -> str:
    _ascii(text, "name or value")
    if _PLAIN.fullmatch(text):
        return text
    if any(ord(c) < 32 for c in text):
        raise FormatError(f"{text!r} holds a control character, which ARFF can't say")
    escaped = text.replace("\\", "\\\\").replace("'", "\\'")
    return f"'{escaped}'"


def _ascii(text: str, what: str) -> str:
    if not text.isascii():
        raise FormatError(f"{what} {text!r} is not plain ASCII, which OpenML requires of ARFF")
    return text
