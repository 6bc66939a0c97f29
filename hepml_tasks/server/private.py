"""Tasks with withheld labels: making them, handing them out, revealing their private scores."""

from __future__ import annotations

import hashlib
import json
import secrets
from typing import Any

from fastapi import APIRouter
from fastapi.responses import JSONResponse
from sqlalchemy import select
from sqlalchemy.orm import Session

from hepml_tasks.errors import DataError, HepmlError
from hepml_tasks.openml.registration import describe_dataset
from hepml_tasks.running.task import Task as RunnableTask
from hepml_tasks.running.task import with_table
from hepml_tasks.server.context import Root, Server, Services, download_url, get_file
from hepml_tasks.server.database import Dataset, PrivateTask, Task, User, now
from hepml_tasks.server.datasets import examine, insert_dataset
from hepml_tasks.server.errors import Refused
from hepml_tasks.server.forms import Form, PostedForm, PostingUser
from hepml_tasks.server.hidden import reveal_scores
from hepml_tasks.server.measures import PROCEDURES, known_measures
from hepml_tasks.server.secrets import keep_secrets
from hepml_tasks.server.security import require_owner
from hepml_tasks.server.storage import Blob
from hepml_tasks.server.withholding import SEED_BITS, Withheld, public_spec, withhold
from hepml_tasks.server.xml import parse
from hepml_tasks.spec import FileSpec, TaskSpec, from_mapping, to_mapping

router = APIRouter()


@router.get("/hepml/private")
def list_private(server: Server) -> JSONResponse:
    """List the tasks whose test labels are withheld."""
    with server.database.read() as session:
        rows = session.scalars(select(PrivateTask).order_by(PrivateTask.task_id)).all()
    return JSONResponse({"tasks": [_told(row) for row in rows]})


@router.get("/hepml/private/{task_id:id}")
def show_private(task_id: int, server: Server, root: Root) -> JSONResponse:
    """Give a task with withheld labels as a task file that can be run."""
    with server.database.read() as session:
        row = session.get(PrivateTask, task_id)
        if row is None:
            return _missing(task_id)
        dataset = session.get_one(Dataset, session.get_one(Task, task_id).dataset_id)
        address = download_url(root, get_file(session, dataset.file_id), dataset=True)
    spec = json.loads(row.spec)
    spec["dataset"]["files"][0]["urls"] = [address]
    return JSONResponse({**_told(row), "spec": spec})


@router.post("/hepml/private")
def create_private(server: Server, form: PostedForm, user: PostingUser) -> JSONResponse:
    """Make a task from a simulator, with a seed that stays here; for administrators."""
    if user.role != "administrator":
        raise Refused(106)
    spec = _read_spec(form)
    with server.database.read() as session:
        _refuse_second(session, spec.name)
    seed = secrets.randbits(SEED_BITS)
    try:
        withheld = withhold(spec, seed)
    except HepmlError as error:
        raise Refused(615, str(error)) from error
    served = _store_served(server, spec, withheld)
    file = FileSpec(name=f"{spec.name}.arff", checksum=f"md5:{served.md5}", size=served.size)
    task = with_table(public_spec(spec, withheld, file), _read(served))
    splits = _store_splits(server, task)
    folder = keep_secrets(server, seed, withheld.kept)
    with server.database.write() as session:
        _refuse_second(session, spec.name)
        task_id = _insert(session, user, task, served, splits)
        given = spec.private and spec.private.per_day
        row = PrivateTask(
            task_id=task_id,
            name=spec.name,
            folder=folder,
            spec=json.dumps(to_mapping(task.spec), sort_keys=True),
            per_day=given or server.settings.submissions_per_day,
            digits=spec.private.digits if spec.private else 0,
        )
        session.add(row)
        session.flush()
        told = _told(row)
    return JSONResponse(told)


@router.post("/hepml/private/{task_id:id}/reveal")
def reveal(task_id: int, server: Server, user: PostingUser) -> JSONResponse:
    """Tell the private scores of a task's runs from now on; for its owner."""
    with server.database.write() as session:
        row = session.get(PrivateTask, task_id)
        if row is None:
            return _missing(task_id)
        require_owner(user, session.get_one(Task, task_id).creator_id, 453)
        row.revealed = row.revealed or now()
        runs = reveal_scores(session, task_id)
        told = _told(row)
    return JSONResponse({**told, "runs": runs})


def _told(row: PrivateTask) -> dict[str, Any]:
    return {
        "task_id": row.task_id,
        "name": row.name,
        "per_day": row.per_day,
        "revealed": None if row.revealed is None else row.revealed.isoformat(sep=" "),
    }


def _missing(task_id: int) -> JSONResponse:
    return JSONResponse(
        {"error": f"there is no task {task_id} with withheld labels"}, status_code=404
    )


def _read_spec(form: Form) -> TaskSpec:
    try:
        data = json.loads(form.document("spec", 615))
        if not isinstance(data, dict) or "\\u0000" in json.dumps(data):
            raise Refused(615, "spec must be an object of plain text and numbers")
        spec = from_mapping(data, TaskSpec, origin="spec")
    except (ValueError, RecursionError) as error:
        raise Refused(615, f"spec is not JSON: {type(error).__name__}") from error
    except Refused:
        raise
    except HepmlError as error:
        raise Refused(615, str(error)) from error
    unknown = [name for name in spec.metrics.names if name not in known_measures()]
    if unknown:
        raise Refused(615, f"spec names unknown measure(s): {', '.join(unknown)}")
    return spec


def _refuse_second(session: Session, name: str) -> None:
    found = session.scalar(select(PrivateTask.task_id).where(PrivateTask.name == name))
    if found is not None:
        raise Refused(614, f"matched id(s): [{found}]; choose another name than {name!r}")


def _store_served(server: Services, spec: TaskSpec, withheld: Withheld) -> Blob:
    from hepml_tasks.formats.arff import write_arff

    with server.files.new_file() as (_, path):
        try:
            write_arff(
                withheld.served,
                path,
                relation=spec.dataset.name,
                comment=f"{spec.title}. {spec.caveat}",
            )
        except DataError as error:
            raise Refused(615, str(error)) from error
        return server.files.add_path(path, ".arff")


def _read(served: Blob) -> Any:
    """Read the served events as a client does, so that both give them the same checksum."""
    from hepml_tasks.formats.tables import read_table

    return read_table(served.path)


def _store_splits(server: Services, task: RunnableTask) -> Blob:
    from hepml_tasks.splits import write_split_arff

    with server.files.new_file() as (_, path):
        write_split_arff(path, task.splits, relation=f"splits of {task.name}")
        return server.files.add_path(path, ".arff")


def _insert(session: Session, user: User, task: RunnableTask, served: Blob, splits: Blob) -> int:
    description = parse(describe_dataset(task).encode(), "data_set_description")
    contents, roles = examine(description, served.path)
    dataset_id = insert_dataset(session, description, user, served, contents, roles)
    file = splits.record("splits.arff")
    session.add(file)
    session.flush()
    evaluation = json.dumps(to_mapping(task.evaluation_spec()), sort_keys=True)
    procedure = next(
        p.id for p in PROCEDURES.values() if p.kind == "customholdout" and p.task_type == 1
    )
    row = Task(
        type_id=1,
        dataset_id=dataset_id,
        procedure_id=procedure,
        measure=task.spec.metrics.primary,
        target=task.spec.roles.target,
        repeats=1,
        folds=1,
        splits_id=file.id,
        spec=evaluation,
        identity=hashlib.sha256(f"private {dataset_id} {evaluation}".encode()).hexdigest(),
        creator_id=user.id,
    )
    session.add(row)
    session.flush()
    return row.id
