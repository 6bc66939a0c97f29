"""Runs: upload with all its checks, and deletion."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from io import BytesIO
from pathlib import Path, PurePosixPath
from typing import Any
from xml.etree.ElementTree import Element

from fastapi import APIRouter, Response
from sqlalchemy import delete, select
from sqlalchemy.orm import Session

from hepml_tasks.errors import FormatError, RunError
from hepml_tasks.openml.details import parse_details
from hepml_tasks.server.bundles import check_bundle
from hepml_tasks.server.context import Server, Services, answer, forget, get_file
from hepml_tasks.server.database import Evaluation, Feature, Flow, Run, RunFile, Task, User
from hepml_tasks.server.errors import Refused
from hepml_tasks.server.forms import DeletingUser, Form, PostedForm, PostingUser
from hepml_tasks.server.hidden import count_submission
from hepml_tasks.server.measures import CLUSTERING, REGRESSION, known_measures
from hepml_tasks.server.predictions import check_predictions
from hepml_tasks.server.security import require_owner
from hepml_tasks.server.setups import Given, find_or_add, read_settings, resolve
from hepml_tasks.server.splitting import TestRows, tested_rows
from hepml_tasks.server.storage import Blob
from hepml_tasks.server.tagging import add_tags, remove_tags
from hepml_tasks.server.tasks import leave_studies
from hepml_tasks.server.traces import check_trace
from hepml_tasks.server.xml import (
    INTEGER,
    SYSTEM,
    Field,
    attributes,
    check,
    children,
    node,
    parse,
    text,
    texts,
)

router = APIRouter()

# Production's limits, as its XSD has them; what the server itself knows is ignored.
_FIELDS = {
    "run_id": Field(),
    "uploader": Field(),
    "uploader_name": Field(),
    "task_id": Field(required=True, pattern=INTEGER),
    "task_type": Field(),
    "task_evaluation_measure": Field(),
    "flow_id": Field(required=True, pattern=INTEGER),
    "flow_name": Field(),
    "setup_id": Field(),
    "setup_string": Field(ascii=True, longest=2048, blank=True),
    "error_message": Field(ascii=True, longest=128),
    "run_details": Field(longest=1024, pattern=r"[A-Za-z0-9_\-.,():]+"),
    "parameter_setting": Field(many=True, nested=True),
    "tag": Field(many=True, longest=128, pattern=SYSTEM),
    "input_data": Field(nested=True),
    "output_data": Field(nested=True),
}
_OUTPUT = {"evaluation": Field(many=True, nested=True)}
_EVALUATION = {
    "did": Field(),
    "name": Field(required=True, longest=128, pattern=SYSTEM),
    "flow_id": Field(),
    "flow": Field(longest=1024),
    "label": Field(longest=1024),
    "value": Field(longest=64),
    "stdev": Field(longest=64),
    "array_data": Field(ascii=True),
    "sample_size": Field(longest=64),
}


@dataclass(frozen=True)
class Claim:
    """A measure's value as the uploader gives it, for a fold or (with `None`) for the run."""

    measure: str
    repeat: int | None
    fold: int | None
    sample: int | None
    value: float | None

    def __str__(self) -> str:
        numbers = (n for n in (self.repeat, self.fold, self.sample) if n is not None)
        return f"{self.measure}({', '.join(map(str, numbers))})"

    def to_json(self) -> dict[str, Any]:
        """Give plain values for storing."""
        plain = {
            "measure": self.measure,
            "repeat": self.repeat,
            "fold": self.fold,
            "value": self.value,
        }
        return plain if self.sample is None else {**plain, "sample": self.sample}


@dataclass(frozen=True)
class _Upload:
    """An accepted upload, ready to be stored."""

    description: Element
    flow: Flow
    task: Task
    given: Sequence[Given]
    values: dict[int, str | None]
    claims: Sequence[Claim]
    files: dict[str, tuple[str, Blob]]


@router.post("/run")
def upload(server: Server, form: PostedForm, user: PostingUser) -> Response:
    """Accept a run: everything is checked before anything is stored, its scores come later."""
    return answer(node("upload_run", node("run_id", accept_run(server, form, user, beyond=False))))


def accept_run(server: Services, form: Form, user: User, *, beyond: bool) -> int:
    """Check a run, store it, and give its id.

    Parameters
    ----------
    server : Services
    form : Form
    user : User
    beyond : bool
        Whether its task is one that OpenML can't carry.

    Raises
    ------
    Refused
        With the first fault; nothing is stored then.
    """
    try:
        description = parse(form.document("description", 201), "run")
        check(description, _FIELDS)
        given = read_settings(description)
        claims = _read_claims(description)
    except FormatError as error:
        raise Refused(202, str(error)) from error
    with server.database.read() as session:
        accepted = _accept(session, server, form, description, given, claims, beyond=beyond)
    with server.database.write() as session:
        run_id = _insert(session, accepted, user)
    server.wake_evaluator()
    return run_id


def _read_claims(description: Element) -> list[Claim]:
    claims = []
    for output in children(description, "output_data"):
        check(output, _OUTPUT)
        for evaluation in children(output, "evaluation"):
            check(evaluation, _EVALUATION)
            where = attributes(evaluation)
            if set(where) - {"repeat", "fold", "sample", "interval_start", "interval_end"}:
                raise FormatError(f"attributes {sorted(where)} of 'evaluation' are not expected")
            claims.append(
                Claim(
                    measure=(text(evaluation, "name") or "").strip(),
                    repeat=_index(where, "repeat"),
                    fold=_index(where, "fold"),
                    sample=_index(where, "sample"),
                    value=_value(text(evaluation, "value")),
                )
            )
    return claims


def _index(where: dict[str, str], name: str) -> int | None:
    if name not in where:
        return None
    if not where[name].isdecimal() or len(where[name]) > 9:
        raise FormatError(f"attribute {name!r} of 'evaluation' is {where[name][:20]!r}")
    return int(where[name])


def _value(value: str | None) -> float | None:
    try:
        number = float(value) if value else math.nan
    except ValueError as error:
        raise FormatError(f"element 'value' is {value!r}, not a number") from error
    return number if math.isfinite(number) else None


def _accept(
    session: Session,
    server: Services,
    form: Form,
    description: Element,
    given: Sequence[Given],
    claims: Sequence[Claim],
    *,
    beyond: bool,
) -> _Upload:
    flow = session.get(Flow, int(text(description, "flow_id") or 0))
    if flow is None:
        raise Refused(205)
    _check_names(form)
    values = resolve(session, flow, given, 213)
    task = session.get(Task, int(text(description, "task_id") or 0))
    if task is None:
        raise Refused(204)
    if task.type_id == CLUSTERING:
        raise Refused(210, "clustering is not scored here, so that its runs are not taken")
    if (task.truth_id is not None) != beyond:
        route = "/hepml/run" if task.truth_id is not None else "/api/v1/xml/run"
        raise Refused(204, f"runs of task {task.id} are sent to {route}")
    splits = server.files.path(get_file(session, task.splits_id))
    tested = tested_rows(splits)
    _check_claims(claims, tested)
    if tested.samples == 1:
        claims = [replace(claim, sample=None) for claim in claims]
    files = {
        name: (file.filename or name, server.files.add(file.file, _suffix(file.filename)))
        for name, file in form.files.items()
    }
    if "description" not in files:
        document = BytesIO(form.fields["description"].encode())
        files["description"] = ("description.xml", server.files.add(document, ".xml"))
    if "predictions" not in files and not text(description, "error_message"):
        raise Refused(206, "a run without an error_message needs a predictions file")
    if beyond and "predictions" in files:
        try:
            check_bundle(files["predictions"][1].path, splits, json.loads(task.spec or "{}"))
        except (FormatError, RunError) as error:
            raise Refused(209, f"predictions file: {error}") from error
    elif not beyond:
        _check_arff(session, task, splits, {n: blob.path for n, (_, blob) in files.items()})
    return _Upload(description, flow, task, given, values, claims, files)


def _check_arff(session: Session, task: Task, splits: Path, files: Mapping[str, Path]) -> None:
    labels = session.scalar(
        select(Feature.values).where(
            Feature.dataset_id == task.dataset_id, Feature.name == task.target
        )
    )
    for name in ("predictions", "trace"):
        if name not in files:
            continue
        try:
            if name == "trace":
                check_trace(files[name])
            else:
                classes = None if task.type_id == REGRESSION else labels
                check_predictions(files[name], splits, classes)
        except FormatError as error:
            raise Refused(209, f"Arff error in {name} file: {error}") from error


def _suffix(filename: str | None) -> str:
    return PurePosixPath(filename or "").suffix


def _check_names(form: Form) -> None:
    for name, file in form.files.items():
        if not _suffix(file.filename) or not name.isprintable() or len(name) > 64:
            raise Refused(
                206, f'Invalid extension for file "{name}". Original filename: {file.filename}'
            )


def _check_claims(claims: Sequence[Claim], tested: TestRows) -> None:
    unknown = dict.fromkeys(c.measure for c in claims if c.measure not in known_measures())
    if unknown:
        raise Refused(217, f"Measure(s): {', '.join(unknown)}")
    illegal = [claim for claim in claims if not _is_legal(claim, tested)]
    if illegal:
        raise Refused(216, f"Measure(s): {', '.join(map(str, illegal[:100]))}")


def _is_legal(claim: Claim, tested: TestRows) -> bool:
    if claim.repeat is None and claim.fold is None:
        return claim.sample is None
    if claim.repeat is None or claim.fold is None:
        return False
    known = (claim.repeat, claim.fold) in tested.cells
    return known and (claim.sample is None or claim.sample < tested.samples)


def _insert(session: Session, upload: _Upload, user: User) -> int:
    # Between the checks and now the task or the flow may have been deleted.
    for table, row, code in ((Flow, upload.flow, 205), (Task, upload.task, 204)):
        if session.get(table, row.id) is None:
            raise Refused(code)
    if (known := _sent_before(session, upload, user)) is not None:
        return known
    count_submission(session, upload.task.id, user.id)
    description = upload.description
    has_predictions = "predictions" in upload.files
    run = Run(
        task_id=upload.task.id,
        flow_id=upload.flow.id,
        setup_id=find_or_add(session, upload.flow.id, upload.values),
        uploader_id=user.id,
        setup_string=text(description, "setup_string"),
        run_details=text(description, "run_details"),
        error_message=text(description, "error_message"),
        settings=[setting.to_json() for setting in upload.given],
        claims=[claim.to_json() for claim in upload.claims],
        state="pending" if has_predictions else "failed",
        error=None if has_predictions else "the run was uploaded without predictions",
    )
    session.add(run)
    session.flush()
    for field, (name, blob) in upload.files.items():
        file = blob.record(_plain(name))
        session.add(file)
        session.flush()
        session.add(RunFile(run_id=run.id, field=field, file_id=file.id))
    add_tags(session, "run", run.id, user.id, texts(description, "tag"))
    return run.id


def _sent_before(session: Session, upload: _Upload, user: User) -> int | None:
    """Give the run that has the same UUID in its details: an answer was lost, and it came again.

    Who sends it again can't know whether the server is still busy with the first one.
    """
    uuid = parse_details(text(upload.description, "run_details")).get("uuid")
    if not uuid:
        return None
    return session.scalar(
        select(Run.id).where(
            Run.task_id == upload.task.id,
            Run.uploader_id == user.id,
            Run.run_details.startswith(f"uuid:{uuid},", autoescape=True),
        )
    )


def _plain(name: str) -> str:
    """Keep of a file's name what can stand in an address; it never becomes a path on disk."""
    last = name.replace("\\", "/").rsplit("/", 1)[-1]
    kept = "".join(c if c.isascii() and (c.isalnum() or c in "._-") else "_" for c in last)
    return kept[-100:].lstrip(".") or "file"


@router.delete("/run/{run_id:id}")
def delete_run(run_id: int, server: Server, user: DeletingUser) -> Response:
    """Delete a run with its files and evaluations; studies lose it."""
    with server.database.write() as session:
        run = session.get(Run, run_id)
        if run is None:
            raise Refused(392)
        require_owner(user, run.uploader_id, 393)
        files = session.scalars(select(RunFile.file_id).where(RunFile.run_id == run_id)).all()
        session.execute(delete(RunFile).where(RunFile.run_id == run_id))
        session.execute(delete(Evaluation).where(Evaluation.run_id == run_id))
        leave_studies(session, "run", run_id)
        remove_tags(session, "run", run_id)
        forget(session, run, files)
    return answer(node("run_delete", node("id", run_id)))
