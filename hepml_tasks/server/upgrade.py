"""Bringing a database's tables to what this version of the server expects."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, Engine, inspect, text
from sqlalchemy.exc import SQLAlchemyError

from hepml_tasks.errors import ServerError
from hepml_tasks.server.database import Base
from hepml_tasks.server.engines import cannot_open, make_engine

FIRST = "0001"
"""The tables as they were before there were migrations."""

_UPGRADERS = 0x6865706D6C03
_VERSION_TABLE = "schema_version"


def bring_up_to_date(engine: Engine, *, upgrade: bool = True) -> None:
    """Make the tables, or change those of an older version, all in one transaction.

    Parameters
    ----------
    engine : Engine
    upgrade : bool
        Whether anything may be changed.

    Raises
    ------
    ServerError
        If the database can't be opened, is of a newer version or not a server's at all, or would
        have to be changed and `upgrade` is false. It is then as it was.
    """
    shown = engine.url.render_as_string()
    try:
        with engine.connect() as connection:
            found = _revision(connection, shown)
        if found == head():
            return
        if not upgrade:
            raise ServerError(
                f"the database {shown} is of an older version of this server, or new; "
                "start this version's server on it once"
            )
        with _alone(engine) as connection:
            _upgrade(connection, _revision(connection, shown))
    except SQLAlchemyError as error:
        raise cannot_open(engine.url, error) from error


def head() -> str:
    """Give the newest revision of the tables."""
    return ScriptDirectory.from_config(_config()).get_current_head() or ""


def _config(connection: Connection | None = None) -> Config:
    config = Config()
    # a percent sign in the folder's name is not the start of a placeholder
    folder = str(Path(__file__).parent / "migrations").replace("%", "%%")
    config.set_main_option("script_location", folder)
    config.attributes["connection"] = connection
    return config


@contextmanager
def _alone(engine: Engine) -> Iterator[Connection]:
    """Open a transaction beside which nobody else changes tables."""
    if engine.dialect.name == "postgresql":
        with engine.begin() as connection:
            connection.execute(text("SELECT pg_advisory_xact_lock(:n)"), {"n": _UPGRADERS})
            yield connection
        return
    url = engine.url.render_as_string(hide_password=False)
    rebuilding = make_engine(url, Path(), foreign_keys=False)
    try:
        with rebuilding.execution_options(hepml_writes=True).begin() as connection:
            yield connection
            if broken := connection.exec_driver_sql("PRAGMA foreign_key_check").all():
                raise ServerError(
                    f"the database {engine.url.render_as_string()} has rows that refer to "
                    f"nothing, {len(broken)} of them, the first in table {broken[0][0]!r}; "
                    "it is as it was: restore a backup"
                )
    finally:
        rebuilding.dispose()


def _revision(connection: Connection, shown: str) -> str | None:
    """Find a database's revision; `None` for one without tables."""
    found: str | None = MigrationContext.configure(connection).get_current_revision()
    if found is not None:
        known = {r.revision for r in ScriptDirectory.from_config(_config()).walk_revisions()}
        if found not in known:
            raise ServerError(
                f"the database {shown} was made by a newer version of this server (its tables are "
                f"at revision {found}); start it with that version, or take another --database"
            )
        return found
    tables = set(inspect(connection).get_table_names())
    if _VERSION_TABLE in tables:
        version = connection.scalar(text(f"SELECT max(version) FROM {_VERSION_TABLE}"))  # noqa: S608 - a constant
        if version == 1:
            return FIRST
    if strangers := sorted(tables & {_VERSION_TABLE, *Base.metadata.tables}):
        raise ServerError(
            f"the database {shown} has a table {strangers[0]!r} that is not this server's; "
            "take another --database"
        )
    return None


def _upgrade(connection: Connection, found: str | None) -> None:
    config = _config(connection)
    if found == FIRST:
        command.stamp(config, FIRST)
    command.upgrade(config, "head")
