"""What people add to a dataset beside tags: ontologies of its columns, and topics."""

from __future__ import annotations

import re
from typing import Any
from urllib.parse import urlsplit

from fastapi import APIRouter, Response
from sqlalchemy import select
from sqlalchemy.orm import Session

from hepml_tasks.server.context import Server, answer
from hepml_tasks.server.database import Dataset, Feature, User
from hepml_tasks.server.errors import Refused
from hepml_tasks.server.forms import Form, PostedForm, PostingUser
from hepml_tasks.server.security import require_owner
from hepml_tasks.server.xml import node

router = APIRouter()

_LONGEST = 256


def ontologies_of(dataset: Dataset) -> dict[int, list[str]]:
    """Give the addresses of the ontologies that columns refer to, by the columns' index."""
    found: dict[int, list[str]] = {}
    for entry in dataset.fields.get("ontologies", []):
        found.setdefault(entry["index"], []).append(entry["value"])
    return found


def _keep(dataset: Dataset, name: str, entries: list[Any]) -> None:
    # A new dictionary, or the change inside would not be noticed.
    dataset.fields = {**dataset.fields, name: entries}


def _ontology(form: Form) -> tuple[int, int, str]:
    value = form.fields.get("ontology", "").strip()
    if not value:
        raise Refused(1100)
    dataset_id, index = form.number("data_id", 1100), form.number("index", 1100)
    if len(value) > _LONGEST:
        raise Refused(1105, f"ontology: {len(value)} of at most {_LONGEST} characters")
    if not _is_url(value):
        raise Refused(1106, "ontology: an address is a scheme, a colon, two slashes and a host")
    return dataset_id, index, value


def _is_url(value: str) -> bool:
    if not value.isascii() or re.search(r"[\s\x00-\x1f\x7f]", value):
        return False
    try:
        parts = urlsplit(value)
        return bool(parts.scheme and parts.hostname)
    except ValueError:
        return False


def _column(session: Session, dataset_id: int, index: int) -> Dataset:
    column = select(Feature).where(Feature.dataset_id == dataset_id, Feature.position == index)
    dataset = session.get(Dataset, dataset_id)
    if dataset is None or session.scalar(column) is None:
        detail = f"id={dataset_id}; there is no such dataset, or no column {index} in it"
        raise Refused(1102, detail, status=450)
    return dataset


def _described(how: str, dataset: Dataset, index: int) -> Response:
    values = ontologies_of(dataset).get(index, [])
    return answer(
        node(
            f"feature_description_{how}",
            node("id", dataset.id),
            (node("ontology", value) for value in values),
        )
    )


@router.post("/data/feature/ontology/add")
def add_ontology(server: Server, form: PostedForm, user: PostingUser) -> Response:
    """Refer a column to an ontology; everybody may, as in production."""
    dataset_id, index, value = _ontology(form)
    with server.database.write() as session:
        dataset = _column(session, dataset_id, index)
        if value in ontologies_of(dataset).get(index, []):
            raise Refused(1101, f"id={dataset_id}; description={value}", status=450)
        entry = {"index": index, "value": value, "user": user.id}
        _keep(dataset, "ontologies", [*dataset.fields.get("ontologies", []), entry])
        return _described("add", dataset, index)


@router.post("/data/feature/ontology/remove")
def remove_ontology(server: Server, form: PostedForm, user: PostingUser) -> Response:
    """Take back a reference to an ontology: whoever made it, or an administrator."""
    dataset_id, index, value = _ontology(form)
    with server.database.write() as session:
        dataset = session.get(Dataset, dataset_id)
        entries = [] if dataset is None else dataset.fields.get("ontologies", [])
        found = [e for e in entries if (e["index"], e["value"]) == (index, value)]
        if dataset is None or not found:
            raise Refused(1103)
        require_owner(user, found[0]["user"], 1104)
        _keep(dataset, "ontologies", [entry for entry in entries if entry not in found])
        return _described("remove", dataset, index)


def _topic(session: Session, form: Form, user: User) -> tuple[Dataset, str]:
    topic = form.fields.get("topic", "").strip()
    if not topic or len(topic) > _LONGEST:
        raise Refused(1080)
    dataset = session.get(Dataset, form.number("data_id", 1080))
    if dataset is None:
        raise Refused(1081)
    if user.role != "administrator":
        raise Refused(1082)
    return dataset, topic


@router.post("/data/topicadd")
def add_topic(server: Server, form: PostedForm, user: PostingUser) -> Response:
    """Put a dataset under a topic; for administrators."""
    with server.database.write() as session:
        dataset, topic = _topic(session, form, user)
        topics = dataset.fields.get("topics", [])
        if topic in topics:
            raise Refused(1083)
        _keep(dataset, "topics", [*topics, topic])
        return answer(node("data_topic", node("id", dataset.id)))


@router.post("/data/topicdelete")
def delete_topic(server: Server, form: PostedForm, user: PostingUser) -> Response:
    """Take a dataset from under a topic; for administrators."""
    with server.database.write() as session:
        dataset, topic = _topic(session, form, user)
        topics = dataset.fields.get("topics", [])
        if topic not in topics:
            raise Refused(1085)
        _keep(dataset, "topics", [other for other in topics if other != topic])
        return answer(node("data_topic", node("id", dataset.id)))
