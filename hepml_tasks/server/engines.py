"""Opening a database by its URL, on SQLite or PostgreSQL, and holding it for one server."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from sqlalchemy import Engine, create_engine, event, text
from sqlalchemy.engine import URL, Connection, make_url
from sqlalchemy.exc import ArgumentError, SQLAlchemyError

from hepml_tasks.errors import OutputError, ServerError

_SERVERS = 0x6865706D6C02
"""The number of PostgreSQL's lock that a server holds while it runs."""

_DRIVERS = {"postgresql": "postgresql+psycopg", "postgres": "postgresql+psycopg"}


def address_of(url: str | None, data: Path) -> URL:
    """Read a database's URL.

    Parameters
    ----------
    url : str or None
        ``sqlite:///FILE`` or ``postgresql://USER@HOST/NAME``; without one ``server.sqlite`` in
        `data`.
    data : Path

    Raises
    ------
    ServerError
        In one line that never shows a password.
    """
    if url is None:
        return URL.create("sqlite", database=f"{data / 'server.sqlite'}")
    try:
        address = make_url(url)
    except (ArgumentError, ValueError):
        raise ServerError(
            "can't open the database: its address is no URL such as sqlite:///FILE or "
            "postgresql://USER@HOST/NAME"
        ) from None
    address = address.set(drivername=_DRIVERS.get(address.drivername, address.drivername))
    if address.get_backend_name() not in {"sqlite", "postgresql"}:
        raise ServerError(
            f"can't open the database {address.render_as_string()}: "
            "use sqlite:///FILE or postgresql://USER@HOST/NAME"
        )
    return address


def make_engine(url: str | None, data: Path, *, foreign_keys: bool = True) -> Engine:
    """Make what connects to a database; nothing is connected yet.

    Parameters
    ----------
    url : str or None
    data : Path
    foreign_keys : bool
        Whether SQLite checks references; while its tables are rebuilt it must not.

    Raises
    ------
    ServerError
    """
    address = address_of(url, data)
    is_sqlite = address.get_backend_name() == "sqlite"
    options: dict[str, Any] = {"timeout": 60} if is_sqlite else {"connect_timeout": 10}
    try:
        engine = create_engine(
            address,
            connect_args=options,
            pool_size=20,
            max_overflow=40,
            pool_pre_ping=not is_sqlite,
        )
    except ImportError as error:
        raise ServerError(
            f"the database {address.render_as_string()} needs a driver that isn't installed: "
            "pip install 'hepml_tasks[postgresql]'"
        ) from error
    except (SQLAlchemyError, ArgumentError, TypeError) as error:
        raise cannot_open(address, error) from error
    if is_sqlite:
        _prepare_sqlite(engine, foreign_keys=foreign_keys)
    return engine


def cannot_open(address: URL, error: Exception) -> ServerError:
    """Tell in one line why a database can't be used, without its password."""
    origin = getattr(error, "orig", None) or error
    reason = (str(origin).splitlines() or [type(origin).__name__])[0]
    if address.password:
        reason = reason.replace(str(address.password), "***")
    return ServerError(f"can't open the database {address.render_as_string()}: {reason}")


@contextmanager
def held(engine: Engine) -> Iterator[None]:
    """Hold a database for one server, also where servers have folders of their own.

    Raises
    ------
    ServerError
        If another server holds it.
    """
    shown = engine.url.render_as_string()
    taken = f"another server uses the database {shown}; end it, or choose another with --database"
    if engine.dialect.name == "postgresql":
        with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
            if not connection.scalar(text("SELECT pg_try_advisory_lock(:n)"), {"n": _SERVERS}):
                raise ServerError(taken)
            try:
                yield
            finally:
                # the database itself may have gone meanwhile, and the lock with it
                connection.invalidate()
        return
    import filelock

    path = Path(engine.url.database or "")
    lock = filelock.FileLock(path.with_name(f"{path.name}.lock"))
    try:
        lock.acquire(timeout=0)
    except filelock.Timeout as error:
        raise ServerError(taken) from error
    except OSError as error:
        raise OutputError(f"can't write beside {path}: {error.strerror}") from error
    with lock:
        yield


def _prepare_sqlite(engine: Engine, *, foreign_keys: bool) -> None:
    def configure(connection: Any, _record: object) -> None:
        # The driver's own BEGIN comes too late for a reading transaction to be one snapshot.
        connection.isolation_level = None
        cursor = connection.cursor()
        keys = "ON" if foreign_keys else "OFF"
        for pragma in ("journal_mode=WAL", "synchronous=FULL", f"foreign_keys={keys}"):
            cursor.execute(f"PRAGMA {pragma}")
        cursor.close()

    def begin(connection: Connection) -> None:
        writes = connection.get_execution_options().get("hepml_writes", False)
        connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")

    event.listen(engine, "connect", configure)
    event.listen(engine, "begin", begin)
