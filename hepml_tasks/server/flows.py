"""Flows: existence, publishing with components, description, list, deletion."""

from __future__ import annotations

from xml.etree.ElementTree import Element

from fastapi import APIRouter, Response
from sqlalchemy import delete, exists, func, select
from sqlalchemy.orm import Session

from hepml_tasks.errors import FormatError
from hepml_tasks.server.context import Server, answer
from hepml_tasks.server.database import Component, Flow, Parameter, Run, Setting, Setup, User
from hepml_tasks.server.errors import Refused
from hepml_tasks.server.filters import Codes, parse_filters, tagged
from hepml_tasks.server.forms import DeletingUser, PostedForm, PostingUser
from hepml_tasks.server.security import require_owner
from hepml_tasks.server.tagging import add_tags, remove_tags, tags_of
from hepml_tasks.server.xml import (
    CALL,
    INTEGER,
    SYSTEM,
    Field,
    Node,
    check,
    children,
    node,
    optional,
    parse,
    text,
    texts,
)

router = APIRouter()

_DEEPEST = 30
# Production's limits, as its XSD has them.
_FIELDS = {
    "id": Field(pattern=INTEGER),
    "uploader": Field(pattern=INTEGER),
    "name": Field(required=True, longest=1024, pattern=CALL),
    "custom_name": Field(ascii=True, longest=128),
    "class_name": Field(longest=128, pattern=CALL),
    "version": Field(pattern=INTEGER),
    "external_version": Field(required=True, ascii=True, longest=128),
    "description": Field(required=True, ascii=True, longest=1024),
    "creator": Field(many=True, longest=128, pattern=CALL),
    "contributor": Field(many=True, longest=128, pattern=CALL),
    "upload_date": Field(longest=64),
    "licence": Field(longest=64, pattern=CALL),
    "language": Field(longest=128, pattern=CALL),
    "full_description": Field(ascii=True, longest=1024),
    "installation_notes": Field(ascii=True, longest=1024),
    "dependencies": Field(ascii=True, longest=1024),
    "implements": Field(longest=128, pattern=CALL),
    "quality": Field(many=True, nested=True),
    "parameter": Field(many=True, nested=True),
    "component": Field(many=True, nested=True),
    "tag": Field(many=True, longest=128, pattern=SYSTEM),
    "source_url": Field(longest=2048, blank=True),
    "binary_url": Field(longest=2048, blank=True),
    "source_format": Field(longest=128, pattern=SYSTEM),
    "binary_format": Field(longest=128, pattern=SYSTEM),
    "source_md5": Field(longest=128, pattern=SYSTEM),
    "binary_md5": Field(longest=128, pattern=SYSTEM),
}
_PARAMETER = {
    "name": Field(required=True, longest=1024, pattern=CALL),
    "data_type": Field(ascii=True, longest=128),
    "default_value": Field(ascii=True, longest=2048, blank=True),
    "description": Field(ascii=True, longest=1024),
    "recommendedRange": Field(ascii=True, longest=1024),
}
_COMPONENT = {
    "identifier": Field(required=True, longest=128, pattern=SYSTEM),
    "flow": Field(required=True, nested=True),
}
_ECHOED_BEFORE = ("custom_name", "class_name")
_ECHOED_AFTER = ("language", "licence", "full_description", "installation_notes", "dependencies")


@router.post("/flow/exists")
def flow_exists(server: Server, form: PostedForm, user: PostingUser) -> Response:  # noqa: ARG001 - checks the key
    """Answer with the id of a name and external version, or -1."""
    name = form.fields.get("name", "").strip()
    version = form.fields.get("external_version", "").strip()
    if not name or not version:
        raise Refused(330)
    with server.database.read() as session:
        flow_id = _find(session, name, version)
    known = "false" if flow_id is None else "true"
    return answer(
        node("flow_exists", node("exists", known), node("id", -1 if flow_id is None else flow_id))
    )


def _find(session: Session, name: str, external_version: str) -> int | None:
    return session.scalar(
        select(Flow.id).where(Flow.name == name, Flow.external_version == external_version)
    )


@router.post("/flow")
def publish(server: Server, form: PostedForm, user: PostingUser) -> Response:
    """Publish a flow; components that are known already are used, others published with it."""
    strange = sorted(set(form.files) - {"description", "source", "binary"})
    if strange:
        raise Refused(167, f"file(s): {', '.join(strange)}")
    try:
        description = parse(form.document("description", 161), "flow")
        _check_flow(description, 0)
    except FormatError as error:
        raise Refused(163, str(error)) from error
    with server.database.write() as session:
        found = _find(session, *_key(description))
        if found is not None:
            raise Refused(171, f"flow_id:{found}")
        flow_id = _insert(session, description, user)
    return answer(node("upload_flow", node("id", flow_id)))


def _check_flow(description: Element, depth: int) -> None:
    if depth > _DEEPEST:
        raise FormatError(f"components are nested more than {_DEEPEST} deep")
    check(description, _FIELDS)
    names = set()
    for parameter in children(description, "parameter"):
        check(parameter, _PARAMETER)
        names.add(text(parameter, "name"))
    if len(names) != len(children(description, "parameter")):
        raise FormatError("two parameters have the same name")
    for component in children(description, "component"):
        check(component, _COMPONENT)
        _check_flow(children(component, "flow")[0], depth + 1)


def _key(description: Element) -> tuple[str, str]:
    name, version = text(description, "name"), text(description, "external_version")
    return (name or "").strip(), (version or "").strip()


def _insert(session: Session, description: Element, user: User) -> int:
    """Insert a flow after its components; give its id, or that of the equal one there is."""
    name, external_version = _key(description)
    if (known := _find(session, name, external_version)) is not None:
        return known
    parts = [
        (text(c, "identifier") or "", _insert(session, children(c, "flow")[0], user))
        for c in children(description, "component")
    ]
    last = session.scalar(select(func.max(Flow.version)).where(Flow.name == name)) or 0
    echoed = ("description", *_ECHOED_BEFORE, *_ECHOED_AFTER)
    fields: dict[str, object] = {key: text(description, key) for key in echoed}
    fields |= {key: texts(description, key) for key in ("creator", "contributor")}
    flow = Flow(
        name=name,
        version=last + 1,
        external_version=external_version,
        fields=fields,
        uploader_id=user.id,
    )
    session.add(flow)
    session.flush()
    for parameter in children(description, "parameter"):
        session.add(
            Parameter(
                flow_id=flow.id,
                name=(text(parameter, "name") or "").strip(),
                data_type=text(parameter, "data_type"),
                default_value=text(parameter, "default_value"),
                description=text(parameter, "description"),
            )
        )
        session.flush()  # ids must rise in the flow's own order
    for position, (identifier, child) in enumerate(parts):
        session.add(
            Component(
                parent_id=flow.id, position=position, identifier=identifier.strip(), child_id=child
            )
        )
    add_tags(session, "flow", flow.id, user.id, texts(description, "tag"))
    session.flush()
    return flow.id


@router.get("/flow/{flow_id:id}")
def describe_flow(flow_id: int, server: Server) -> Response:
    """Answer with a flow as it was published, its components inside."""
    with server.database.read() as session:
        flow = session.get(Flow, flow_id)
        if flow is None:
            raise Refused(181)
        return answer(_flow(session, flow))


def _flow(session: Session, flow: Flow) -> Node:
    fields = flow.fields
    parameters = session.scalars(
        select(Parameter).where(Parameter.flow_id == flow.id).order_by(Parameter.id)
    )
    components = session.execute(
        select(Component.identifier, Flow)
        .join(Flow, Flow.id == Component.child_id)
        .where(Component.parent_id == flow.id)
        .order_by(Component.position)
    )
    return node(
        "flow",
        node("id", flow.id),
        node("uploader", flow.uploader_id),
        node("name", flow.name),
        *(optional(key, fields[key]) for key in _ECHOED_BEFORE),
        node("version", flow.version),
        node("external_version", flow.external_version),
        node("description", fields["description"]),
        (node("creator", name) for name in fields["creator"]),
        (node("contributor", name) for name in fields["contributor"]),
        node("upload_date", flow.uploaded.isoformat()),
        *(optional(key, fields[key]) for key in _ECHOED_AFTER),
        (
            node(
                "parameter",
                node("name", parameter.name),
                node("data_type", parameter.data_type),
                node("default_value", parameter.default_value),
                node("description", parameter.description),
            )
            for parameter in parameters
        ),
        (
            node("component", node("identifier", identifier), _flow(session, child))
            for identifier, child in components
        ),
        (node("tag", tag) for tag in tags_of(session, "flow", flow.id)),
    )


@router.get("/flow/list")
@router.get("/flow/list/{path:path}")
def list_flows(server: Server, path: str = "") -> Response:
    """List flows."""
    filters = parse_filters(path, {"tag", "uploader"}, Codes(illegal=501, value=502, offset=503))
    statement = select(Flow).where(*tagged("flow", Flow.id, filters.text("tag"))).order_by(Flow.id)
    if (uploaders := filters.ids("uploader")) is not None:
        statement = statement.where(Flow.uploader_id.in_(uploaders))
    with server.database.read() as session:
        flows = session.scalars(filters.page(statement)).all()
    if not flows:
        raise Refused(500)
    return answer(
        node(
            "flows",
            (
                node(
                    "flow",
                    node("id", flow.id),
                    node("full_name", flow.full_name),
                    node("name", flow.name),
                    node("version", flow.version),
                    node("external_version", flow.external_version),
                    node("uploader", flow.uploader_id),
                )
                for flow in flows
            ),
        )
    )


@router.delete("/flow/{flow_id:id}")
def delete_flow(flow_id: int, server: Server, user: DeletingUser) -> Response:
    """Delete a flow that no run and no other flow uses."""
    with server.database.write() as session:
        flow = session.get(Flow, flow_id)
        if flow is None:
            raise Refused(322)
        require_owner(user, flow.uploader_id, 323)
        setups = select(Setup.id).where(Setup.flow_id == flow_id)
        used = exists().where(Run.flow_id == flow_id)
        if session.scalar(select(used)):
            raise Refused(324)
        if session.scalar(select(exists().where(Component.child_id == flow_id))):
            raise Refused(328)
        session.execute(delete(Setting).where(Setting.setup_id.in_(setups)))
        for setup_id in session.scalars(setups).all():
            remove_tags(session, "setup", setup_id)
        session.execute(delete(Setup).where(Setup.flow_id == flow_id))
        session.execute(delete(Component).where(Component.parent_id == flow_id))
        session.execute(delete(Parameter).where(Parameter.flow_id == flow_id))
        remove_tags(session, "flow", flow_id)
        session.delete(flow)
    return answer(node("flow_delete", node("id", flow_id)))
