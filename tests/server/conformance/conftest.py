"""What the stock client has published on a real server, for all that reads, lists and deletes."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import numpy as np
import openml
import pandas as pd
import pytest
from openml.exceptions import OpenMLServerException, PyOpenMLError
from openml.tasks import TaskType
from sklearn.model_selection import GridSearchCV
from sklearn.tree import DecisionTreeClassifier

from hepml_tasks.server.process import ServerProcess

from ...forks import start_server
from ..conftest import Backend, Wire, new_backend, pointed_at

NOBODY_HAS_IT = 999_999
WITH_CLIENT = [
    pytest.mark.usefixtures("client"),
    # the client leaves the splits file open
    pytest.mark.filterwarnings("ignore:unclosed file:ResourceWarning"),
]


@contextmanager
def refused(code: int, says: str = "") -> Iterator[None]:
    """Expect that the client ends with the server's error, or with one of its own because of it."""
    with pytest.raises(PyOpenMLError) as raised:
        yield
    error: BaseException | None = raised.value
    if not isinstance(error, OpenMLServerException):
        error = raised.value.__cause__
    assert isinstance(error, OpenMLServerException), repr(raised.value)
    assert error.code == code, error
    assert says in error.message


@contextmanager
def not_authorised() -> Iterator[None]:
    """Expect the client's own error for a call without a key; the server's code 102 is in it."""
    with pytest.raises(openml.exceptions.OpenMLNotAuthorizedError, match="requires authentication"):
        yield


@contextmanager
def acting_as(key: str) -> Iterator[None]:
    """Use another key for a while."""
    before, openml.config.apikey = openml.config.apikey, key
    try:
        yield
    finally:
        openml.config.apikey = before


def frame(rows: int = 60, seed: int = 1) -> pd.DataFrame:
    """Two features, an event weight, a class, and a number to be predicted."""
    random = np.random.default_rng(seed)
    label = np.array(["b", "s"])[np.arange(rows) % 2]
    table = pd.DataFrame(random.normal(size=(rows, 2)), columns=["mass", "pt"])
    table["mass"] += label == "s"
    table["Weight"] = random.uniform(0.5, 2, rows)
    table["Label"] = pd.Categorical(label, categories=["b", "s"])
    return table


def new_dataset(name: str, seed: int = 1, rows: int = 60) -> int:
    dataset = openml.datasets.create_dataset(
        name=name,
        description="Made for a test.",
        creator=["A. Physicist", "B. Physicist"],
        contributor=None,
        collection_date="2026",
        language="English",
        licence="CC0",
        attributes="auto",
        data=frame(rows, seed),
        default_target_attribute="Label",
        ignore_attribute=["Weight"],
        citation="none",
    )
    return int(dataset.publish().dataset_id)


def new_task(dataset_id: int, procedure: int = 6, kind: int = 1, target: str = "Label") -> int:
    task = openml.tasks.create_task(
        TaskType(kind),
        dataset_id=dataset_id,
        target_name=target,
        estimation_procedure_id=procedure,
    )
    return int(task.publish().task_id)


def model(depth: int = 2) -> DecisionTreeClassifier:
    return DecisionTreeClassifier(max_depth=depth, random_state=0)


def new_run(task_id: int, estimator: object | None = None) -> openml.runs.OpenMLRun:
    run = openml.runs.run_model_on_task(
        estimator or model(),
        openml.tasks.get_task(task_id),
        avoid_duplicate_runs=False,
        upload_flow=True,
    )
    published = run.publish()
    assert isinstance(published, openml.runs.OpenMLRun)
    return published


@dataclass(frozen=True)
class World:
    """The ids of what is on the server."""

    dataset: int
    regression: int
    task: int
    regression_task: int
    flow: int
    setup: int
    run: int
    search_run: int
    suite: int
    study: int
    uploader: int
    other_key: str


@pytest.fixture(scope="session")
def backend(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Backend:
    """A server of its own: what other tests publish has the same names."""
    return new_backend(request, tmp_path_factory)


@pytest.fixture(scope="session")
def server(backend: Backend) -> Iterator[ServerProcess]:
    with start_server(backend.data, database=backend.database) as process:
        yield process


@pytest.fixture(scope="session")
def world(
    server: ServerProcess, backend: Backend, tmp_path_factory: pytest.TempPathFactory
) -> World:
    with pointed_at(server, tmp_path_factory.mktemp("world")):
        dataset = new_dataset("world")
        regression = new_dataset("world-regression", seed=2)
        task = new_task(dataset)
        regression_task = new_task(regression, procedure=12, kind=2, target="pt")
        run = new_run(task)
        search = GridSearchCV(DecisionTreeClassifier(random_state=0), {"max_depth": [1, 2]}, cv=2)
        search_run = new_run(task, search)
        suite = openml.study.create_benchmark_suite(
            name="World", description="A suite.", task_ids=[task], alias="world-suite"
        ).publish()
        study = openml.study.create_study(
            name="World", description="A study.", run_ids=[run.run_id], alias="world-study"
        ).publish()
        for published in (run, search_run):
            Wire(server).evaluated(published.run_id)
        got = openml.runs.get_run(run.run_id, ignore_cache=True)
        thing = openml.datasets.get_dataset(dataset)
        thing.push_tag("world")
        openml.tasks.get_task(task).push_tag("world")
        openml.flows.get_flow(run.flow_id).push_tag("world")
        run.push_tag("world")
        openml.utils._tag_entity("setup", got.setup_id, "world")
    return World(
        dataset,
        regression,
        task,
        regression_task,
        run.flow_id,
        got.setup_id,
        run.run_id,
        search_run.run_id,
        suite.study_id,
        study.study_id,
        1,
        backend.add_user("world-other"),
    )
