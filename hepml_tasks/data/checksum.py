"""Checksums: what a file must be, and what a table holds."""

from __future__ import annotations

import hashlib
import zlib
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from hepml_tasks.errors import ChecksumError

_CHUNK = 1 << 20


def checksum_of(path: Path, algorithm: str) -> str:
    """Return a file's checksum as archives write it.

    Parameters
    ----------
    path : Path
    algorithm : {"md5", "sha256", "adler32"}

    Returns
    -------
    str
        Such as ``"adler32:e4717bbe"``.
    """
    with path.open("rb") as file:
        if algorithm == "adler32":
            value = 1
            while chunk := file.read(_CHUNK):
                value = zlib.adler32(chunk, value)
            return f"adler32:{value:08x}"
        digest = hashlib.new(algorithm, usedforsecurity=False)
        while chunk := file.read(_CHUNK):
            digest.update(chunk)
        return f"{algorithm}:{digest.hexdigest()}"


def verify(path: Path, checksum: str, size: int | None) -> None:
    """Check that a file holds the published bytes.

    Parameters
    ----------
    path : Path
    checksum : str
    size : int, optional
        Bytes; checked first, since it costs nothing.

    Raises
    ------
    ChecksumError
        Names the file, what came and what was published.
    """
    found = path.stat().st_size
    if size is not None and found != size:
        what = "is truncated" if found < size else "is too long"
        raise ChecksumError(f"{path}: {what}: {found} bytes where {size} are published")
    actual = checksum_of(path, checksum.partition(":")[0])
    if actual != checksum:
        raise ChecksumError(f"{path}: wrong checksum: {actual}, published is {checksum}")


def table_sha256(table: pa.Table) -> str:
    """Return a checksum of what a table holds, whatever its chunks and file format.

    Parameters
    ----------
    table : pyarrow.Table
        Numbers and text; text is hashed with its lengths, numbers as little-endian bytes, and
        the places of nulls with both.

    Returns
    -------
    str
        Hexadecimal sha256.
    """
    digest = hashlib.sha256()
    for field, column in zip(table.schema, table.columns, strict=True):
        digest.update(f"{field.name}\0{table.num_rows}\0".encode())
        digest.update(np.packbits(pc.is_null(column).to_numpy()).tobytes())
        if pa.types.is_integer(field.type) or pa.types.is_floating(field.type):
            values = pc.fill_null(column, 0).to_numpy()
            digest.update(np.ascontiguousarray(values, values.dtype.newbyteorder("<")).tobytes())
        else:
            for chunk in column.cast(pa.string()).chunks:
                digest.update(_with_lengths(chunk))
    return digest.hexdigest()


def _with_lengths(texts: pa.StringArray) -> memoryview:
    """Return ``LENGTH:TEXT`` of all texts, one after the other; null counts as empty."""
    filled = pc.fill_null(texts, "")
    lengths = pc.utf8_length(filled).cast(pa.string())
    _, offsets, content = pc.binary_join_element_wise(lengths, filled, ":").buffers()
    ends = memoryview(offsets).cast("i")
    return memoryview(content or b"")[: ends[len(texts)]]
