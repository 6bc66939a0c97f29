"""`openml.setups`: every function that talks to a server, and every error it can meet."""

from __future__ import annotations

from typing import Any

import openml
import pytest

from .conftest import (
    NOBODY_HAS_IT,
    WITH_CLIENT,
    World,
    acting_as,
    model,
    not_authorised,
    refused,
)

pytestmark = WITH_CLIENT
DATABASES = ("sqlite", "postgresql")


def flow_with(world: World, depth: int) -> openml.flows.OpenMLFlow:
    flow = openml.flows.get_flow(world.flow)
    flow.model = model(depth)
    return flow


def test_setup_exists(world: World) -> None:
    assert openml.setups.setup_exists(flow_with(world, 2)) == world.setup
    assert openml.setups.setup_exists(flow_with(world, 99)) is False
    with acting_as(""), not_authorised():
        openml.setups.setup_exists(flow_with(world, 2))


@pytest.mark.parametrize(
    ("content", "code"),
    [
        (None, 581),
        ("<oml:surprise/>", 582),
        (f"<oml:flow_id>{NOBODY_HAS_IT}</oml:flow_id>", 584),
        (
            "<oml:flow_id>{flow}</oml:flow_id><oml:parameter_setting><oml:name>unheard_of"
            "</oml:name><oml:value>1</oml:value></oml:parameter_setting>",
            586,
        ),
    ],
)
def test_setup_exists_refuses(world: World, content: str | None, code: int) -> None:
    files = {}
    if content is not None:
        content = content.replace("{flow}", str(world.flow))
        xml = f'<oml:run xmlns:oml="http://openml.org/openml">{content}</oml:run>'
        files["description"] = ("description.arff", xml)
    with refused(code):
        openml._api_calls._perform_api_call("/setup/exists/", "post", file_elements=files)


def test_get_setup(world: World) -> None:
    setup = openml.setups.get_setup(world.setup)
    assert (setup.setup_id, setup.flow_id) == (world.setup, world.flow)
    values = {p.parameter_name: p.value for p in setup.parameters.values()}
    assert (values["max_depth"], values["random_state"]) == ("2", "0")
    with refused(281):
        openml.setups.get_setup(NOBODY_HAS_IT)


def test_initialize_model(world: World) -> None:
    assert repr(openml.setups.initialize_model(world.setup)) == repr(model())
    with refused(281):
        openml.setups.initialize_model(NOBODY_HAS_IT)


@pytest.mark.parametrize(
    ("filters", "found"),
    [
        ({}, True),
        ({"flow": "flow"}, True),
        ({"flow": NOBODY_HAS_IT}, False),
        ({"tag": "world"}, True),
        ({"tag": "nobody"}, False),
        ({"size": 5, "offset": 0}, True),
        ({"size": 5, "offset": 1}, False),
        ({"size": 0}, False),
    ],
)
def test_list_setups(world: World, filters: dict[str, Any], found: bool) -> None:
    filters = {k: world.flow if v == "flow" else v for k, v in filters.items()}
    listed = openml.setups.list_setups(setup=[world.setup], output_format="object", **filters)
    assert list(listed) == ([world.setup] if found else [])


def test_list_setups_refuses() -> None:
    with refused(672):
        openml.setups.list_setups(tag="a'b")
    with refused(672):
        openml.setups.list_setups(flow="mine")
    call = openml._api_calls._perform_api_call
    for path, code in (
        ("setup/list", 670),
        ("setup/list/surprise/1", 671),
        ("setup/list/flow/1/offset/1", 675),
        ("setup/list/limit/1001", 676),
    ):
        with refused(code):
            call(path, "get")


def test_setup_tags(world: World) -> None:
    tag = openml.utils._tag_entity
    assert tag("setup", world.setup, "for-a-while") == ["for-a-while", "world"]
    with refused(473):
        tag("setup", world.setup, "for-a-while")
    with acting_as(world.other_key), refused(476):
        tag("setup", world.setup, "for-a-while", untag=True)
    assert tag("setup", world.setup, "for-a-while", untag=True) == ["world"]
    with refused(475):
        tag("setup", world.setup, "for-a-while", untag=True)
    with refused(477):
        tag("setup", world.setup, "a\nb")
    with refused(471):
        tag("setup", world.setup, "")
    with refused(472):
        tag("setup", NOBODY_HAS_IT, "for-a-while")
