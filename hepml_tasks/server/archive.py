"""Reading runs: description with evaluations and files, and the list."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from fastapi import APIRouter, Response
from sqlalchemy import ColumnElement, select
from sqlalchemy.orm import Session

from hepml_tasks.server.context import Root, Server, answer, download_url, get_file
from hepml_tasks.server.database import (
    Dataset,
    Evaluation,
    Flow,
    Run,
    RunFile,
    StoredFile,
    Study,
    StudyEntry,
    Task,
)
from hepml_tasks.server.errors import Refused
from hepml_tasks.server.filters import Codes, Filters, parse_filters, tagged
from hepml_tasks.server.forms import user_name
from hepml_tasks.server.measures import TYPES
from hepml_tasks.server.tagging import tags_of
from hepml_tasks.server.xml import Node, node, optional

router = APIRouter()


@router.get("/run/{run_id:id}")
def describe_run(run_id: int, server: Server, root: Root) -> Response:
    """Answer with a run: its parameters, files, and the server's evaluations."""
    with server.database.read() as session:
        run = session.get(Run, run_id)
        if run is None:
            raise Refused(236)
        task = session.get_one(Task, run.task_id)
        if task.truth_id is not None:
            raise Refused(236, f"OpenML can't carry run {run_id}: it is at /hepml/run/{run_id}")
        dataset = session.get_one(Dataset, task.dataset_id)
        flow = session.get_one(Flow, run.flow_id)
        data_url = download_url(root, get_file(session, dataset.file_id), dataset=True)
        return answer(
            node(
                "run",
                node("run_id", run.id),
                node("uploader", run.uploader_id),
                node("uploader_name", user_name(session, run.uploader_id)),
                node("task_id", run.task_id),
                node("task_type", TYPES[task.type_id]),
                optional("task_evaluation_measure", task.measure),
                node("flow_id", flow.id),
                node("flow_name", flow.full_name),
                node("setup_id", run.setup_id),
                *([node("error", run.error)] if run.state in {"done", "failed"} else []),
                optional("error_message", run.error_message),
                optional("run_details", run.run_details),
                node("setup_string", run.setup_string),
                (
                    node(
                        "parameter_setting",
                        node("name", setting["name"]),
                        node("value", setting["value"]),
                        node("component", setting["component"] or flow.id),
                    )
                    for setting in run.settings
                ),
                (node("tag", tag) for tag in tags_of(session, "run", run_id)),
                node(
                    "input_data",
                    node(
                        "dataset",
                        node("did", dataset.id),
                        node("name", dataset.name),
                        node("url", data_url),
                    ),
                ),
                node(
                    "output_data",
                    _files(session, run_id, root),
                    _evaluations(session, run_id),
                ),
            )
        )


def files_of(session: Session, run_id: int) -> list[tuple[str, StoredFile]]:
    """Give a run's files with the form fields that they came in, in order of upload."""
    rows = session.execute(
        select(RunFile.field, StoredFile)
        .join(StoredFile, StoredFile.id == RunFile.file_id)
        .where(RunFile.run_id == run_id)
        .order_by(StoredFile.id)
    )
    return [(field, file) for field, file in rows]


def _files(session: Session, run_id: int, root: str) -> Iterator[Node]:
    for field, file in files_of(session, run_id):
        yield node(
            "file",
            node("did", -1),
            node("file_id", file.id),
            node("name", field),
            node("url", download_url(root, file)),
        )


def _evaluations(session: Session, run_id: int) -> Iterator[Node]:
    found = session.scalars(
        select(Evaluation).where(Evaluation.run_id == run_id).order_by(Evaluation.id)
    ).all()
    # The client can't read an evaluation without a value.
    defined = [e for e in found if e.value is not None]
    for evaluation in sorted(defined, key=lambda e: e.fold is not None):
        where = (
            {}
            if evaluation.fold is None
            else {"repeat": evaluation.repeat, "fold": evaluation.fold}
        )
        yield node(
            "evaluation", node("name", evaluation.measure), node("value", evaluation.value), **where
        )


RUN_FILTERS = frozenset({"run", "task", "setup", "flow", "uploader", "study", "tag", "task_type"})


def conditions_on_runs(
    session: Session, filters: Filters, *, study_code: int
) -> list[ColumnElement[bool]]:
    """Give the conditions that the lists of runs and of evaluations share.

    Parameters
    ----------
    session : Session
    filters : Filters
    study_code : int
        The error for a study that is not there or not of runs.
    """
    columns = {
        "run": Run.id,
        "task": Run.task_id,
        "setup": Run.setup_id,
        "flow": Run.flow_id,
        "uploader": Run.uploader_id,
    }
    conditions = tagged("run", Run.id, filters.text("tag"))
    # the client can't read a run of a task type that OpenML doesn't have
    conditions.append(Run.task_id.in_(select(Task.id).where(Task.truth_id.is_(None))))
    for name, column in columns.items():
        if (ids := filters.ids(name)) is not None:
            conditions.append(column.in_(ids))
    if (types := filters.ids("task_type")) is not None:
        conditions.append(Run.task_id.in_(select(Task.id).where(Task.type_id.in_(types))))
    if (studies := filters.ids("study")) is not None:
        known = session.scalars(
            select(Study.id).where(Study.id.in_(studies), Study.entity == "run")
        ).all()
        if set(known) != set(studies) or not studies:
            raise Refused(study_code)
        members = select(StudyEntry.entity_id).where(StudyEntry.study_id.in_(known))
        conditions.append(Run.id.in_(members))
    return conditions


@router.get("/run/list")
@router.get("/run/list/{path:path}")
def list_runs(server: Server, path: str = "") -> Response:
    """List runs; those that were uploaded as failures only where `show_errors` asks for them."""
    filters = parse_filters(
        path, {*RUN_FILTERS, "show_errors"}, Codes(illegal=514, value=511, offset=515, limit=516)
    )
    if not filters:
        raise Refused(510)
    show_errors = (filters.text("show_errors") or "").lower() == "true"
    with server.database.read() as session:
        statement = (
            select(Run, Task.type_id)
            .join(Task, Task.id == Run.task_id)
            .where(*conditions_on_runs(session, filters, study_code=517))
            .order_by(Run.id)
        )
        if not show_errors:
            statement = statement.where(Run.error_message.is_(None))
        rows: Sequence[tuple[Run, int]] = [
            (run, type_id) for run, type_id in session.execute(filters.page(statement))
        ]
    if not rows:
        raise Refused(512)
    return answer(node("runs", (_listed(run, type_id) for run, type_id in rows)))


def _listed(run: Run, type_id: int) -> Node:
    values: Mapping[str, str | int | None] = {
        "run_id": run.id,
        "task_id": run.task_id,
        "task_type_id": type_id,
        "setup_id": run.setup_id,
        "flow_id": run.flow_id,
        "uploader": run.uploader_id,
        "upload_time": run.uploaded.isoformat(sep=" "),
        "error_message": run.error_message or run.error,
        "run_details": run.run_details,
    }
    return node("run", (node(name, value) for name, value in values.items()))
