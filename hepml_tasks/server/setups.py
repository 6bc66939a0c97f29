"""Setups: a flow with values for its parameters; made by runs, found by their values."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from xml.etree.ElementTree import Element

from fastapi import APIRouter, Response
from sqlalchemy import select
from sqlalchemy.orm import Session

from hepml_tasks.errors import FormatError
from hepml_tasks.server.context import Server, answer
from hepml_tasks.server.database import Flow, Parameter, Setting, Setup
from hepml_tasks.server.errors import Refused
from hepml_tasks.server.filters import Codes, parse_filters, tagged
from hepml_tasks.server.forms import PostedForm, PostingUser
from hepml_tasks.server.xml import CALL, INTEGER, Field, Node, check, children, node, parse, text

router = APIRouter()

_CODES = Codes(illegal=671, value=672, offset=675, limit=676, most=1000)
SETTING = {
    "name": Field(required=True, longest=1024, pattern=CALL),
    "value": Field(
        longest=100_000, blank=True
    ),  # production: 2048 ASCII characters, too few for some steps
    "component": Field(pattern=INTEGER),
}
_FIELDS = {
    "flow_id": Field(required=True, pattern=INTEGER),
    "parameter_setting": Field(many=True, nested=True),
}


@dataclass(frozen=True)
class Given:
    """A parameter's value as a run gives it; without a component it is the flow's own."""

    name: str
    value: str | None
    component: int | None

    def to_json(self) -> dict[str, Any]:
        """Give plain values for storing."""
        return {"name": self.name, "value": self.value, "component": self.component}


def read_settings(description: Element) -> list[Given]:
    """Read the parameter settings of a run's description, in order.

    Raises
    ------
    FormatError
        If one is badly formed.
    """
    given = []
    for setting in children(description, "parameter_setting"):
        check(setting, SETTING)
        component = text(setting, "component")
        given.append(
            Given(
                (text(setting, "name") or "").strip(),
                text(setting, "value"),
                int(component) if component else None,
            )
        )
    return given


def resolve(
    session: Session, flow: Flow, given: Sequence[Given], code: int
) -> dict[int, str | None]:
    """Find the parameters that are set.

    Returns
    -------
    dict
        Values by the parameters' ids.

    Raises
    ------
    Refused
        With `code` if a parameter is not known or given twice.
    """
    owners = {setting.component or flow.id for setting in given}
    known = {
        (parameter.flow_id, parameter.name): parameter.id
        for parameter in session.scalars(select(Parameter).where(Parameter.flow_id.in_(owners)))
    }
    values: dict[int, str | None] = {}
    for setting in given:
        owner = setting.component or flow.id
        parameter_id = known.get((owner, setting.name))
        if parameter_id is None or parameter_id in values:
            raise Refused(code, f"Name: {setting.name}, flow id (component): {owner}")
        values[parameter_id] = setting.value
    return values


def _fingerprint(values: Mapping[int, str | None]) -> str:
    return hashlib.sha256(json.dumps(sorted(values.items())).encode()).hexdigest()


def find(session: Session, flow_id: int, values: Mapping[int, str | None]) -> int | None:
    """Give the id of the setup with exactly these values, or `None`."""
    return session.scalar(
        select(Setup.id).where(Setup.flow_id == flow_id, Setup.fingerprint == _fingerprint(values))
    )


def find_or_add(session: Session, flow_id: int, values: Mapping[int, str | None]) -> int:
    """Give the id of the setup with exactly these values, making it if need be."""
    known = find(session, flow_id, values)
    if known is not None:
        return known
    setup = Setup(flow_id=flow_id, fingerprint=_fingerprint(values))
    session.add(setup)
    session.flush()
    session.add_all(
        Setting(setup_id=setup.id, parameter_id=parameter_id, value=value)
        for parameter_id, value in values.items()
    )
    session.flush()
    return setup.id


@router.post("/setup/exists")
def setup_exists(server: Server, form: PostedForm, user: PostingUser) -> Response:  # noqa: ARG001 - checks the key
    """Answer with the id of the setup that a description (a run's, shortened) means, or -1."""
    try:
        description = parse(form.document("description", 581), "run")
        check(description, _FIELDS)
        given = read_settings(description)
    except FormatError as error:
        raise Refused(582, str(error)) from error
    with server.database.read() as session:
        flow = session.get(Flow, int(text(description, "flow_id") or 0))
        if flow is None:
            raise Refused(584)
        found = find(session, flow.id, resolve(session, flow, given, 586))
    return answer(
        node(
            "setup_exists",
            node("exists", "false" if found is None else "true"),
            node("id", -1 if found is None else found),
        )
    )


def _content(session: Session, setup: Setup) -> Iterator[Node]:
    yield node("setup_id", setup.id)
    yield node("flow_id", setup.flow_id)
    rows = session.execute(
        select(Setting.value, Parameter, Flow)
        .join(Parameter, Parameter.id == Setting.parameter_id)
        .join(Flow, Flow.id == Parameter.flow_id)
        .where(Setting.setup_id == setup.id)
        .order_by(Parameter.id)
    )
    for value, parameter, flow in rows:
        yield node(
            "parameter",
            node("id", parameter.id),
            node("flow_id", flow.id),
            node("flow_name", flow.name),
            node("full_name", f"{flow.full_name}_{parameter.name}"),
            node("parameter_name", parameter.name),
            node("data_type", parameter.data_type),
            node("default_value", parameter.default_value),
            node("value", value),
        )


@router.get("/setup/{setup_id:id}")
def describe_setup(setup_id: int, server: Server) -> Response:
    """Answer with a setup's parameters."""
    with server.database.read() as session:
        setup = session.get(Setup, setup_id)
        if setup is None:
            raise Refused(281)
        return answer(node("setup_parameters", _content(session, setup)))


@router.get("/setup/list")
@router.get("/setup/list/{path:path}")
def list_setups(server: Server, path: str = "") -> Response:
    """List setups; as in production, a list of everything must at least be limited."""
    filters = parse_filters(
        path,
        {"flow", "setup", "tag"},
        _CODES,
    )
    if not filters:
        raise Refused(670)
    statement = (
        select(Setup).where(*tagged("setup", Setup.id, filters.text("tag"))).order_by(Setup.id)
    )
    if (flows := filters.ids("flow")) is not None:
        statement = statement.where(Setup.flow_id.in_(flows))
    if (ids := filters.ids("setup")) is not None:
        statement = statement.where(Setup.id.in_(ids))
    with server.database.read() as session:
        setups = session.scalars(filters.page(statement)).all()
        if not setups:
            raise Refused(674)
        return answer(node("setups", (node("setup", _content(session, s)) for s in setups)))
