"""How far the run in a folder is, who works on it, and whether the folder is whole."""

from __future__ import annotations

import contextlib
import hashlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal

import pyarrow as pa
from filelock import FileLock, Timeout
from pyarrow import parquet

from hepml_tasks.errors import HepmlError, OutputError
from hepml_tasks.running.folder import RunFolder, read_json, write_json

State = Literal["finished", "failed", "started", "broken"]
"""``broken``: the copy of a run that is damaged, or not yet whole."""

_LOCK = ".lock"
_FAILED = "failed.json"
_PARTS = ("run.json", "environment.json", "predictions.json", "predictions.parquet")


@dataclass(frozen=True)
class RunState:
    """What a run folder says of its run.

    Parameters
    ----------
    state : str
    folds : int
        How many are finished.
    reason : str
        Why it failed, or what is wrong with the folder.
    published : tuple of str
        The servers that took it.
    busy : bool
        Whether a process works on it now.
    """

    state: State
    folds: int
    reason: str = ""
    published: tuple[str, ...] = ()
    busy: bool = False


def state_of(folder: RunFolder, *, busy: bool | None = None) -> RunState:
    """Look at a run folder.

    Parameters
    ----------
    folder : RunFolder
    busy : bool, optional
        Whether a process works on it, where that is known.
    """
    published = tuple(sorted(p.stem for p in (folder.path / "published").glob("*.json")))
    busy = is_locked(folder) if busy is None else busy
    folds = sum(1 for _ in (folder.path / "folds").glob("r*f*.parquet"))
    if folder.is_complete:
        problem = problem_of(folder)
        state: State = "finished" if problem is None else "broken"
        return RunState(state, folds, problem or "", published, busy)
    if not (folder.path / "run.json").is_file():
        return RunState("broken", folds, "run.json is not there", published, busy)
    failure = failure_of(folder)
    if failure is not None:
        return RunState("failed", folds, str(failure.get("reason")), published, busy)
    return RunState("started", folds, "", published, busy)


def problem_of(folder: RunFolder) -> str | None:
    """Say what is wrong with the folder of a finished run, as after half of it was copied.

    Returns
    -------
    str or None
        In a line; None where every file is there and the predictions are those that were written.
    """
    missing = [name for name in _PARTS if not (folder.path / name).is_file()]
    if missing:
        return f"{', '.join(missing)} not there"
    try:
        _ = (folder.description, folder.environment, folder.scores)
        record = read_json(folder.path / "predictions.json")
        with (folder.path / "predictions.parquet").open("rb") as file:
            found = hashlib.file_digest(file, "sha256").hexdigest()
    except (HepmlError, OSError) as error:
        return str(error)
    if found != record.get("sha256"):
        return "predictions.parquet has not the checksum of predictions.json"
    return None


def looks_like_a_run(path: Path) -> bool:
    """Whether a folder is a run's, be it only the beginning of a copy."""
    if not path.is_dir() or path.name.startswith("."):
        return False
    return (path / "folds").is_dir() or any((path / name).exists() for name in _PARTS)


def failure_of(folder: RunFolder) -> dict[str, Any] | None:
    """Return what is kept of a run's failure, or None."""
    path = folder.path / _FAILED
    return read_json(path) if path.is_file() else None


def mark_failed(folder: RunFolder, *, kind: str, reason: str) -> None:
    """Keep why a run failed: it isn't tried again before somebody asks for it."""
    when = datetime.now(UTC).isoformat(timespec="seconds")
    write_json(folder.path / _FAILED, {"kind": kind, "reason": reason, "when": when})


def forget_failure(folder: RunFolder) -> None:
    """Let a run be tried again."""
    (folder.path / _FAILED).unlink(missing_ok=True)


def is_locked(folder: RunFolder) -> bool:
    """Whether a process works on a run now."""
    if not (folder.path / _LOCK).is_file():
        return False
    try:
        with locked(folder, wait=False):
            return False
    except TimeoutError:
        return True
    except OutputError:
        # in a spool that can only be read nobody works
        return False


@contextmanager
def locked(folder: RunFolder, *, wait: bool = True) -> Iterator[None]:
    """Hold the lock of a run folder: one process at a time fits or sends a run.

    It is a lock of the file system, NFS and Lustre among them: the kernel takes it from a process
    that is killed, the file server from a node that is gone.

    Parameters
    ----------
    folder : RunFolder
        Made if need be.
    wait : bool
        Wait for whoever holds it.

    Raises
    ------
    TimeoutError
        If another process holds it, without `wait`.
    OutputError
        If the folder can't be written.
    """
    holding = FileLock(folder.path / _LOCK, timeout=-1 if wait else 0)
    try:
        folder.path.mkdir(parents=True, exist_ok=True)
        holding.acquire(poll_interval=0.1)
    except Timeout:
        raise TimeoutError(f"{folder.path} is in use") from None
    except OSError as error:
        raise OutputError(
            f"{folder.path / _LOCK}: can't be written ({error.strerror or error}); choose another"
            " folder with --spool"
        ) from error
    try:
        yield
    finally:
        holding.release()


def mend(folder: RunFolder) -> None:
    """Take away what a killed process, or half a copy, has left: the folder's lock is held.

    What is whole stays: finished folds are not done again.
    """
    for path in (*folder.path.glob(".*.*"), *folder.path.glob("*/.*.*")):
        if path.name != _LOCK and path.is_file():
            _take_away(path)
    for path in (*folder.path.glob("*.json"), *folder.path.glob("folds/*.json")):
        if path.is_file():
            try:
                read_json(path)
            except HepmlError:
                _take_away(path)
    for path in folder.path.glob("folds/*.parquet"):
        try:
            whole = path.with_suffix(".json").is_file() and parquet.read_table(path).num_rows > 0
        except (OSError, pa.ArrowInvalid):
            whole = False
        if not whole:
            _take_away(path)


def _take_away(path: Path) -> None:
    with contextlib.suppress(OSError):
        path.unlink()
