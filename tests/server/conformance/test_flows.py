"""`openml.flows`: every function that talks to a server, and every error it can meet."""

from __future__ import annotations

from collections import OrderedDict
from typing import Any

import openml
import pytest
from openml.extensions.sklearn import SklearnExtension
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import MaxAbsScaler
from sklearn.tree import DecisionTreeClassifier

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


def flow(name: str, **changes: Any) -> openml.flows.OpenMLFlow:
    options: dict[str, Any] = {
        "description": "A flow of no library.",
        "model": None,
        "components": OrderedDict(),
        "parameters": OrderedDict(depth="3"),
        "parameters_meta_info": OrderedDict(depth={"description": "d", "data_type": "int"}),
        "external_version": "1.0",
        "tags": ["conformance"],
        "language": "English",
        "dependencies": "none",
        "extension": SklearnExtension(),
    }
    return openml.flows.OpenMLFlow(name=name, **{**options, **changes})


@pytest.mark.parametrize(
    ("filters", "found"),
    [
        ({"tag": "world"}, True),
        ({"tag": "nobody"}, False),
        ({"tag": "world", "uploader": 1}, True),
        ({"tag": "world", "uploader": 77}, False),
        ({"tag": "world", "size": 5, "offset": 0}, True),
        ({"tag": "world", "size": 5, "offset": 1}, False),
        ({"size": 0}, False),
    ],
)
def test_list_flows(world: World, filters: dict[str, Any], found: bool) -> None:
    listed = openml.flows.list_flows(output_format="dataframe", **filters)
    assert list(listed.index) == ([world.flow] if found else [])
    if found:
        row = listed.loc[world.flow]
        assert row["full_name"] == f"{row['name']}({row['version']})"
        assert (row["uploader"], row["external_version"][:8]) == ("1", "openml==")


@pytest.mark.parametrize(
    ("filters", "code"), [({"surprise": 1}, 501), ({"uploader": "me"}, 502), ({"tag": "a'b"}, 502)]
)
def test_list_flows_refuses(filters: dict[str, Any], code: int) -> None:
    with refused(code):
        openml.flows.list_flows(output_format="dataframe", **filters)


def test_get_flow(world: World) -> None:
    got = openml.flows.get_flow(world.flow)
    openml.flows.assert_flows_equal(
        got, SklearnExtension().model_to_flow(model()), ignore_parameter_values=True
    )
    assert repr(openml.flows.get_flow(world.flow, reinstantiate=True).model) == repr(model())
    with refused(181):
        openml.flows.get_flow(NOBODY_HAS_IT)


def test_flow_exists(world: World) -> None:
    known = openml.flows.get_flow(world.flow)
    assert openml.flows.flow_exists(known.name, known.external_version) == world.flow
    assert openml.flows.flow_exists(known.name, "none") is False
    with refused(330):
        openml.flows.flow_exists(" ", "none")
    with acting_as(""), not_authorised():
        openml.flows.flow_exists("name", "none")
    with acting_as("f" * 32), refused(103):
        openml.flows.flow_exists("name", "none")


def test_get_flow_id(world: World) -> None:
    assert openml.flows.get_flow_id(model()) == world.flow
    assert openml.flows.get_flow_id(model(), exact_version=False) == [world.flow]
    assert openml.flows.get_flow_id(MaxAbsScaler()) is False
    name = openml.flows.get_flow(world.flow).name
    assert openml.flows.get_flow_id(name=name) == [world.flow]
    with acting_as(""), not_authorised():
        openml.flows.get_flow_id(model())


def test_flow_publish() -> None:
    published = flow("conformance.Published").publish()
    got = openml.flows.get_flow(published.flow_id)
    assert (got.name, got.version, got.dependencies) == ("conformance.Published", "1", "none")
    assert (got.parameters, got.tags) == ({"depth": "3"}, ["conformance"])
    assert got.parameters_meta_info["depth"] == {"description": "d", "data_type": "int"}
    again = flow("conformance.Published")
    assert again.publish().flow_id == published.flow_id
    with pytest.raises(openml.exceptions.PyOpenMLError, match="already exists"):
        flow("conformance.Published").publish(raise_error_if_exists=True)
    newer = flow("conformance.Published", external_version="2.0").publish()
    assert openml.flows.get_flow(newer.flow_id).version == "2"


@pytest.mark.parametrize(
    "changes",
    [
        {"description": "\u00e4"},
        {"description": "x" * 1025},
        {"external_version": "v" * 129},
        {"tags": ["not a tag"]},
        {"dependencies": "x" * 1025},
    ],
)
def test_flow_publish_refuses(world: World, changes: dict[str, Any]) -> None:
    del world  # the client can't ask for a name where there is no flow at all
    with refused(163):
        flow("conformance.Refused", **changes).publish()
    assert openml.flows.get_flow_id(name="conformance.Refused") == []


def test_flow_publish_by_plain_call() -> None:
    """What the client checks itself before it publishes."""
    known = flow("conformance.Plain").publish()
    call = openml._api_calls._perform_api_call
    with refused(171):
        call("flow/", "post", file_elements={"description": flow("conformance.Plain")._to_xml()})
    with refused(161):
        call("flow/", "post", file_elements={})
    with refused(167):
        call("flow/", "post", file_elements={"surprise": "x"})
    with acting_as(""), not_authorised():
        call("flow/", "post", file_elements={"description": known._to_xml()})


def test_flow_tags(world: World) -> None:
    got = openml.flows.get_flow(world.flow)
    got.push_tag("for-a-while")
    with refused(473):
        got.push_tag("for-a-while")
    with acting_as(world.other_key), refused(476):
        got.remove_tag("for-a-while")
    got.remove_tag("for-a-while")
    with refused(475):
        got.remove_tag("for-a-while")
    with refused(477):
        got.push_tag("a b")
    with refused(471):
        got.push_tag("")
    got.flow_id = NOBODY_HAS_IT
    with refused(472):
        got.push_tag("for-a-while")


def test_delete_flow(world: World) -> None:
    extension = SklearnExtension()
    whole = make_pipeline(MaxAbsScaler(copy=False), DecisionTreeClassifier(min_samples_leaf=3))
    published = extension.model_to_flow(whole).publish()
    part = openml.flows.get_flow(published.flow_id).components["maxabsscaler"]
    with acting_as(world.other_key), refused(323):
        openml.flows.delete_flow(published.flow_id)
    with refused(328):
        openml.flows.delete_flow(part.flow_id)
    run = new_run(world.task, whole)
    with refused(324):
        openml.flows.delete_flow(published.flow_id)
    with acting_as(""), not_authorised():
        openml.flows.delete_flow(published.flow_id)
    openml.runs.delete_run(run.run_id)
    assert openml.flows.delete_flow(published.flow_id)
    assert openml.flows.delete_flow(part.flow_id)
    with refused(322):
        openml.flows.delete_flow(published.flow_id)
