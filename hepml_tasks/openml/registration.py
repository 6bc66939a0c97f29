"""Put a dataset, a task on it, and a suite on a server: each found if it is there, else made."""

from __future__ import annotations

import hashlib
import io
import json
import re
import tempfile
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote

from hepml_tasks.errors import ServerError, SpecError, UnreachableError
from hepml_tasks.formats.arff import render_arff
from hepml_tasks.openml import beyond
from hepml_tasks.openml.connection import Connection, as_list
from hepml_tasks.openml.descriptions import dataset_text, suite_text
from hepml_tasks.openml.details import TAG
from hepml_tasks.openml.documents import NAMESPACE, ascii_text, render_xml
from hepml_tasks.openml.limits import version_label
from hepml_tasks.running.task import Task
from hepml_tasks.spec import (
    KINDS,
    EvaluationSpec,
    HoldOut,
    KFold,
    SplitSpec,
    SuiteSpec,
    TaskType,
    from_mapping,
    to_mapping,
)
from hepml_tasks.splits import write_split_arff

_DUPLICATE_TASK = 614
_NO_DATA = 372
_NO_TASKS = 482
_PAGE = 100
_FALLBACK_MEASURES: dict[TaskType, str] = {
    "binary-classification": "area_under_roc_curve",
    "multiclass-classification": "predictive_accuracy",
    "regression": "root_mean_squared_error",
    "anomaly-detection": "area_under_roc_curve",
}
"""By the types that OpenML carries."""


@dataclass(frozen=True)
class Procedure:
    """A server's estimation procedure for a split.

    Parameters
    ----------
    id, name : str
    exact : bool
        Whether the task's own rows train and are tested.
    """

    id: str
    name: str
    exact: bool


def register_dataset(connection: Connection, task: Task) -> int:
    """Return the id of a task's dataset on a server, uploaded if it isn't there.

    Parameters
    ----------
    connection : Connection
    task : Task

    Returns
    -------
    int

    Raises
    ------
    ServerError
        With the server's reason.
    """
    arff = render_dataset(task)
    found = find_dataset(connection, task, {md5_of(arff)})
    return upload_dataset(connection, task, arff) if found is None else found


def upload_dataset(connection: Connection, task: Task, arff: bytes) -> int:
    """Publish a dataset by its file, and return its id.

    Parameters
    ----------
    connection : Connection
    task : Task
    arff : bytes
        From `render_dataset`.
    """
    files: dict[str, tuple[str, str | bytes]] = {
        "description": ("description.xml", describe_dataset(task)),
        "dataset": (f"{task.spec.dataset.name}.arff", arff),
    }
    return int(connection.post("data/", files=files)["oml:upload_data_set"]["oml:id"])


def link_dataset(connection: Connection, task: Task, url: str) -> int:
    """Publish a dataset by the address of an ARFF in an archive, and return its id."""
    files: dict[str, tuple[str, str | bytes]] = {
        "description": ("description.xml", describe_dataset(task, url=url))
    }
    return int(connection.post("data/", files=files)["oml:upload_data_set"]["oml:id"])


def md5_of(data: bytes) -> str:
    """Return the checksum by which OpenML knows a file."""
    return hashlib.md5(data, usedforsecurity=False).hexdigest()


def render_dataset(task: Task) -> bytes:
    """Return a dataset as ARFF: all columns, numbers before text as in its file, ``?`` undefined.

    Of a task that OpenML can't carry it is the dataset's manifest.

    Parameters
    ----------
    task : Task

    Returns
    -------
    bytes
        ASCII; equal for equal tables, so that its md5 identifies the dataset.
    """
    text = io.StringIO()
    render_arff(
        beyond.dataset_table(task),
        text,
        relation=task.spec.dataset.name,
        comment=f"{task.spec.title}. {task.spec.caveat}",
    )
    return text.getvalue().encode("ascii")


def describe_dataset(task: Task, *, url: str | None = None) -> str:
    """Return the XML that describes a dataset to OpenML.

    Every column that isn't a feature is ignored there, so that no client trains on a weight, an
    event id or a split.

    Parameters
    ----------
    task : Task
    url : str, optional
        The address of the ARFF, where no file is sent.
    """
    spec, dataset, events = task.spec, task.spec.dataset, task.events
    carried = spec.kind.openml is not None
    ignored = [
        c for c in events.table.column_names if c not in {*events.features, spec.roles.target}
    ]
    # in the order of production's schema
    fields: dict[str, Any] = {
        "oml:name": dataset.name,
        "oml:description": dataset_text(spec),
        "oml:format": "ARFF",
        "oml:creator": [ascii_text(c) for c in dataset.creators],
        "oml:collection_date": dataset.collection_date,
        "oml:language": "English",
        "oml:licence": ascii_text(dataset.licence),
        "oml:url": url,
        "oml:default_target_attribute": spec.roles.target if carried else None,
        "oml:row_id_attribute": spec.roles.event_id if carried else None,
        "oml:ignore_attribute": ignored if carried else None,
        "oml:version_label": version_label(spec),
        "oml:citation": ascii_text(dataset.citation),
        "oml:tag": [TAG, content_tag(task)],
        "oml:original_data_url": f"https://doi.org/{dataset.doi}" if dataset.doi else None,
    }
    given = {k: v for k, v in fields.items() if v is not None and v != []}
    return render_xml({"oml:data_set_description": {**NAMESPACE, **given}})


def content_tag(task: Task) -> str:
    """Return the tag that names a dataset's content, whatever file it is written in."""
    return f"hepml_table_{task.events.sha256[:16]}"


def find_dataset(connection: Connection, task: Task, checksums: Collection[str]) -> int | None:
    """Return the id of a dataset of the same name, version and content, or None.

    Parameters
    ----------
    connection : Connection
    task : Task
    checksums : collection of str
        The md5 of the files that hold the table. Another file with the tag of the table's content
        is the same dataset too.
    """
    dataset = task.spec.dataset
    for described in datasets_named(connection, dataset.name):
        same = described.get("oml:md5_checksum") in checksums or content_tag(task) in as_list(
            described.get("oml:tag")
        )
        if same and described.get("oml:version_label") == version_label(task.spec):
            return int(described["oml:id"])
    return None


def datasets_named(connection: Connection, name: str) -> Iterator[dict[str, Any]]:
    """Give the descriptions of all datasets of a name, those in preparation included."""
    offset = 0
    while True:
        path = f"data/list/data_name/{quote(name, safe='')}/status/all"
        try:
            listed = connection.get(f"{path}/limit/{_PAGE}/offset/{offset}")
        except ServerError as error:
            if error.code == _NO_DATA:
                return
            raise
        entries = as_list(listed["oml:data"].get("oml:dataset"))
        for entry in entries:
            if entry.get("oml:status") != "deactivated":
                yield read_dataset(connection, int(entry["oml:did"]))
        if len(entries) < _PAGE:
            return
        offset += _PAGE


def read_dataset(connection: Connection, dataset_id: int) -> dict[str, Any]:
    """Return a dataset's description."""
    described: dict[str, Any] = connection.get(f"data/{dataset_id}")["oml:data_set_description"]
    return described


def register_task(connection: Connection, task: Task, dataset_id: int) -> int:
    """Return the id of a task on a server, made if it isn't there.

    A server of this package gets the exact splits and the evaluation's spec with it. Another gets
    its own estimation procedure that is nearest to the split.

    Parameters
    ----------
    connection : Connection
    task : Task
    dataset_id : int
        From `register_dataset`.
    """
    procedure, measure = choose_procedure(connection, task), choose_measure(connection, task)
    found = find_task(connection, task, dataset_id, procedure, measure)
    if found is not None:
        return found
    return create_task(connection, task, dataset_id, procedure, measure)


def create_task(
    connection: Connection, task: Task, dataset_id: int, procedure: Procedure, measure: str
) -> int:
    """Create a task, and return its id: also where the server made it and answers with an error."""
    if task.spec.kind.openml is None:
        return beyond.create_task(connection, task, dataset_id)
    inputs = {
        "source_data": str(dataset_id),
        "estimation_procedure": procedure.id,
        "evaluation_measures": measure,
        "target_feature": task.spec.roles.target,
    }
    description = {
        **NAMESPACE,
        "oml:task_type_id": task.spec.kind.openml,
        "oml:input": [{"@name": k, "#text": v} for k, v in inputs.items()],
    }
    files: dict[str, tuple[str, str | bytes]] = {
        "description": ("description.xml", render_xml({"oml:task_inputs": description}))
    }
    if connection.is_ours():
        spec = json.dumps(to_mapping(task.evaluation_spec()))
        files["spec"] = ("spec.json", spec)
        files["splits"] = ("splits.arff", _render_splits(task))
    try:
        answer = connection.post("task/", files=files)
    except UnreachableError:
        raise
    except ServerError as error:
        matched = re.search(r"matched id\(s\): \[(\d+)", str(error))
        if error.code == _DUPLICATE_TASK and matched:
            return int(matched[1])
        # production says 105 after it has made the task: look before anything is sent again
        try:
            made = find_task(connection, task, dataset_id, procedure, measure)
        except ServerError:
            made = None  # the first error is the one to hear of
        if made is None:
            raise
        return made
    return int(answer["oml:upload_task"]["oml:id"])


def find_task(
    connection: Connection, task: Task, dataset_id: int, procedure: Procedure, measure: str
) -> int | None:
    """Return the id of the same task on a dataset, or None."""
    if connection.is_ours():
        wanted = task.evaluation_spec()
        for entry in connection.get_json("tasks")["tasks"]:
            if entry["dataset_id"] == dataset_id and _is_spec(entry["spec"], wanted):
                return int(entry["task_id"])
        return None
    same = {
        "source_data": str(dataset_id),
        "estimation_procedure": procedure.id,
        "evaluation_measures": measure,
        "target_feature": task.spec.roles.target,
    }
    for found in _tasks_on(connection, f"data_id/{dataset_id}"):
        if inputs_of(connection, found) == same:
            return found
    return None


def tasks_tagged(connection: Connection, tag: str) -> list[int]:
    """Return the ids of the tasks with a tag, those on datasets in preparation included."""
    return _tasks_on(connection, f"tag/{quote(tag, safe='')}/status/all")


def _tasks_on(connection: Connection, path: str) -> list[int]:
    found: list[int] = []
    while True:
        try:
            listed = connection.get(f"task/list/{path}/limit/{_PAGE}/offset/{len(found)}")
        except ServerError as error:
            if error.code == _NO_TASKS:
                return found
            raise
        entries = as_list(listed["oml:tasks"].get("oml:task"))
        found += [int(entry["oml:task_id"]) for entry in entries]
        if len(entries) < _PAGE:
            return found


def inputs_of(connection: Connection, task_id: int) -> dict[str, str]:
    """Return what makes a task: dataset, procedure, measure and target, each as text."""
    task = connection.get(f"task/{task_id}")["oml:task"]
    given = {i["@name"]: i for i in as_list(task["oml:input"])}
    data = given["source_data"]["oml:data_set"]
    measures = (given.get("evaluation_measures") or {}).get("oml:evaluation_measures") or {}
    return {
        "source_data": str(data["oml:data_set_id"]),
        "estimation_procedure": str(
            given["estimation_procedure"]["oml:estimation_procedure"]["oml:id"]
        ),
        "evaluation_measures": str(measures.get("oml:evaluation_measure") or ""),
        "target_feature": str(data["oml:target_feature"]),
    }


def find_task_id(connection: Connection, evaluation: EvaluationSpec) -> int | None:
    """Return the id of a task that is registered on a server of this package, or None.

    Parameters
    ----------
    connection : Connection
    evaluation : EvaluationSpec
        With the checksums of data and splits: an equal one is the same task. Where a version of
        the dataset has the data of the one before, the newer task is meant.
    """
    if not connection.is_ours():
        return None
    known = connection.get_json("tasks")["tasks"]
    return max((int(t["task_id"]) for t in known if _is_spec(t["spec"], evaluation)), default=None)


def _is_spec(told: Any, wanted: EvaluationSpec) -> bool:
    """Whether a server's spec of a task is the wanted one; an older one lacks newer fields."""
    try:
        return from_mapping(told, EvaluationSpec, origin="spec") == wanted
    except SpecError:
        # of a type that this version doesn't know
        return False


def _render_splits(task: Task) -> bytes:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "splits.arff"
        write_split_arff(path, task.splits, relation=f"splits of {task.name}")
        return path.read_bytes()


def known_measures(connection: Connection) -> set[str]:
    """Return the measures that a server takes: a run with any other is refused as a whole."""
    listed = connection.get("evaluationmeasure/list")["oml:evaluation_measures"]
    return {str(m) for m in as_list((listed.get("oml:measures") or {}).get("oml:measure"))}


def choose_measure(connection: Connection, task: Task) -> str:
    """Return the task's figure of merit where the server knows it, else one that it does know."""
    spec = task.spec
    if spec.kind.openml is None:
        return spec.metrics.primary
    known = known_measures(connection)
    return spec.metrics.primary if spec.metrics.primary in known else _FALLBACK_MEASURES[spec.type]


def choose_procedure(connection: Connection, task: Task) -> Procedure:
    """Return the server's estimation procedure for a task's split.

    A server of this package takes the split's own rows. Another makes rows of its own: by the
    same number of folds where it can, else by ten, and a share of 33 % for a hold-out.

    Raises
    ------
    ServerError
        If it has none that is like it, or OpenML can't carry the task.
    """
    if reason := beyond.refusal(connection, task):
        raise ServerError(reason)
    if task.spec.kind.openml is None:
        return Procedure("", "", exact=True)
    listed = connection.get("estimationprocedure/list")["oml:estimationprocedures"]
    known = [
        entry
        for entry in as_list(listed["oml:estimationprocedure"])
        if entry["oml:ttid"] == task.spec.kind.openml
    ]
    ours = connection.is_ours()
    same = [entry for entry in known if _is_like(entry, task.split)]
    if not same:
        # a server of ours takes any rows that are sent along
        same = [entry for entry in known if (_is_custom if ours else _is_near)(entry, task.split)]
    if not same:
        raise ServerError(
            f"{connection.root} has no estimation procedure like the split {task.split.name!r} of"
            f" task {task.spec.name}; choose another split"
        )
    # production calls two procedures of 33 % by different names: the one that is what it says
    same.sort(key=lambda entry: not entry["oml:name"].startswith("33%"))
    return Procedure(str(same[0]["oml:id"]), str(same[0]["oml:name"]), exact=ours)


def _is_like(procedure: dict[str, str], split: SplitSpec) -> bool:
    if not isinstance(split, KFold):
        return False
    return _is_folds(procedure, split.folds)


def _is_custom(procedure: dict[str, str], _split: SplitSpec) -> bool:
    return procedure["oml:type"] == "customholdout"


def _is_near(procedure: dict[str, str], split: SplitSpec) -> bool:
    if isinstance(split, KFold):
        return _is_folds(procedure, 10)
    if isinstance(split, HoldOut) and round(100 * split.fraction) not in range(20, 51):
        return False
    return procedure["oml:type"] == "holdout" and procedure.get("oml:percentage") == "33"


def _is_folds(procedure: dict[str, str], folds: int) -> bool:
    stratified = "false" if procedure["oml:ttid"] == KINDS["regression"].openml else "true"
    return (
        procedure["oml:type"] == "crossvalidation"
        and procedure.get("oml:folds") == str(folds)
        and procedure.get("oml:repeats") == "1"
        and procedure.get("oml:stratified_sampling") == stratified
    )


def register_suite(
    connection: Connection,
    suite: SuiteSpec,
    task_ids: Sequence[int],
    *,
    description: str | None = None,
) -> int:
    """Return the id of a suite on a server, made if it isn't there, with all of its tasks.

    Parameters
    ----------
    connection : Connection
    suite : SuiteSpec
    task_ids : sequence of int
        From `register_task`.
    description : str, optional
        From `hepml_tasks.openml.descriptions.suite_text`.
    """
    found = find_study(connection, suite.name)
    if found is None:
        return make_suite(connection, suite, task_ids, description=description)
    missing = [i for i in task_ids if i not in found.members]
    if missing:
        connection.post(f"study/{found.id}/attach", {"ids": ",".join(map(str, missing))})
    return found.id


@dataclass(frozen=True)
class Study:
    """A study of runs, or a suite of tasks, as a server has it.

    Parameters
    ----------
    id : int
    status : str
        Only one in preparation can be changed.
    members : tuple of int
        Ids of its tasks, or of its runs.
    """

    id: int
    status: str
    members: tuple[int, ...]


def find_study(connection: Connection, alias: str, *, of: str = "task") -> Study | None:
    """Return the study or suite of a name, or None."""
    if connection.is_ours():
        # its OpenML answer leaves out what OpenML can't carry
        own = connection.get_json(f"studies/{quote(alias, safe='')}")
        if not own["studies"]:
            return None
        (told,) = own["studies"]
        return Study(int(told["id"]), str(told["status"]), tuple(told[f"{of}s"]))
    try:
        found = connection.get(f"study/{quote(alias, safe='')}")["oml:study"]
    except ServerError as error:
        # 120 for a number and 122 or 593 elsewhere: whatever is said, there is no such suite
        if error.code is None:
            raise
        return None
    members = as_list((found.get(f"oml:{of}s") or {}).get(f"oml:{of}_id"))
    status = str(found.get("oml:status") or "in_preparation")
    return Study(int(found["oml:id"]), status, tuple(int(i) for i in members))


def make_suite(
    connection: Connection,
    suite: SuiteSpec,
    task_ids: Sequence[int],
    *,
    description: str | None = None,
) -> int:
    """Publish a suite, and return its id."""
    document = {
        **NAMESPACE,
        "oml:alias": suite.name,
        "oml:main_entity_type": "task",
        "oml:name": ascii_text(suite.title),
        "oml:description": description or suite_text(suite, []),
        "oml:tasks": {"oml:task_id": [str(i) for i in task_ids]},
    }
    files = {"description": ("description.xml", render_xml({"oml:study": document}))}
    return int(connection.post("study/", files=files)["oml:study_upload"]["oml:id"])


def make_study(
    connection: Connection, suite: SuiteSpec, alias: str, suite_id: int, run_ids: Sequence[int]
) -> int:
    """Publish a study of the runs on a suite, and return its id."""
    document = {
        **NAMESPACE,
        "oml:alias": alias,
        "oml:main_entity_type": "run",
        "oml:benchmark_suite": str(suite_id),
        "oml:name": ascii_text(f"Runs on {suite.title}")[:256],
        "oml:description": suite_text(suite, []),
        "oml:runs": {"oml:run_id": [str(i) for i in run_ids]},
    }
    files = {"description": ("description.xml", render_xml({"oml:study": document}))}
    return int(connection.post("study/", files=files)["oml:study_upload"]["oml:id"])
