"""Tasks: creation with their splits, description, splits file, list, deletion."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NoReturn

from fastapi import APIRouter, Response
from sqlalchemy import exists, select
from sqlalchemy.orm import Session

from hepml_tasks.errors import DataError, FormatError, SpecError
from hepml_tasks.server.context import Server, Services, answer, forget, get_file
from hepml_tasks.server.database import Dataset, Feature, Run, Study, StudyEntry, Task
from hepml_tasks.server.errors import Refused
from hepml_tasks.server.forms import DeletingUser, Form, PostedForm, PostingUser
from hepml_tasks.server.measures import (
    CLASSIFICATION,
    CLUSTERING,
    LEARNING_CURVE,
    PROCEDURES,
    REGRESSION,
    TYPES,
    Procedure,
    known_measures,
)
from hepml_tasks.server.security import require_owner
from hepml_tasks.server.splitting import check_splits, make_splits, read_splits, shape
from hepml_tasks.server.storage import Blob
from hepml_tasks.server.tagging import add_tags, remove_tags
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

_TARGET_TYPE = {CLASSIFICATION: "nominal", LEARNING_CURVE: "nominal", REGRESSION: "numeric"}
_FIELDS = {
    "task_id": Field(),
    "task_type_id": Field(required=True, pattern=INTEGER),
    "input": Field(required=True, many=True),
    "tag": Field(many=True, longest=128, pattern=SYSTEM),
}
_REQUIRED = ("source_data", "estimation_procedure", "target_feature")
_REQUIRED_OF_CLUSTERING = _REQUIRED[:2]
_INPUTS = (*_REQUIRED, "evaluation_measures", "cost_matrix")


@dataclass(frozen=True)
class _Wanted:
    """A task as its description asks for it, checked against what there is."""

    type_id: int
    dataset: Dataset
    procedure: Procedure
    target: str
    measure: str | None
    cost_matrix: str
    spec: str | None
    rows: int

    def identity(self, splits: Blob | None) -> str:
        """Give a checksum of all that makes two tasks one; made splits follow from the rest."""
        parts = [self.type_id, self.dataset.id, self.procedure.id, self.target, self.measure]
        parts += [self.cost_matrix, self.spec, splits.sha256 if splits else None]
        return hashlib.sha256(json.dumps(parts).encode()).hexdigest()


@router.post("/task")
def create(server: Server, form: PostedForm, user: PostingUser) -> Response:
    """Create a task; its splits are those that come with it, or made by its procedure."""
    try:
        description = parse(form.document("description", 611), "task_inputs")
        check(description, _FIELDS)
    except FormatError as error:
        raise Refused(613, str(error)) from error
    inputs: dict[str, str] = {}
    for given in children(description, "input"):
        name = attributes(given).get("name", "")
        if name in inputs:
            raise Refused(617, f"problematic input: [{name}]")
        inputs[name] = (given.text or "").strip()
    spec = read_spec(form)
    if spec is not None and _is_beyond(spec):
        raise Refused(615, f"a task of type {spec['type']} is created at /hepml/task")
    with server.database.read() as session:
        wanted = _check_inputs(session, (text(description, "task_type_id") or ""), inputs, spec)
        dataset_file = get_file(session, wanted.dataset.file_id)
    uploaded = _uploaded_splits(server, form, wanted)
    identity = wanted.identity(uploaded)
    with server.database.read() as session:
        refuse_duplicate(session, identity)
    splits = uploaded or _made_splits(server, wanted, server.files.path(dataset_file))
    repeats, folds = shape(read_splits(splits.path))
    with server.database.write() as session:
        refuse_duplicate(session, identity)
        file = splits.record("splits.arff")
        session.add(file)
        session.flush()
        task = Task(
            type_id=wanted.type_id,
            dataset_id=wanted.dataset.id,
            procedure_id=wanted.procedure.id,
            measure=wanted.measure,
            target=wanted.target,
            repeats=repeats,
            folds=folds,
            splits_id=file.id,
            spec=wanted.spec,
            identity=identity,
            creator_id=user.id,
        )
        session.add(task)
        session.flush()
        add_tags(session, "task", task.id, user.id, texts(description, "tag"))
    return answer(node("upload_task", node("id", task.id)))


def refuse_duplicate(session: Session, identity: str) -> None:
    """Refuse a task that is there already."""
    found = session.scalars(select(Task.id).where(Task.identity == identity)).all()
    if found:
        raise Refused(614, f"matched id(s): [{','.join(map(str, found))}]")


def _unacceptable(name: str, acceptable: list[str]) -> NoReturn:
    raise Refused(622, f"problematic input: [{name}], acceptable inputs: [{', '.join(acceptable)}]")


def _check_inputs(
    session: Session,
    type_text: str,
    inputs: Mapping[str, str],
    spec: Mapping[str, Any] | None,
) -> _Wanted:
    type_id = int(type_text)
    if type_id not in TYPES:
        # To production a type that it doesn't know is one without inputs.
        kinds = ", ".join(f"{key} ({name})" for key, name in TYPES.items())
        raise Refused(616, f"task_type_id {type_id} is not served here; these are: {kinds}")
    illegal = sorted(set(inputs) - set(_INPUTS))
    if illegal:
        raise Refused(616, f"problematic input(s): {', '.join(illegal)}")
    required = _REQUIRED_OF_CLUSTERING if type_id == CLUSTERING else _REQUIRED
    missing = [name for name in required if not inputs.get(name)]
    if missing:
        raise Refused(618, f"problematic input(s): {', '.join(missing)}")
    for name in ("source_data", "estimation_procedure"):
        if not re.fullmatch(r"[0-9]{1,9}", inputs[name]):
            raise Refused(621, f"problematic input: {name}, should be an integer")
    dataset = session.get(Dataset, int(inputs["source_data"]))
    if dataset is None:
        raise Refused(622, "problematic input: [source_data], no such dataset")
    if dataset.status != "active":
        raise Refused(623, "problematic input: source_data, dataset not active.")
    procedure = PROCEDURES.get(int(inputs["estimation_procedure"]))
    if procedure is None or procedure.task_type != type_id:
        _unacceptable(
            "estimation_procedure",
            [str(p.id) for p in PROCEDURES.values() if p.task_type == type_id],
        )
    features = session.scalars(
        select(Feature).where(Feature.dataset_id == dataset.id).order_by(Feature.position)
    ).all()
    target = inputs.get("target_feature", "")
    wanted_type = _TARGET_TYPE.get(type_id)
    targets = [f.name for f in features if wanted_type in {f.type, None}]
    if target not in targets and (target or type_id != CLUSTERING):
        _unacceptable("target_feature", targets)
    if spec is not None:
        _check_spec(spec, features, target)
    measure = inputs.get("evaluation_measures") or None
    if measure is not None and measure not in known_measures():
        _unacceptable("evaluation_measures", sorted(known_measures()))
    return _Wanted(
        type_id,
        dataset,
        procedure,
        target,
        measure,
        inputs.get("cost_matrix", ""),
        None if spec is None else json.dumps(spec, sort_keys=True),
        rows_of(session, dataset.id),
    )


def rows_of(session: Session, dataset_id: int) -> int:
    """Give the number of rows of a dataset."""
    from hepml_tasks.server.database import Quality

    quality = session.get(Quality, (dataset_id, "NumberOfInstances"))
    return int(quality.value) if quality else 0


def read_spec(form: Form) -> dict[str, Any] | None:
    """Read the evaluation that comes with a task, if one does."""
    from hepml_tasks.spec import EvaluationSpec, from_mapping

    if "spec" not in form.files and "spec" not in form.fields:
        return None
    try:
        spec = json.loads(form.document("spec", 615))
        if not isinstance(spec, dict) or "\\u0000" in json.dumps(spec):
            raise Refused(615, "spec must be an object of plain text and numbers")
        from_mapping(spec, EvaluationSpec, origin="spec")
    except (ValueError, RecursionError) as error:
        raise Refused(615, f"spec is not JSON: {type(error).__name__}") from error
    except SpecError as error:
        raise Refused(615, str(error)) from error
    unknown = [name for name in spec["metrics"] if name not in known_measures()]
    if unknown:
        raise Refused(615, f"spec names unknown measure(s): {', '.join(unknown)}")
    return spec


def _is_beyond(spec: Mapping[str, Any]) -> bool:
    from hepml_tasks.spec import EvaluationSpec, from_mapping

    return from_mapping(spec, EvaluationSpec, origin="spec").kind.openml is None


def _check_spec(spec: Mapping[str, Any], features: Sequence[Feature], target: str) -> None:
    """Check that a spec speaks of this dataset."""
    names = {feature.name for feature in features}
    if spec["target"] != target:
        raise Refused(615, f"spec has target {spec['target']!r}, the task {target!r}")
    for role in ("weight", "event_id"):
        if spec.get(role) is not None and spec[role] not in names:
            raise Refused(615, f"spec has {role} {spec[role]!r}, which the dataset doesn't have")
    labels = next(feature.values for feature in features if feature.name == target)
    positive = spec.get("positive")
    if labels and positive is not None and positive not in labels:
        raise Refused(615, f"spec has positive {positive!r}, not one of {labels}")


def _uploaded_splits(server: Services, form: Form, wanted: _Wanted) -> Blob | None:
    upload = form.files.get("splits")
    if upload is None:
        return None
    if wanted.type_id not in {CLASSIFICATION, REGRESSION}:
        raise Refused(615, f"{TYPES[wanted.type_id]} takes no splits of its own")
    blob = server.files.add(upload.file, ".arff")
    try:
        check_splits(read_splits(blob.path), wanted.rows)
    except FormatError as error:
        raise Refused(615, str(error)) from error
    return blob


def _made_splits(server: Services, wanted: _Wanted, dataset: Any) -> Blob:
    from hepml_tasks.splits import write_split_arff

    try:
        splits = make_splits(wanted.procedure, dataset, wanted.target)
    except DataError as error:
        raise Refused(615, str(error)) from error
    with server.files.new_file() as (_, path):
        write_split_arff(path, splits)
        return server.files.add_path(path, ".arff")


@router.delete("/task/{task_id:id}")
def delete_task(task_id: int, server: Server, user: DeletingUser) -> Response:
    """Delete a task that has no runs; suites lose it."""
    with server.database.write() as session:
        task = session.get(Task, task_id)
        if task is None:
            raise Refused(452)
        require_owner(user, task.creator_id, 453)
        files = [task.splits_id, *([] if task.truth_id is None else [task.truth_id])]
        if session.scalar(select(exists().where(Run.task_id == task_id))):
            runs = session.scalars(select(Run.id).where(Run.task_id == task_id).limit(20))
            raise Refused(454, f"task is used in run(s): {', '.join(map(str, runs))}")
        leave_studies(session, "task", task_id)
        remove_tags(session, "task", task_id)
        forget(session, task, files)
    return answer(node("task_delete", node("id", task_id)))


def leave_studies(session: Session, entity: str, entity_id: int) -> None:
    """Take a task or run that is being deleted out of the studies that hold it."""
    studies = select(Study.id).where(Study.entity == entity)
    entries = select(StudyEntry).where(
        StudyEntry.entity_id == entity_id, StudyEntry.study_id.in_(studies)
    )
    for entry in session.scalars(entries):
        session.delete(entry)
