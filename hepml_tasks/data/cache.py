"""What the cache holds: listed, pruned by age, size and use, checked against its checksums."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from hepml_tasks import settings
from hepml_tasks.data.checksum import checksum_of
from hepml_tasks.data.kept import (
    expected,
    first_path,
    is_recorded,
    kept_path,
    locked,
    read_json,
    record_path,
    set_aside,
    write_record,
)
from hepml_tasks.errors import OutputError
from hepml_tasks.spec import FileSpec

State = Literal["verified", "unverified", "touched", "partial", "wrong"]
"""``touched``: changed since it was verified, and to be verified before it is used again."""

_DAY = 86400.0
_ASKED = "asked-"


@dataclass(frozen=True)
class Entry:
    """A file of the cache.

    Parameters
    ----------
    path : Path
    kind : {"file", "table", "rest"}
        ``rest``: what interrupted or wrong downloads left.
    dataset : str
        Empty where no record names it.
    state : State
    checksum : str
        What it should have; empty where nothing says it.
    size : int
        Bytes.
    since, used : float
        When it came, and when it was used last, to the hour: seconds since 1970.
    """

    path: Path
    kind: Literal["file", "table", "rest"]
    dataset: str
    state: State
    checksum: str
    size: int
    since: float
    used: float

    @property
    def owner(self) -> Path:
        """The file whose lock guards it."""
        if self.kind != "rest" or self.path.parent.name != "tables":
            return self.path
        # .NAME.parquet.TEMPORARY, ..NAME.parquet.json.TEMPORARY, NAME.parquet.wrong
        name = self.path.name.lstrip(".").partition(".parquet")[0]
        return self.path.with_name(f"{name}.parquet")


def entries() -> list[Entry]:
    """List what the cache holds, the last used first."""
    base = settings.cache_dir()
    found = []
    for path in (*base.glob("files/*/*"), *base.glob("tables/*")):
        # another process may take it away meanwhile
        with contextlib.suppress(OSError):
            if (entry := _entry(path)) is not None:
                found.append(entry)
    return sorted(found, key=lambda e: (-e.used, str(e.path)))


def _entry(path: Path) -> Entry | None:
    stat, name = path.stat(), path.name
    times = (stat.st_size, stat.st_mtime, stat.st_mtime)
    if name.startswith("."):
        if name.endswith(".json") and not name.endswith(".part.json"):
            return None
        return Entry(path, "rest", "", "partial", "", *times)
    if name.endswith((".wrong", ".wrong.txt")):
        return Entry(path, "rest", "", "wrong", "", *times)
    record = record_path(path)
    noted = read_json(record)
    state: State = "touched"
    if is_recorded(path, record, None, used=False):
        state = "unverified" if path.parent.name.startswith(_ASKED) else "verified"
    return Entry(
        path,
        "table" if path.parent.name == "tables" else "file",
        str(noted.get("dataset", "")),
        state,
        _checksum(path),
        stat.st_size,
        float(noted.get("since", stat.st_mtime)),
        record.stat().st_mtime if noted else stat.st_mtime,
    )


def _checksum(path: Path) -> str:
    """Return what a kept file should have: its folder says it, or its record."""
    folder = path.parent.name
    if path.parent.parent.name == "files" and not folder.startswith(_ASKED):
        return folder.replace("-", ":", 1)
    source = first_path(path) if folder.startswith(_ASKED) else record_path(path)
    return str(read_json(source).get("checksum", ""))


def state_of(file: FileSpec, *, dataset: str) -> Literal["verified", "unverified", "absent"]:
    """Say whether a file is at hand and whether its archive vouches for it.

    Parameters
    ----------
    file : FileSpec
    dataset : str
        The dataset's name.

    Returns
    -------
    {"verified", "unverified", "absent"}
        ``unverified``: no checksum is published, so that only changes since the first download
        would be noticed.
    """
    kept = kept_path(file, dataset=dataset)
    wanted = expected(file, kept)
    at_hand = is_recorded(kept, record_path(kept), wanted.checksum, used=False)
    for record in kept.parent.glob(".in-place-*.json"):
        path = read_json(record).get("path")
        at_hand = at_hand or (
            path is not None and is_recorded(Path(path), record, wanted.checksum, used=False)
        )
    if not at_hand:
        return "absent"
    return "verified" if file.checksum else "unverified"


def chosen(
    *,
    unused_for: float | None = None,
    older_than: float | None = None,
    max_size: int | None = None,
    rest: bool = False,
) -> list[Entry]:
    """Choose what `prune` would take away.

    Parameters
    ----------
    unused_for, older_than : float, optional
        Days since the last use, and since it came.
    max_size : int, optional
        Bytes that may stay: what was used last stays.
    rest : bool
        What interrupted and wrong downloads left.

    Returns
    -------
    list of Entry
    """
    now, stays, taken = time.time(), 0, []
    for entry in entries():
        if (
            (rest and entry.kind == "rest")
            or (unused_for is not None and now - entry.used > unused_for * _DAY)
            or (older_than is not None and now - entry.since > older_than * _DAY)
            or (max_size is not None and stays + entry.size > max_size)
        ):
            taken.append(entry)
        else:
            stays += entry.size
    return taken


def prune(taken: Sequence[Entry]) -> Iterator[tuple[Entry, bool]]:
    """Take entries out of the cache.

    What the first download of a file without a published checksum was stays noted, so that the
    next one is compared with it.

    Parameters
    ----------
    taken : sequence of Entry
        From `chosen`.

    Yields
    ------
    entry, removed : Entry, bool
        False for one that another process is working on.
    """
    for entry in taken:
        try:
            with locked(entry.owner, wait=False):
                entry.path.unlink(missing_ok=True)
                if entry.kind != "rest":
                    record_path(entry.path).unlink(missing_ok=True)
                with contextlib.suppress(OSError):
                    # only where nothing else is left in it
                    entry.path.parent.rmdir()
        except TimeoutError:
            yield entry, False
            continue
        except OSError as error:
            raise OutputError(
                f"{entry.path}: can't be removed ({error.strerror or error}); it is for who owns"
                " the cache to do"
            ) from error
        yield entry, True


def check(on_file: Callable[[int, int], None] = lambda _done, _all: None) -> list[tuple[Path, str]]:
    """Compute every checksum again; set aside what is wrong.

    Mirrors' files that are read in place are checked too, and left where they are. What another
    process is working on is passed over.

    Parameters
    ----------
    on_file : callable
        Told how many of all are done.

    Returns
    -------
    list of (Path, str)
        What is wrong, and why.
    """
    kept = [e for e in entries() if e.kind != "rest"]
    places = sorted(settings.cache_dir().glob("files/*/.in-place-*.json"))
    total, wrong = len(kept) + len(places), []
    for number, entry in enumerate(kept, start=1):
        with contextlib.suppress(TimeoutError), locked(entry.path, wait=False):
            if entry.path.is_file() and (problem := _problem(entry.path, entry.checksum)):
                aside = set_aside(entry.path, entry.path, problem)
                record_path(entry.path).unlink(missing_ok=True)
                wrong.append((entry.path, f"{problem}; set aside as {aside.name}"))
            elif entry.state == "touched" and entry.checksum and entry.path.is_file():
                write_record(
                    entry.path, record_path(entry.path), entry.checksum, dataset=entry.dataset
                )
        on_file(number, total)
    for number, record in enumerate(places, start=len(kept) + 1):
        noted = read_json(record)
        path = Path(str(noted.get("path", "")))
        if path.is_file() and (problem := _problem(path, str(noted.get("checksum", "")))):
            record.unlink(missing_ok=True)
            wrong.append((path, f"{problem}; it is not the cache's, and stays where it is"))
        on_file(number, total)
    return wrong


def _problem(path: Path, checksum: str) -> str:
    if not checksum:
        return "nothing says what its checksum should be"
    found = checksum_of(path, checksum.partition(":")[0])
    return "" if found == checksum else f"wrong checksum: {found}, should be {checksum}"
