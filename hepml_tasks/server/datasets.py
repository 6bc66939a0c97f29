"""Datasets: publishing, description, features, qualities, lists, status, deletion."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from xml.etree.ElementTree import Element

from fastapi import APIRouter, Response
from sqlalchemy import delete, func, select
from sqlalchemy.orm import Session

from hepml_tasks.errors import DataError, FormatError
from hepml_tasks.server.columns import Contents, describe
from hepml_tasks.server.context import Server, Services, answer, forget
from hepml_tasks.server.database import Dataset, Feature, Quality, Task, User
from hepml_tasks.server.errors import Refused
from hepml_tasks.server.forms import DeletingUser, Form, PostedForm, PostingUser
from hepml_tasks.server.remote import fetch
from hepml_tasks.server.security import require_owner
from hepml_tasks.server.storage import Blob
from hepml_tasks.server.tagging import add_tags, remove_tags
from hepml_tasks.server.xml import CASUAL, INTEGER, SYSTEM, Field, check, node, parse, text, texts

router = APIRouter()

# Production's limits, as its XSD has them.
FIELDS = {
    "id": Field(pattern=INTEGER),
    "name": Field(required=True, longest=128, pattern=CASUAL),
    "version": Field(longest=64),
    "description": Field(required=True, ascii=True, longest=16384),
    "description_version": Field(longest=64),
    "format": Field(required=True, longest=64, pattern=CASUAL),
    "creator": Field(many=True, ascii=True, longest=128),
    "contributor": Field(many=True, ascii=True, longest=128),
    "collection_date": Field(ascii=True, longest=128),
    "upload_date": Field(ascii=True, longest=64),
    "language": Field(longest=128, pattern=CASUAL),
    "licence": Field(ascii=True, longest=64),
    "url": Field(ascii=True, longest=2048, blank=True),
    "file_id": Field(pattern=INTEGER),
    "default_target_attribute": Field(longest=1024, pattern=CASUAL),
    "row_id_attribute": Field(longest=128, pattern=CASUAL),
    "ignore_attribute": Field(many=True, longest=128, pattern=CASUAL),
    "version_label": Field(longest=128, pattern=CASUAL),
    "citation": Field(ascii=True, longest=1024),
    "tag": Field(many=True, longest=64, pattern=SYSTEM),
    "visibility": Field(pattern="public"),  # others are promised what this server can't keep
    "original_data_url": Field(ascii=True, longest=2048, blank=True),
    "paper_url": Field(ascii=True, longest=2048, blank=True),
    "update_comment": Field(ascii=True, longest=128),
    "status": Field(longest=64),
    "processing_date": Field(ascii=True, longest=1024),
    "error": Field(ascii=True, longest=1024),
    "warning": Field(ascii=True, longest=1024),
    "md5_checksum": Field(longest=64, pattern=SYSTEM),
}
_CONFIRMED = "activated"
"""Among a dataset's fields: that somebody has set its status."""

_FORMATS = {"arff": False, "sparse_arff": True}
"""The formats that are taken, and whether their rows are sparse."""

MANY = ("creator", "contributor", "ignore_attribute")
ECHOED = (
    "description",
    "collection_date",
    "language",
    "licence",
    "row_id_attribute",
    "version_label",
    "citation",
    "original_data_url",
    "paper_url",
    "update_comment",
)


@dataclass(frozen=True)
class Roles:
    """The columns that a description names."""

    targets: tuple[str, ...]
    row_ids: tuple[str, ...]
    ignored: tuple[str, ...]


@router.post("/data")
def publish(server: Server, form: PostedForm, user: PostingUser) -> Response:
    """Publish a dataset by file or by URL; its features and qualities are counted at once."""
    try:
        description = parse(form.document("description", 135), "data_set_description")
        check(description, FIELDS)
    except FormatError as error:
        raise Refused(131, str(error)) from error
    sparse = _FORMATS.get((text(description, "format") or "").strip().casefold())
    if sparse is None:
        raise Refused(133, f"format: {text(description, 'format')}")
    blob = _data_file(server, form, text(description, "url"))
    contents, roles = examine(description, blob.path)
    if contents.qualities["NumberOfInstances"] and contents.sparse != sparse:
        found = "sparse" if contents.sparse else "dense"
        raise Refused(145, f"Arff error in dataset: format and rows differ, the rows are {found}")
    with server.database.write() as session:
        dataset_id = insert_dataset(session, description, user, blob, contents, roles)
    return answer(node("upload_data_set", node("id", dataset_id)))


def _data_file(server: Services, form: Form, url: str | None) -> Blob:
    upload = form.files.get("dataset")
    if upload is not None and url:
        raise Refused(140)
    if upload is not None:
        return server.files.add(upload.file, ".arff")
    if not url:
        raise Refused(141)
    settings = server.settings
    try:
        return fetch(
            url.strip(),
            server.files,
            limit=settings.max_upload,
            seconds=settings.fetch_seconds,
            allow_private=settings.allow_private_urls,
        )
    except DataError as error:
        raise Refused(136, str(error)) from error


def examine(description: Element, path: Path) -> tuple[Contents, Roles]:
    """Read a dataset's file, and check that it has the columns that its description names.

    Raises
    ------
    Refused
        143 or 145.
    """
    target = (text(description, "default_target_attribute") or "").strip()
    try:
        contents = describe(path, split_names(target, ()))
    except DataError as error:
        reason = str(error).replace(str(path), "the file")
        raise Refused(145, f"Arff error in dataset: {reason}") from error
    if len(set(contents.names)) != len(contents.names):
        raise Refused(145, "Arff error in dataset: two attributes have the same name")
    row_id = (text(description, "row_id_attribute") or "").strip()
    roles = Roles(
        split_names(target, contents.names),
        split_names(row_id, contents.names),
        tuple(
            n
            for i in texts(description, "ignore_attribute")
            for n in split_names(i, contents.names)
        ),
    )
    for name in (*roles.targets, *roles.row_ids, *roles.ignored):
        if name not in contents.names:
            raise Refused(143, f"the file has no attribute {name!r}")
    return contents, roles


def split_names(names: str, known: tuple[str, ...]) -> tuple[str, ...]:
    """Split names at commas, unless the whole is the name of a column."""
    if not names or names in known:
        return (names,) if names else ()
    return tuple(name.strip() for name in names.split(","))


def insert_dataset(
    session: Session,
    description: Element,
    user: User,
    blob: Blob,
    contents: Contents,
    roles: Roles,
) -> int:
    """Store a dataset as its name's next version, and give its id."""
    name = (text(description, "name") or "").strip()
    last = session.scalar(select(func.max(Dataset.version)).where(Dataset.name == name)) or 0
    file = blob.record(f"{name}.arff")
    session.add(file)
    session.flush()
    fields: dict[str, object] = {key: text(description, key) for key in ECHOED}
    fields |= {key: texts(description, key) for key in MANY}
    dataset = Dataset(
        name=name,
        version=last + 1,
        status="active",
        format=(text(description, "format") or "").strip(),
        fields=fields,
        default_target=text(description, "default_target_attribute"),
        source_url=text(description, "url"),
        file_id=file.id,
        uploader_id=user.id,
    )
    session.add(dataset)
    session.flush()
    for position, column in enumerate(contents.columns):
        session.add(
            Feature(
                dataset_id=dataset.id,
                position=position,
                name=column.name,
                type=column.type,
                values=list(column.values),
                missing=column.missing,
                role=role_of(column.name, roles),
            )
        )
    for key, value in contents.qualities.items():
        session.add(Quality(dataset_id=dataset.id, name=key, value=float(value)))
    add_tags(session, "data", dataset.id, user.id, texts(description, "tag"))
    return dataset.id


def role_of(name: str, roles: Roles) -> str:
    """Give a column's role: what it is named as first, as in production."""
    if name in roles.row_ids:
        return "row_id"
    if name in roles.ignored:
        return "ignore"
    return "target" if name in roles.targets else "feature"


@router.post("/data/status/update")
def update_status(server: Server, form: PostedForm, user: PostingUser) -> Response:
    """Activate or deactivate a dataset; activating is for administrators, as in production."""
    status = form.fields.get("status", "")
    if status not in {"active", "deactivated"}:
        raise Refused(691)
    with server.database.write() as session:
        dataset = session.get(Dataset, form.number("data_id", 692))
        if dataset is None:
            raise Refused(692)
        require_owner(user, dataset.uploader_id, 693)
        if status == "active" and user.role != "administrator":
            raise Refused(696)
        # This server activates by itself. An administrator who does it too, as on production,
        # does nothing illegal the first time.
        if dataset.status == status and (status != "active" or _CONFIRMED in dataset.fields):
            raise Refused(694)
        dataset.status = status
        dataset.fields = {**dataset.fields, _CONFIRMED: True}
    return answer(node("data_status_update", node("id", dataset.id), node("status", status)))


@router.delete("/data/{dataset_id:id}")
def delete_dataset(dataset_id: int, server: Server, user: DeletingUser) -> Response:
    """Delete a dataset that no task is on."""
    with server.database.write() as session:
        dataset = session.get(Dataset, dataset_id)
        if dataset is None:
            raise Refused(352)
        require_owner(user, dataset.uploader_id, 353)
        tasks = session.scalars(select(Task.id).where(Task.dataset_id == dataset_id)).all()
        if tasks:
            raise Refused(354, f"dataset is used in task(s): {', '.join(map(str, tasks[:20]))}")
        for table in (Feature, Quality):
            session.execute(delete(table).where(table.dataset_id == dataset_id))
        remove_tags(session, "data", dataset_id)
        forget(session, dataset, [dataset.file_id])
    return answer(node("data_delete", node("id", dataset_id)))
