"""Register a dataset, a task on it, and a suite: each found if it is there, else made."""

from __future__ import annotations

import hashlib
import io
import json
import re
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import xmltodict

from hepml_tasks.errors import ServerError
from hepml_tasks.formats.arff import render_arff
from hepml_tasks.openml.connection import Connection, as_list
from hepml_tasks.running.task import Task
from hepml_tasks.spec import EvaluationSpec, KFold, SplitSpec, SuiteSpec, to_mapping
from hepml_tasks.splits import write_split_arff

_NAMESPACE = {"@xmlns:oml": "http://openml.org/openml"}
_CLASSIFICATION = "1"
_DUPLICATE_TASK = 614


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
    checksum = hashlib.md5(arff, usedforsecurity=False).hexdigest()
    found = _find_dataset(connection, task.spec.dataset.name, checksum)
    if found is not None:
        return found
    files: dict[str, tuple[str, str | bytes]] = {
        "description": ("description.xml", describe_dataset(task)),
        "dataset": (f"{task.spec.dataset.name}.arff", arff),
    }
    answer = connection.post("data/", files=files)
    return int(answer["oml:upload_data_set"]["oml:id"])


def render_dataset(task: Task) -> bytes:
    """Return a dataset as ARFF: all columns, numbers before text as in its file, ``?`` undefined.

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
        task.events.table,
        text,
        relation=task.spec.dataset.name,
        comment=f"{task.spec.title}. {task.spec.caveat}",
    )
    return text.getvalue().encode("ascii")


def describe_dataset(task: Task) -> str:
    """Return the XML that describes a dataset to OpenML.

    Every column that isn't a feature is ignored there, so that no client trains on a weight, an
    event id or a split.
    """
    spec, dataset, events = task.spec, task.spec.dataset, task.events
    ignored = [
        c for c in events.table.column_names if c not in {*events.features, spec.roles.target}
    ]
    text = [dataset.description, spec.about.physicist, spec.about.ml, spec.caveat]
    if dataset.doi:
        text.append(f"DOI: https://doi.org/{dataset.doi}")
    fields: dict[str, Any] = {
        "oml:name": dataset.name,
        "oml:description": ascii_text("\n\n".join(text)),
        "oml:format": "ARFF",
        "oml:creator": [ascii_text(c) for c in dataset.creators],
        "oml:collection_date": dataset.collection_date,
        "oml:language": "English",
        "oml:licence": dataset.licence,
        "oml:default_target_attribute": spec.roles.target,
        "oml:row_id_attribute": spec.roles.event_id,
        "oml:ignore_attribute": ignored,
        "oml:version_label": re.sub(r"\s", "_", dataset.version),
        "oml:citation": ascii_text(dataset.citation),
        "oml:original_data_url": f"https://doi.org/{dataset.doi}" if dataset.doi else None,
    }
    given = {k: v for k, v in fields.items() if v is not None and v != []}
    return render_xml({"oml:data_set_description": {**_NAMESPACE, **given}})


def _find_dataset(connection: Connection, name: str, md5: str) -> int | None:
    try:
        listed = connection.get(f"data/list/data_name/{name}/limit/100/offset/0")
    except ServerError as error:
        if error.code == 372:
            return None
        raise
    for entry in as_list(listed["oml:data"].get("oml:dataset")):
        found = int(entry["oml:did"])
        described = connection.get(f"data/{found}")["oml:data_set_description"]
        if described.get("oml:md5_checksum") == md5:
            return found
    return None


def register_task(connection: Connection, task: Task, dataset_id: int) -> int:
    """Return the id of a task on a server, made if it isn't there.

    A server of this package gets the exact splits and the evaluation's spec with it. Another gets
    its own estimation procedure of the same kind.

    Parameters
    ----------
    connection : Connection
    task : Task
    dataset_id : int
        From `register_dataset`.
    """
    ours = connection.is_ours()
    measure = task.spec.metrics.primary if ours else "area_under_roc_curve"
    inputs = {
        "source_data": str(dataset_id),
        "estimation_procedure": _procedure(connection, task, ours=ours),
        "evaluation_measures": measure,
        "target_feature": task.spec.roles.target,
    }
    description = {
        **_NAMESPACE,
        "oml:task_type_id": _CLASSIFICATION,
        "oml:input": [{"@name": k, "#text": v} for k, v in inputs.items()],
    }
    files: dict[str, tuple[str, str | bytes]] = {
        "description": ("description.xml", render_xml({"oml:task_inputs": description}))
    }
    if ours:
        spec = json.dumps(to_mapping(task.evaluation_spec()))
        files["spec"] = ("spec.json", spec)
        files["splits"] = ("splits.arff", _render_splits(task))
    try:
        answer = connection.post("task/", files=files)
    except ServerError as error:
        matched = re.search(r"matched id\(s\): \[(\d+)", str(error))
        if error.code == _DUPLICATE_TASK and matched:
            return int(matched[1])
        raise
    return int(answer["oml:upload_task"]["oml:id"])


def find_task_id(connection: Connection, evaluation: EvaluationSpec) -> int | None:
    """Return the id of a task that is registered on a server of this package, or None.

    Parameters
    ----------
    connection : Connection
    evaluation : EvaluationSpec
        With the checksums of data and splits: an equal one is the same task.
    """
    if not connection.is_ours():
        return None
    wanted = to_mapping(evaluation)
    for entry in connection.get_json("tasks")["tasks"]:
        if entry["spec"] == wanted:
            return int(entry["task_id"])
    return None


def _render_splits(task: Task) -> bytes:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "splits.arff"
        write_split_arff(path, task.splits, relation=f"splits of {task.name}")
        return path.read_bytes()


def _procedure(connection: Connection, task: Task, *, ours: bool) -> str:
    """Find the server's estimation procedure that is like the task's split."""
    listed = connection.get("estimationprocedure/list")["oml:estimationprocedures"]
    known = [
        entry
        for entry in as_list(listed["oml:estimationprocedure"])
        if entry["oml:ttid"] == _CLASSIFICATION
    ]
    same = [entry for entry in known if _is_like(entry, task.split)]
    if not same and ours:
        # the splits are sent along: this procedure takes any
        same = [entry for entry in known if entry["oml:type"] == "customholdout"]
    if not same:
        raise ServerError(
            f"{connection.root} has no estimation procedure like the split {task.split.name!r} of"
            f" task {task.spec.name}; choose another split with --split"
        )
    return str(same[0]["oml:id"])


def _is_like(procedure: dict[str, str], split: SplitSpec) -> bool:
    if not isinstance(split, KFold):
        return False
    return (
        procedure["oml:type"] == "crossvalidation"
        and procedure.get("oml:folds") == str(split.folds)
        and procedure.get("oml:repeats") == "1"
        and procedure.get("oml:stratified_sampling") == "true"
    )


def register_suite(connection: Connection, suite: SuiteSpec, task_ids: Sequence[int]) -> int:
    """Return the id of a suite on a server, made if it isn't there, with all of its tasks.

    Parameters
    ----------
    connection : Connection
    suite : SuiteSpec
    task_ids : sequence of int
        From `register_task`.
    """
    try:
        found = connection.get(f"study/{suite.name}")["oml:study"]
    except ServerError as error:
        # 120 for a number and 122 or 593 elsewhere: whatever is said, there is no such suite
        if error.code is None:
            raise
        return _make_suite(connection, suite, task_ids)
    suite_id = int(found["oml:id"])
    there = {int(i) for i in as_list((found.get("oml:tasks") or {}).get("oml:task_id"))}
    missing = [i for i in task_ids if i not in there]
    if missing:
        connection.post(f"study/{suite_id}/attach", {"ids": ",".join(map(str, missing))})
    return suite_id


def _make_suite(connection: Connection, suite: SuiteSpec, task_ids: Sequence[int]) -> int:
    description = {
        **_NAMESPACE,
        "oml:alias": suite.name,
        "oml:main_entity_type": "task",
        "oml:name": ascii_text(suite.title),
        "oml:description": ascii_text(suite.description),
        "oml:tasks": {"oml:task_id": [str(i) for i in task_ids]},
    }
    files = {"description": ("description.xml", render_xml({"oml:study": description}))}
    return int(connection.post("study/", files=files)["oml:study_upload"]["oml:id"])


def render_xml(document: dict[str, Any]) -> str:
    """Return a document as XML without the declaration, which OpenML doesn't take."""
    return str(xmltodict.unparse(document, full_document=False, pretty=True))


def ascii_text(text: str) -> str:
    """Return text as OpenML takes it: ASCII, what has no place there as ``?``."""
    return text.encode("ascii", "replace").decode("ascii")
