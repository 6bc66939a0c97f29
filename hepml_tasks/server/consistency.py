"""That a database and a folder of files belong together, and that neither has what the other lacks.

A file is on disk before its row is in the database. A server that is killed in between leaves a
file without a row, which was never answered with success: the next start removes it.
"""

from __future__ import annotations

import logging
import uuid

from sqlalchemy import select

from hepml_tasks.errors import ServerError
from hepml_tasks.server.database import Database, Installation, StoredFile
from hepml_tasks.server.storage import FileStore

_log = logging.getLogger(__name__)


def pair(database: Database, files: FileStore, *, at_home: bool) -> None:
    """Make sure that files and rows are of one server.

    Parameters
    ----------
    database : Database
    files : FileStore
    at_home : bool
        Whether the database's own file is in the folder, so that both were always together.

    Raises
    ------
    ServerError
        If the folder holds files of another database: removing what this one doesn't know would
        lose them.
    """
    with database.write() as session:
        row = session.scalar(select(Installation))
        has_rows = session.scalar(select(StoredFile.id).limit(1)) is not None
        has_files = next(files.stored(), None) is not None
        never_named = row is None and files.identity is None
        belong = (at_home and never_named) or _belong(
            row and row.id, files.identity, has_rows=has_rows, has_files=has_files
        )
        if not belong:
            raise ServerError(
                f"the files in {files.directory} are not those of the database "
                f"{database.engine.url.render_as_string()}; "
                "choose the --data and --database that belong together"
            )
        # The folder first: it may have an identity that the database hasn't, never the other way.
        identity = (row and row.id) or files.identity or uuid.uuid4().hex
        if files.identity is None:
            files.identify(identity)
        if row is None:
            session.add(Installation(id=identity))


def _belong(of_rows: str | None, of_files: str | None, *, has_rows: bool, has_files: bool) -> bool:
    if of_rows is not None and of_files is not None:
        return of_rows == of_files
    # One of both is new, or both are from before there were identities.
    return (has_rows or not has_files) if of_rows is None else not (has_rows or has_files)


def sweep(database: Database, files: FileStore) -> tuple[int, int]:
    """Remove files that no row is of, and report rows whose file has gone.

    Parameters
    ----------
    database : Database
    files : FileStore
        Paired, and used by no other process.

    Returns
    -------
    tuple of int
        How many files were removed, and how many are missing.
    """
    with database.read() as session:
        known = {files.path(file) for file in session.scalars(select(StoredFile))}
    there = set(files.stored())
    for path in there - known:
        path.unlink()
    missing = sorted(known - there)
    for path in missing:
        _log.warning("%s is missing; a backup of the folder has it", path)
    return len(there - known), len(missing)
