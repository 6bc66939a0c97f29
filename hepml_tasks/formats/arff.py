"""ARFF, the format in which OpenML keeps datasets, splits and predictions.

Format: the attribute-relation file format of Weka. Dense and sparse rows are read, dense ones
written, in plain ASCII. Dense rows are parsed by Arrow's CSV reader and written by its string
kernels.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO

import pyarrow as pa
import pyarrow.compute as pc
from pyarrow import csv

from hepml_tasks.errors import FormatError
from hepml_tasks.formats.arff_header import (
    NOTE,
    Attribute,
    AttributeType,
    Header,
    quote,
    read_header,
    render_header,
)
from hepml_tasks.formats.arff_sparse import is_sparse, read_sparse_rows
from hepml_tasks.formats.blocks import in_order, text_of, whole_lines
from hepml_tasks.formats.notes import as_written, note_of, read_note, restored
from hepml_tasks.formats.plain import check_exact, check_names, plain_type
from hepml_tasks.formats.spool import distinct_texts, rereadable
from hepml_tasks.formats.stream import TableStream
from hepml_tasks.spec import TableSpec

__all__ = [
    "ArffFile",
    "Attribute",
    "AttributeType",
    "attributes_of",
    "open_stream",
    "read_arff",
    "render_arff",
    "write_arff",
    "write_stream",
]

_ROWS_AT_ONCE = 16_384
"""Few enough for the text of all columns to stay in a core's cache."""

_UNDEFINED = pc.JoinOptions(null_handling="replace", null_replacement="?")

_FIELD = re.compile(
    rb"""[ \t]*(?:'((?:[^'\\\n]|\\.)*)'|"((?:[^"\\\n]|\\.)*)"|([^,\n]*?))[ \t\r]*(,|\n|$)"""
)
_PIECE = 8_000_000
_MOST_VALUES = 1_000
"""Text of more different values is declared a string: it is no class."""


@dataclass(frozen=True)
class ArffFile:
    """A whole file: its relation's name, its attributes, its rows, and how these are written."""

    relation: str
    attributes: tuple[Attribute, ...]
    table: pa.Table
    sparse: bool = False


def read_arff(path: str | os.PathLike[str]) -> ArffFile:
    """Read an ARFF file.

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
        If the header or a row isn't ARFF: the message names file and line.
    """
    path = Path(path)
    with path.open("rb") as file:
        header = read_header(file, path)
        body = file.read()
    table = _read_rows(body, header, path, header.lines + 1)
    # Arrow's names may be there twice, a dataset's not: columns have numbers while they are read
    return ArffFile(
        header.relation,
        header.attributes,
        table.rename_columns([a.name for a in header.attributes]),
        sparse=is_sparse(body),
    )


@contextmanager
def open_stream(path: Path, table: TableSpec) -> Iterator[TableStream]:
    """Open an ARFF file.

    Parameters
    ----------
    path : Path
    table : TableSpec
        Not needed here.

    Yields
    ------
    TableStream
        Types as `read_arff` tells or, in a file that was written here, those that were written.
    """
    del table
    with path.open("rb") as file:
        header = read_header(file, path)
        names = [a.name for a in header.attributes]
        check_names(names, str(path))
        stored = pa.schema(list(zip(names, header.types, strict=True)))
        schema = restored(stored, read_note(header.note, str(path)) if header.note else {})

        def batches() -> Iterator[pa.RecordBatch]:
            line = header.lines + 1
            for block in whole_lines(iter(lambda: file.read(_PIECE), b""), str(path)):
                for batch in _read_rows(block, header, path, line).to_batches():
                    yield as_written(batch, schema, str(path))
                line += block.count(b"\n")

        yield TableStream(schema, batches())


def _read_rows(body: bytes, header: Header, path: Path, line: int) -> pa.Table:
    """Parse rows; `line` is the number of the first."""
    attributes, types = header.attributes, header.types
    columns = [str(i) for i in range(len(attributes))]
    if not body.strip():
        return pa.table([pa.array([], t) for t in types], names=columns)
    if is_sparse(body):
        table = read_sparse_rows(body, attributes, types, path, line)
        _check_all_nominal(table, attributes, path)
        return table
    if _has_blanks(body) or (b"'" in body and b'"' in body):
        body = _FIELD.sub(_plainly, body)
    mark: str | bool = "'" if b"'" in body else '"' if b'"' in body else False

    def skip_comments(row: csv.InvalidRow) -> str:
        return "skip" if (row.text or "").lstrip().startswith("%") else "error"

    try:
        table = csv.read_csv(
            pa.BufferReader(body),
            read_options=csv.ReadOptions(column_names=columns),
            parse_options=csv.ParseOptions(
                quote_char=mark,
                double_quote=False,
                escape_char="\\" if b"\\" in body else False,
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
            f"{path}: {_explain(str(error), attributes)} (rows start at line {line})"
        ) from error
    _check_all_nominal(table, attributes, path)
    return table


def _has_blanks(body: bytes) -> bool:
    """Whether there may be blanks around fields, which are no part of them."""
    # one byte is looked for at the speed of the memory, two are not
    if b" " not in body and b"\t" not in body:
        return False
    return any(blank in body for blank in (b", ", b" ,", b",\t", b"\t,", b"\n ", b" \n", b" \r"))


def _plainly(field: re.Match[bytes]) -> bytes:
    """Return a field without blanks around it, and text in the quotes that all have."""
    single, double, bare, end = field.groups()
    if double is not None:
        single = double.replace(b'\\"', b'"').replace(b"'", b"\\'")
    return (bare if single is None else b"'" + single + b"'") + end


def _explain(message: str, attributes: Sequence[Attribute]) -> str:
    column = re.search(r"In CSV column #(\d+)", message)
    if column:
        name = attributes[int(column[1])].name
        return f"column {name!r}: {message.split(':', 1)[-1].strip().splitlines()[0]}"
    return message.splitlines()[0]


def _check_all_nominal(table: pa.Table, attributes: Sequence[Attribute], path: Path) -> None:
    for column, attribute in zip(table.columns, attributes, strict=True):
        if attribute.type == "nominal":
            _check_nominal(column, attribute, path)


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
        kind = plain_type(field, "ARFF")
        if pa.types.is_string(kind):
            values = sorted(
                v for v in pc.unique(column.cast(pa.string())).to_pylist() if v is not None
            )
            attributes.append(Attribute(field.name, "nominal", tuple(values)))
        else:
            attributes.append(_number_or_truth(field, "numeric"))
    return tuple(attributes)


def _number_or_truth(field: pa.Field, number: AttributeType) -> Attribute:
    if pa.types.is_boolean(field.type):
        return Attribute(field.name, "nominal", ("false", "true"))
    return Attribute(field.name, number)


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
        For infinite values, names or values that aren't ASCII, integers that a floating-point
        number can't hold, and types without a place in ARFF.
    """
    attributes = attributes_of(table) if attributes is None else tuple(attributes)
    with Path(path).open("wb") as file:
        file.write(render_header(relation, attributes, comment).encode("ascii"))
        for rows in _rendered(_smaller(table.to_batches()), attributes):
            file.write(rows)


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
    file.write(render_header(relation, attributes, comment))
    for rows in _rendered(_smaller(table.to_batches()), attributes):
        file.write(str(rows, "ascii"))


def write_stream(stream: TableStream, path: Path, *, name: str = "table") -> None:
    """Write a dense, plain-ASCII ARFF file of a table in batches.

    Text of at most a thousand values is nominal, other text a string. Types and roles stand in a
    comment, by which they are found again here.

    Parameters
    ----------
    stream : TableStream
    path : Path
    name : str
        The relation's.

    Raises
    ------
    FormatError
        As `write_arff` does.
    """
    schema = stream.schema
    check_names(schema.names, path.name)
    kinds = [plain_type(f, "ARFF") for f in schema]
    texts = [f.name for f, k in zip(schema, kinds, strict=True) if pa.types.is_string(k)]
    with rereadable(stream, path, needed=bool(texts)) as again:
        values = distinct_texts(again.batches, texts, most=_MOST_VALUES)
        attributes = []
        for field, kind in zip(schema, kinds, strict=True):
            if field.name in texts:
                found = values[field.name]
                nominal = found is not None
                attributes.append(Attribute(field.name, "nominal" if nominal else "string", found))
            else:
                number: AttributeType = "integer" if pa.types.is_integer(kind) else "numeric"
                attributes.append(_number_or_truth(field, number))
        header = render_header(name, attributes)
        note = f"{NOTE}{note_of(schema)}\n"
        with path.open("wb") as file:
            file.write(note.encode("ascii") + header.encode("ascii"))
            for rows in _rendered(_smaller(again.batches), attributes):
                file.write(rows)


def _smaller(batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
    for batch in batches:
        for start in range(0, batch.num_rows, _ROWS_AT_ONCE):
            yield batch.slice(start, _ROWS_AT_ONCE)


def _rendered(
    batches: Iterable[pa.RecordBatch], attributes: Sequence[Attribute]
) -> Iterator[memoryview]:
    """Return the rows' text, batch by batch."""

    def text(batch: pa.RecordBatch) -> memoryview:
        columns = [_as_text(c, a) for c, a in zip(batch.columns, attributes, strict=True)]
        columns[-1] = pc.binary_join_element_wise(columns[-1], "\n", "", options=_UNDEFINED)
        rows = pc.binary_join_element_wise(*columns, ",", options=_UNDEFINED)
        return text_of(rows)

    return in_order(text, (b for b in batches if b.num_rows))


def _as_text(column: pa.Array, attribute: Attribute) -> pa.Array:
    if attribute.type in {"numeric", "integer"}:
        if pa.types.is_float16(column.type):
            column = column.cast(pa.float32())
        # one look at most columns: their values are finite
        if pa.types.is_floating(column.type) and not pc.all(pc.is_finite(column)).as_py():
            column = pc.if_else(pc.is_nan(column), pa.scalar(None, column.type), column)
            if pc.any(pc.is_inf(column)).as_py():
                raise FormatError(
                    f"column {attribute.name!r} holds an infinite value, which ARFF can't say"
                )
        check_exact(column, attribute.name, "ARFF")
        return column.cast(pa.string())
    text = column.cast(pa.string())
    quoted = {v: quote(v) for v in pc.unique(text).to_pylist() if v is not None}
    if any(k != v for k, v in quoted.items()):
        encoded = text.dictionary_encode()
        words = pa.array([quoted[v] for v in encoded.dictionary.to_pylist()], pa.string())
        text = pa.DictionaryArray.from_arrays(encoded.indices, words).cast(pa.string())
    return text
