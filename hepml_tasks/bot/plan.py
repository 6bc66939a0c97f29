"""What is left to do: task × flow × seed, less what the server and the spool have."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from hepml_tasks.flows import Flow
from hepml_tasks.openml.connection import Connection
from hepml_tasks.openml.publication import runs_on
from hepml_tasks.openml.registration import find_task_id
from hepml_tasks.running.folder import RunFolder
from hepml_tasks.running.run import run_name
from hepml_tasks.running.task import Task

State = Literal["published", "finished", "started", "missing"]


@dataclass(frozen=True, eq=False)
class Job:
    """A run that a suite wants, and how far it is.

    Parameters
    ----------
    task : Task
    flow : Flow
    seed : int
    folder : RunFolder
        Where it is or will be in the spool.
    state : {"published", "finished", "started", "missing"}
        On the server; whole in the spool; begun there; nowhere.
    """

    task: Task
    flow: Flow
    seed: int
    folder: RunFolder
    state: State

    @property
    def name(self) -> str:
        """The job's name for people."""
        return f"{self.task.name} {self.flow.name} seed {self.seed}"


def plan(
    tasks: Sequence[Task],
    flows: Sequence[Flow],
    *,
    spool: Path,
    connection: Connection | None = None,
    seeds: Sequence[int] = (0,),
) -> list[Job]:
    """List the runs of tasks × flows × seeds with the state of each.

    Parameters
    ----------
    tasks : sequence of Task
    flows : sequence of Flow
        A flow whose package isn't installed raises `MissingExtraError`; one that a task's type
        doesn't suit is left out for that task.
    spool : Path
    connection : Connection, optional
        The server whose runs count as done. Nothing is written there.
    seeds : sequence of int

    Returns
    -------
    list of Job
        In the order of tasks, flows and seeds: the same for the same input.
    """
    jobs = []
    for task in tasks:
        there: set[str] = set()
        if connection is not None:
            task_id = find_task_id(connection, task.evaluation_spec())
            runs = {} if task_id is None else runs_on(connection, task_id)
            there = {d.get("key", "") for d in runs.values()}
        for flow in flows:
            if not flow.suits(task.spec.type):
                continue
            estimator = flow.build()
            for seed in seeds:
                name = run_name(task, flow.name, estimator, seed)
                folder = RunFolder(spool / name)
                key = name.rpartition("--")[2]
                jobs.append(Job(task, flow, seed, folder, _state(folder, published=key in there)))
    return jobs


def shard(jobs: Sequence[Job], part: int, parts: int) -> list[Job]:
    """Take one of several parts of a plan, which together are the plan.

    Parameters
    ----------
    jobs : sequence of Job
        A whole plan. Its order is the same on every node, and so are the parts: nodes that share
        a suite need not speak to each other.
    part : int
        Which part, from 1.
    parts : int

    Returns
    -------
    list of Job
        Every `parts`-th job, so that each part has its share of every task.
    """
    return list(jobs[part - 1 :: parts])


def _state(folder: RunFolder, *, published: bool) -> State:
    if published:
        return "published"
    if folder.is_complete:
        return "finished"
    return "started" if (folder.path / "run.json").is_file() else "missing"
