"""`openml.tasks`: every function that talks to a server, and every error it can meet."""

from __future__ import annotations

import openml
import pytest
from openml.tasks import TaskType

from hepml_tasks.server.process import ServerProcess

from ..conftest import Wire
from .conftest import (
    NOBODY_HAS_IT,
    WITH_CLIENT,
    World,
    acting_as,
    frame,
    new_dataset,
    new_run,
    new_task,
    not_authorised,
    refused,
)

pytestmark = WITH_CLIENT
DATABASES = ("sqlite", "postgresql")
METADATA = {"download_data": False, "download_qualities": False}


@pytest.mark.parametrize(
    ("filters", "found"),
    [
        ({}, True),
        ({"task_type": TaskType.SUPERVISED_CLASSIFICATION}, True),
        ({"task_type": TaskType.SUPERVISED_REGRESSION}, False),
        ({"task_type": TaskType.CLUSTERING}, False),
        ({"tag": "world"}, True),
        ({"tag": "nobody"}, False),
        ({"data_tag": "world"}, True),
        ({"data_tag": "nobody"}, False),
        ({"status": "active"}, True),
        ({"status": "all"}, True),
        ({"status": "deactivated"}, False),
        ({"status": "asleep"}, False),
        ({"data_name": "world"}, True),
        ({"data_name": "nobody"}, False),
        ({"number_instances": "50..70"}, True),
        ({"number_instances": 61}, False),
        ({"number_features": 4}, True),
        ({"number_features": "5..9"}, False),
        ({"number_classes": "2..2"}, True),
        ({"number_classes": 3}, False),
        ({"number_missing_values": 0}, True),
        ({"number_missing_values": "1..9"}, False),
        ({"size": 5, "offset": 0}, True),
        ({"size": 5, "offset": 1}, False),
        ({"size": 0}, False),
    ],
)
def test_list_tasks(world: World, filters: dict[str, object], found: bool) -> None:
    given = {"task_id": [world.task], "data_id": world.dataset, **filters}
    listed = openml.tasks.list_tasks(output_format="dataframe", **given)
    assert list(listed.index) == ([world.task] if found else [])
    if found:
        row = listed.loc[world.task]
        assert (row["did"], row["name"], row["ttid"]) == (
            world.dataset,
            "world",
            TaskType.SUPERVISED_CLASSIFICATION,
        )
        assert (row["estimation_procedure"], row["target_feature"]) == ("33% Holdout set", "Label")
        assert row["NumberOfInstances"] == 60


@pytest.mark.parametrize(
    ("filters", "code"), [({"surprise": 1}, 480), ({"data_id": "x"}, 481), ({"tag": "a'b"}, 481)]
)
def test_list_tasks_refuses(filters: dict[str, object], code: int) -> None:
    with refused(code):
        openml.tasks.list_tasks(output_format="dataframe", **filters)


def test_get_task(world: World) -> None:
    task = openml.tasks.get_task(
        world.task,
        download_splits=True,
        download_data=True,
        download_qualities=True,
        download_features_meta_data=True,
    )
    assert (task.task_type_id, task.dataset_id) == (
        TaskType.SUPERVISED_CLASSIFICATION,
        world.dataset,
    )
    assert (task.target_name, task.class_labels) == ("Label", ["b", "s"])
    assert task.get_dataset().dataset_id == world.dataset
    regression = openml.tasks.get_task(world.regression_task)
    assert (regression.task_type_id, regression.target_name) == (
        TaskType.SUPERVISED_REGRESSION,
        "pt",
    )


def test_get_task_refuses() -> None:
    with refused(151):
        openml.tasks.get_task(NOBODY_HAS_IT)


def test_get_tasks(world: World) -> None:
    got = openml.tasks.get_tasks([world.task, world.regression_task], **METADATA)
    assert [task.task_id for task in got] == [world.task, world.regression_task]
    with refused(151):
        openml.tasks.get_tasks([world.task, NOBODY_HAS_IT], **METADATA)


def test_task_splits_and_data(world: World) -> None:
    task = openml.tasks.get_task(world.task)
    assert task.download_split().folds == 1
    assert task.get_split_dimensions() == (1, 1, 1)
    train, test = task.get_train_test_split_indices()
    assert (len(train), len(test)) == (41, 19)
    features, target = task.get_X_and_y(dataset_format="dataframe")
    assert list(features.columns) == ["mass", "pt"]
    assert list(target) == list(frame()["Label"])
    clusters = openml.tasks.create_task(
        TaskType.CLUSTERING, dataset_id=world.dataset, estimation_procedure_id=17
    )
    assert len(clusters.get_X(dataset_format="dataframe")) == 60
    address = task.estimation_procedure["data_splits_url"]
    with refused(151):
        openml._api_calls._download_text_file(address.replace(f"/{world.task}/", "/999999/"))


def task(dataset_id: int, **changes: object) -> openml.tasks.OpenMLTask:
    options: dict[str, object] = {
        "task_type": TaskType.SUPERVISED_CLASSIFICATION,
        "target_name": "Label",
        "estimation_procedure_id": 1,
        "evaluation_measure": "area_under_roc_curve",
    }
    return openml.tasks.create_task(dataset_id=dataset_id, **{**options, **changes})


def test_task_publish() -> None:
    dataset_id = new_dataset("with-tasks")
    task_id = task(dataset_id).publish().task_id
    assert openml.tasks.get_task(task_id).evaluation_measure == "area_under_roc_curve"
    with refused(614, f"matched id(s): [{task_id}]"):
        task(dataset_id).publish()
    openml.datasets.status_update(dataset_id, "deactivated")
    with refused(623):
        task(dataset_id, evaluation_measure="ams").publish()


def test_task_publish_clustering() -> None:
    dataset_id = new_dataset("clusters")
    made = openml.tasks.create_task(
        TaskType.CLUSTERING, dataset_id=dataset_id, estimation_procedure_id=17
    ).publish()
    got = openml.tasks.get_task(made.task_id)
    assert (got.task_type_id, got.dataset_id) == (TaskType.CLUSTERING, dataset_id)
    listed = openml.tasks.list_tasks(task_type=TaskType.CLUSTERING, output_format="dataframe")
    assert made.task_id in listed.index
    with refused(614, f"matched id(s): [{made.task_id}]"):
        made.publish()


def test_task_publish_learning_curve(server: ServerProcess) -> None:
    kind = TaskType.LEARNING_CURVE.value
    task_id = new_task(new_dataset("curve", rows=200), procedure=13, kind=kind)
    got = openml.tasks.get_task(task_id)
    assert (got.task_type_id, got.class_labels) == (TaskType.LEARNING_CURVE, ["b", "s"])
    assert got.get_split_dimensions() == (1, 10, 4)
    sizes = [len(got.get_train_test_split_indices(0, 0, sample)[0]) for sample in range(4)]
    assert sizes == [64, 91, 128, 180]
    run = new_run(task_id)
    report = Wire(server).evaluated(run.run_id)
    # the score is that of the folds' last samples, which train on all of their rows
    folds = run.sample_evaluations["predictive_accuracy"][0]
    last = {fold: samples[3] for fold, samples in folds.items()}
    found = {fold["fold"]: fold["value"] for fold in report["folds"]["predictive_accuracy"]}
    assert found == pytest.approx(last)
    assert report["differs"] == []


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"task_type": TaskType.CLUSTERING, "estimation_procedure_id": 1}, 622),
        ({"task_type": TaskType.LEARNING_CURVE, "estimation_procedure_id": 1}, 622),
        ({"task_type": TaskType.LEARNING_CURVE, "target_name": "pt"}, 622),
        ({"estimation_procedure_id": "ten"}, 621),
        ({"estimation_procedure_id": 7}, 622),
        ({"evaluation_measure": "unheard_of"}, 622),
        ({"target_name": "pt"}, 622),
        ({"dataset_id": NOBODY_HAS_IT}, 622),
    ],
)
def test_task_publish_refuses(world: World, changes: dict[str, object], code: int) -> None:
    with refused(code):
        task(**{"dataset_id": world.dataset, **changes}).publish()


def test_task_publish_refuses_what_the_client_cannot_make(world: World) -> None:
    inputs = '<oml:input name="source_data">1</oml:input>'
    document = (
        '<oml:task_inputs xmlns:oml="http://openml.org/openml">'
        f"<oml:task_type_id>4</oml:task_type_id>{inputs}</oml:task_inputs>"
    )
    with refused(616):
        files = {"description": ("description.xml", document)}
        openml._api_calls._perform_api_call("task/", "post", file_elements=files)


def test_task_publish_needs_a_key(world: World) -> None:
    with acting_as("f" * 32), refused(103):
        task(world.dataset).publish()
    with acting_as(""), not_authorised():
        task(world.dataset).publish()


def test_task_tags(world: World) -> None:
    got = openml.tasks.get_task(world.task)
    got.push_tag("for-a-while")
    with refused(473):
        got.push_tag("for-a-while")
    with acting_as(world.other_key), refused(476):
        got.remove_tag("for-a-while")
    got.remove_tag("for-a-while")
    with refused(475):
        got.remove_tag("for-a-while")
    with refused(477):
        got.push_tag("<b>")
    with refused(471):
        got.push_tag("")
    got.task_id = NOBODY_HAS_IT
    with refused(472):
        got.push_tag("for-a-while")


def test_delete_task(world: World) -> None:
    task_id = new_task(new_dataset("task-deleted"))
    run = new_run(task_id)
    with acting_as(world.other_key), refused(453):
        openml.tasks.delete_task(task_id)
    with refused(454):
        openml.tasks.delete_task(task_id)
    with acting_as(""), not_authorised():
        openml.tasks.delete_task(task_id)
    openml.runs.delete_run(run.run_id)
    assert openml.tasks.delete_task(task_id)
    with refused(452):
        openml.tasks.delete_task(task_id)
    assert openml.tasks.list_tasks(task_id=[task_id], output_format="dataframe").empty
