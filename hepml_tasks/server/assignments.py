"""Reading tasks: description, splits file, list."""

from __future__ import annotations

from fastapi import APIRouter, Response
from sqlalchemy import select

from hepml_tasks.server.catalogue import INTERVALS, conditions_on_data, listed_qualities, send
from hepml_tasks.server.context import Root, Server, answer, get_file
from hepml_tasks.server.database import Dataset, Task
from hepml_tasks.server.errors import Refused
from hepml_tasks.server.filters import Codes, parse_filters, tagged
from hepml_tasks.server.measures import (
    CLUSTERING,
    LEARNING_CURVE,
    PROCEDURES,
    REGRESSION,
    TYPES,
    flag,
)
from hepml_tasks.server.tagging import tags_of
from hepml_tasks.server.xml import Node, node, optional

router = APIRouter()
files_router = APIRouter()


@router.get("/task/{task_id:id}")
def describe_task(task_id: int, server: Server, root: Root) -> Response:
    """Answer with a task's inputs."""
    with server.database.read() as session:
        task = session.get(Task, task_id)
        if task is None:
            raise Refused(151)
        if task.truth_id is not None:
            raise Refused(151, f"OpenML can't carry task {task_id}: it is at /hepml/task/{task_id}")
        dataset = session.get_one(Dataset, task.dataset_id)
        tags = tags_of(session, "task", task_id)
    target = optional("target_feature", task.target or None)
    data_set = node("data_set", node("data_set_id", dataset.id), target)
    measures = node("evaluation_measures", node("evaluation_measure", task.measure))
    return answer(
        node(
            "task",
            node("task_id", task.id),
            node("task_name", f"Task {task.id}: {dataset.name} ({TYPES[task.type_id]})"),
            node("task_type_id", task.type_id),
            node("task_type", TYPES[task.type_id]),
            node("input", data_set, name="source_data"),
            node("input", _procedure(task, root), name="estimation_procedure"),
            node("input", node("cost_matrix", None), name="cost_matrix"),
            node("input", measures, name="evaluation_measures"),
            node("output", _predictions(task.type_id), name="predictions"),
            (node("tag", tag) for tag in tags),
        )
    )


def _procedure(task: Task, root: str) -> Node:
    procedure = PROCEDURES[task.procedure_id]
    custom = procedure.kind == "customholdout"
    parameters = {
        "number_repeats": task.repeats if custom else procedure.repeats,
        "number_folds": task.folds if custom else procedure.folds,
        "percentage": procedure.percentage,
        "stratified_sampling": flag(procedure.stratified),
    }
    return node(
        "estimation_procedure",
        node("id", procedure.id),
        node("type", procedure.kind),
        node("data_splits_url", f"{root}/api_splits/get/{task.id}/Task_{task.id}_splits.arff"),
        (node("parameter", value, name=name) for name, value in parameters.items()),
    )


def _predictions(type_id: int) -> Node:
    columns = {"repeat": "integer", "fold": "integer"}
    if type_id == LEARNING_CURVE:
        columns["sample"] = "integer"
    columns["row_id"] = "integer"
    if type_id == REGRESSION:
        columns["prediction"] = "numeric"
    elif type_id == CLUSTERING:
        columns["cluster"] = "numeric"
    else:
        columns |= {"confidence.classname": "numeric", "prediction": "string"}
    features = (node("feature", None, name=name, type=kind) for name, kind in columns.items())
    return node("predictions", node("format", "ARFF"), features)


@files_router.api_route("/api_splits/get/{task_id:id}/{name}", methods=["GET", "HEAD"])
def splits_file(task_id: int, name: str, server: Server) -> Response:  # noqa: ARG001 - part of the path
    """Send a task's splits."""
    with server.database.read() as session:
        task = session.get(Task, task_id)
        if task is None:
            raise Refused(151)
        file = get_file(session, task.splits_id)
    return send(server.files.path(file), file.suffix)


@router.get("/task/list")
@router.get("/task/list/{path:path}")
def list_tasks(server: Server, path: str = "") -> Response:
    """List tasks: those on active datasets, unless another status is asked for."""
    filters = parse_filters(
        path,
        {"type", "tag", "task_id", "data_tag", "status", "data_id", "data_name", *INTERVALS},
        Codes(illegal=480, value=481, offset=483),
    )
    statement = (
        select(Task, Dataset)
        .join(Dataset, Dataset.id == Task.dataset_id)
        .where(*conditions_on_data(filters, tag="data_tag"))
        .where(*tagged("task", Task.id, filters.text("tag")))
        .where(Task.truth_id.is_(None))
        .order_by(Task.id)
    )
    if (types := filters.ids("type")) is not None:
        statement = statement.where(Task.type_id.in_(types))
    if (ids := filters.ids("task_id")) is not None:
        statement = statement.where(Task.id.in_(ids))
    with server.database.read() as session:
        rows = session.execute(filters.page(statement)).all()
        if not rows:
            raise Refused(482)
        qualities = listed_qualities(session, (dataset.id for _, dataset in rows))
        tags = {task.id: tags_of(session, "task", task.id) for task, _ in rows}
    return answer(
        node(
            "tasks",
            (
                _listed(task, dataset, qualities.get(dataset.id, []), tags[task.id])
                for task, dataset in rows
            ),
        )
    )


def _listed(task: Task, dataset: Dataset, qualities: list[Node], tags: list[str]) -> Node:
    inputs = {
        "estimation_procedure": task.procedure_id,
        "evaluation_measures": task.measure,
        "source_data": dataset.id,
        "target_feature": task.target or None,
    }
    return node(
        "task",
        node("task_id", task.id),
        node("task_type_id", task.type_id),
        node("task_type", TYPES[task.type_id]),
        node("did", dataset.id),
        node("name", dataset.name),
        node("status", dataset.status),
        node("format", dataset.format.upper()),
        (node("input", v, name=name) for name, v in inputs.items() if v is not None),
        qualities,
        (node("tag", tag) for tag in tags),
    )
