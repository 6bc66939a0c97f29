"""Where the cache keeps what, the records beside it, and the locks.

::

    HEPML_CACHE/
      files/CHECKSUM/NAME            a published file, in a folder named by its published checksum
      files/asked-KEY/NAME           one without a published checksum, by what was asked for
        .NAME.json                     size, time of modification and checksum when verified
        .NAME.first.json               what the first download was, where no checksum is published
        .in-place-KEY.json             the same record for a mirror's file that is read in place
        .NAME.KEY.part, ….part.json    what an interrupted download left, and what it is of
        NAME.wrong, NAME.wrong.txt     a file with wrong bytes, and why it was set aside
      tables/NAME-KEY.parquet        a table made from a file, by a simulator, or of one
        .NAME-KEY.parquet.json         its record
      locks/                         one lock for each of the above
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

from hepml_tasks import settings
from hepml_tasks.errors import OutputError
from hepml_tasks.formats.atomic import write_atomically
from hepml_tasks.spec import FileSpec

_USE_IS_TOLD_EVERY = 3600.0


def kept_path(file: FileSpec, *, dataset: str) -> Path:
    """Return where the cache keeps a file, whether it is there or not.

    Parameters
    ----------
    file : FileSpec
    dataset : str
        The dataset's name.
    """
    if file.checksum is not None:
        folder = file.checksum.replace(":", "-")
    else:
        asked = json.dumps([dataset, file.name, file.size, list(file.urls)])
        folder = f"asked-{_short(asked)}"
    return settings.cache_dir() / "files" / folder / file.name


def record_path(path: Path) -> Path:
    """Return where the record of a kept file or table is."""
    return path.with_name(f".{path.name}.json")


def in_place_record_path(path: Path, kept: Path) -> Path:
    """Return where the record of a mirror's file is, which stays where it is."""
    return kept.with_name(f".in-place-{_short(str(absolute(path)))}.json")


def first_path(kept: Path) -> Path:
    """Return where it is written what the first download was."""
    return kept.with_name(f".{kept.name}.first.json")


def part_path(kept: Path, address: str) -> Path:
    """Return where the beginning of a file is kept while it comes from an address."""
    return kept.with_name(f".{kept.name}.{_short(address)[:8]}.part")


def expected(file: FileSpec, kept: Path) -> FileSpec:
    """Return the file with the first download's checksum and size where none is published."""
    if file.checksum is not None:
        return file
    first = read_json(first_path(kept))
    return replace(file, checksum=first["checksum"], size=first["size"]) if first else file


def absolute(path: Path) -> Path:
    """Return a path from the root, a link's own and not its target's."""
    return Path(os.path.abspath(path))  # noqa: PTH100 - resolve() would follow the link


def read_json(path: Path) -> dict[str, Any]:
    """Return what a record says; nothing where there is none that can be read."""
    try:
        content = json.loads(path.read_bytes())
    except (OSError, ValueError):
        return {}
    return content if isinstance(content, dict) else {}


def write_record(path: Path, record: Path, checksum: str, **more: object) -> None:
    """Record that a file has been verified: what is found on load is compared with it.

    Parameters
    ----------
    path : Path
        The file.
    record : Path
        Where the record goes.
    checksum : str
        What the whole file was found to have.
    **more
        Told by `hepml cache list`.
    """
    content = {**_stamp(path, checksum), **more, "since": time.time()}
    # Where it can't be written only speed is lost: the checksum is computed again next time.
    with contextlib.suppress(OSError):
        write_atomically(record, json.dumps(content).encode())


def is_recorded(path: Path, record: Path, checksum: str | None, *, used: bool = True) -> bool:
    """Whether a file is what was verified before, by size and time of modification.

    Parameters
    ----------
    path, record : Path
    checksum : str, optional
        What it should have; whatever the record says by default.
    used : bool
        Note that it is used now.
    """
    found = read_json(record)
    try:
        stamp = _stamp(path, checksum or found.get("checksum", ""))
    except OSError:
        return False
    if any(found.get(key) != value for key, value in stamp.items()):
        return False
    with contextlib.suppress(OSError):
        # a record's own time says when the file was used last; many jobs must not all write it
        if used and time.time() - record.stat().st_mtime > _USE_IS_TOLD_EVERY:
            os.utime(record)
    return True


def set_aside(path: Path, kept: Path, reason: str) -> Path:
    """Move a wrong file to ``NAME.wrong``, with the reason in ``NAME.wrong.txt``."""
    aside = kept.with_name(f"{kept.name}.wrong")
    path.replace(aside)
    with contextlib.suppress(OSError):
        write_atomically(aside.with_name(f"{aside.name}.txt"), f"{reason}\n".encode())
    return aside


@contextmanager
def locked(kept: Path, *, wait: bool = True) -> Iterator[None]:
    """Hold the lock of a kept file or table; a process that is killed lets go of it.

    Parameters
    ----------
    kept : Path
    wait : bool
        Wait for whoever holds it.

    Raises
    ------
    OutputError
        If the cache can't be written.
    TimeoutError
        If someone else holds it, without `wait`.
    """
    below = kept.relative_to(settings.cache_dir())
    if below.parts[0] == "files":
        # one for the folder: all in it has the same checksum
        below = below.parent
    lock = settings.cache_dir() / "locks" / f"{_short(str(below))}.lock"
    try:
        lock.parent.mkdir(parents=True, exist_ok=True)
        holding = FileLock(lock, timeout=-1 if wait else 0)
        holding.acquire(poll_interval=0.1)
    except Timeout:
        raise TimeoutError(f"{kept} is in use") from None
    except OSError as error:
        raise cannot_write(lock.parent, error) from error
    try:
        try:
            # under the lock: who prunes takes an empty folder away under it
            kept.parent.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise cannot_write(kept.parent, error) from error
        yield
    finally:
        holding.release()


def cannot_write(path: Path, error: OSError) -> OutputError:
    """Return the error of a cache that can't be written, with its remedy."""
    return OutputError(
        f"{path}: can't be written ({error.strerror or error}); free some room (hepml cache list"
        " shows what is kept), or set HEPML_CACHE to a folder that can be written"
    )


def _stamp(path: Path, checksum: str) -> dict[str, object]:
    stat = path.stat()
    return {
        "path": str(absolute(path)),
        "checksum": checksum,
        "size": stat.st_size,
        "modified_ns": stat.st_mtime_ns,
    }


def _short(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:16]
