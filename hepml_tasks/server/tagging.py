"""Tags on datasets, tasks, flows, setups and runs."""

from __future__ import annotations

import re
from collections.abc import Iterable

from fastapi import APIRouter, Response
from sqlalchemy import delete, select
from sqlalchemy.orm import Session

from hepml_tasks.server.context import Server, answer
from hepml_tasks.server.database import Base, Dataset, Flow, Run, Setup, Tag, Task
from hepml_tasks.server.errors import Refused
from hepml_tasks.server.forms import Form, PostedForm, PostingUser
from hepml_tasks.server.security import require_owner
from hepml_tasks.server.xml import SYSTEM, node

router = APIRouter()

KINDS: dict[str, type[Base]] = {
    "data": Dataset,
    "task": Task,
    "flow": Flow,
    "setup": Setup,
    "run": Run,
}
LONGEST = 64


def tags_of(session: Session, kind: str, entity_id: int) -> list[str]:
    """Give an entity's tags, sorted as production does: without regard to case."""
    found = session.scalars(select(Tag.tag).where(Tag.kind == kind, Tag.entity_id == entity_id))
    return sorted(found, key=lambda tag: (tag.casefold(), tag))


def add_tags(
    session: Session, kind: str, entity_id: int, user_id: int, tags: Iterable[str]
) -> None:
    """Tag a new entity; a tag that is given twice is kept once."""
    for tag in dict.fromkeys(tags):
        session.add(Tag(kind=kind, entity_id=entity_id, tag=tag, user_id=user_id))


def remove_tags(session: Session, kind: str, entity_id: int) -> None:
    """Forget the tags of an entity that is being deleted."""
    session.execute(delete(Tag).where(Tag.kind == kind, Tag.entity_id == entity_id))


def _subject(session: Session, kind: str, form: Form) -> tuple[int, str]:
    entity_id = form.number(f"{kind}_id", 471)
    tag = form.fields.get("tag", "").strip()
    if not tag:
        raise Refused(471)
    if session.get(KINDS[kind], entity_id) is None:
        raise Refused(472)
    return entity_id, tag


def _add_routes(kind: str) -> None:
    @router.post(f"/{kind}/tag")
    def tag_entity(server: Server, form: PostedForm, user: PostingUser) -> Response:
        with server.database.write() as session:
            entity_id, tag = _subject(session, kind, form)
            if session.get(Tag, (kind, entity_id, tag)) is not None:
                raise Refused(473, f"id={entity_id}; tag={tag}", status=450)
            if len(tag) > LONGEST or not re.fullmatch(SYSTEM, tag):
                raise Refused(477, f"id={entity_id}; tag={tag}", status=450)
            add_tags(session, kind, entity_id, user.id, [tag])
            session.flush()
            tags = tags_of(session, kind, entity_id)
        return answer(node(f"{kind}_tag", node("id", entity_id), (node("tag", t) for t in tags)))

    @router.post(f"/{kind}/untag")
    def untag_entity(server: Server, form: PostedForm, user: PostingUser) -> Response:
        with server.database.write() as session:
            entity_id, tag = _subject(session, kind, form)
            found = session.get(Tag, (kind, entity_id, tag))
            if found is None:
                raise Refused(475)
            require_owner(user, found.user_id, 476)
            session.delete(found)
            session.flush()
            tags = tags_of(session, kind, entity_id)
        return answer(node(f"{kind}_untag", node("id", entity_id), (node("tag", t) for t in tags)))


for _kind in KINDS:
    _add_routes(_kind)
