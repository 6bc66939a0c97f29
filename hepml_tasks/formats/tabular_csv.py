"""CSV, plain or in gzip or zip: a header, commas, an empty field for an undefined value.

Types are found by reading the file once, rows come from reading it again: a column is what all of
its values are, not what the first thousand happen to be.
"""

from __future__ import annotations

import csv as python_csv
import io
import itertools
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
from pyarrow import csv

from hepml_tasks.errors import FormatError
from hepml_tasks.formats.blocks import in_order, whole_lines
from hepml_tasks.formats.compressed import Compression, open_to_write, pieces
from hepml_tasks.formats.plain import check_names, check_no_page, plain_type
from hepml_tasks.formats.stream import TableStream
from hepml_tasks.spec import TableSpec

_FIELD = re.compile(rb'("(?:[^"]|"")*"|[^,\r\n]*)(,|\r?\n|\r|$)')
_FIELDS_SEEN = 200
_NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?")


@dataclass(frozen=True)
class _Source:
    """Where the text comes from, and what its header says."""

    path: Path
    compression: Compression
    member: str | None
    names: tuple[str, ...] = ()
    header_lines: int = 0
    texts: tuple[int, ...] = ()
    """Columns that are text since it is quoted, whatever it looks like."""

    def blocks(self) -> Iterator[bytes]:
        text = pieces(self.path, self.compression, self.member)
        found = whole_lines(text, str(self.path), quote=b'"')
        first = next(found, b"").removeprefix(b"\xef\xbb\xbf")
        return itertools.chain([_after(first, self.header_lines)], found)


@contextmanager
def open_stream(
    path: Path, table: TableSpec, *, compression: Compression = ""
) -> Iterator[TableStream]:
    """Open a CSV file.

    Parameters
    ----------
    path : Path
    table : TableSpec
        Its `member` names the file in a zip archive, its `names` the columns where the file
        has no line that does.
    compression : {"", "gzip", "zip"}

    Yields
    ------
    TableStream
        Columns are int64, uint64, float64, boolean or text. An empty field, and what pandas takes
        for undefined unless it is quoted, is null.

    Raises
    ------
    FormatError
        Names the line where the file isn't what it should be.
    """
    source = _with_header(_Source(path, compression, table.member), table.names)
    types: list[pa.DataType] = [pa.null()] * len(source.names)
    rows = 0
    for found in _parsed(source, {str(i): pa.string() for i in source.texts}):
        rows += found.num_rows
        types = [_common(a, b) for a, b in zip(types, found.schema.types, strict=True)]
    types = [pa.float64() if pa.types.is_null(t) else t for t in types]
    schema = pa.schema(list(zip(source.names, types, strict=True)))

    def batches() -> Iterator[pa.RecordBatch]:
        given = {str(i): kind for i, kind in enumerate(types)}
        for found in _parsed(source, given):
            for batch in found.to_batches():
                yield pa.RecordBatch.from_arrays(batch.columns, schema=schema)

    yield TableStream(schema, batches(), rows)


def first_row(path: Path, table: TableSpec, *, compression: Compression = "") -> list[str]:
    """Return the fields of a file's first row that isn't empty, names or not."""
    text = next(_Source(path, compression, table.member).blocks(), b"")
    lines = io.StringIO(text.decode("utf-8", "replace"), newline="")
    try:
        return next((row for row in python_csv.reader(lines) if row), [])
    except python_csv.Error as error:
        raise FormatError(f"{path}: its first line can't be read ({error})") from error


def _with_header(source: _Source, given: tuple[str, ...]) -> _Source:
    text = next(source.blocks(), b"")
    check_no_page(text, source.path)
    try:
        # a header is seldom long: the rest of the block need not be text yet
        reader = python_csv.reader(io.StringIO(text.decode("utf-8", "replace"), newline=""))
        names = next((row for row in reader if row), [])
    except python_csv.Error as error:
        raise FormatError(f"{source.path}: its header can't be read ({error})") from error
    if not names:
        raise FormatError(f"{source.path}: is empty; a CSV file starts with its columns' names")
    if any("\ufffd" in name or "\0" in name for name in names):
        raise FormatError(f"{source.path}: its header is not UTF-8 text; is it a CSV file?")
    if given:
        return _without_header(source, text, names, given)
    check_names(names, f"{source.path}, header")
    rows = _after(text, reader.line_num)
    header = text[: len(text) - len(rows)].lstrip(b"\xef\xbb\xbf\r\n")
    _check_header(names, header, rows, source.path)
    texts = _quoted_columns(rows, len(names))
    quoted = header.startswith(b'"') and header.rstrip() != _header_line(names).encode()
    if len(texts) == len(names) and quoted:
        # everything is quoted, where that isn't needed: that says nothing
        texts = ()
    return replace(source, names=tuple(names), header_lines=reader.line_num, texts=texts)


def _check_header(names: list[str], header: bytes, rows: bytes, path: Path) -> None:
    """Refuse what is read without an error and is another table than was meant."""
    if header.startswith(b'"'):
        # names that were written here, whatever they look like
        return
    if _are_values(names):
        raise FormatError(
            f"{path}: its first line has numbers and no names; name its columns with --names"
            " NAME,NAME,… (`names` in a task's file)"
        )
    if len(names) == 1:
        first = rows.lstrip().partition(b"\n")[0].decode("utf-8", "replace").strip()
        for mark in (";", "\t", "|", None):
            parts = first.split(mark)
            alike = 1 < len(parts) == len(names[0].split(mark)) and not first.startswith('"')
            # text may have spaces in it, numbers have none
            if alike and (mark is not None or all(map(_is_number, parts))):
                shown = "spaces" if mark is None else repr(mark)
                raise FormatError(
                    f"{path}: its fields stand between {shown} and not between commas; write it"
                    " with commas (pandas: read_csv(…, sep=…) and to_csv(…, index=False))"
                )


def _are_values(names: list[str]) -> bool:
    """Whether a line of names is one of numbers: whole ones alone may be names that pandas made."""
    return all(map(_is_number, names)) and not all(n.strip().lstrip("-").isdigit() for n in names)


def _is_number(text: str) -> bool:
    return _NUMBER.fullmatch(text.strip()) is not None


def _without_header(
    source: _Source, text: bytes, first: list[str], given: tuple[str, ...]
) -> _Source:
    if len(first) != len(given):
        raise FormatError(
            f"{source.path}, line 1: {len(first)} fields where {len(given)} names are given; give"
            " one a column"
        )
    if tuple(name.strip() for name in first) == given:
        raise FormatError(f"{source.path}, line 1: has the columns' names itself; remove `names`")
    check_names(list(given), f"{source.path}, names")
    return replace(source, names=given, texts=_quoted_columns(text, len(given)))


def _quoted_columns(rows: bytes, width: int) -> tuple[int, ...]:
    """Return the columns whose first field that isn't empty stands in quotes."""
    quoted: dict[int, bool] = {}
    column = 0
    for number, found in enumerate(_FIELD.finditer(rows)):
        if found[1]:
            quoted.setdefault(column, found[1].startswith(b'"'))
        column = column + 1 if found[2] == b"," else 0
        if len(quoted) == width or number > _FIELDS_SEEN * width:
            break
    return tuple(sorted(c for c, is_text in quoted.items() if is_text and c < width))


def _after(text: bytes, lines: int) -> bytes:
    start = 0
    for _ in range(lines):
        start = text.find(b"\n", start) + 1
        if not start:
            return b""
    return text[start:]


def _parsed(source: _Source, types: dict[str, pa.DataType]) -> Iterator[pa.Table]:
    """Parse the rows, columns named by their number; types that aren't given are found by block."""
    columns = [str(i) for i in range(len(source.names))]
    line = source.header_lines + 1
    for block in source.blocks():
        # an empty line of one column is an undefined value
        if block.strip() or (block and len(columns) == 1):
            found = _parse(block, columns, types, source, line)
            unsure = {f.name: _inferred(found[f.name]) for f in found.schema if f.name not in types}
            other = {n: k for n, k in unsure.items() if k != found[n].type}
            yield _retyped(found, block, types, other, source, line) if other else found
        line += block.count(b"\n")


def _retyped(
    found: pa.Table,
    block: bytes,
    types: dict[str, pa.DataType],
    other: dict[str, pa.DataType],
    source: _Source,
    line: int,
) -> pa.Table:
    """Parse a block again with other types than Arrow found, where they can be had."""
    try:
        return _parse(block, found.column_names, types | other, source, line)
    except FormatError:
        # numbers such as 1e19 are whole, and are no integers
        texts = {n: k for n, k in other.items() if pa.types.is_string(k)}
        return _parse(block, found.column_names, types | texts, source, line) if texts else found


def _parse(
    block: bytes,
    columns: list[str],
    types: dict[str, pa.DataType],
    source: _Source,
    line: int,
) -> pa.Table:
    try:
        return csv.read_csv(
            pa.BufferReader(block),
            read_options=csv.ReadOptions(column_names=columns),
            parse_options=csv.ParseOptions(
                newlines_in_values=b'"' in block,
                ignore_empty_lines=len(columns) > 1,
            ),
            convert_options=csv.ConvertOptions(
                column_types=types,
                strings_can_be_null=True,
                quoted_strings_can_be_null=False,
                timestamp_parsers=[],
            ),
        )
    except pa.ArrowInvalid as error:
        raise FormatError(_explain(error, block, columns, source, line)) from error


def _explain(
    error: pa.ArrowInvalid, block: bytes, columns: list[str], source: _Source, line: int
) -> str:
    """Say in which line a row is ragged, or which column can't be converted."""
    text = io.StringIO(block.decode("utf-8", "replace"), newline="")
    reader = python_csv.reader(text)
    try:
        for row in reader:
            if row and len(row) != len(columns):
                return (
                    f"{source.path}, line {line + reader.line_num - 1}: {len(row)} fields where the"
                    f" header has {len(columns)}"
                )
    except python_csv.Error as problem:
        return f"{source.path}, line {line + reader.line_num - 1}: {problem}"
    said = str(error).splitlines()[0]
    column = re.search(r"In CSV column #(\d+): ?", said)
    if column:
        said = f"column {source.names[int(column[1])]!r}: {said[column.end() :]}"
    return f"{source.path}, lines from {line}: {said}"


def _inferred(column: pa.ChunkedArray) -> pa.DataType:
    kind = column.type
    if pa.types.is_null(kind) or pa.types.is_boolean(kind) or pa.types.is_integer(kind):
        return kind
    if not pa.types.is_floating(kind):
        return pa.string()
    # numbers beyond int64 that are uint64 still are taken for floating-point ones by Arrow
    found = pc.min_max(column).as_py()
    low, high = found["min"], found["max"]
    if high is not None and 2**63 <= high <= 2**64 and low >= 0:
        whole = pc.all(pc.equal(pc.floor(column), column)).as_py()
        return pa.uint64() if whole else kind
    return kind


def _common(a: pa.DataType, b: pa.DataType) -> pa.DataType:
    """Return the type of a column that is of one type in a block and of another in the next."""
    if a == b or pa.types.is_null(b):
        return a
    if pa.types.is_null(a):
        return b
    if pa.types.is_boolean(a) or pa.types.is_boolean(b):
        return pa.string()
    if pa.types.is_string(a) or pa.types.is_string(b):
        return pa.string()
    if pa.types.is_floating(a) or pa.types.is_floating(b):
        return pa.float64()
    return pa.uint64()


def write_stream(
    stream: TableStream, path: Path, *, name: str = "table", compression: Compression = ""
) -> None:
    """Write a CSV file: numbers in full, text in quotes, undefined values as empty fields.

    Parameters
    ----------
    stream : TableStream
    path : Path
    name : str
        The file in a zip archive is called so.
    compression : {"", "gzip", "zip"}

    Raises
    ------
    FormatError
        For columns that have no place in a line of text.
    """
    check_names(stream.schema.names, path.name)
    schema = pa.schema([f.with_type(plain_type(f, "CSV")) for f in stream.schema])
    # Arrow writes numbers of half precision as single ones: their text is shorter, and as exact
    half = [f.with_type(pa.float32()) if pa.types.is_float16(f.type) else f for f in schema]
    schema = pa.schema(half)
    options = csv.WriteOptions(include_header=False)

    def text(batch: pa.RecordBatch) -> pa.Buffer:
        columns = [c.cast(f.type) for c, f in zip(batch.columns, schema, strict=True)]
        sink = pa.BufferOutputStream()
        csv.write_csv(pa.RecordBatch.from_arrays(columns, schema=schema), sink, options)
        return sink.getvalue()

    with open_to_write(path, compression, f"{name}.csv") as file:
        file.write((_header_line(schema.names) + "\n").encode())
        for buffer in in_order(text, stream.batches):
            file.write(buffer)


def _header_line(names: list[str]) -> str:
    if _are_values(names):
        # in quotes they are read as names
        return ",".join(f'"{name}"' for name in names)
    return ",".join(map(_quoted, names))


def _quoted(name: str) -> str:
    if name == name.strip() and not re.search(r'[",\r\n]', name):
        return name
    return '"' + name.replace('"', '""') + '"'
