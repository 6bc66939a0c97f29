"""A PostgreSQL cluster of the tests' own, on loopback, gone when they end."""

from __future__ import annotations

import os
import secrets
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from ..conftest import postgresql_program


@dataclass(frozen=True)
class Cluster:
    """A running cluster; `password` is that of its user ``hepml``."""

    port: int
    password: str

    def url(self, name: str) -> str:
        return f"postgresql://hepml:{self.password}@127.0.0.1:{self.port}/{name}"

    def new_database(self) -> str:
        """Make an empty database and give its URL."""
        name = f"test_{secrets.token_hex(4)}"
        self.run(f"CREATE DATABASE {name}")
        return self.url(name)

    def run(self, statement: str) -> None:
        import psycopg

        with psycopg.connect(self.url("postgres"), autocommit=True) as connection:
            connection.execute(statement)  # type: ignore[call-overload]


@contextmanager
def running_cluster() -> Iterator[Cluster]:
    """Start a cluster in a folder of its own; PostgreSQL refuses to be run by root."""
    folder = Path(tempfile.mkdtemp(prefix="hepml-postgresql-"))
    user: list[str] = []
    if os.geteuid() == 0:
        shutil.chown(folder, "nobody", "nogroup")
        user = ["setpriv", "--reuid=nobody", "--regid=nogroup", "--clear-groups"]
    password = secrets.token_hex(8)
    secret = folder / "password"
    secret.write_text(password)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    initdb, postgres = postgresql_program("initdb"), postgresql_program("postgres")
    assert initdb and postgres
    data = str(folder / "data")
    options = ["--username=hepml", "--auth=scram-sha-256", f"--pwfile={secret}", "--no-sync"]
    settings = ["-c", "listen_addresses=127.0.0.1", "-c", "fsync=off", "-c", "max_connections=300"]
    try:
        if user:
            shutil.chown(secret, "nobody", "nogroup")
        subprocess.run(
            [*user, initdb, "--pgdata", data, *options, "--encoding=UTF8", "--locale=C"],
            check=True,
            capture_output=True,
            cwd=folder,
        )
        with (folder / "log").open("wb") as log:
            process = subprocess.Popen(
                [*user, postgres, "-D", data, "-p", str(port), "-k", str(folder), *settings],
                stdout=log,
                stderr=log,
                cwd=folder,
            )
        try:
            cluster = Cluster(port, password)
            _wait(cluster, process, folder / "log")
            yield cluster
        finally:
            process.send_signal(signal.SIGINT)
            process.wait(30)
    finally:
        shutil.rmtree(folder)


def _wait(cluster: Cluster, process: subprocess.Popen[bytes], log: Path) -> None:
    import psycopg

    end = time.monotonic() + 30
    while True:
        try:
            cluster.run("SELECT 1")
        except psycopg.OperationalError:
            assert process.poll() is None and time.monotonic() < end, log.read_text()
            time.sleep(0.05)
        else:
            return
