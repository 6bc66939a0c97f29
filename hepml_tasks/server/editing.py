"""Editing a dataset's description, and forking a dataset to edit one's own copy."""

from __future__ import annotations

from dataclasses import replace

from fastapi import APIRouter, Response
from sqlalchemy import exists, func, select
from sqlalchemy.orm import Session

from hepml_tasks.errors import FormatError
from hepml_tasks.server.context import Server, answer, get_file
from hepml_tasks.server.database import Dataset, Feature, Quality, StoredFile, Task, User
from hepml_tasks.server.datasets import ECHOED, FIELDS, MANY, Roles, role_of, split_names
from hepml_tasks.server.errors import Refused
from hepml_tasks.server.forms import PostedForm, PostingUser
from hepml_tasks.server.xml import check, node, parse, text, texts

router = APIRouter()

_CRITICAL = ("default_target_attribute", "row_id_attribute", "ignore_attribute")
_EDITABLE = {
    name: replace(FIELDS[name], required=False)
    for name in (
        "description",
        "creator",
        "contributor",
        "collection_date",
        "language",
        "citation",
        "original_data_url",
        "paper_url",
        *_CRITICAL,
    )
}


@router.post("/data/edit")
def edit(server: Server, form: PostedForm, user: PostingUser) -> Response:
    """Edit a description; what models depend on only by the owner, while there are no tasks."""
    try:
        edits = parse(form.document("edit_parameters", 1061), "data_edit_parameters")
        check(edits, _EDITABLE)
    except FormatError as error:
        raise Refused(1060, str(error)) from error
    changes: dict[str, str | list[str]] = {
        name: texts(edits, name) if name in MANY else text(edits, name) or ""
        for name in _EDITABLE
        if text(edits, name)
    }
    with server.database.write() as session:
        dataset = session.get(Dataset, form.number("data_id", 1062))
        if dataset is None:
            raise Refused(1063)
        if not changes:
            raise Refused(1064)
        if changes.keys() & set(_CRITICAL):
            _check_critical(session, dataset, user)
        # A new dictionary, or the change inside would not be noticed.
        dataset.fields = {
            **dataset.fields,
            **{name: changes[name] for name in (*ECHOED, *MANY) if name in changes},
        }
        if "default_target_attribute" in changes:
            dataset.default_target = text(edits, "default_target_attribute")
        _set_roles(session, dataset)
        dataset_id = dataset.id
    return answer(node("data_edit", node("id", dataset_id)))


def _check_critical(session: Session, dataset: Dataset, user: User) -> None:
    if user.id != dataset.uploader_id and user.role != "administrator":
        raise Refused(1065)
    if session.scalar(select(exists().where(Task.dataset_id == dataset.id))):
        raise Refused(1066)


def _set_roles(session: Session, dataset: Dataset) -> None:
    columns = session.scalars(select(Feature).where(Feature.dataset_id == dataset.id)).all()
    names = tuple(column.name for column in columns)
    roles = Roles(
        split_names(dataset.default_target or "", names),
        split_names(dataset.fields["row_id_attribute"] or "", names),
        tuple(n for i in dataset.fields["ignore_attribute"] for n in split_names(i, names)),
    )
    for name in (*roles.targets, *roles.row_ids, *roles.ignored):
        if name not in names:
            raise Refused(1060, f"the dataset has no attribute {name!r}")
    for column in columns:
        column.role = role_of(column.name, roles)


@router.post("/data/fork")
def fork(server: Server, form: PostedForm, user: PostingUser) -> Response:
    """Make a new version of a dataset that belongs to the user and shares its file's bytes."""
    with server.database.write() as session:
        original = session.get(Dataset, form.number("data_id", 1070))
        if original is None:
            raise Refused(1071)
        versions = select(func.max(Dataset.version)).where(Dataset.name == original.name)
        file = get_file(session, original.file_id)
        own_file = StoredFile(
            sha256=file.sha256, md5=file.md5, size=file.size, suffix=file.suffix, name=file.name
        )
        session.add(own_file)
        session.flush()
        dataset = Dataset(
            name=original.name,
            version=(session.scalar(versions) or 0) + 1,
            status=original.status,
            format=original.format,
            fields={
                name: value
                for name, value in original.fields.items()
                if name not in {"ontologies", "topics"}
            },
            default_target=original.default_target,
            source_url=original.source_url,
            file_id=own_file.id,
            uploader_id=user.id,
        )
        session.add(dataset)
        session.flush()
        _copy_contents(session, original.id, dataset.id)
        dataset_id = dataset.id
    return answer(node("data_fork", node("id", dataset_id)))


def _copy_contents(session: Session, original_id: int, copy_id: int) -> None:
    for column in session.scalars(select(Feature).where(Feature.dataset_id == original_id)):
        session.add(
            Feature(
                dataset_id=copy_id,
                position=column.position,
                name=column.name,
                type=column.type,
                values=column.values,
                missing=column.missing,
                role=column.role,
            )
        )
    for quality in session.scalars(select(Quality).where(Quality.dataset_id == original_id)):
        session.add(Quality(dataset_id=copy_id, name=quality.name, value=quality.value))
