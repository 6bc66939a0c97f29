"""Streams that must be read twice: what a header says is known when all rows have passed."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc

from hepml_tasks.formats.stream import TableStream


@contextmanager
def rereadable(stream: TableStream, beside: Path, *, needed: bool = True) -> Iterator[TableStream]:
    """Give a stream that can be read more than once.

    Parameters
    ----------
    stream : TableStream
        Its batches are kept in a file unless they are in memory anyway.
    beside : Path
        The file that is being written: the kept one stands beside it, and goes in the end.
    needed : bool
        Whether it will be read twice at all.
    """
    if not needed or isinstance(stream.batches, Sequence):
        yield stream
        return
    kept = beside.with_name(f"{beside.name}.rows")
    try:
        with pa.OSFile(str(kept), "wb") as sink, pa.ipc.new_stream(sink, stream.schema) as writer:
            for batch in stream.batches:
                writer.write_batch(batch)
        yield replace(stream, batches=_Kept(kept))
    finally:
        kept.unlink(missing_ok=True)


class _Kept:
    """Batches in a file, read anew by each loop."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def __iter__(self) -> Iterator[pa.RecordBatch]:
        with pa.OSFile(str(self._path), "rb") as source, pa.ipc.open_stream(source) as reader:
            yield from reader


def distinct_texts(
    batches: Iterable[pa.RecordBatch], columns: Sequence[str], *, most: int
) -> dict[str, tuple[str, ...] | None]:
    """Return the sorted values of columns of text, or None for one with more than `most`.

    Parameters
    ----------
    batches : iterable of pyarrow.RecordBatch
        Not read where there is no column to look at.
    columns : sequence of str
    most : int
    """
    found: dict[str, set[str] | None] = {name: set() for name in columns}
    for batch in batches if columns else ():
        for name, values in found.items():
            if values is not None:
                column = batch.column(name)
                if pa.types.is_dictionary(column.type):
                    column = column.cast(column.type.value_type)
                values.update(v for v in pc.unique(column).to_pylist() if v is not None)
                if len(values) > most:
                    found[name] = None
    return {n: None if v is None else tuple(sorted(v)) for n, v in found.items()}


def longest_texts(batches: Iterable[pa.RecordBatch], columns: Sequence[str]) -> dict[str, int]:
    """Return the number of bytes of the longest value of columns of text.

    Parameters
    ----------
    batches : iterable of pyarrow.RecordBatch
        Not read where there is no column to look at.
    columns : sequence of str
    """
    found = dict.fromkeys(columns, 0)
    for batch in batches if columns else ():
        for name in columns:
            column = batch.column(name)
            if pa.types.is_dictionary(column.type):
                column = column.cast(column.type.value_type)
            longest = pc.max(pc.binary_length(column)).as_py()
            found[name] = max(found[name], longest or 0)
    return found
