"""Publish a run from its folder: nothing but the folder is read."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from typing import Any

from hepml_tasks.errors import BrokenAnswerError, RunError, ServerError, UnreachableError
from hepml_tasks.flows.description import rebuild, seeded
from hepml_tasks.openml import beyond
from hepml_tasks.openml.connection import Connection, as_list
from hepml_tasks.openml.details import (
    ELSEWHERE_TAG,
    TAG,
    key_of,
    lineage_tag,
    merit_tag,
    parse_details,
    run_details,
)
from hepml_tasks.openml.documents import render_xml
from hepml_tasks.openml.flows import parameter_settings, publish_flow, publish_named_flow
from hepml_tasks.openml.predictions import render_predictions
from hepml_tasks.openml.registration import (
    find_task_id,
    known_measures,
    register_dataset,
    register_task,
)
from hepml_tasks.openml.turns import turn
from hepml_tasks.running.folder import RunFolder
from hepml_tasks.running.state import locked, problem_of
from hepml_tasks.running.task import task_of
from hepml_tasks.spec import EvaluationSpec, from_mapping

_NO_RUNS = 512
_PAUSES = (0.5, 2.0, 5.0)
"""Seconds after which a server that did not answer properly is asked again."""


@dataclass(frozen=True)
class Published:
    """Where a run is on a server.

    Parameters
    ----------
    run_id, task_id, flow_id : int
    was_there : bool
        Whether the server had the run before.
    """

    run_id: int
    task_id: int
    flow_id: int
    was_there: bool


def publish_run(
    connection: Connection,
    folder: RunFolder,
    *,
    again: bool = False,
    is_locked: bool = False,
    pause: Callable[[str, float], None] = lambda _reason, seconds: time.sleep(seconds),
) -> Published:
    """Put a finished run on a server, exactly once.

    What is missing there, dataset, task and flow, is put there first. A run that the server has
    already, by the UUID in its details, is not sent again; nor is one with the same key, which
    another spool has computed from the same things. After an answer that was lost or is none, the
    server is asked what it has before anything is sent again.

    Parameters
    ----------
    connection : Connection
    folder : RunFolder
        Its lock is held meanwhile: of several processes one sends it.
    again : bool
        Send it although the server has a run with the same key.
    is_locked : bool
        The caller has the folder's lock.
    pause : callable
        Told why a request is repeated, and waits the seconds that it is given.

    Returns
    -------
    Published
        Also kept in the folder.

    Raises
    ------
    RunError
        If the run isn't finished, or its folder isn't whole, as while it is being copied.
    ServerError
        If the server refuses it or can't be reached: nothing is lost, send it again later.
    """
    with nullcontext() if is_locked else locked(folder):
        if not folder.is_complete:
            raise RunError(f"{folder.path}: the run isn't finished; run it again to finish it")
        if (problem := problem_of(folder)) is not None:
            raise RunError(f"{folder.path}: not whole ({problem}); copy it again")
        for seconds in _PAUSES:
            try:
                return _publish(connection, folder, again=again)
            except (UnreachableError, BrokenAnswerError) as error:
                pause(str(error), seconds)
        return _publish(connection, folder, again=again)


def _publish(connection: Connection, folder: RunFolder, *, again: bool) -> Published:
    description = folder.description
    names = {"uuid": description["uuid"], "key": "" if again else key_of(folder)}
    marked = folder.published(connection.key)
    if marked is not None and _has_run(connection, marked, names):
        ids = {k: int(marked[k]) for k in ("run_id", "task_id", "flow_id")}
        return Published(**ids, was_there=True)
    task_id = _task_id(connection, folder)
    flow, settings = _flow_of(connection, folder)
    run_id = find_run(connection, task_id, **names)
    was_there = run_id is not None
    if run_id is None:
        run_id = _send(connection, folder, task_id, int(flow.flow_id), settings)
    published = Published(run_id, task_id, int(flow.flow_id), was_there)
    folder.mark_published(
        connection.key,
        {
            "server": connection.server,
            "run_id": run_id,
            "task_id": task_id,
            "flow_id": published.flow_id,
        },
    )
    return published


def _evaluation(folder: RunFolder) -> EvaluationSpec:
    return from_mapping(
        folder.description["task"]["evaluation"],
        EvaluationSpec,
        origin=str(folder.path / "run.json"),
    )


def _send(
    connection: Connection,
    folder: RunFolder,
    task_id: int,
    flow_id: int,
    settings: Sequence[Mapping[str, Any]],
) -> int:
    spec = _evaluation(folder)
    files = _files(connection, folder, task_id, flow_id, settings)
    if beyond.is_beyond(spec):
        files["predictions"] = ("predictions.parquet", beyond.render_predictions(folder, spec))
        return beyond.post_run(connection, files)
    files["predictions"] = ("predictions.arff", render_predictions(folder, task_id))
    answer = connection.post("run/", files=files)
    return int(answer["oml:upload_run"]["oml:run_id"])


def _flow_of(connection: Connection, folder: RunFolder) -> tuple[Any, list[dict[str, Any]]]:
    """Return a run's flow as the server has it, and the run's parameters."""
    description = folder.description
    told = description["flow"]
    if folder.made_elsewhere:
        version = f"{told['version']}-{told['fingerprint']}"
        return publish_named_flow(connection, told["name"], version, told["about"]), []
    # a flow is known by its first publisher's parameters: the seed belongs to the run's
    estimator = rebuild(told["description"])
    flow = publish_flow(connection, estimator)
    return flow, parameter_settings(flow, seeded(estimator, description["seed"]))


def _task_id(connection: Connection, folder: RunFolder) -> int:
    """Find the run's task on a server; only where it isn't there are the data needed."""
    description = folder.description
    found = find_task_id(connection, _evaluation(folder))
    if found is not None:
        return found
    task = task_of(folder)
    if reason := beyond.refusal(connection, task):
        raise RunError(f"{folder.path}: {reason}")
    if task.spec.private is not None:
        raise RunError(
            f"{folder.path}: {connection.root} is not the server that made task {task.name}; only"
            " that one has the labels"
        )
    if task.events.sha256 != description["data"]["table_sha256"]:
        raise RunError(
            f"{folder.path}: the data of task {task.name} are no longer those of the run; fetch"
            " them again, or publish where the task is registered"
        )
    with turn(connection, folder.path.parent, task.name):
        found = find_task_id(connection, _evaluation(folder))
        if found is not None:
            return found
        return register_task(connection, task, register_dataset(connection, task))


def _files(
    connection: Connection,
    folder: RunFolder,
    task_id: int,
    flow_id: int,
    settings: Sequence[Mapping[str, Any]],
) -> dict[str, tuple[str, str | bytes]]:
    """Return all files of a run but its predictions."""
    environment, scores = folder.environment, folder.scores
    evaluation = folder.description["task"]["evaluation"]
    run: dict[str, Any] = {
        "@xmlns:oml": "http://openml.org/openml",
        "oml:task_id": task_id,
        "oml:flow_id": flow_id,
        "oml:setup_string": _setup_string(environment, folder),
        "oml:run_details": run_details(folder),
        "oml:parameter_setting": settings,
        "oml:tag": [
            TAG,
            lineage_tag(evaluation["task"], evaluation["split"]),
            merit_tag(evaluation["primary"]),
            *([ELSEWHERE_TAG] if folder.made_elsewhere else []),
        ],
    }
    claims = list(_claims(scores, known_measures(connection)))
    if claims:
        run["oml:output_data"] = {"oml:evaluation": claims}
    return {
        "description": ("description.xml", render_xml({"oml:run": run})),
        "scores": ("scores.json", json.dumps(scores)),
        "environment": ("environment.json", json.dumps(environment)),
        "run": ("run.json", json.dumps(folder.description)),
    }


def _setup_string(environment: Mapping[str, Any], folder: RunFolder) -> str:
    if folder.made_elsewhere:
        return "Predictions made elsewhere."
    packages = environment["packages"]
    names = ("scikit-learn", "numpy", "scipy", "xgboost-cpu", "xgboost", "hepml_tasks")
    parts = [f"Python_{environment['python']}."]
    parts += [f"{n}_{packages[n]}." for n in names if n in packages]
    return " ".join(parts)[:2048]


def _claims(scores: Mapping[str, Any], known: set[str]) -> Sequence[dict[str, str]]:
    claims = []
    for name, score in scores["scores"].items():
        if name in known and score["value"] is not None:
            claims.append({"oml:name": name, "oml:value": repr(score["value"])})
    for name, folds in scores["folds"].items():
        for f in folds:
            if name in known and f["value"] is not None:
                claims.append(
                    {
                        "@repeat": str(f["repeat"]),
                        "@fold": str(f["fold"]),
                        "oml:name": name,
                        "oml:value": repr(f["value"]),
                    }
                )
    return claims


def runs_on(connection: Connection, task_id: int) -> dict[int, dict[str, str]]:
    """Return the details of every run that a server has on a task, by run id."""
    if connection.is_ours():
        # its OpenML list leaves out the runs that OpenML can't carry
        told = connection.get_json(f"task/{task_id}/runs")["runs"]
        return {int(run["run_id"]): parse_details(run["details"]) for run in told}
    found: dict[int, dict[str, str]] = {}
    page = 1000
    while True:
        try:
            answer = connection.get(f"run/list/task/{task_id}/limit/{page}/offset/{len(found)}")
        except ServerError as error:
            if error.code == _NO_RUNS:
                return found
            raise
        entries = as_list(answer["oml:runs"].get("oml:run"))
        for entry in entries:
            found[int(entry["oml:run_id"])] = parse_details(entry.get("oml:run_details"))
        if len(entries) < page:
            return found


def find_run(connection: Connection, task_id: int, uuid: str, key: str = "") -> int | None:
    """Return the id of the run with a UUID, or else with a key, on a task; or None."""
    runs = runs_on(connection, task_id)
    for run_id, details in runs.items():
        if details.get("uuid") == uuid:
            return run_id
    same = (run_id for run_id, details in runs.items() if key and details.get("key") == key)
    return next(same, None)


def _has_run(connection: Connection, marked: Mapping[str, Any], names: Mapping[str, str]) -> bool:
    """Whether a server still has a run where it was published."""
    run_id = int(marked["run_id"])
    if connection.is_ours():
        details = runs_on(connection, int(marked["task_id"])).get(run_id, {})
        return any(value and details.get(name) == value for name, value in names.items())
    try:
        run = connection.get(f"run/{run_id}")["oml:run"]
    except (UnreachableError, BrokenAnswerError):
        raise
    except ServerError:
        return False
    details = parse_details(run.get("oml:run_details"))
    return any(value and details.get(name) == value for name, value in names.items())


def wait_for_evaluation(
    connection: Connection, run_id: int, *, seconds: float = 300.0
) -> dict[str, Any]:
    """Wait until a server of this package has scored a run.

    Parameters
    ----------
    connection : Connection
    run_id : int
    seconds : float
        The time limit.

    Returns
    -------
    dict
        What the server says of the run: status, scores, folds, claims that differ.

    Raises
    ------
    ServerError
        If the evaluation failed, with the server's reason, or takes longer.
    """
    end = time.monotonic() + seconds
    while True:
        state = connection.get_json(f"run/{run_id}")
        if state["status"] == "done":
            return state
        if state["status"] == "failed":
            raise ServerError(f"{connection.root}: run {run_id} was not scored: {state['error']}")
        if time.monotonic() > end:
            raise ServerError(
                f"{connection.root}: run {run_id} is not scored after {seconds:g} s; it will be,"
                " see its page"
            )
        time.sleep(0.2)
