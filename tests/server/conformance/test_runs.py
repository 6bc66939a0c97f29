"""`openml.runs`: every function that talks to a server, and every error it can meet."""

from __future__ import annotations

from typing import Any

import numpy as np
import openml
import pytest
from openml.extensions.sklearn import SklearnExtension
from sklearn.metrics import accuracy_score

from .conftest import (
    NOBODY_HAS_IT,
    WITH_CLIENT,
    World,
    acting_as,
    model,
    new_run,
    not_authorised,
    refused,
)

pytestmark = WITH_CLIENT
DATABASES = ("sqlite", "postgresql")


@pytest.mark.parametrize(
    ("filters", "found"),
    [
        ({}, True),
        ({"task": ["task"]}, True),
        ({"task": [NOBODY_HAS_IT]}, False),
        ({"setup": ["setup"]}, True),
        ({"setup": [NOBODY_HAS_IT]}, False),
        ({"flow": ["flow", NOBODY_HAS_IT]}, True),
        ({"flow": [NOBODY_HAS_IT]}, False),
        ({"uploader": ["uploader"]}, True),
        ({"uploader": [NOBODY_HAS_IT]}, False),
        ({"tag": "world"}, True),
        ({"tag": "nobody"}, False),
        ({"study": "study"}, True),
        ({"task_type": 1}, True),
        ({"task_type": 2}, False),
        ({"display_errors": True}, True),
        ({"size": 5, "offset": 0}, True),
        ({"size": 5, "offset": 1}, False),
        ({"size": 0}, False),
    ],
)
def test_list_runs(world: World, filters: dict[str, Any], found: bool) -> None:
    filters = {
        name: [getattr(world, v) if isinstance(v, str) else v for v in value]
        if isinstance(value, list)
        else getattr(world, value, value)
        if name == "study"
        else value
        for name, value in filters.items()
    }
    listed = openml.runs.list_runs(id=[world.run], output_format="dataframe", **filters)
    assert list(listed.index) == ([world.run] if found else [])
    if found:
        row = listed.loc[world.run]
        got = tuple(row[["task_id", "setup_id", "flow_id", "uploader"]])
        assert got == (world.task, world.setup, world.flow, world.uploader)


@pytest.mark.parametrize(
    ("filters", "code"),
    [
        ({"surprise": 1}, 514),
        ({"tag": "a'b"}, 511),
        ({"task_type": "x"}, 511),
        ({"batch_size": 10_001}, 516),
        ({"study": NOBODY_HAS_IT}, 517),
    ],
)
def test_list_runs_refuses(filters: dict[str, Any], code: int) -> None:
    with refused(code):
        openml.runs.list_runs(output_format="dataframe", **filters)


def test_list_runs_refuses_a_suite(world: World) -> None:
    with refused(517):
        openml.runs.list_runs(study=world.suite, output_format="dataframe")


def test_get_run(world: World) -> None:
    run = openml.runs.get_run(world.run)
    assert (run.task_id, run.flow_id, run.setup_id) == (world.task, world.flow, world.setup)
    assert (run.uploader, run.uploader_name, run.dataset_id) == (1, "hepml", world.dataset)
    assert "world" in run.tags
    assert 0 <= run.evaluations["predictive_accuracy"] <= 1
    assert run.fold_evaluations["predictive_accuracy"][0][0] == pytest.approx(
        run.evaluations["predictive_accuracy"]
    )
    with refused(236):
        openml.runs.get_run(NOBODY_HAS_IT)


def test_get_runs(world: World) -> None:
    got = openml.runs.get_runs([world.run, world.search_run])
    assert [run.run_id for run in got] == [world.run, world.search_run]
    with refused(236):
        openml.runs.get_runs([NOBODY_HAS_IT])


def test_run_predictions(world: World) -> None:
    run = openml.runs.get_run(world.run)
    predictions = run.predictions
    # 33 % of 60, rounded down
    assert len(predictions) == 19
    accuracy = accuracy_score(predictions["correct"], predictions["prediction"])
    np.testing.assert_allclose(run.get_metric_fn(accuracy_score), [accuracy])
    run = openml.runs.get_run(world.run)
    run.output_files = {"predictions": NOBODY_HAS_IT}
    with refused(113):
        run.get_metric_fn(accuracy_score)


def test_get_run_trace(world: World) -> None:
    trace = openml.runs.get_run_trace(world.search_run)
    assert set(trace.trace_iterations) == {(0, 0, 0), (0, 0, 1)}
    with refused(571):
        openml.runs.get_run_trace(NOBODY_HAS_IT)
    with refused(572):
        openml.runs.get_run_trace(world.run)


def test_initialize_model_from_run(world: World) -> None:
    assert repr(openml.runs.initialize_model_from_run(world.run)) == repr(model())
    with refused(236):
        openml.runs.initialize_model_from_run(NOBODY_HAS_IT)


def test_initialize_model_from_trace(world: World) -> None:
    rebuilt = openml.runs.initialize_model_from_trace(world.search_run, 0, 0)
    selected = openml.runs.get_run_trace(world.search_run).get_selected_iteration(0, 0)
    assert rebuilt.max_depth == [1, 2][selected]
    with refused(572):
        openml.runs.initialize_model_from_trace(world.run, 0, 0)
    with refused(236):
        openml.runs.initialize_model_from_trace(NOBODY_HAS_IT, 0, 0)


def test_run_exists(world: World) -> None:
    assert world.run in openml.runs.run_exists(world.task, world.setup)
    assert openml.runs.run_exists(NOBODY_HAS_IT, world.setup) == set()
    assert openml.runs.run_exists(world.task, 0) == set()
    with acting_as("f" * 32), refused(103):
        openml.runs.run_exists(world.task, world.setup)


def test_run_model_on_task(world: World) -> None:
    task = openml.tasks.get_task(world.task)
    with pytest.raises(openml.exceptions.OpenMLRunsExistError, match="already performed"):
        openml.runs.run_model_on_task(model(), task, avoid_duplicate_runs=True)
    run = openml.runs.run_model_on_task(model(depth=7), world.task, avoid_duplicate_runs=True)
    assert (run.task_id, run.flow_id) == (world.task, world.flow)
    with refused(151):
        openml.runs.run_model_on_task(model(), NOBODY_HAS_IT)
    with acting_as(""), pytest.warns(RuntimeWarning, match="no API key"), not_authorised():
        openml.runs.run_model_on_task(model(), task, avoid_duplicate_runs=True)


def test_run_flow_on_task(world: World) -> None:
    flow = SklearnExtension().model_to_flow(model(depth=8))
    task = openml.tasks.get_task(world.task)
    run = openml.runs.run_flow_on_task(flow, task, avoid_duplicate_runs=True, upload_flow=True)
    published = run.publish()
    assert published.run_id in openml.runs.run_exists(
        world.task, openml.runs.get_run(published.run_id).setup_id
    )
    with pytest.raises(openml.exceptions.OpenMLRunsExistError, match="already performed"):
        openml.runs.run_flow_on_task(flow, task, avoid_duplicate_runs=True)
    with acting_as(""), not_authorised():
        openml.runs.run_flow_on_task(flow, task, avoid_duplicate_runs=True)


def local_run(world: World, **changes: Any) -> openml.runs.OpenMLRun:
    run = openml.runs.run_model_on_task(model(), world.task, avoid_duplicate_runs=False)
    flow = openml.flows.get_flow(world.flow)
    flow.model = model()
    run.flow_id = world.flow
    run.parameter_settings = flow.extension.obtain_parameter_values(flow)
    for name, value in changes.items():
        setattr(run, name, value)
    return run


def test_run_publish(world: World) -> None:
    run = local_run(world).publish()
    got = openml.runs.get_run(run.run_id)
    assert got.setup_id == world.setup
    assert set(got.output_files) == {"description", "predictions"}


def test_run_publish_with_an_error_message(world: World) -> None:
    run = local_run(world, error_message="it_broke", data_content=None).publish()
    listed = openml.runs.list_runs(id=[run.run_id], output_format="dataframe")
    assert listed.empty
    shown = openml.runs.list_runs(id=[run.run_id], display_errors=True, output_format="dataframe")
    assert list(shown["run_id"]) == [run.run_id]


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"tags": ["not a tag"]}, 202),
        ({"task": NOBODY_HAS_IT}, 204),
        ({"flow_id": NOBODY_HAS_IT}, 205),
        ({"without": ["predictions"]}, 206),
        ({"data_content": [[0, 0, 0, 0, "b", "b", 0.5, 0.5]]}, 209),
        ({"parameter_settings": [{"oml:name": "unheard_of", "oml:value": 1}]}, 213),
        ({"fold_evaluations": {"predictive_accuracy": {0: {5: 0.5}}}}, 216),
        ({"fold_evaluations": {"unheard_of": {0: {0: 0.5}}}}, 217),
    ],
)
def test_run_publish_refuses(world: World, changes: dict[str, Any], code: int) -> None:
    changes = dict(changes)  # the parameters of the next test too
    task, without = changes.pop("task", None), changes.pop("without", [])
    run = local_run(world, **changes)
    before = openml.runs.list_runs(display_errors=True, output_format="dataframe")
    # What the client looks up, or can't be without, is changed in what it has made.
    files = run._get_file_elements()
    for name in without:
        files.pop(name)
    xml = run._to_xml().replace(
        f"<oml:task_id>{world.task}<", f"<oml:task_id>{task or world.task}<"
    )
    run._get_file_elements = lambda: {**files, "description": ("description.xml", xml)}
    with refused(code):
        run.publish()
    after = openml.runs.list_runs(display_errors=True, output_format="dataframe")
    assert len(after) == len(before)


def test_run_publish_needs_a_description_and_a_key(world: World) -> None:
    with refused(201):
        openml._api_calls._perform_api_call("run/", "post", file_elements={})
    run = local_run(world)
    with acting_as("f" * 32), refused(103):
        run.publish()
    with acting_as(""), not_authorised():
        run.publish()


def test_run_tags(world: World) -> None:
    run = openml.runs.get_run(world.run)
    run.push_tag("for-a-while")
    with refused(473):
        run.push_tag("for-a-while")
    with acting_as(world.other_key), refused(476):
        run.remove_tag("for-a-while")
    run.remove_tag("for-a-while")
    with refused(475):
        run.remove_tag("for-a-while")
    with refused(477):
        run.push_tag("../up")
    with refused(471):
        run.push_tag("")
    run.run_id = NOBODY_HAS_IT
    with refused(472):
        run.push_tag("for-a-while")


def test_delete_run(world: World) -> None:
    run = new_run(world.task, model(depth=9))
    with acting_as(world.other_key), refused(393):
        openml.runs.delete_run(run.run_id)
    with acting_as(""), not_authorised():
        openml.runs.delete_run(run.run_id)
    assert openml.runs.delete_run(run.run_id)
    with refused(392):
        openml.runs.delete_run(run.run_id)
    with refused(236):
        openml.runs.get_run(run.run_id, ignore_cache=True)
