"""Anomaly detection with the stock `openml` client: a classification whose labels flows ignore."""

from __future__ import annotations

from pathlib import Path

import openml
import pytest
from openml.extensions.sklearn import SklearnExtension

import hepml_tasks as hep
from hepml_tasks.flows import FLOWS, Flow, find_flow
from hepml_tasks.flows.description import describe, seeded
from hepml_tasks.openml.connection import Connection
from hepml_tasks.openml.flows import as_flow
from hepml_tasks.openml.publication import publish_run, wait_for_evaluation
from hepml_tasks.openml.registration import register_dataset, register_task
from hepml_tasks.running.task import Task
from hepml_tasks.server.process import ServerProcess

pytestmark = [
    pytest.mark.usefixtures("client"),
    # the client leaves the splits file open
    pytest.mark.filterwarnings("ignore:unclosed file:ResourceWarning"),
]

DETECTORS = [f for f in FLOWS.values() if f.suits("anomaly-detection")]


@pytest.fixture
def hunt() -> Task:
    return hep.load_task("toy-higgs-anomaly", events=2000)


@pytest.fixture
def to(server: ServerProcess) -> Connection:
    return Connection(server.server, server.apikey)


@pytest.fixture
def task_id(to: Connection, hunt: Task) -> int:
    return register_task(to, hunt, register_dataset(to, hunt))


def test_the_stock_client_runs_a_detector_and_the_server_scores_it(
    to: Connection, hunt: Task, task_id: int
) -> None:
    task = openml.tasks.get_task(task_id)
    assert task.task_type_id == openml.tasks.TaskType.SUPERVISED_CLASSIFICATION
    X, _, _, _ = task.get_dataset().get_data(target="Label")
    assert not {"Weight", "Process", "EventId"} & set(X.columns)
    model = seeded(find_flow("cwola").build(), 0)
    run = openml.runs.run_model_on_task(model, task, avoid_duplicate_runs=False, upload_flow=True)
    run_id = int(run.publish().run_id)
    found = wait_for_evaluation(to, run_id)["scores"]["area_under_roc_curve"]["value"]
    assert found > 0.6
    # the same flow in our own runner, which has no labels to give
    ours = hep.run(find_flow("cwola").build(), hunt, seed=0, n_jobs=1)
    assert ours.scores["area_under_roc_curve"].value == pytest.approx(found, abs=1e-6)
    again = openml.runs.initialize_model_from_run(run_id)
    assert describe(again) == describe(model)


@pytest.mark.parametrize("flow", DETECTORS, ids=lambda f: f.name)
def test_the_client_can_describe_a_detector_and_rebuild_it(flow: Flow) -> None:
    model = seeded(flow.build(), 3)
    assert describe(SklearnExtension().flow_to_model(as_flow(model))) == describe(model)


def test_a_run_of_ours_is_scored_there_to_the_last_bit(
    to: Connection, hunt: Task, task_id: int, tmp_path: Path
) -> None:
    run = hep.run(find_flow("mass-window").build(), hunt, spool=tmp_path, n_jobs=1)
    published = publish_run(to, run.folder)
    assert published.task_id == task_id
    state = wait_for_evaluation(to, published.run_id)
    assert state["scores"] == run.folder.scores["scores"]
    assert state["differs"] == []
