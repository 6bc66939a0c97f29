"""Tasks with withheld labels on a server of this package: made, found, fetched, revealed."""

from __future__ import annotations

import json
from typing import Any

from hepml_tasks.errors import SpecError, UnknownNameError
from hepml_tasks.openml.connection import Connection
from hepml_tasks.running.task import Task, as_task
from hepml_tasks.spec import TaskSpec, from_mapping, to_mapping


def private_tasks(connection: Connection) -> list[dict[str, Any]]:
    """List the tasks whose test labels only the server has.

    Returns
    -------
    list of dict
        `task_id`, `name`, the runs that a user may publish `per_day`, and since when the private
        scores are `revealed`.
    """
    tasks: list[dict[str, Any]] = connection.get_json("private")["tasks"]
    return tasks


def find_private(connection: Connection, task: str) -> int:
    """Return the id of a task with withheld labels, by its name or id.

    Raises
    ------
    UnknownNameError
        If the server has none of that name.
    """
    known = {entry["name"]: int(entry["task_id"]) for entry in private_tasks(connection)}
    if task in known:
        return known[task]
    if task.isdecimal() and int(task) in known.values():
        return int(task)
    raise UnknownNameError(
        f"task with withheld labels on {connection.root}",
        task,
        known,
        remedy="`hepml private list` lists them",
    )


def private_spec(connection: Connection, task: str) -> TaskSpec:
    """Return a task with withheld labels as it can be run, by its name or id.

    Parameters
    ----------
    connection : Connection
    task : str

    Returns
    -------
    TaskSpec
        Its dataset is a file of the server, in which class and weight of test events are
        undefined.
    """
    told = connection.get_json(f"private/{find_private(connection, task)}")
    return from_mapping(told["spec"], TaskSpec, origin=f"task {task} of {connection.root}")


def load_private_task(task: str, server: str, *, progress: bool = False) -> Task:
    """Load a task whose test labels only a server has.

    Parameters
    ----------
    task : str
        Its name or id there.
    server : str
        As `hepml_tasks.openml.connection.connect` takes it. No key is needed.
    progress : bool
        Show downloads on a terminal.

    Returns
    -------
    Task
        To be run as any other; its run has no scores before it is published.

    Raises
    ------
    UnknownNameError
        If the server has no such task.
    """
    from hepml_tasks.openml.connection import connect

    return as_task(private_spec(connect(server), task), progress=progress)


def create_private(connection: Connection, spec: TaskSpec) -> dict[str, Any]:
    """Have a server make a task with withheld labels; for its administrators.

    Parameters
    ----------
    connection : Connection
    spec : TaskSpec
        With `private`, and a simulator without a seed.

    Returns
    -------
    dict
        As `private_tasks` lists it.
    """
    if spec.private is None or spec.dataset.simulator is None:
        raise SpecError(
            f"task {spec.name}: the server makes tasks with withheld labels from a file with"
            " `private:` and a simulator without a seed"
        )
    text = json.dumps(to_mapping(spec))
    return connection.post_json("private", files={"spec": ("spec.json", text)})


def reveal_private(connection: Connection, task: str) -> dict[str, Any]:
    """Have a server tell the private scores of a task; for the task's owner.

    Returns
    -------
    dict
        As `private_tasks` lists it, and the number of `runs` whose private scores are told.
    """
    return connection.post_json(f"private/{find_private(connection, task)}/reveal")
