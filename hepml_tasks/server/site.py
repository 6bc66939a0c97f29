"""What is this project's own: pages, and JSON beside OpenML's XML."""

from __future__ import annotations

import json
from importlib.metadata import PackageNotFoundError, version
from typing import Any

from fastapi import APIRouter, Response
from fastapi.responses import JSONResponse, RedirectResponse
from sqlalchemy import select

from hepml_tasks.server.archive import files_of
from hepml_tasks.server.context import Root, Server, download_url, get_file
from hepml_tasks.server.database import Run, Study, Task
from hepml_tasks.server.errors import Refused
from hepml_tasks.server.evaluations import report
from hepml_tasks.server.evaluator import progress, rescore
from hepml_tasks.server.forms import PostingUser, user_name
from hepml_tasks.server.results import build_site
from hepml_tasks.server.studies import members_of
from hepml_tasks.server.tagging import tags_of

router = APIRouter()


@router.get("/hepml/about")
def about() -> dict[str, str]:
    """Say what answers here."""
    try:
        number = version("hepml_tasks")
    except PackageNotFoundError:
        number = "unknown"
    return {"name": "hepml_tasks", "version": number}


@router.get("/hepml/tasks")
def task_specs(server: Server) -> JSONResponse:
    """Give the evaluation of every task that was created with one: how a client finds its own."""
    with server.database.read() as session:
        rows = session.scalars(select(Task).where(Task.spec.is_not(None)).order_by(Task.id)).all()
        tasks = [
            {
                "task_id": task.id,
                "dataset_id": task.dataset_id,
                "tags": tags_of(session, "task", task.id),
                "spec": json.loads(task.spec or "{}"),
            }
            for task in rows
        ]
    return JSONResponse({"tasks": tasks})


@router.get("/hepml/task/{task_id:id}")
def show_task(task_id: int, server: Server, root: Root) -> JSONResponse:
    """Give a task: its evaluation, its dataset, its tags, and the addresses of its files."""
    with server.database.read() as session:
        task = session.get(Task, task_id)
        if task is None:
            return _missing(f"there is no task {task_id}")
        files = {"splits": task.splits_id, "truth": task.truth_id}
        told = {
            "task_id": task.id,
            "dataset_id": task.dataset_id,
            "carried_by_openml": task.truth_id is None,
            "spec": None if task.spec is None else json.loads(task.spec),
            "tags": tags_of(session, "task", task_id),
            "files": {
                name: download_url(root, get_file(session, file_id))
                for name, file_id in files.items()
                if file_id is not None
            },
        }
    return JSONResponse(told)


@router.get("/hepml/task/{task_id:id}/runs")
def runs_of_task(task_id: int, server: Server) -> JSONResponse:
    """Give the details of all runs of a task: how a client finds its own."""
    with server.database.read() as session:
        rows = session.execute(
            select(Run.id, Run.run_details).where(Run.task_id == task_id).order_by(Run.id)
        )
        runs = [{"run_id": i, "details": details} for i, details in rows.tuples()]
    return JSONResponse({"runs": runs})


@router.get("/hepml/studies/{name}")
def studies_named(name: str, server: Server) -> JSONResponse:
    """Give the study or suite of a name or id with all of its members, if there is one."""
    key = Study.alias == name
    if name.isdecimal() and name.isascii() and len(name) < 10:
        key = Study.id == int(name)
    with server.database.read() as session:
        studies = [
            {
                "id": study.id,
                "alias": study.alias,
                "status": study.status,
                "tasks": members_of(session, study.id) if study.entity == "task" else [],
                "runs": members_of(session, study.id) if study.entity == "run" else [],
            }
            for study in session.scalars(select(Study).where(key))
        ]
    return JSONResponse({"studies": studies})


@router.get("/hepml/task/{task_id:id}/spec")
def task_spec(task_id: int, server: Server) -> JSONResponse:
    """Give the evaluation that a task was created with."""
    with server.database.read() as session:
        task = session.get(Task, task_id)
    if task is None:
        return _missing(f"there is no task {task_id}")
    if task.spec is None:
        return _missing(f"task {task_id} was created without a spec")
    return JSONResponse(json.loads(task.spec))


@router.post("/hepml/task/{task_id:id}/rescore")
def rescore_task(task_id: int, server: Server, user: PostingUser) -> JSONResponse:
    """Evaluate all runs of a task again; for administrators."""
    if user.role != "administrator":
        raise Refused(106)
    with server.database.write() as session:
        if session.get(Task, task_id) is None:
            return _missing(f"there is no task {task_id}")
        waiting = rescore(session, task_id)
    server.wake_evaluator()
    return JSONResponse({"task_id": task_id, "waiting": waiting})


@router.get("/hepml/run/{run_id:id}")
def run_report(run_id: int, server: Server, root: Root) -> JSONResponse:
    """Give a run's state, and the server's scores with their uncertainties."""
    with server.database.read() as session:
        run = session.get(Run, run_id)
        if run is None:
            return _missing(f"there is no run {run_id}")
        found: dict[str, Any] = {
            "run_id": run.id,
            "task_id": run.task_id,
            "flow_id": run.flow_id,
            "status": run.state,
            "error": run.error,
            "progress": progress(session, run),
            **report(session, run),
            "details": run.run_details,
            "uploader": user_name(session, run.uploader_id),
            "upload_time": run.uploaded.isoformat(sep=" "),
            "files": {field: download_url(root, file) for field, file in files_of(session, run_id)},
        }
    return JSONResponse(found)


@router.get("/hepml/site.json")
def site_json(server: Server) -> JSONResponse:
    """Give all that the pages show."""
    with server.database.read() as session:
        return JSONResponse(build_site(session, server).to_json())


@router.get("/")
def index() -> RedirectResponse:
    """Lead people to the pages."""
    return RedirectResponse("pages/index.html")


@router.get("/pages/{name}")
def page(name: str, server: Server) -> Response:
    """Render a page."""
    from hepml_tasks.pages.render import media_type, render_page

    with server.database.read() as session:
        site = build_site(session, server)
    text = render_page(site, name)
    if text is None:
        return Response(f"There is no page {name!r}.\n", status_code=404, media_type="text/plain")
    return Response(text, media_type=media_type(name))


def _missing(reason: str) -> JSONResponse:
    return JSONResponse({"error": reason}, status_code=404)
