"""Uploaded files on disk, each once, named by its checksum."""

from __future__ import annotations

import hashlib
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Protocol

from hepml_tasks.errors import DataError, OutputError
from hepml_tasks.server.database import StoredFile

SUFFIXES = frozenset({".arff", ".xml", ".json", ".parquet", ".txt"})
"""Endings that a stored file keeps; any other is stored without one."""

_CHUNK = 1 << 20


class _Readable(Protocol):
    def read(self, size: int, /) -> bytes: ...


@dataclass(frozen=True)
class Blob:
    """Bytes that are safely on disk: the checksums, the size, and where they are."""

    sha256: str
    md5: str
    size: int
    suffix: str
    path: Path

    def record(self, name: str) -> StoredFile:
        """Make the database's row for these bytes under a name."""
        return StoredFile(
            sha256=self.sha256, md5=self.md5, size=self.size, suffix=self.suffix, name=name
        )


@dataclass(frozen=True)
class FileStore:
    """The directory that holds the files.

    Parameters
    ----------
    directory : Path
        Made by `open_store`.
    """

    directory: Path

    def path(self, file: StoredFile) -> Path:
        """Say where a stored file is."""
        return self._place(file.sha256, file.suffix)

    def add(self, source: _Readable, suffix: str, *, limit: int | None = None) -> Blob:
        """Copy bytes to disk; when this returns, a crash can't lose them.

        Parameters
        ----------
        source : file
            Open for reading bytes.
        suffix : str
            Kept where it is one of `SUFFIXES`.
        limit : int, optional
            Bytes at most.

        Raises
        ------
        DataError
            If there are more than `limit` bytes.
        """
        with self.new_file() as (target, path):
            while chunk := source.read(_CHUNK):
                target.write(chunk)
                if limit is not None and target.tell() > limit:
                    raise DataError(f"more than {limit} bytes")
            target.flush()
            os.fsync(target.fileno())
            return self._keep(path, suffix)

    def add_path(self, path: Path, suffix: str) -> Blob:
        """Copy a file."""
        with path.open("rb") as source:
            return self.add(source, suffix)

    @contextmanager
    def new_file(self) -> Iterator[tuple[IO[bytes], Path]]:
        """Open a temporary file beside the stored ones, which is gone when the block ends."""
        handle, name = tempfile.mkstemp(dir=self.directory / "incoming")
        path = Path(name)
        try:
            with os.fdopen(handle, "w+b") as file:
                yield file, path
        finally:
            path.unlink(missing_ok=True)

    def _place(self, sha256: str, suffix: str) -> Path:
        return self.directory / sha256[:2] / f"{sha256}{suffix}"

    def _keep(self, path: Path, suffix: str) -> Blob:
        suffix = suffix.lower() if suffix.lower() in SUFFIXES else ""
        sha256, md5 = hashlib.sha256(), hashlib.md5(usedforsecurity=False)
        with path.open("rb") as file:
            while chunk := file.read(_CHUNK):
                sha256.update(chunk)
                md5.update(chunk)
        place = self._place(sha256.hexdigest(), suffix)
        place.parent.mkdir(exist_ok=True)
        size = path.stat().st_size
        path.replace(place)
        _sync_directory(place.parent)
        return Blob(sha256.hexdigest(), md5.hexdigest(), size, suffix, place)


def open_store(data: Path) -> FileStore:
    """Open the files of a server's directory.

    Raises
    ------
    OutputError
        If it can't be made or written.
    """
    directory = data / "files"
    incoming = directory / "incoming"
    try:
        incoming.mkdir(parents=True, exist_ok=True)
        for left_over in incoming.iterdir():
            left_over.unlink()
    except OSError as error:
        raise OutputError(
            f"can't write the server's files under {data}: {error.strerror}; choose another --data"
        ) from error
    return FileStore(directory)


def _sync_directory(directory: Path) -> None:
    handle = os.open(directory, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
