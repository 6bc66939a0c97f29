"""`openml.study`: every function that talks to a server, and every error it can meet."""

from __future__ import annotations

from typing import Any

import openml
import pytest

from .conftest import (
    NOBODY_HAS_IT,
    WITH_CLIENT,
    World,
    acting_as,
    new_dataset,
    new_task,
    not_authorised,
    refused,
)

pytestmark = WITH_CLIENT
DATABASES = ("sqlite", "postgresql")


def suite_of(tasks: list[int], **changes: Any) -> openml.study.OpenMLBenchmarkSuite:
    options: dict[str, Any] = {"name": "A suite", "description": "Of tasks."}
    return openml.study.create_benchmark_suite(task_ids=tasks, **{**options, **changes})


def study_of(runs: list[int], **changes: Any) -> openml.study.OpenMLStudy:
    options: dict[str, Any] = {"name": "A study", "description": "Of runs."}
    return openml.study.create_study(run_ids=runs, **{**options, **changes})


def test_get_suite(world: World) -> None:
    for key in (world.suite, "world-suite"):
        suite = openml.study.get_suite(key)
        assert (suite.study_id, suite.alias, suite.status) == (
            world.suite,
            "world-suite",
            "in_preparation",
        )
        assert (suite.tasks, suite.data, suite.creator) == ([world.task], [world.dataset], "1")
    with pytest.raises(ValueError, match="Unexpected entity type 'run'"):
        openml.study.get_suite(world.study)
    for absent in (NOBODY_HAS_IT, "nobody"):
        with refused(601):
            openml.study.get_suite(absent)
    with refused(600):
        openml.study.get_suite(f"{world.suite}/surprise")


def test_get_study(world: World) -> None:
    for key in (world.study, "world-study"):
        study = openml.study.get_study(key)
        assert (study.study_id, study.alias, study.creator) == (world.study, "world-study", "1")
        assert (study.runs, study.tasks, study.flows) == ([world.run], [world.task], [world.flow])
        assert (study.setups, study.data) == ([world.setup], [world.dataset])
    with pytest.raises(ValueError, match="Unexpected entity type 'task'"):
        openml.study.get_study(world.suite)
    with refused(601):
        openml.study.get_study(NOBODY_HAS_IT)
    with refused(600):
        openml.study.get_study(f"{world.study}/surprise")


@pytest.mark.parametrize("kind", ["suite", "study"])
def test_study_publish(world: World, kind: str) -> None:
    make = suite_of if kind == "suite" else study_of
    member = world.task if kind == "suite" else world.run
    published = make([member], alias=f"published-{kind}").publish()
    get = openml.study.get_suite if kind == "suite" else openml.study.get_study
    assert get(published.study_id).alias == f"published-{kind}"
    with refused(1038):
        make([member], alias=f"published-{kind}").publish()
    with refused(1039):
        make([NOBODY_HAS_IT]).publish()
    with refused(1032):
        make([member], name="\u00e4").publish()
    with refused(1032):
        make([member], alias="not an alias").publish()
    with refused(1032):
        strange = make([member])
        strange.main_entity_type = "flow"
        strange.publish()
    with refused(1034):
        strange = make([member])
        strange.main_entity_type = "run" if kind == "suite" else "task"
        strange.publish()
    with refused(1031):
        openml._api_calls._perform_api_call("study/", "post", file_elements={"x": "y"})
    with acting_as(""), not_authorised():
        make([member]).publish()


def test_studies_on_a_suite(world: World) -> None:
    """Only a plain call can name the suite that a study is about: the client leaves it out."""

    def publish(kind: str, suite: int) -> str:
        xml = (
            '<oml:study xmlns:oml="http://openml.org/openml">'
            f"<oml:main_entity_type>{kind}</oml:main_entity_type>"
            f"<oml:benchmark_suite>{suite}</oml:benchmark_suite><oml:name>n</oml:name>"
            "<oml:description>d</oml:description></oml:study>"
        )
        return str(
            openml._api_calls._perform_api_call(
                "study/", "post", file_elements={"description": xml}
            )
        )

    base = suite_of([world.task]).publish().study_id
    publish("run", base)
    listed = openml.study.list_studies(
        benchmark_suite=base, status="all", output_format="dataframe"
    )
    assert list(listed["benchmark_suite"]) == [base]
    with refused(1035):
        publish("task", base)
    with refused(1036):
        publish("run", NOBODY_HAS_IT)
    with refused(1037):
        publish("run", world.study)
    with refused(595):
        openml.study.delete_suite(base)


def test_attach_to_suite(world: World) -> None:
    suite = suite_of([world.task]).publish().study_id
    assert openml.study.attach_to_suite(suite, [world.regression_task]) == 2
    assert openml.study.get_suite(suite).tasks == [world.task, world.regression_task]
    with refused(1045):
        openml.study.attach_to_suite(suite, [world.regression_task])
    with refused(1045):
        openml.study.attach_to_suite(suite, [NOBODY_HAS_IT])
    with refused(1044):
        openml.study.attach_to_suite(suite, [])
    with refused(1041):
        openml.study.attach_to_suite(NOBODY_HAS_IT, [world.task])
    with acting_as(world.other_key), refused(594):
        openml.study.attach_to_suite(suite, [world.task])
    with refused(1043):
        openml._api_calls._perform_api_call(f"study/{suite}/attach", "post")
    openml.study.update_suite_status(suite, "active")
    with refused(1047):
        openml.study.attach_to_suite(suite, [world.task])


def test_detach_from_suite(world: World) -> None:
    suite = suite_of([world.task, world.regression_task]).publish().study_id
    assert openml.study.detach_from_suite(suite, [world.task]) == 1
    assert openml.study.get_suite(suite).tasks == [world.regression_task]
    assert openml.study.detach_from_suite(suite, [world.task]) == 1
    with refused(1044):
        openml.study.detach_from_suite(suite, [])
    with refused(1041):
        openml.study.detach_from_suite(NOBODY_HAS_IT, [world.task])
    with acting_as(world.other_key), refused(594):
        openml.study.detach_from_suite(suite, [world.task])
    with refused(1043):
        openml._api_calls._perform_api_call(f"study/{suite}/detach", "post")
    openml.study.update_suite_status(suite, "active")
    with refused(1047):
        openml.study.detach_from_suite(suite, [world.regression_task])


def test_attach_to_study_and_detach_from_study(world: World) -> None:
    study = study_of([world.run]).publish().study_id
    assert openml.study.attach_to_study(study, [world.search_run]) == 2
    assert openml.study.detach_from_study(study, [world.run]) == 1
    assert openml.study.get_study(study).runs == [world.search_run]
    with refused(1045):
        openml.study.attach_to_study(study, [NOBODY_HAS_IT])
    with refused(1041):
        openml.study.attach_to_study(NOBODY_HAS_IT, [world.run])
    with refused(1041):
        openml.study.detach_from_study(NOBODY_HAS_IT, [world.run])
    with acting_as(""), not_authorised():
        openml.study.attach_to_study(study, [world.run])
    with acting_as(""), not_authorised():
        openml.study.detach_from_study(study, [world.run])


def test_update_suite_status(world: World) -> None:
    suite = suite_of([world.task]).publish().study_id
    for status in ("active", "deactivated"):
        openml.study.update_suite_status(suite, status)
        assert openml.study.get_suite(suite).status == status
    with refused(1052):
        openml.study.update_suite_status(NOBODY_HAS_IT, "active")
    with acting_as(world.other_key), refused(1053):
        openml.study.update_suite_status(suite, "active")


def test_update_study_status(world: World) -> None:
    study = study_of([world.run]).publish().study_id
    openml.study.update_study_status(study, "active")
    assert openml.study.get_study(study).status == "active"
    with refused(1052):
        openml.study.update_study_status(NOBODY_HAS_IT, "active")
    with acting_as(world.other_key), refused(1053):
        openml.study.update_study_status(study, "active")
    with refused(1051):
        data = {"study_id": study, "status": "in_preparation"}
        openml._api_calls._perform_api_call("study/status/update", "post", data=data)


@pytest.mark.parametrize("kind", ["suites", "studies"])
def test_list_suites_and_list_studies(world: World, kind: str) -> None:
    listing = openml.study.list_suites if kind == "suites" else openml.study.list_studies
    mine, other = (world.suite, world.study) if kind == "suites" else (world.study, world.suite)

    def ids(**filters: Any) -> set[int]:
        listed = listing(output_format="dataframe", **filters)
        return set() if listed.empty else set(listed["id"])

    assert mine not in ids()  # it is in preparation
    for found in (
        {"status": "all"},
        {"status": "in_preparation"},
        {"status": "all", "uploader": [1]},
        {"status": "all", "size": 100, "offset": 0},
    ):
        assert mine in ids(**found)
        assert other not in ids(**found)
    for absent in (
        {"status": "deactivated", "uploader": [NOBODY_HAS_IT]},
        {"status": "asleep"},
        {"status": "all", "offset": 5000},
        {"status": "all", "size": 0},
    ):
        with refused(599):  # the client knows this code from no other error
            ids(**absent)
    with refused(597):
        ids(uploader="me")
    with refused(597):
        ids(status="a'b")
    call = openml._api_calls._perform_api_call
    with refused(596):
        call("study/list/surprise/1", "get")
    with refused(598):
        call("study/list/offset/5", "get")


def test_delete_suite(world: World) -> None:
    suite = suite_of([new_task(new_dataset("in-a-suite"))]).publish().study_id
    with acting_as(world.other_key), refused(594):
        openml.study.delete_suite(suite)
    with acting_as(""), not_authorised():
        openml.study.delete_suite(suite)
    assert openml.study.delete_suite(suite)
    with refused(592):
        openml.study.delete_suite(suite)
    active = suite_of([world.task]).publish().study_id
    openml.study.update_suite_status(active, "active")
    with refused(595):
        openml.study.delete_suite(active)


def test_delete_study(world: World) -> None:
    study = study_of([world.run]).publish().study_id
    openml.study.update_study_status(study, "active")
    with acting_as(world.other_key), refused(594):
        openml.study.delete_study(study)
    assert openml.study.delete_study(study)
    with refused(592):
        openml.study.delete_study(study)
    with refused(601):
        openml.study.get_study(study)
