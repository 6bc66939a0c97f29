"""Studies and suites: collections of runs, and of tasks."""

from __future__ import annotations

import re
from collections.abc import Iterable
from xml.etree.ElementTree import Element

from fastapi import APIRouter, Response
from sqlalchemy import delete, func, select
from sqlalchemy.orm import Session

from hepml_tasks.errors import FormatError
from hepml_tasks.server.context import Server, answer
from hepml_tasks.server.database import Run, Study, StudyEntry, Task, User
from hepml_tasks.server.errors import Refused
from hepml_tasks.server.filters import Codes, parse_filters
from hepml_tasks.server.forms import DeletingUser, PostedForm, PostingUser
from hepml_tasks.server.security import require_owner
from hepml_tasks.server.xml import (
    INTEGER,
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

ENTITIES: dict[str, type[Task | Run]] = {"task": Task, "run": Run}
_FIELDS = {
    "id": Field(longest=12),
    "alias": Field(longest=32, pattern=r"[A-Za-z0-9_\-.]*[A-Za-z_\-.][A-Za-z0-9_\-.]*"),
    "main_entity_type": Field(required=True, pattern="run|task"),
    "benchmark_suite": Field(pattern=INTEGER),
    "name": Field(required=True, ascii=True, longest=256),
    "description": Field(ascii=True, longest=4096),
    "status": Field(pattern="in_preparation|active|deactivated"),
    "creation_date": Field(longest=64),
    "creator": Field(longest=12),
    "data": Field(nested=True),
    "tasks": Field(nested=True),
    "flows": Field(nested=True),
    "setups": Field(nested=True),
    "runs": Field(nested=True),
}


@router.post("/study")
def publish(server: Server, form: PostedForm, user: PostingUser) -> Response:
    """Publish a study of runs or a suite of tasks."""
    try:
        description = parse(form.document("description", 1031), "study")
        check(description, _FIELDS)
        members = {entity: _members(description, entity) for entity in ENTITIES}
    except FormatError as error:
        raise Refused(1032, str(error)) from error
    entity = (text(description, "main_entity_type") or "").strip()
    strange = [other for other in members if other != entity and members[other]]
    if strange:
        raise Refused(1034, f"Illegal entity_type(s): {', '.join(strange)}")
    with server.database.write() as session:
        study_id = _insert(session, description, entity, user)
        _attach(session, study_id, entity, members[entity], 1039)
    return answer(node("study_upload", node("id", study_id)))


def _members(description: Element, entity: str) -> list[int]:
    ids: list[int] = []
    for holder in children(description, f"{entity}s"):
        check(holder, {f"{entity}_id": Field(required=False, many=True, pattern=INTEGER)})
        ids += [int(value) for value in texts(holder, f"{entity}_id")]
    return ids


def _insert(session: Session, description: Element, entity: str, user: User) -> int:
    alias = (text(description, "alias") or "").strip() or None
    if alias and session.scalar(select(Study.id).where(Study.alias == alias)) is not None:
        raise Refused(1038)
    suite = text(description, "benchmark_suite")
    if suite is not None:
        if entity != "run":
            raise Refused(1035)
        referred = session.get(Study, int(suite))
        if referred is None:
            raise Refused(1036)
        if referred.entity != "task":
            raise Refused(1037)
    study = Study(
        alias=alias,
        entity=entity,
        benchmark_suite=int(suite) if suite else None,
        name=(text(description, "name") or "").strip(),
        description=text(description, "description") or "",
        status="in_preparation",
        creator_id=user.id,
    )
    session.add(study)
    session.flush()
    return study.id


def _attach(session: Session, study_id: int, entity: str, ids: Iterable[int], code: int) -> None:
    table = ENTITIES[entity]
    for entity_id in dict.fromkeys(ids):
        if session.get(table, entity_id) is None:
            raise Refused(code, f"there is no {entity} {entity_id}")
        known = select(StudyEntry.id).where(
            StudyEntry.study_id == study_id, StudyEntry.entity_id == entity_id
        )
        if session.scalar(known) is not None:
            raise Refused(code, f"{entity} {entity_id} is in the study already")
        session.add(StudyEntry(study_id=study_id, entity_id=entity_id))
        session.flush()  # ids must rise in the order of attachment


def members_of(session: Session, study_id: int) -> list[int]:
    """Give the ids of a study's tasks or runs, in the order of attachment."""
    entries = select(StudyEntry.entity_id).where(StudyEntry.study_id == study_id)
    return list(session.scalars(entries.order_by(StudyEntry.id)))


@router.post("/study/{study_id:id}/attach")
def attach(study_id: int, server: Server, form: PostedForm, user: PostingUser) -> Response:
    """Attach tasks or runs to a study in preparation."""
    with server.database.write() as session:
        study = _changeable(session, study_id, user)
        _attach(session, study_id, study.entity, _ids(form.fields.get("ids")), 1045)
        return _changed(session, study, "attach")


@router.post("/study/{study_id:id}/detach")
def detach(study_id: int, server: Server, form: PostedForm, user: PostingUser) -> Response:
    """Detach tasks or runs from a study in preparation; those it hasn't are no error."""
    with server.database.write() as session:
        study = _changeable(session, study_id, user)
        ids = _ids(form.fields.get("ids"))
        session.execute(
            delete(StudyEntry).where(StudyEntry.study_id == study_id, StudyEntry.entity_id.in_(ids))
        )
        return _changed(session, study, "detach")


def _ids(value: str | None) -> list[int]:
    if value is None:
        raise Refused(1043)
    if not re.fullmatch(r"[0-9]{1,9}(,[0-9]{1,9})*", value):
        raise Refused(1044)
    return [int(part) for part in value.split(",")]


def _changeable(session: Session, study_id: int, user: User) -> Study:
    study = session.get(Study, study_id)
    if study is None:
        raise Refused(1041)
    require_owner(user, study.creator_id, 594)
    if study.status != "in_preparation":
        raise Refused(1047)
    return study


def _changed(session: Session, study: Study, how: str) -> Response:
    session.flush()
    count = select(func.count()).where(StudyEntry.study_id == study.id)
    return answer(
        node(
            f"study_{how}",
            node("id", study.id),
            node("main_entity_type", study.entity),
            node("linked_entities", session.scalar(count)),
        )
    )


@router.post("/study/status/update")
def update_status(server: Server, form: PostedForm, user: PostingUser) -> Response:
    """Activate or deactivate a study."""
    status = form.fields.get("status", "")
    if status not in {"active", "deactivated"}:
        raise Refused(1051)
    with server.database.write() as session:
        study = session.get(Study, form.number("study_id", 1052))
        if study is None:
            raise Refused(1052)
        require_owner(user, study.creator_id, 1053)
        study.status = status
        study_id = study.id
    return answer(node("study_status_update", node("id", study_id), node("status", status)))


@router.get("/study/list")
@router.get("/study/list/{path:path}")
def list_studies(server: Server, path: str = "") -> Response:
    """List studies: the active ones, unless a status (or ``all``) is asked for."""
    filters = parse_filters(
        path,
        {"main_entity_type", "uploader", "status", "benchmark_suite"},
        Codes(illegal=596, value=597, offset=598),
    )
    status = filters.text("status") or "active"
    statement = select(Study).order_by(Study.id)
    if status != "all":
        statement = statement.where(Study.status == status)
    if (entity := filters.text("main_entity_type")) is not None:
        statement = statement.where(Study.entity == entity)
    if (uploaders := filters.ids("uploader")) is not None:
        statement = statement.where(Study.creator_id.in_(uploaders))
    if (suites := filters.ids("benchmark_suite")) is not None:
        statement = statement.where(Study.benchmark_suite.in_(suites))
    with server.database.read() as session:
        studies = session.scalars(filters.page(statement)).all()
    if not studies:
        raise Refused(599)
    return answer(node("study_list", (_listed(study) for study in studies)))


def _listed(study: Study) -> Node:
    return node(
        "study",
        node("id", study.id),
        optional("alias", study.alias),
        node("main_entity_type", study.entity),
        optional("benchmark_suite", study.benchmark_suite),
        node("name", study.name),
        node("status", study.status),
        node("creation_date", study.created.isoformat(sep=" ")),
        node("creator", study.creator_id),
    )


@router.get("/study/{name}")
@router.get("/study/{name}/{part}")
def describe_study(name: str, server: Server, part: str | None = None) -> Response:
    """Answer with a study, by id or alias, and the ids of all that its entities refer to."""
    if part not in {None, "runs", "flows", "setups", "data", "tasks"}:
        raise Refused(600, f"Got: {part}")
    if "\0" in name:
        raise Refused(601)
    is_id = re.fullmatch(r"[0-9]{1,9}", name)
    with server.database.read() as session:
        key = Study.id == int(name) if is_id else Study.alias == name
        study = session.scalar(select(Study).where(key))
        if study is None:
            raise Refused(601)
        linked = _linked(session, study)
    return answer(
        node(
            "study",
            node("id", study.id),
            optional("alias", study.alias),
            node("main_entity_type", study.entity),
            optional("benchmark_suite", study.benchmark_suite),
            node("name", study.name),
            node("description", study.description),
            node("visibility", "public"),
            node("status", study.status),
            node("creation_date", study.created.isoformat()),
            node("creator", study.creator_id),
            (
                node(holder, (node(element, entity_id) for entity_id in ids))
                for holder, element, ids in linked
                if ids and part in {None, holder}
            ),
        )
    )


def _linked(session: Session, study: Study) -> list[tuple[str, str, list[int]]]:
    members = members_of(session, study.id)
    # the client asks for each of the tasks, and OpenML has no answer for some
    carried = set(session.scalars(select(Task.id).where(Task.truth_id.is_(None))))
    if study.entity == "task":
        tasks = [i for i in members if i in carried]
        runs: list[Run] = []
    else:
        found = session.scalars(select(Run).where(Run.id.in_(members)).order_by(Run.id))
        runs = [run for run in found if run.task_id in carried]
        tasks = sorted({run.task_id for run in runs})
        members = [i for i in members if i in {run.id for run in runs}]
    data = session.scalars(select(Task.dataset_id).where(Task.id.in_(tasks)).distinct())
    return [
        ("data", "data_id", sorted(data)),
        ("tasks", "task_id", tasks),
        ("flows", "flow_id", sorted({run.flow_id for run in runs})),
        ("setups", "setup_id", sorted({run.setup_id for run in runs})),
        ("runs", "run_id", members if study.entity == "run" else []),
    ]


@router.delete("/study/{study_id:id}")
def delete_study(study_id: int, server: Server, user: DeletingUser) -> Response:
    """Delete a study of runs, or a suite in preparation."""
    with server.database.write() as session:
        study = session.get(Study, study_id)
        if study is None:
            raise Refused(592)
        require_owner(user, study.creator_id, 594)
        followers = session.scalar(select(Study.id).where(Study.benchmark_suite == study_id))
        if (study.entity == "task" and study.status != "in_preparation") or followers is not None:
            raise Refused(595)
        session.execute(delete(StudyEntry).where(StudyEntry.study_id == study_id))
        session.delete(study)
    return answer(node("study_delete", node("id", study_id)))
