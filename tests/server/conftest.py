"""A real server in a process of its own, and the stock client pointed at it."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import requests

from hepml_tasks.server.database import connect
from hepml_tasks.server.process import ServerProcess
from hepml_tasks.server.security import add_user

from ..forks import start_server
from .postgresql import Cluster, running_cluster

NAMESPACE = "http://openml.org/openml"


@dataclass(frozen=True)
class Backend:
    """Where a server keeps what it is given: its folder, and its database if not in there."""

    data: Path
    database: str | None = None

    def add_user(self, name: str, role: str = "user") -> str:
        """Add a user and give the key."""
        database = connect(self.database, self.data, upgrade=False)
        try:
            return add_user(database, name, role)
        finally:
            database.engine.dispose()


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Run a module's tests on each of the databases that its DATABASES names."""
    names = getattr(metafunc.module, "DATABASES", None)
    if names and "backend" in metafunc.fixturenames:
        marks = {"postgresql": [pytest.mark.needs("postgresql")]}
        databases = [pytest.param(name, marks=marks.get(name, ())) for name in names]
        metafunc.parametrize("backend", databases, indirect=True, scope="session")


@pytest.fixture(scope="session")
def cluster() -> Iterator[Cluster]:
    with running_cluster() as running:
        yield running


@pytest.fixture(scope="session")
def backend(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Backend:
    return new_backend(request, tmp_path_factory)


def new_backend(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Backend:
    """Make an empty folder, and an empty database where the fixture's parameter asks for it."""
    data = tmp_path_factory.mktemp("server")
    if getattr(request, "param", "sqlite") == "sqlite":
        return Backend(data)
    return Backend(data, request.getfixturevalue("cluster").new_database())


@pytest.fixture(scope="session")
def server(backend: Backend) -> Iterator[ServerProcess]:
    with start_server(backend.data, database=backend.database) as process:
        yield process


@pytest.fixture
def other_key(server: ServerProcess, backend: Backend, request: pytest.FixtureRequest) -> str:
    """The key of a user who owns nothing yet."""
    return backend.add_user(f"user-{abs(hash(request.node.name)) % 10**9}")


@pytest.fixture
def client(
    server: ServerProcess, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[ServerProcess]:
    """The `openml` package pointed at the server, with an empty cache."""
    with pointed_at(server, tmp_path_factory.mktemp("cache")):
        yield server


class pointed_at:
    """Point the `openml` package at a server for a while."""

    def __init__(self, server: ServerProcess, cache: Path) -> None:
        self.server, self.cache = server, cache

    def __enter__(self) -> None:
        import openml

        config = openml.config
        self.before = (config.server, config.apikey, config._root_cache_directory)
        config.server, config.apikey = self.server.server, self.server.apikey
        config.set_root_cache_directory(self.cache)

    def __exit__(self, *_: object) -> None:
        import openml

        openml.config.server, openml.config.apikey, cache = self.before
        openml.config.set_root_cache_directory(cache)


@dataclass(frozen=True)
class Wire:
    """Plain requests, for what the stock client would never send."""

    server: ServerProcess

    def get(self, path: str, **query: str) -> requests.Response:
        return requests.get(f"{self.server.server}/{path}", params=query, timeout=60)

    def post(
        self, path: str, files: dict[str, Any] | None = None, **fields: Any
    ) -> requests.Response:
        fields.setdefault("api_key", self.server.apikey)
        sent = {k: v if isinstance(v, tuple) else (f"{k}.xml", v) for k, v in (files or {}).items()}
        return requests.post(
            f"{self.server.server}/{path}", data=fields, files=sent or None, timeout=60
        )

    def delete(self, path: str, key: str | None = None) -> requests.Response:
        return requests.delete(
            f"{self.server.server}/{path}",
            params={"api_key": self.server.apikey if key is None else key},
            timeout=60,
        )

    def report(self, run_id: int) -> dict[str, Any]:
        answer = requests.get(f"{self.server.pages}hepml/run/{run_id}", timeout=60)
        answer.raise_for_status()
        found: dict[str, Any] = answer.json()
        return found

    def evaluated(self, run_id: int, seconds: float = 60) -> dict[str, Any]:
        """Wait until the server has evaluated a run."""
        end = time.monotonic() + seconds
        while (report := self.report(run_id))["status"] in {"pending", "running"}:
            assert time.monotonic() < end, report
            time.sleep(0.1)
        return report


@pytest.fixture
def wire(server: ServerProcess) -> Wire:
    return Wire(server)


def code_of(answer: requests.Response) -> int:
    """The OpenML error code of an answer that must be one."""
    import xmltodict

    # production sends 412, and 450 for some faults of tags and ontologies; 413 is ours
    assert answer.status_code in {412, 413, 450}, (answer.status_code, answer.text)
    assert answer.headers["content-type"].startswith("text/xml")
    assert "Traceback" not in answer.text
    return int(xmltodict.parse(answer.text)["oml:error"]["oml:code"])


def id_in(answer: requests.Response, root: str, name: str = "id") -> int:
    import xmltodict

    assert answer.status_code == 200, answer.text
    return int(xmltodict.parse(answer.text)[f"oml:{root}"][f"oml:{name}"])


def make_arff(rows: int = 120, seed: int = 0, *, shift: float = 1.0) -> str:
    """A small dataset: two features, a weight, an event id, a class that can be learned."""
    random = np.random.default_rng(seed)
    label = np.array(["b", "s"])[np.arange(rows) % 2]
    x = random.normal(size=(rows, 2)) + shift * (label == "s")[:, None]
    weight = random.uniform(0.5, 2, rows)
    lines = [
        "@RELATION toy",
        "",
        "@ATTRIBUTE EventId NUMERIC",
        "@ATTRIBUTE x0 REAL",
        "@ATTRIBUTE x1 REAL",
        "@ATTRIBUTE Weight REAL",
        "@ATTRIBUTE Label {b, s}",
        "",
        "@DATA",
    ]
    for i in range(rows):
        value = "?" if i == 7 else f"{x[i, 0]:.6f}"
        lines.append(f"{1000 + i},{value},{x[i, 1]:.6f},{weight[i]:.6f},{label[i]}")
    return "\n".join(lines) + "\n"


def description(root: str, content: str) -> str:
    return f'<oml:{root} xmlns:oml="{NAMESPACE}">{content}</oml:{root}>'


def dataset_description(name: str, extra: str = "", target: str = "Label") -> str:
    return description(
        "data_set_description",
        f"<oml:name>{name}</oml:name><oml:description>toy</oml:description>"
        f"<oml:format>arff</oml:format>"
        f"<oml:default_target_attribute>{target}</oml:default_target_attribute>"
        f"<oml:row_id_attribute>EventId</oml:row_id_attribute>"
        f"<oml:ignore_attribute>Weight</oml:ignore_attribute>{extra}",
    )


def task_description(dataset_id: int, procedure: int = 1, measure: str | None = None) -> str:
    measures = (measure and f'<oml:input name="evaluation_measures">{measure}</oml:input>') or ""
    return description(
        "task_inputs",
        "<oml:task_type_id>1</oml:task_type_id>"
        f'<oml:input name="source_data">{dataset_id}</oml:input>'
        f'<oml:input name="estimation_procedure">{procedure}</oml:input>{measures}'
        '<oml:input name="target_feature">Label</oml:input>',
    )


@pytest.fixture
def new_dataset(wire: Wire) -> Callable[..., int]:
    """Publish a small dataset by plain request and give its id."""

    def publish(name: str = "toy", **options: Any) -> int:
        answer = wire.post(
            "data/",
            {
                "description": dataset_description(name),
                "dataset": ("toy.arff", make_arff(**options)),
            },
        )
        return id_in(answer, "upload_data_set")

    return publish


@pytest.fixture
def new_task(wire: Wire, new_dataset: Callable[..., int]) -> Callable[..., int]:
    """Create a task on a new dataset by plain request and give its id."""

    def create(procedure: int = 1, **files: Any) -> int:
        answer = wire.post(
            "task/", {"description": task_description(new_dataset(), procedure), **files}
        )
        return id_in(answer, "upload_task")

    return create
