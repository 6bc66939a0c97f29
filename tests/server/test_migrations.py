"""Databases of older, newer and foreign versions, on SQLite and PostgreSQL."""

from __future__ import annotations

import hashlib
import json
import logging
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.migration import MigrationContext
from sqlalchemy import Connection, Engine, inspect, text

import hepml_tasks.server.migrations
from hepml_tasks.errors import ServerError
from hepml_tasks.server.database import Base, Run, StoredFile, User, connect
from hepml_tasks.server.datasets import ECHOED, MANY
from hepml_tasks.server.engines import address_of, make_engine
from hepml_tasks.server.upgrade import head

from ..forks import start_server
from .conftest import Backend, Wire, new_backend

FIRST_USER_KEY = "0123456789abcdef0123456789abcdef"


@pytest.fixture(
    params=["sqlite", pytest.param("postgresql", marks=pytest.mark.needs("postgresql"))]
)
def fresh(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Backend:
    """An empty folder, and an empty database of each kind."""
    return new_backend(request, tmp_path_factory)


@contextmanager
def engine_of(backend: Backend) -> Iterator[Engine]:
    engine = make_engine(backend.database, backend.data)
    try:
        yield engine
    finally:
        engine.dispose()


def execute(backend: Backend, *statements: str) -> None:
    with engine_of(backend) as engine, engine.begin() as connection:
        for statement in statements:
            connection.exec_driver_sql(statement)


def to_revision(connection: Connection, revision: str) -> None:
    config = Config()
    config.set_main_option(
        "script_location", str(Path(hepml_tasks.server.migrations.__file__).parent)
    )
    config.attributes["connection"] = connection
    command.upgrade(config, revision)


ARFF = "@RELATION r\n@ATTRIBUTE x NUMERIC\n@ATTRIBUTE Label {b, s}\n@DATA\n1,b\n2,s\n"
SHA256 = hashlib.sha256(ARFF.encode()).hexdigest()

ROWS: dict[str, list[dict[str, Any]]] = {
    "schema_version": [{"version": 1}],
    "users": [
        {
            "id": 1,
            "name": "hepml",
            "key_hash": hashlib.sha256(FIRST_USER_KEY.encode()).hexdigest(),
            "role": "administrator",
            "created": "2026-01-02 03:04:05",
        }
    ],
    "files": [
        {
            "id": i,
            "sha256": SHA256,
            "md5": "0" * 32,
            "size": len(ARFF),
            "suffix": ".arff",
            "name": "r.arff",
        }
        for i in (1, 2)
    ],
    "datasets": [
        {
            "id": 5,
            "name": "old",
            "version": 1,
            "status": "active",
            "format": "arff",
            "fields": json.dumps({**dict.fromkeys(ECHOED), **{name: [] for name in MANY}}),
            "file_id": 1,
            "uploader_id": 1,
            "uploaded": "2026-01-02 03:04:05",
        }
    ],
    "tasks": [
        {
            "id": 3,
            "type_id": 1,
            "dataset_id": 5,
            "procedure_id": 6,
            "target": "Label",
            "repeats": 1,
            "folds": 1,
            "splits_id": 2,
            "identity": "i",
            "creator_id": 1,
            "created": "2026-01-02 03:04:05",
        }
    ],
    "flows": [
        {
            "id": 2,
            "name": "f",
            "version": 1,
            "external_version": "1",
            "fields": "{}",
            "uploader_id": 1,
            "uploaded": "2026-01-02 03:04:05",
        }
    ],
    "setups": [{"id": 1, "flow_id": 2, "fingerprint": "p"}],
    "runs": [
        {
            "id": 7,
            "task_id": 3,
            "setup_id": 1,
            "flow_id": 2,
            "uploader_id": 1,
            "uploaded": "2026-01-02 03:04:05",
            "settings": "[]",
            "claims": "[]",
            "differs": "[]",
            "partitions": "{}",
            "state": "done",
            "attempts": 1,
        }
    ],
    "run_files": [{"run_id": 7, "field": "predictions", "file_id": 2}],
    "evaluations": [
        {
            "id": 1,
            "run_id": 7,
            "measure": "ams",
            "value": 3.25,
            "detail": '{"value": 3.25}',
            "evaluated": "2026-01-02 03:04:05",
        }
    ],
}


def make_old(backend: Backend, *, stamped: bool) -> None:
    """Make a database as the first version made it, with a row in every table that matters."""
    with engine_of(backend) as engine, engine.begin() as connection:
        to_revision(connection, "0001")
        for table, rows in ROWS.items():
            for row in rows:
                columns = ", ".join(f'"{column}"' for column in row)
                values = ", ".join(f":{column}" for column in row)
                connection.execute(text(f"INSERT INTO {table} ({columns}) VALUES ({values})"), row)
        if not stamped:
            connection.execute(text("DROP TABLE alembic_version"))
    place = backend.data / "files" / SHA256[:2]
    place.mkdir(parents=True)
    (place / f"{SHA256}.arff").write_text(ARFF)
    (backend.data / "apikey").write_text(f"{FIRST_USER_KEY}\n")


def test_models_and_migrations_agree(fresh: Backend) -> None:
    connect(fresh.database, fresh.data).engine.dispose()
    with engine_of(fresh) as engine, engine.connect() as connection:
        context = MigrationContext.configure(
            connection, opts={"compare_type": True, "compare_server_default": True}
        )
        assert compare_metadata(context, Base.metadata) == []
        assert context.get_current_revision() == head()


@pytest.mark.parametrize("stamped", [True, False], ids=["first revision", "before migrations"])
def test_an_older_database_is_upgraded_with_all_its_rows(fresh: Backend, stamped: bool) -> None:
    make_old(fresh, stamped=stamped)
    with start_server(fresh.data, database=fresh.database) as server:
        wire = Wire(server)
        assert server.apikey == FIRST_USER_KEY
        assert "<oml:name>old</oml:name>" in wire.get("data/5").text
        assert "3.25" in wire.get("evaluation/list/function/ams/limit/1").text
        report = wire.report(7)
        assert (report["status"], report["scores"]["ams"]["value"]) == ("done", 3.25)
        assert wire.post("data/tag", data_id="5", tag="kept").status_code == 200
    with engine_of(fresh) as engine, engine.connect() as connection:
        assert "schema_version" not in inspect(connection).get_table_names()
        for table, rows in ROWS.items():
            if table != "schema_version":
                count = connection.scalar(text(f"SELECT count(*) FROM {table}"))
                assert count == len(rows), table
        assert MigrationContext.configure(connection).get_current_revision() == head()


def test_an_upgraded_database_still_refuses_what_refers_to_nothing(fresh: Backend) -> None:
    make_old(fresh, stamped=True)
    database = connect(fresh.database, fresh.data)
    from sqlalchemy.exc import IntegrityError

    with pytest.raises(IntegrityError), database.write() as session:
        session.delete(session.get_one(User, 1))
    database.engine.dispose()


def test_a_deleted_id_is_never_given_again(fresh: Backend) -> None:
    database = connect(fresh.database, fresh.data)
    seen = []
    for _ in range(3):
        with database.write() as session:
            file = StoredFile(sha256="0", md5="0", size=3_000_000_000, suffix="", name="n")
            session.add(file)
            session.flush()
            seen.append(file.id)
        with database.write() as session:
            session.delete(session.get_one(StoredFile, seen[-1]))
    database.engine.dispose()
    assert seen == [1, 2, 3]


def test_a_newer_database_is_refused_and_stays_as_it_is(fresh: Backend) -> None:
    connect(fresh.database, fresh.data).engine.dispose()
    execute(fresh, "UPDATE alembic_version SET version_num = '9999'")
    with pytest.raises(ServerError, match=r"newer version .* revision 9999") as error:
        start_server(fresh.data, database=fresh.database)
    assert "\n" not in str(error.value)
    with engine_of(fresh) as engine, engine.connect() as connection:
        assert connection.scalar(text("SELECT version_num FROM alembic_version")) == "9999"


def test_a_database_of_something_else_is_refused(fresh: Backend) -> None:
    execute(fresh, "CREATE TABLE users (id INTEGER PRIMARY KEY)")
    with pytest.raises(ServerError, match="table 'users' that is not this server's"):
        connect(fresh.database, fresh.data)
    with engine_of(fresh) as engine:
        assert inspect(engine).get_table_names() == ["users"]


def test_an_upgrade_that_fails_leaves_the_database_as_it_was(fresh: Backend) -> None:
    make_old(fresh, stamped=True)
    execute(fresh, "CREATE TABLE installation (stranger INTEGER)")
    with pytest.raises(ServerError, match="can't open the database .*installation"):
        connect(fresh.database, fresh.data)
    with engine_of(fresh) as engine, engine.connect() as connection:
        assert MigrationContext.configure(connection).get_current_revision() == "0001"
        assert "disabled" not in [c["name"] for c in inspect(connection).get_columns("users")]
        assert connection.scalar(text("SELECT count(*) FROM runs")) == 1


def test_rows_that_refer_to_nothing_stop_the_upgrade(tmp_path: Path) -> None:
    backend = Backend(tmp_path)
    make_old(backend, stamped=True)
    with sqlite3.connect(tmp_path / "server.sqlite") as connection:  # no keys are checked here
        connection.execute("UPDATE runs SET task_id = 99")
    connection.close()
    with pytest.raises(ServerError, match="refer to nothing, 1 of them, .* table 'runs'"):
        connect(None, tmp_path)


def test_several_programs_may_open_a_new_database_at_once(fresh: Backend) -> None:
    program = (
        "import sys, pathlib; from hepml_tasks.server.database import connect; "
        "connect(sys.argv[1] or None, pathlib.Path(sys.argv[2])).engine.dispose()"
    )
    arguments = [sys.executable, "-c", program, fresh.database or "", str(fresh.data)]

    def run(_: int) -> subprocess.CompletedProcess[str]:
        return subprocess.run(arguments, capture_output=True, text=True, check=False, timeout=60)

    with ThreadPoolExecutor(4) as pool:
        for done in pool.map(run, range(4)):
            assert (done.returncode, done.stderr) == (0, "")
    connect(fresh.database, fresh.data, upgrade=False).engine.dispose()


def test_opening_without_upgrade_changes_nothing(fresh: Backend) -> None:
    make_old(fresh, stamped=True)
    with pytest.raises(ServerError, match="older version .* start this version's server"):
        connect(fresh.database, fresh.data, upgrade=False)
    with engine_of(fresh) as engine, engine.connect() as connection:
        assert MigrationContext.configure(connection).get_current_revision() == "0001"


@pytest.mark.parametrize("scheme", ["postgresql", "postgres", "postgresql+psycopg"])
def test_every_way_to_write_postgresql_means_the_same_driver(scheme: str, tmp_path: Path) -> None:
    assert address_of(f"{scheme}://u@h/n", tmp_path).drivername == "postgresql+psycopg"


@pytest.mark.parametrize(
    "url",
    [
        "postgresql://u:hidden@127.0.0.1:1/n",
        "mysql://u:hidden@127.0.0.1/n",
        "postgresql+unknown://u:hidden@127.0.0.1/n",
        "://u:hidden@nonsense",
        "postgresql://u:hidden@127.0.0.1:port/n",
    ],
)
def test_a_password_is_never_shown(
    url: str, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.DEBUG), pytest.raises(ServerError) as error:
        connect(url, tmp_path)
    told = f"{error.value!r} {error.value} {error.value.__context__ or ''} {caplog.text}"
    assert "can't open the database" in told or "needs a driver" in told
    assert "hidden" not in told
    assert "\n" not in str(error.value)


@pytest.mark.needs("postgresql")
def test_a_password_comes_from_a_file_or_the_environment(
    fresh: Backend, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if fresh.database is None:
        pytest.skip("SQLite has no passwords")
    address = address_of(fresh.database, tmp_path)
    bare = fresh.database.replace(f":{address.password}@", "@")
    with pytest.raises(ServerError, match="password"):
        connect(bare, tmp_path)
    passwords = tmp_path / "pgpass"
    passwords.write_text(f"127.0.0.1:{address.port}:*:hepml:{address.password}\n")
    passwords.chmod(0o600)
    monkeypatch.setenv("PGPASSFILE", str(passwords))
    with start_server(tmp_path / "server", database=bare) as server:
        assert Wire(server).get("evaluationmeasure/list").status_code == 200
        arguments = Path(f"/proc/{server.pid}/cmdline").read_bytes()
        assert b"postgresql" not in arguments
    monkeypatch.delenv("PGPASSFILE")
    monkeypatch.setenv("PGPASSWORD", str(address.password))
    connect(bare, tmp_path).engine.dispose()


def test_two_servers_never_share_a_database(fresh: Backend, tmp_path: Path) -> None:
    url = fresh.database or f"sqlite:///{fresh.data / 'elsewhere.sqlite'}"
    with (
        start_server(fresh.data, database=url),
        pytest.raises(ServerError, match="another server uses the database .* --database"),
    ):
        start_server(tmp_path / "second", database=url)


def test_the_steps_are_in_the_package_that_is_built(tmp_path: Path) -> None:
    from setuptools import find_packages

    root = Path(hepml_tasks.server.migrations.__file__).parents[3]
    assert "hepml_tasks.server.migrations.versions" in find_packages(
        str(root), include=["hepml_tasks*"]
    )


def test_a_run_that_was_running_is_evaluated_after_the_upgrade(fresh: Backend) -> None:
    make_old(fresh, stamped=False)
    execute(fresh, "UPDATE runs SET state = 'running'")
    with start_server(fresh.data, database=fresh.database) as server:
        report = Wire(server).evaluated(7)
    assert report["status"] == "failed"  # its predictions are no predictions
    assert report["error"]
    assert "\n" not in report["error"]


def test_reads_are_of_one_moment_and_writes_see_each_other(fresh: Backend) -> None:
    database = connect(fresh.database, fresh.data)

    def count(session: Any) -> int:
        return len(session.query(User).all()) + len(session.query(Run).all())

    with database.read() as reader:
        before = count(reader)
        with database.write() as writer:
            writer.add(User(name="new", key_hash="h", role="user"))
        assert count(reader) == before
    with database.read() as reader:
        assert count(reader) == before + 1
    database.engine.dispose()
