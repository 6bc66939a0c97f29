"""`openml.evaluations`: every function that talks to a server, and every error it can meet."""

from __future__ import annotations

from typing import Any

import openml
import pytest

from .conftest import NOBODY_HAS_IT, WITH_CLIENT, World, acting_as, refused

pytestmark = WITH_CLIENT
DATABASES = ("sqlite", "postgresql")
ACCURACY = "predictive_accuracy"


@pytest.mark.parametrize(
    ("filters", "found"),
    [
        ({}, True),
        ({"tasks": ["task"]}, True),
        ({"tasks": [NOBODY_HAS_IT]}, False),
        ({"setups": ["setup"]}, True),
        ({"setups": [NOBODY_HAS_IT]}, False),
        ({"flows": ["flow"]}, True),
        ({"flows": [NOBODY_HAS_IT]}, False),
        ({"uploaders": ["uploader"]}, True),
        ({"uploaders": [NOBODY_HAS_IT]}, False),
        ({"tag": "world"}, True),
        ({"tag": "nobody"}, False),
        ({"study": "study"}, True),
        ({"per_fold": False}, True),
        ({"sort_order": "asc"}, True),
        ({"sort_order": "desc"}, True),
        ({"size": 5, "offset": 0}, True),
        ({"size": 5, "offset": 1}, False),
        ({"size": 0}, False),
        ({"function": "unheard_of"}, False),
    ],
)
def test_list_evaluations(world: World, filters: dict[str, Any], found: bool) -> None:
    def of_world(value: Any) -> Any:
        return getattr(world, value) if value in World.__annotations__ else value

    given: dict[str, Any] = {"function": ACCURACY, "runs": [world.run]}
    for name, value in filters.items():
        given[name] = [of_world(v) for v in value] if isinstance(value, list) else value
    if "study" in filters:
        given["study"] = world.study
    listed = openml.evaluations.list_evaluations(output_format="object", **given)
    assert list(listed) == ([world.run] if found else [])
    if found:
        got = listed[world.run]
        assert (got.task_id, got.setup_id, got.flow_id, got.data_id) == (
            world.task,
            world.setup,
            world.flow,
            world.dataset,
        )
        assert (got.data_name, got.uploader_name, got.function) == ("world", "hepml", ACCURACY)
        assert got.value == openml.runs.get_run(world.run).evaluations[ACCURACY]


def test_list_evaluations_per_fold(world: World) -> None:
    listed = openml.evaluations.list_evaluations(
        ACCURACY, runs=[world.run], per_fold=True, output_format="object"
    )
    assert listed[world.run].value is None
    assert len(listed[world.run].values) == 1


def test_list_evaluations_in_order(world: World) -> None:
    runs = [world.run, world.search_run]
    for order, sign in (("asc", 1), ("desc", -1)):
        listed = openml.evaluations.list_evaluations(
            "area_under_roc_curve",
            runs=runs,
            sort_order=order,
            output_format="dataframe",
        )
        values = list(listed["value"])
        assert values == sorted(values, key=lambda value: sign * value)


@pytest.mark.parametrize(
    ("filters", "code"),
    [
        ({"function": "a'b"}, 541),
        ({"tag": "a'b"}, 541),
        ({"sort_order": "up"}, 549),
        ({"study": NOBODY_HAS_IT}, 555),
    ],
)
def test_list_evaluations_refuses(filters: dict[str, Any], code: int) -> None:
    with refused(code):
        openml.evaluations.list_evaluations(
            **{"function": ACCURACY, "output_format": "object", **filters}
        )


def test_list_evaluations_refuses_plain_calls(world: World) -> None:
    """What the client can't be made to send by its arguments."""
    call = openml._api_calls._perform_api_call
    for path, code in (
        ("", 540),
        ("/surprise/1", 544),
        ("/function/ams/offset/5", 545),
        ("/function/ams/limit/10001", 546),
        ("/function/ams/per_fold/maybe", 547),
        (f"/function/ams/study/{world.suite}", 555),
    ):
        with refused(code):
            call(f"evaluation/list{path}", "get")


def test_list_evaluations_setups(world: World) -> None:
    listed = openml.evaluations.list_evaluations_setups(ACCURACY, runs=[world.run])
    assert list(listed["setup_id"]) == [world.setup]
    (parameters,) = listed["parameters"]
    assert "2" in parameters.values()
    columns = openml.evaluations.list_evaluations_setups(
        ACCURACY, runs=[world.run], flows=[world.flow], parameters_in_separate_columns=True
    )
    assert any(name.endswith("_max_depth") for name in columns)
    assert openml.evaluations.list_evaluations_setups(ACCURACY, runs=[NOBODY_HAS_IT]).empty
    with refused(549):
        openml.evaluations.list_evaluations_setups(ACCURACY, sort_order="up")


def test_list_evaluation_measures() -> None:
    measures = openml.evaluations.list_evaluation_measures()
    assert {ACCURACY, "area_under_roc_curve", "ams"} <= set(measures)
    with acting_as("f" * 32), refused(103):
        openml.evaluations.list_evaluation_measures()


def test_list_estimation_procedures() -> None:
    procedures = openml.evaluations.functions.list_estimation_procedures()
    assert {"10-fold Crossvalidation", "33% Holdout set", "Custom Holdout"} <= set(procedures)
    with acting_as("f" * 32), refused(103):
        openml.evaluations.functions.list_estimation_procedures()
