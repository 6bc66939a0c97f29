"""Let a server of this package score its runs again, as after a metric was added."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from hepml_tasks.errors import ServerError, UnreachableError
from hepml_tasks.openml.connection import Connection, as_list
from hepml_tasks.openml.publication import runs_on, wait_for_evaluation

_NO_TASKS = 482


@dataclass(frozen=True)
class Scored:
    """A run that was scored again.

    Parameters
    ----------
    run_id, task_id : int
    state : dict, optional
        What the server says of it.
    error : str, optional
        Why it has no scores.
    """

    run_id: int
    task_id: int
    state: dict[str, Any] | None = None
    error: str | None = None


def task_ids(connection: Connection) -> list[int]:
    """Return the ids of all tasks of a server, those that OpenML can't carry included."""
    listed = _carried_ids(connection)
    if connection.is_ours():
        listed += [int(t["task_id"]) for t in connection.get_json("tasks")["tasks"]]
    return sorted(set(listed))


def _carried_ids(connection: Connection) -> list[int]:
    found: list[int] = []
    page = 1000
    while True:
        try:
            answer = connection.get(f"task/list/limit/{page}/offset/{len(found)}")
        except ServerError as error:
            if error.code == _NO_TASKS:
                return found
            raise
        entries = as_list(answer["oml:tasks"].get("oml:task"))
        found += [int(entry["oml:task_id"]) for entry in entries]
        if len(entries) < page:
            return found


def rescore(
    connection: Connection,
    tasks: Sequence[int],
    *,
    on_run: Callable[[int, int], None] = lambda _done, _all: None,
) -> list[Scored]:
    """Ask a server to score all runs of tasks again, and wait until it has.

    Parameters
    ----------
    connection : Connection
        With the key of an administrator.
    tasks : sequence of int
        Ids of tasks.
    on_run : callable
        Told the number of finished runs and of all runs.

    Returns
    -------
    list of Scored

    Raises
    ------
    ServerError
        If the server isn't one of this package, or refuses.
    """
    if not connection.is_ours():
        raise ServerError(
            f"{connection.root} is no server of hepml_tasks: it scores runs in its own way"
        )
    for task_id in tasks:
        connection.post_json(f"task/{task_id}/rescore")
    runs = [(run_id, task_id) for task_id in tasks for run_id in runs_on(connection, task_id)]
    scored = []
    for done, (run_id, task_id) in enumerate(runs, start=1):
        try:
            state = wait_for_evaluation(connection, run_id)
            scored.append(Scored(run_id, task_id, state))
        except UnreachableError:
            raise
        except ServerError as error:
            scored.append(Scored(run_id, task_id, error=str(error)))
        on_run(done, len(runs))
    return scored
