"""Withheld labels on disk: a folder a task that only the server's own user can open.

It is no part of the stored files, which have addresses. The database knows the folder's name only.
"""

from __future__ import annotations

import logging
import os
import secrets
import shutil
from pathlib import Path

import pyarrow as pa
from sqlalchemy import select

from hepml_tasks.errors import OutputError
from hepml_tasks.formats.arff import write_arff
from hepml_tasks.server.context import Services
from hepml_tasks.server.database import Database, PrivateTask

_log = logging.getLogger(__name__)


def secrets_directory(services: Services) -> Path:
    """Say where the folders of all private tasks are."""
    return services.files.directory.parent / "private"


def truth_path(services: Services, folder: str) -> Path:
    """Say where the labels, weights and partitions of a private task are."""
    return secrets_directory(services) / folder / "truth.arff"


def keep_secrets(services: Services, seed: int, truth: pa.Table) -> str:
    """Write a task's seed and truth; when this returns a crash can't lose them.

    Parameters
    ----------
    services : Services
    seed : int
    truth : pyarrow.Table

    Returns
    -------
    str
        The new folder's name.

    Raises
    ------
    OutputError
        If it can't be written.
    """
    directory = secrets_directory(services)
    folder = secrets.token_hex(16)
    try:
        directory.mkdir(mode=0o700, exist_ok=True)
        directory.chmod(0o700)
        (directory / folder).mkdir(mode=0o700)
        # made for their owner before there is anything in them
        for name in ("seed", "truth.arff"):
            os.close(os.open(directory / folder / name, os.O_CREAT | os.O_EXCL, 0o600))
        (directory / folder / "seed").write_text(f"{seed}\n", encoding="ascii")
        write_arff(truth, truth_path(services, folder), relation="truth")
        for path in (*sorted((directory / folder).iterdir()), directory / folder, directory):
            _sync(path)
    except OSError as error:
        raise OutputError(
            f"the labels can't be kept in {directory}: {error.strerror or error}"
        ) from error
    return folder


def sweep_secrets(database: Database, data: Path) -> int:
    """Remove the folders of tasks that were deleted, or that a crash kept from being made.

    Parameters
    ----------
    database : Database
    data : Path
        The server's directory, used by no other process.

    Returns
    -------
    int
        How many folders were removed.
    """
    directory = data / "private"
    there = {path.name for path in directory.iterdir()} if directory.is_dir() else set()
    with database.read() as session:
        known = set(session.scalars(select(PrivateTask.folder)))
    for name in there - known:
        shutil.rmtree(directory / name)
    for name in sorted(known - there):
        _log.warning("%s is missing; a backup of the folder has it", directory / name)
    return len(there - known)


def _sync(path: Path) -> None:
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
