"""Tasks that OpenML can't carry, and their runs: routes of our own beside OpenML's.

They are tasks and runs as any others, with ids of the same row, in the same suites and on the same
pages. OpenML's own routes don't tell of them: its client can't read a type that it doesn't know.
"""

from __future__ import annotations

import hashlib
import json
from typing import Any

from fastapi import APIRouter
from fastapi.responses import JSONResponse

from hepml_tasks.errors import FormatError
from hepml_tasks.server.bundles import check_truth
from hepml_tasks.server.context import Server, Services
from hepml_tasks.server.database import Dataset, Task
from hepml_tasks.server.errors import Refused
from hepml_tasks.server.forms import Form, PostedForm, PostingUser
from hepml_tasks.server.runs import accept_run
from hepml_tasks.server.splitting import read_splits, shape
from hepml_tasks.server.storage import Blob
from hepml_tasks.server.tasks import read_spec, refuse_duplicate
from hepml_tasks.spec import EvaluationSpec, from_mapping

router = APIRouter()

NO_TYPE = 0
"""Stands for OpenML's number of a type that OpenML doesn't have, and of a procedure."""


@router.post("/hepml/task")
def create_task(server: Server, form: PostedForm, user: PostingUser) -> JSONResponse:
    """Create a task from its evaluation, its splits and the table of what is true of its rows."""
    data = read_spec(form)
    if data is None:
        raise Refused(615, "a task needs its spec")
    spec = from_mapping(data, EvaluationSpec, origin="spec")
    if spec.kind.openml is not None:
        raise Refused(615, f"a task of type {spec.type} is created at /api/v1/xml/task")
    dataset_id = _dataset_id(form)
    splits, truth = (_parquet(server, form, name) for name in ("splits", "truth"))
    try:
        rows, content = check_truth(truth.path, splits.path, spec)
    except FormatError as error:
        raise Refused(615, str(error)) from error
    repeats, folds = shape(read_splits(splits.path))
    text = json.dumps(data, sort_keys=True)
    identity = hashlib.sha256(
        json.dumps([NO_TYPE, dataset_id, text, *content]).encode()
    ).hexdigest()
    with server.database.write() as session:
        dataset = session.get(Dataset, dataset_id)
        if dataset is None:
            raise Refused(622, "there is no such dataset")
        if dataset.status != "active":
            raise Refused(623, "its dataset is not active")
        refuse_duplicate(session, identity)
        files = [splits.record("splits.parquet"), truth.record("truth.parquet")]
        session.add_all(files)
        session.flush()
        task = Task(
            type_id=NO_TYPE,
            dataset_id=dataset_id,
            procedure_id=NO_TYPE,
            measure=spec.primary,
            target=spec.target,
            repeats=repeats,
            folds=folds,
            splits_id=files[0].id,
            truth_id=files[1].id,
            rows=rows,
            spec=text,
            identity=identity,
            creator_id=user.id,
        )
        session.add(task)
        session.flush()
        task_id = task.id
    return JSONResponse({"task_id": task_id})


@router.post("/hepml/run")
def upload_run(server: Server, form: PostedForm, user: PostingUser) -> JSONResponse:
    """Accept a run as OpenML's route does, with predictions in Parquet; once for a UUID."""
    return JSONResponse({"run_id": accept_run(server, form, user, beyond=True)})


def _dataset_id(form: Form) -> int:
    value: Any = form.fields.get("dataset_id", "")
    if "dataset_id" in form.files:
        value = form.document("dataset_id", 621).decode("ascii", "replace").strip()
    if not (value.isdecimal() and value.isascii() and len(value) < 10):
        raise Refused(621, "dataset_id should be an integer")
    return int(value)


def _parquet(server: Services, form: Form, name: str) -> Blob:
    upload = form.files.get(name)
    if upload is None:
        raise Refused(615, f"a task needs {name}, a Parquet file")
    return server.files.add(upload.file, ".parquet")
