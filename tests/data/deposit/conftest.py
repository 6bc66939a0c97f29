"""The deposit server in a process of its own, and a deposit's folder to send there."""

from __future__ import annotations

import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import pytest
import requests

SERVER = Path(__file__).with_name("zenodo_server.py")


class DepositServer:
    """A running deposit server, and what the tests say to it beside its API."""

    def __init__(self, base: str) -> None:
        self.base = base

    def fault(self, kind: str, match: str, **more: Any) -> None:
        requests.post(
            f"{self.base}/-/faults", json={"kind": kind, "match": match, **more}, timeout=10
        )

    def set(self, **values: Any) -> None:
        requests.post(f"{self.base}/-/set", json=values, timeout=10)

    def state(self) -> dict[str, Any]:
        return requests.get(f"{self.base}/-/log", timeout=10).json()

    def deposits(self) -> list[dict[str, Any]]:
        return self.state()["deposits"]

    def requests(self, match: str = "") -> list[dict[str, Any]]:
        log = self.state()["log"]
        return [e for e in log if f"{e['method']} {e['path']}".startswith(match)]

    def sent(self) -> list[str]:
        """Names of the files that were sent, as often as they were."""
        return [e["path"].rpartition("/")[2] for e in self.requests("PUT /api/files/")]

    def forget(self) -> None:
        """Begin the log of requests anew."""
        requests.delete(f"{self.base}/-/log", timeout=10)

    def reset(self) -> None:
        """Begin with an empty archive."""
        requests.delete(f"{self.base}/-/all", timeout=10)


@contextmanager
def running(folder: Path, *options: str) -> Iterator[DepositServer]:
    process = subprocess.Popen(
        [sys.executable, str(SERVER), str(folder), *options], stdout=subprocess.PIPE, text=True
    )
    try:
        assert process.stdout is not None
        yield DepositServer(process.stdout.readline().strip())
    finally:
        process.terminate()
        process.wait(10)
        process.stdout.close()


@pytest.fixture
def start_server(tmp_path: Path) -> Iterator[Callable[..., DepositServer]]:
    """Start deposit servers with options of one's own."""
    with ExitStack() as stack:
        yield lambda *options: stack.enter_context(running(tmp_path / "archive", *options))


@pytest.fixture(scope="session")
def shared_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[DepositServer]:
    """Start the deposit server that the tests use one after the other."""
    with running(tmp_path_factory.mktemp("archive")) as started:
        yield started


@pytest.fixture
def server(shared_server: DepositServer, monkeypatch: pytest.MonkeyPatch) -> DepositServer:
    """Return the deposit server, empty, as the Zenodo of the settings."""
    shared_server.reset()
    monkeypatch.setenv("HEPML_ZENODO_URL", shared_server.base)
    monkeypatch.setenv("ZENODO_TOKEN", "all-scopes")
    return shared_server


@pytest.fixture(scope="session")
def built_once(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Build the deposit of a small simulated task; shared: not to be changed."""
    from hepml_tasks.data.deposit.folder import build_folder
    from hepml_tasks.running.task import with_events
    from hepml_tasks.spec import find_task

    with pytest.MonkeyPatch.context() as environment:
        environment.setenv("HEPML_CACHE", str(tmp_path_factory.mktemp("cache")))
        folder = tmp_path_factory.mktemp("deposits") / "built"
        build_folder(with_events(find_task("toy-higgs"), 1500), folder)
    return folder


@pytest.fixture
def folder(built_once: Path, tmp_path: Path) -> Path:
    """Return a copy of the built deposit."""
    copy = tmp_path / "deposit"
    shutil.copytree(built_once, copy)
    return copy
