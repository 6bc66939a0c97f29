"""Download one file: resumed, bounded, retried, and verified before it gets its name."""

from __future__ import annotations

import contextlib
import json
import random
import shutil
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hepml_tasks.data.checksum import checksum_of, verify
from hepml_tasks.data.kept import (
    cannot_write,
    first_path,
    part_path,
    read_json,
    record_path,
    set_aside,
    write_record,
)
from hepml_tasks.data.transports import (
    ChangedError,
    Opened,
    PassingError,
    Transport,
    shown,
    transport_of,
)
from hepml_tasks.errors import ChecksumError, DataError
from hepml_tasks.formats.atomic import write_atomically
from hepml_tasks.spec import FileSpec

if TYPE_CHECKING:
    from tqdm import tqdm

ATTEMPTS = 5
"""Times that an address is asked without a new byte from it."""
FIRST_DELAY = 0.5
LONGEST_WAIT = 60.0
"""Seconds: who asks us to wait longer is left for the next place."""
SLOWEST = 1000
"""Bytes a second over `SLOW_FOR` seconds; what is slower is asked again."""
SLOW_FOR = 60.0


@dataclass(frozen=True)
class Partial:
    """The beginning of a file, kept until all of it is there."""

    path: Path

    @property
    def length(self) -> int:
        """Bytes at hand."""
        try:
            return self.path.stat().st_size
        except FileNotFoundError:
            return 0

    @property
    def note(self) -> dict[str, Any]:
        """The size and version of what it is the beginning of."""
        return read_json(self._note_path)

    @property
    def _note_path(self) -> Path:
        return self.path.with_name(f"{self.path.name}.json")

    def begin(self, size: int | None, version: str | None) -> None:
        """Start anew: the note is there before the first byte is."""
        self.clear()
        note = {"size": size, "version": version}
        write_atomically(self._note_path, json.dumps(note).encode())

    def clear(self) -> None:
        """Forget it."""
        self.path.unlink(missing_ok=True)
        self._note_path.unlink(missing_ok=True)


def download(
    address: str,
    kept: Path,
    file: FileSpec,
    *,
    dataset: str,
    bar: tqdm[Any],
    stop: threading.Event,
) -> None:
    """Bring a file from an address to its place in the cache; its lock is held.

    Parameters
    ----------
    address : str
        ``http(s)://`` or ``root://``.
    kept : Path
        Its place.
    file : FileSpec
        Without a checksum, its sha256 is recorded, and expected from then on.
    dataset : str
    bar : tqdm
        Shows the bytes.
    stop : threading.Event
        Ends the work; what has come stays for the next time.

    Raises
    ------
    ChecksumError
        If the bytes are not the published ones; they are set aside.
    DataError
        If the address doesn't give the file.
    OutputError
        If the cache can't be written.
    """
    transport = transport_of(address)
    assert transport is not None  # noqa: S101 - the caller's own choice
    part = Partial(part_path(kept, address))
    try:
        while True:
            joined = _collect(transport, address, part, file, bar, stop)
            try:
                checksum = _verified(part.path, file)
                break
            except ChecksumError as error:
                if joined:
                    # the pieces may be of two versions of the file: once more, in one piece
                    part.clear()
                    continue
                problem = str(error).removeprefix(f"{part.path}: ")
                aside = set_aside(part.path, kept, f"{shown(address)}: {problem}")
                part.clear()
                raise ChecksumError(
                    f"{shown(address)}: {problem} (kept aside as {aside})"
                ) from error
        if file.checksum is None:
            first = {"checksum": checksum, "size": part.length, "from": shown(address)}
            write_atomically(first_path(kept), json.dumps(first).encode())
        part.path.replace(kept)
        part.clear()
    except OSError as error:
        raise cannot_write(part.path, error) from error
    write_record(kept, record_path(kept), checksum, dataset=dataset, origin=shown(address))
    for other in kept.parent.glob(f".{kept.name}.*.part*"):
        with contextlib.suppress(OSError):
            other.unlink()


def _verified(path: Path, file: FileSpec) -> str:
    if file.checksum is None:
        return checksum_of(path, "sha256")
    verify(path, file.checksum, file.size)
    return file.checksum


def _collect(
    transport: Transport,
    address: str,
    part: Partial,
    file: FileSpec,
    bar: tqdm[Any],
    stop: threading.Event,
) -> bool:
    """Bring all bytes into the part; return whether they came in several pieces."""
    failures, furthest, joined = 0, part.length, False
    while True:
        try:
            return _transfer(transport, address, part, file, bar, stop) or joined
        except PassingError as error:
            if isinstance(error, ChangedError):
                part.clear()
            length = part.length
            failures = 1 if length > furthest else failures + 1
            furthest = max(furthest, length)
            joined = joined or length > 0
            if failures >= ATTEMPTS:
                raise DataError(f"{error} (asked {ATTEMPTS} times)") from error
            wait = error.wait
            if wait is None:
                wait = FIRST_DELAY * 2 ** (failures - 1) * random.uniform(0.5, 1.0)
            if wait > LONGEST_WAIT:
                raise DataError(f"{error}, and asks to wait {wait:.0f} s") from error
            if stop.wait(wait):
                raise DataError(f"{shown(address)}: stopped") from error


def _transfer(
    transport: Transport,
    address: str,
    part: Partial,
    file: FileSpec,
    bar: tqdm[Any],
    stop: threading.Event,
) -> bool:
    """Bring what is missing over one connection; return whether it was joined to earlier bytes."""
    note, offset = part.note, part.length
    if not note or (note["version"] is None and file.checksum is None):
        # nothing would tell whether the rest is of the same file
        offset = 0
    limit = file.size or note.get("size")
    if offset and limit is not None and offset >= limit:
        return True
    with transport.open_at(address, offset, note.get("version") if offset else None) as opened:
        _check_size(opened, address, file)
        joined = opened.offset > 0
        if not joined:
            part.begin(opened.size, opened.version)
        limit = file.size or opened.size
        missing = None if limit is None else limit - opened.offset
        if missing is not None and missing > shutil.disk_usage(part.path.parent).free:
            raise OSError(None, f"{missing} bytes are still to come, and the disk has fewer")
        bar.total, bar.n = limit, opened.offset
        bar.refresh()
        length = opened.offset
        with part.path.open("ab", buffering=0) as out:
            for block in _not_too_slow(opened.blocks, address):
                length += len(block)
                if limit is not None and length > limit:
                    part.clear()
                    raise ChecksumError(
                        f"{shown(address)}: grows beyond the {limit} bytes that are"
                        f" {'published' if file.size else 'announced'}"
                    )
                rest = memoryview(block)
                while rest:
                    rest = rest[out.write(rest) :]
                bar.update(len(block))
                if stop.is_set():
                    raise DataError(f"{shown(address)}: stopped")
    if limit is not None and length < limit and (opened.size is not None or file.size):
        raise PassingError(f"{shown(address)}: cut after {length} of {limit} bytes")
    return joined


def _check_size(opened: Opened, address: str, file: FileSpec) -> None:
    if file.size is not None and opened.size is not None and opened.size != file.size:
        what = "is truncated" if opened.size < file.size else "is too long"
        raise ChecksumError(
            f"{shown(address)}: {what}: {opened.size} bytes where {file.size} are published"
        )
    if file.size is None and file.checksum is None and not opened.end_is_told:
        raise DataError(
            f"{shown(address)}: tells no length, and neither size nor checksum are published, so"
            " that a cut file can't be told from a whole one; add one of them to the task file"
        )


def _not_too_slow(blocks: Iterator[bytes], address: str) -> Iterator[bytes]:
    since, came = time.monotonic(), 0
    for block in blocks:
        yield block
        came += len(block)
        passed = time.monotonic() - since
        if passed > SLOW_FOR:
            if came < SLOWEST * passed:
                raise PassingError(f"{shown(address)}: {came} bytes in {passed:.0f} s are too slow")
            since, came = time.monotonic(), 0
