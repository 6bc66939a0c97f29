"""Text files that may be compressed: read in pieces, written so that equal text is equal bytes."""

from __future__ import annotations

import gzip
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path, PurePosixPath
from typing import IO, Literal, cast

from hepml_tasks.errors import FormatError

Compression = Literal["", "gzip", "zip"]

_PIECE = 4_000_000
_LARGE = 200_000_000
_RATIO = 200
"""Text of numbers shrinks to a tenth or a fiftieth: what grows more, and large, is an attack."""


def pieces(path: Path, compression: Compression = "", member: str | None = None) -> Iterator[bytes]:
    """Read a file in pieces of a few megabytes, decompressed.

    Parameters
    ----------
    path : Path
    compression : {"", "gzip", "zip"}
    member : str, optional
        The file in a zip archive; needed where it has several.

    Raises
    ------
    FormatError
        If the file is cut off, damaged, or grows beyond all reason when it is decompressed.
    """
    if compression == "zip":
        yield from _zip_pieces(path, member)
        return
    if member is not None:
        raise FormatError(f"{path}: `member` names a file in a zip archive, and this is none")
    with path.open("rb") as raw:
        if not compression:
            while piece := raw.read(_PIECE):
                yield piece
            return
        total = 0
        try:
            with gzip.GzipFile(fileobj=raw) as file:
                while piece := file.read(_PIECE):
                    total += len(piece)
                    _check_growth(total, raw.tell(), str(path))
                    yield piece
        except (EOFError, zlib.error, gzip.BadGzipFile) as error:
            raise FormatError(
                f"{path}: can't be read as gzip ({error}); is the file whole?"
            ) from error


def _zip_pieces(path: Path, member: str | None) -> Iterator[bytes]:
    try:
        with zipfile.ZipFile(path) as archive:
            info = _member(archive, path, member)
            total = 0
            with archive.open(info) as file:
                while piece := file.read(_PIECE):
                    total += len(piece)
                    _check_growth(total, info.compress_size, f"{path}: {info.filename}")
                    yield piece
    except (zipfile.BadZipFile, EOFError, zlib.error, NotImplementedError, RuntimeError) as error:
        raise FormatError(
            f"{path}: can't be read as zip ({error}); is the file whole, and without a password?"
        ) from error


def _member(archive: zipfile.ZipFile, path: Path, wanted: str | None) -> zipfile.ZipInfo:
    files = [i for i in archive.infolist() if not i.is_dir()]
    for info in files:
        parts = PurePosixPath(info.filename.replace("\\", "/"))
        if parts.is_absolute() or ".." in parts.parts or ":" in info.filename:
            raise FormatError(
                f"{path}: holds {info.filename!r}, which points out of the archive; it is not to"
                " be trusted"
            )
    # what a Mac's archiver adds is no data
    tables = [i for i in files if not i.filename.startswith("__MACOSX/")]
    named = [i for i in tables if wanted in (None, i.filename)]
    if len(named) != 1:
        names = ", ".join(i.filename for i in tables[:8]) or "no file"
        missing = f"no {wanted!r} among" if wanted is not None and not named else "holds"
        raise FormatError(
            f"{path}: {missing} {names}; name one with --member, or as `member` in a task's file"
        )
    (info,) = named
    # UCI's archives call a table .data
    if not info.filename.lower().endswith((".csv", ".txt", ".data")):
        raise FormatError(f"{path}: {info.filename} is no .csv; unpack it, then convert it")
    _check_growth(info.file_size, info.compress_size, f"{path}: {info.filename}")
    return info


def _check_growth(size: int, compressed: int, what: str) -> None:
    if size > _LARGE and size > _RATIO * max(compressed, 1):
        raise FormatError(
            f"{what}: grows more than {_RATIO} times when it is decompressed, to {size / 1e6:.0f}"
            " MB and on, as no table does; decompress it yourself if you trust it"
        )


@contextmanager
def open_to_write(path: Path, compression: Compression, member: str) -> Iterator[IO[bytes]]:
    """Open a file to write text into it.

    Parameters
    ----------
    path : Path
    compression : {"", "gzip", "zip"}
    member : str
        What the file in a zip archive is called.
    """
    with path.open("wb") as raw:
        if compression == "gzip":
            # without name and time equal text gives equal bytes
            with gzip.GzipFile("", "wb", compresslevel=6, fileobj=raw, mtime=0) as packed:
                yield cast(IO[bytes], packed)
        elif compression == "zip":
            info = zipfile.ZipInfo(member)
            info.compress_type = zipfile.ZIP_DEFLATED
            with (
                zipfile.ZipFile(raw, "w") as archive,
                archive.open(info, "w", force_zip64=True) as file,
            ):
                yield file
        else:
            yield raw
