"""Versions of a dataset: the old ones stay, and point to the newest."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from hepml_tasks.openml.connection import Connection, as_list
from hepml_tasks.openml.descriptions import Successor, superseded_text
from hepml_tasks.openml.details import lineage_tag
from hepml_tasks.openml.documents import NAMESPACE, render_xml
from hepml_tasks.openml.limits import DATASET, version_label
from hepml_tasks.openml.registration import (
    datasets_named,
    inputs_of,
    tasks_tagged,
)
from hepml_tasks.running.task import Task

SUPERSEDED = "hepml_superseded_by_"
"""Begins the tag of a task that has a successor; its id follows."""

_OURS = "hepml_table_"


def older_versions(
    connection: Connection, task: Task, dataset_id: int | None
) -> list[dict[str, Any]]:
    """Return the descriptions of a dataset's earlier versions on a server.

    Parameters
    ----------
    connection : Connection
    task : Task
    dataset_id : int, optional
        The id of the version that is registered; None while it has none.

    Returns
    -------
    list of dict
        Those that this package put there under another version label. Empty where the registered
        version isn't the newest: it is no successor then.
    """
    others = [
        described
        for described in datasets_named(connection, task.spec.dataset.name)
        if described.get("oml:version_label") != version_label(task.spec)
        and any(str(t).startswith(_OURS) for t in as_list(described.get("oml:tag")))
    ]
    if dataset_id is not None and any(int(d["oml:id"]) > dataset_id for d in others):
        return []
    return others


def page_of_dataset(connection: Connection, dataset_id: int) -> str:
    """Return the address at which people, or their clients, read about a dataset."""
    if connection.is_ours():
        return f"{connection.server}/data/{dataset_id}"
    return f"{connection.root}/d/{dataset_id}"


def successor(connection: Connection, task: Task, dataset_id: int) -> Successor:
    """Describe the version that is registered as the newest one."""
    address = page_of_dataset(connection, dataset_id)
    return Successor(version_label(task.spec), dataset_id, address)


def notice_of(described: dict[str, Any], newer: Successor) -> str | None:
    """Return an old dataset's description with the notice, or None where it has it already."""
    text = str(described.get("oml:description") or "").strip()
    noticed = superseded_text(text, newer)[: DATASET["description"].longest].strip()
    return None if noticed == text else noticed


def edit_description(connection: Connection, dataset_id: int, text: str) -> None:
    """Replace a dataset's description."""
    document = {"oml:data_edit_parameters": {**NAMESPACE, "oml:description": text}}
    connection.post(
        "data/edit",
        {"data_id": str(dataset_id)},
        {"edit_parameters": ("description.xml", render_xml(document))},
    )


def older_tasks(connection: Connection, task: Task, old_datasets: set[int]) -> Iterator[int]:
    """Give the ids of the same task on earlier versions of its dataset."""
    tag = lineage_tag(task.spec.name, task.split.name)
    if connection.is_ours():
        for entry in connection.get_json("tasks")["tasks"]:
            if tag in entry["tags"] and entry["dataset_id"] in old_datasets:
                yield int(entry["task_id"])
        return
    for task_id in tasks_tagged(connection, tag):
        if int(inputs_of(connection, task_id)["source_data"]) in old_datasets:
            yield task_id
