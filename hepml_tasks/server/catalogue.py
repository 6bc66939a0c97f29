"""Reading datasets: description, features, qualities, the list, the files themselves."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from fastapi import APIRouter, Response
from fastapi.responses import FileResponse
from sqlalchemy import ColumnElement, and_, select
from sqlalchemy.orm import Session

from hepml_tasks.server.context import Root, Server, answer, download_url, get_file
from hepml_tasks.server.database import Dataset, Feature, Quality, StoredFile
from hepml_tasks.server.errors import Refused
from hepml_tasks.server.filters import Codes, Filters, parse_filters, tagged
from hepml_tasks.server.measures import flag
from hepml_tasks.server.ontologies import ontologies_of
from hepml_tasks.server.tagging import tags_of
from hepml_tasks.server.xml import Node, node, optional

router = APIRouter()
files_router = APIRouter()

INTERVALS = {
    "number_instances": "NumberOfInstances",
    "number_features": "NumberOfFeatures",
    "number_classes": "NumberOfClasses",
    "number_missing_values": "NumberOfMissingValues",
}
# The qualities that production shows in lists.
LISTED = (
    "MajorityClassSize",
    "MinorityClassSize",
    "NumberOfClasses",
    "NumberOfFeatures",
    "NumberOfInstances",
    "NumberOfInstancesWithMissingValues",
    "NumberOfMissingValues",
    "NumberOfNumericFeatures",
    "NumberOfSymbolicFeatures",
)


@router.get("/data/{dataset_id:id}")
def describe_dataset(dataset_id: int, server: Server, root: Root) -> Response:
    """Answer with a dataset's description."""
    with server.database.read() as session:
        dataset = session.get(Dataset, dataset_id)
        if dataset is None:
            raise Refused(111)
        file = get_file(session, dataset.file_id)
        fields = dataset.fields
        uploaded = dataset.uploaded.isoformat()
        return answer(
            node(
                "data_set_description",
                node("id", dataset.id),
                node("name", dataset.name),
                node("version", dataset.version),
                node("description", fields["description"]),
                node("description_version", 1),
                node("format", dataset.format),
                (node("creator", name) for name in fields["creator"]),
                (node("contributor", name) for name in fields["contributor"]),
                optional("collection_date", fields["collection_date"]),
                node("upload_date", uploaded),
                optional("language", fields["language"]),
                optional("licence", fields["licence"]),
                node("url", download_url(root, file, dataset=True)),
                node("file_id", file.id),
                optional("default_target_attribute", dataset.default_target),
                optional("row_id_attribute", fields["row_id_attribute"]),
                (node("ignore_attribute", name) for name in fields["ignore_attribute"]),
                optional("version_label", fields["version_label"]),
                optional("citation", fields["citation"]),
                (node("tag", tag) for tag in tags_of(session, "data", dataset_id)),
                node("visibility", "public"),
                optional("original_data_url", fields["original_data_url"]),
                optional("paper_url", fields["paper_url"]),
                optional("update_comment", fields["update_comment"]),
                node("status", dataset.status),
                node("processing_date", uploaded.replace("T", " ")),
                node("md5_checksum", file.md5),
            )
        )


@router.get("/data/features/{dataset_id:id}")
def features(dataset_id: int, server: Server) -> Response:
    """Answer with a dataset's columns, in order."""
    with server.database.read() as session:
        dataset = session.get(Dataset, dataset_id)
        if dataset is None:
            raise Refused(271)
        columns = session.scalars(
            select(Feature).where(Feature.dataset_id == dataset_id).order_by(Feature.position)
        ).all()
    ontologies = ontologies_of(dataset)
    return answer(
        node("data_features", (_feature(c, ontologies.get(c.position, [])) for c in columns))
    )


def _feature(column: Feature, ontologies: Iterable[str]) -> Node:
    return node(
        "feature",
        node("index", column.position),
        node("name", column.name),
        node("data_type", column.type),
        (node("ontology", value) for value in ontologies),
        (node("nominal_value", value) for value in column.values),
        *(
            node(f"is_{name}", flag(column.role == role))
            for name, role in (
                ("target", "target"),
                ("ignore", "ignore"),
                ("row_identifier", "row_id"),
            )
        ),
        node("number_of_missing_values", column.missing),
    )


def number(value: float) -> int | float:
    """Write whole numbers without a point."""
    return int(value) if float(value).is_integer() else value


@router.get("/data/qualities/list")
def list_qualities(server: Server) -> Response:
    """Answer with the names of all qualities."""
    with server.database.read() as session:
        names = session.scalars(select(Quality.name).distinct().order_by(Quality.name)).all()
    return answer(node("data_qualities_list", (node("quality", n) for n in names or LISTED)))


@router.get("/data/qualities/{dataset_id:id}")
def qualities(dataset_id: int, server: Server) -> Response:
    """Answer with a dataset's qualities."""
    with server.database.read() as session:
        if session.get(Dataset, dataset_id) is None:
            raise Refused(361)
        found = session.scalars(
            select(Quality).where(Quality.dataset_id == dataset_id).order_by(Quality.name)
        ).all()
    if not found:
        raise Refused(362)
    return answer(
        node(
            "data_qualities",
            (node("quality", node("name", q.name), node("value", number(q.value))) for q in found),
        )
    )


def conditions_on_data(filters: Filters, *, tag: str) -> list[ColumnElement[bool]]:
    """Give the conditions on a dataset that the lists of datasets and of tasks share.

    Parameters
    ----------
    filters : Filters
    tag : str
        The filter that names the dataset's tag: `tag` or `data_tag`.
    """
    status = filters.text("status") or "active"
    conditions = [] if status == "all" else [Dataset.status == status]
    conditions += tagged("data", Dataset.id, filters.text(tag))
    if (ids := filters.ids("data_id")) is not None:
        conditions.append(Dataset.id.in_(ids))
    if (name := filters.text("data_name")) is not None:
        conditions.append(Dataset.name == name)
    for key, quality in INTERVALS.items():
        if (interval := filters.interval(key)) is not None:
            within = select(Quality.dataset_id).where(
                and_(Quality.name == quality, Quality.value.between(*interval))
            )
            conditions.append(Dataset.id.in_(within))
    return conditions


def listed_qualities(session: Session, dataset_ids: Iterable[int]) -> Mapping[int, list[Node]]:
    """Give the qualities that lists show, as elements, by dataset."""
    found: dict[int, list[Node]] = {}
    rows = session.execute(
        select(Quality.dataset_id, Quality.name, Quality.value)
        .where(Quality.dataset_id.in_(set(dataset_ids)), Quality.name.in_(LISTED))
        .order_by(Quality.name)
    )
    for dataset_id, name, value in rows:
        found.setdefault(dataset_id, []).append(node("quality", number(value), name=name))
    return found


@router.get("/data/list")
@router.get("/data/list/{path:path}")
def list_datasets(server: Server, path: str = "") -> Response:
    """List datasets: the active ones, unless a status is asked for."""
    filters = parse_filters(
        path,
        {"status", "tag", "data_id", "data_name", "data_version", "uploader", *INTERVALS},
        Codes(illegal=370, value=371, offset=373),
    )
    statement = select(Dataset).where(*conditions_on_data(filters, tag="tag")).order_by(Dataset.id)
    if (versions := filters.ids("data_version")) is not None:
        statement = statement.where(Dataset.version.in_(versions))
    if (uploaders := filters.ids("uploader")) is not None:
        statement = statement.where(Dataset.uploader_id.in_(uploaders))
    with server.database.read() as session:
        datasets = session.scalars(filters.page(statement)).all()
        if not datasets:
            raise Refused(372)
        shown = listed_qualities(session, (dataset.id for dataset in datasets))
    return answer(
        node(
            "data",
            (
                node(
                    "dataset",
                    node("did", dataset.id),
                    node("name", dataset.name),
                    node("version", dataset.version),
                    node("uploader", dataset.uploader_id),
                    node("status", dataset.status),
                    node("format", dataset.format.upper()),
                    node("file_id", dataset.file_id),
                    shown.get(dataset.id, ()),
                )
                for dataset in datasets
            ),
        )
    )


@files_router.api_route("/data/v1/download/{file_id:id}", methods=["GET", "HEAD"])
@files_router.api_route("/data/v1/download/{file_id:id}/{name}", methods=["GET", "HEAD"])
@files_router.api_route("/data/download/{file_id:id}", methods=["GET", "HEAD"])
@files_router.api_route("/data/download/{file_id:id}/{name}", methods=["GET", "HEAD"])
def download(file_id: int, server: Server, name: str = "") -> Response:  # noqa: ARG001 - part of the path
    """Send a stored file; the name in the address is only for people."""
    with server.database.read() as session:
        file = session.get(StoredFile, file_id)
    if file is None:
        raise Refused(113)
    return send(server.files.path(file), file.suffix)


def send(path: object, suffix: str) -> FileResponse:
    """Send a file as what it is; text in particular is never HTML."""
    binary = suffix in {"", ".parquet"}
    media = "application/octet-stream" if binary else "text/plain; charset=utf-8"
    return FileResponse(str(path), media_type=media)
