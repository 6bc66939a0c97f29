"""Parquet: every Arrow type, roles in the schema's metadata."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pyarrow as pa
from pyarrow import parquet

from hepml_tasks.errors import FormatError
from hepml_tasks.formats.plain import check_names
from hepml_tasks.formats.stream import TableStream, grouped, rows_at_once
from hepml_tasks.spec import TableSpec

_GROUP_BYTES = 32_000_000


@contextmanager
def open_stream(path: Path, table: TableSpec) -> Iterator[TableStream]:
    """Open a Parquet file.

    Parameters
    ----------
    path : Path
    table : TableSpec
        Not needed here.

    Yields
    ------
    TableStream
    """
    del table
    with parquet.ParquetFile(path, buffer_size=1 << 20, pre_buffer=False) as file:
        schema = file.schema_arrow
        check_names(schema.names, str(path))

        def batches() -> Iterator[pa.RecordBatch]:
            try:
                # threads would decode the columns of a row group all at once
                yield from file.iter_batches(rows_at_once(schema), use_threads=False)
            except (pa.ArrowInvalid, OSError) as error:
                problem = str(error).splitlines()[0]
                raise FormatError(
                    f"{path}: can't be read as Parquet ({problem}); is the file whole?"
                ) from error

        yield TableStream(schema, batches(), file.metadata.num_rows)


def write_stream(stream: TableStream, path: Path, *, name: str = "table") -> None:
    """Write a Parquet file, compressed by zstd.

    Parameters
    ----------
    stream : TableStream
    path : Path
    name : str
        Not needed here.
    """
    del name
    check_names(stream.schema.names, path.name)
    with parquet.ParquetWriter(path, stream.schema, compression="zstd") as writer:
        for table in grouped(stream, _GROUP_BYTES):
            writer.write_table(table.unify_dictionaries())
