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
        sha256, md5, size = hashlib.sha256(), hashlib.md5(usedforsecurity=False), 0
        with self.new_file() as (target, path):
            while chunk := source.read(_CHUNK):
                target.write(chunk)
                sha256.update(chunk)
                md5.update(chunk)
                size += len(chunk)
                if limit is not None and size > limit:
                    raise DataError(f"more than {limit} bytes")
            target.flush()
            os.fsync(target.fileno())
            suffix = suffix.lower() if suffix.lower() in SUFFIXES else ""
            place = self._place(sha256.hexdigest(), suffix)
            self._move(path, place)
        return Blob(sha256.hexdigest(), md5.hexdigest(), size, suffix, place)

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

    def _move(self, path: Path, place: Path) -> None:
        if not place.parent.is_dir():
            place.parent.mkdir(exist_ok=True)
            _sync_directory(self.directory)
        path.replace(place)
        _sync_directory(place.parent)

    def stored(self) -> Iterator[Path]:
        """Give the files that are there, those of the identity and of uploads excepted."""
        for folder in sorted(self.directory.iterdir()):
            if len(folder.name) == 2 and folder.is_dir():
                yield from sorted(folder.iterdir())

    @property
    def identity(self) -> str | None:
        """The identity that this directory shares with its database, once it has one."""
        try:
            return (self.directory / "identity").read_text(encoding="ascii").strip()
        except FileNotFoundError:
            return None

    def identify(self, identity: str) -> None:
        """Keep an identity."""
        with self.new_file() as (target, path):
            target.write(f"{identity}\n".encode())
            target.flush()
            os.fsync(target.fileno())
            self._move(path, self.directory / "identity")


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
