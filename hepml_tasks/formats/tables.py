"""Tables from files and back, by the ending of a file's name."""

from __future__ import annotations

import importlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pyarrow as pa

from hepml_tasks.errors import FormatError, OutputError
from hepml_tasks.formats.atomic import atomic_path
from hepml_tasks.formats.plain import check_no_page
from hepml_tasks.formats.stream import TableStream, table_of, undefined_as_null
from hepml_tasks.spec import TableSpec


@dataclass(frozen=True)
class TableFormat:
    """A file format: the module that reads and writes it.

    Parameters
    ----------
    name : str
        As people call it.
    module : str
        Has ``open_stream(path, table)``, a context manager, and ``write_stream(stream, path)``.
        It is imported when it is needed: some formats' libraries take a second.
    options : mapping
        Passed to both functions.
    lists : bool
        Whether lists may stay what they are, without a rule that makes them rows or columns.
    nameless : bool
        Whether a file may come without the names of its columns.
    """

    name: str
    module: str
    options: Mapping[str, Any] = field(default_factory=dict)
    lists: bool = True
    nameless: bool = False

    def open_stream(self, path: Path, table: TableSpec) -> AbstractContextManager[TableStream]:
        """Open a file of this format."""
        module = importlib.import_module(self.module)
        stream: AbstractContextManager[TableStream] = module.open_stream(
            path, table, **self.options
        )
        return stream

    def write_stream(self, stream: TableStream, path: Path, *, name: str) -> None:
        """Write a file of this format."""
        importlib.import_module(self.module).write_stream(stream, path, name=name, **self.options)


_HERE = "hepml_tasks.formats"
_CSV = f"{_HERE}.tabular_csv"
_ZIPPED = TableFormat("CSV in zip", _CSV, {"compression": "zip"}, nameless=True)
_HDF5 = TableFormat("HDF5", f"{_HERE}.hdf5")

FORMATS: Mapping[str, TableFormat] = {
    ".csv.gz": TableFormat("CSV in gzip", _CSV, {"compression": "gzip"}, nameless=True),
    ".csv.zip": _ZIPPED,
    ".csv": TableFormat("CSV", _CSV, nameless=True),
    ".zip": _ZIPPED,
    ".parquet": TableFormat("Parquet", f"{_HERE}.parquet"),
    ".arff": TableFormat("ARFF", f"{_HERE}.arff"),
    ".root": TableFormat("ROOT", f"{_HERE}.root", lists=False),
    ".hdf5": _HDF5,
    ".h5": _HDF5,
}
"""The formats by the ending of a file's name; of two that fit, the longer one."""


def format_of(path: Path) -> tuple[str, TableFormat]:
    """Return a file's ending and its format.

    Raises
    ------
    FormatError
        If the ending is none that is known.
    """
    for ending, format_ in FORMATS.items():
        if path.name.lower().endswith(ending):
            return ending, format_
    raise FormatError(
        f"{path}: its ending is none of {', '.join(FORMATS)}; convert it to one of these first"
    )


@contextmanager
def open_table(path: Path, table: TableSpec | None = None) -> Iterator[TableStream]:
    """Open a file as a table in batches.

    Parameters
    ----------
    path : Path
        Its ending tells the format.
    table : TableSpec, optional
        How the table is taken out of the file.

    Yields
    ------
    TableStream
        What is undefined, NaN included, is null.

    Raises
    ------
    FormatError
        If the content isn't what the ending says, or a rule is missing by which lists become
        columns or rows.
    """
    table = TableSpec() if table is None else table
    ending, format_ = format_of(path)
    if table.names and not format_.nameless:
        raise FormatError(f"{path}: {format_.name} has the columns' names itself; remove `names`")
    with ExitStack() as stack:
        with _told(path, ending):
            with path.open("rb") as file:
                check_no_page(file.read(200), path)
            stream = stack.enter_context(format_.open_stream(path, table))
        read = replace(stream, batches=_read(stream.batches, path, ending))
        yield _taken(undefined_as_null(read), table, format_, str(path))


@contextmanager
def _told(path: Path, ending: str) -> Iterator[None]:
    """Turn what a format's library raises into one line that names the file."""
    try:
        yield
    except FileNotFoundError:
        raise FormatError(f"{path}: no such file") from None
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError, OSError) as error:
        problem = (str(error) or type(error).__name__).splitlines()[0]
        raise FormatError(
            f"{path}: can't be read as {ending[1:]} ({problem}); is the file whole?"
        ) from error


def _read(batches: Iterable[pa.RecordBatch], path: Path, ending: str) -> Iterator[pa.RecordBatch]:
    found = iter(batches)
    while True:
        with _told(path, ending):
            batch = next(found, None)
        if batch is None:
            return
        yield batch


def _taken(stream: TableStream, table: TableSpec, format_: TableFormat, origin: str) -> TableStream:
    if table.columns or table.selection:
        from hepml_tasks.formats.selection import select

        stream = select(stream, table.columns, table.selection, origin)
    from hepml_tasks.formats.jagged import check_ruled, flattened, padded

    if table.flatten:
        return flattened(stream, origin)
    if table.pad is not None:
        return padded(stream, table.pad, origin)
    if not format_.lists:
        check_ruled(stream.schema, origin)
    return stream


def read_table(path: Path, table: TableSpec | None = None) -> pa.Table:
    """Read a whole file, as `open_table` does in batches.

    Parameters
    ----------
    path : Path
        Ends in one of the endings of `FORMATS`.
    table : TableSpec, optional

    Returns
    -------
    pyarrow.Table

    Raises
    ------
    FormatError
        If the ending isn't one of these or the content isn't what it says.
    """
    with open_table(path, table) as stream:
        return table_of(stream)


def write_table(stream: TableStream, path: Path) -> None:
    """Write a file by the ending of its name: the whole of it, or nothing.

    Parameters
    ----------
    stream : TableStream
    path : Path

    Raises
    ------
    FormatError
        If the format can't hold what the table holds: nothing is lost silently.
    OutputError
        If the file can't be written.
    """
    ending, format_ = format_of(path)
    name = path.name[: -len(ending)] or "table"
    reading: list[Exception] = []
    try:
        with atomic_path(path) as temporary:
            format_.write_stream(_watched(stream, reading), temporary, name=name)
    except FormatError as error:
        if error in reading:
            raise
        raise FormatError(f"{path}: {error}") from error
    except OSError as error:
        if error in reading:
            raise
        raise OutputError(
            f"{path}: can't be written ({error.strerror or error}); free some room, or write"
            " elsewhere"
        ) from error


@dataclass(frozen=True)
class Converted:
    """What was converted.

    Parameters
    ----------
    rows : int
    columns : tuple of str
    left_out : mapping of str to int
        What a rule left out, and how many of it.
    """

    rows: int
    columns: tuple[str, ...]
    left_out: Mapping[str, int]


def convert_table(source: Path, target: Path, table: TableSpec | None = None) -> Converted:
    """Convert a file, a few megabytes in memory at a time.

    Parameters
    ----------
    source, target : Path
        Their endings tell the formats.
    table : TableSpec, optional
        How the table is taken out of `source`.

    Returns
    -------
    Converted

    Raises
    ------
    FormatError
        If `source` can't be read, or `target`'s format can't hold it: nothing is lost silently.
    OutputError
        If `target` can't be written.
    """
    format_of(target)
    if target.exists() and source.exists() and target.samefile(source):
        raise OutputError(f"{target}: is the file to read; name another to write")
    with open_table(source, table) as stream:
        rows = 0

        def counted() -> Iterator[pa.RecordBatch]:
            nonlocal rows
            for batch in stream.batches:
                rows += batch.num_rows
                yield batch

        write_table(replace(stream, batches=counted()), target)
        return Converted(rows, tuple(stream.schema.names), stream.left_out)


def _watched(stream: TableStream, failures: list[Exception]) -> TableStream:
    """Remember what goes wrong where the rows come from: it is not the written file's fault."""
    if isinstance(stream.batches, Sequence):
        return stream

    def batches() -> Iterator[pa.RecordBatch]:
        try:
            yield from stream.batches
        except Exception as error:
            failures.append(error)
            raise

    return replace(stream, batches=batches())
