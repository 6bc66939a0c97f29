from __future__ import annotations

import socket
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from hepml_tasks.openml.connection import Connection

from ..openml.front import Front, front
from .harness import SUITE, Field, Server, Uploads


@dataclass
class Site:
    """A field of small runs before a server of its own, with a proxy between them."""

    field: Field
    server: Server
    front: Front
    uploads: Uploads

    @property
    def connection(self) -> Connection:
        return Connection(f"{self.server.address}/api/v1/xml", self.key)

    @property
    def key(self) -> str:
        return self.server.key_file.read_text().strip()

    @property
    def task_id(self) -> int:
        return int(self.connection.get_json("tasks")["tasks"][0]["task_id"])


@pytest.fixture
def tiny_task(small_task: Path) -> Path:
    text = small_task.read_text().replace("events: 1500", "events: 240")
    small_task.write_text(text.replace("rows: 1500", "rows: 240"))
    return small_task


@pytest.fixture
def site(tiny_task: Path, tmp_path: Path) -> Iterator[Site]:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    suite = tmp_path / "chaos.yaml"
    suite.write_text(SUITE.format(task=tiny_task))
    server = Server(tmp_path / "server", port)
    server.start()
    env = {
        "HEPML_CACHE": str(tmp_path / "cache"),
        "HEPML_STATE": str(tmp_path / "state"),
        "OMP_WAIT_POLICY": "PASSIVE",
    }
    try:
        with front(server.address) as before:
            uploads = Uploads(before)
            uploads.watch()
            place = tmp_path / "field"
            place.mkdir()
            yield Site(
                Field(place, suite, before.address, server.key_file, env=env),
                server,
                before,
                uploads,
            )
    finally:
        server.kill()
