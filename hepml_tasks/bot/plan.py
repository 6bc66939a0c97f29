"""What is left to do: task × flow × setup × seed, less what the server and the spool have.

A task's repeats are in its split: a run has all of them, and goes on with the folds it lacks.
"""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from hepml_tasks.bot.costs import costs_of
from hepml_tasks.errors import FlowError, nearest
from hepml_tasks.flows import Flow
from hepml_tasks.openml.connection import Connection
from hepml_tasks.openml.publication import runs_on
from hepml_tasks.openml.registration import find_task_id
from hepml_tasks.running.folder import RunFolder
from hepml_tasks.running.run import run_name
from hepml_tasks.running.state import state_of
from hepml_tasks.running.task import Task

State = Literal["published", "finished", "failed", "started", "missing"]
STATES: tuple[State, ...] = ("published", "finished", "failed", "started", "missing")

Setup = Mapping[str, Any]
"""Values for parameters of a flow, by the names that `set_params` takes."""


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
    state : {"published", "finished", "failed", "started", "missing"}
        On the server; whole in the spool; failed there; begun there; nowhere.
    setup : mapping
        The flow's parameters that are not its own defaults.
    folds : int
        How many of its folds are finished in the spool.
    seconds : float, optional
        What its folds that are missing will take, from runs that there are.
    task_id : int, optional
        The task's id on the server.
    """

    task: Task
    flow: Flow
    seed: int
    folder: RunFolder
    state: State
    setup: Setup = field(default_factory=dict)
    folds: int = 0
    seconds: float | None = None
    task_id: int | None = None

    @property
    def label(self) -> str:
        """The flow's name, with the parameters that are set."""
        return label(self.flow, self.setup)

    @property
    def name(self) -> str:
        """The job's name for people."""
        return f"{self.task.name} {self.label} seed {self.seed}"

    @property
    def key(self) -> str:
        """The name that the run has in every spool."""
        return self.folder.path.name

    @property
    def about(self) -> dict[str, Any]:
        """What a log says of it."""
        told = {"task": self.task.name, "flow": self.label, "seed": self.seed}
        return {"run": self.name, "folder": self.key, **told}

    def build(self) -> Any:
        """Make the estimator, unfitted."""
        return build(self.flow, self.setup)


def label(flow: Flow, setup: Setup) -> str:
    """Return a flow's name, with the parameters that a setup changes."""
    return ".".join([flow.name, *(f"{name}-{value}" for name, value in sorted(setup.items()))])


def build(flow: Flow, setup: Setup) -> Any:
    """Make a flow's estimator with the parameters of a setup."""
    estimator = flow.build()
    return estimator.set_params(**setup) if setup else estimator


def resolved(flow: Flow, setup: Setup) -> Setup:
    """Return a setup with the whole names of its parameters, so that a run has one name.

    Parameters
    ----------
    flow : Flow
    setup : mapping
        A parameter of a step is named as scikit-learn does (``estimator__alpha``), or by its last
        part alone where no other step has one of that name.

    Raises
    ------
    FlowError
        If the flow has no such parameter, or several.
    """
    known = sorted(flow.build().get_params(deep=True)) if setup else []
    return {_parameter(flow, name, known): value for name, value in setup.items()}


def _parameter(flow: Flow, name: str, known: Sequence[str]) -> str:
    if name in known:
        return name
    ends = [k for k in known if k.endswith(f"__{name}")]
    if len(ends) == 1:
        return ends[0]
    if ends:
        raise FlowError(
            f"flow {flow.name} has several parameters {name!r}: name one of {', '.join(ends)}"
        )
    raise FlowError(f"flow {flow.name} has no parameter {name!r}{nearest(name, known)}")


def grid(values: Mapping[str, Sequence[Any]]) -> list[Setup]:
    """Return every combination of parameters' values."""
    names = sorted(values)
    lists = (values[name] for name in names)
    return [dict(zip(names, chosen, strict=True)) for chosen in itertools.product(*lists)]


def plan(
    tasks: Sequence[Task],
    flows: Sequence[Flow],
    *,
    spool: Path,
    connection: Connection | None = None,
    seeds: Sequence[int] = (0,),
    setups: Mapping[str, Sequence[Setup]] | None = None,
) -> list[Job]:
    """List the runs of tasks × flows × setups × seeds with the state of each.

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
    setups : mapping of str to sequence of mapping, optional
        For a flow, by name, the parameters of each of its setups; its own defaults otherwise.

    Returns
    -------
    list of Job
        In the order of tasks, flows, setups and seeds: the same for the same input.
    """
    costs = costs_of(spool, tasks)
    there: dict[int, set[str]] = {}
    ids: dict[int, int | None] = {}
    for number, task in enumerate(tasks):
        there[number], ids[number] = set(), None
        if connection is not None:
            task_id = find_task_id(connection, task.evaluation_spec())
            runs = {} if task_id is None else runs_on(connection, task_id)
            there[number], ids[number] = {d.get("key", "") for d in runs.values()}, task_id
            costs.learn_details(task, runs.values())
    jobs = []
    for (number, task), flow in itertools.product(enumerate(tasks), flows):
        if not flow.suits(task.spec.type):
            continue
        for given in (setups or {}).get(flow.name, ({},)):
            setup = resolved(flow, given)
            estimator, named = build(flow, setup), label(flow, setup)
            whole = costs.estimate(task, named)
            for seed in seeds:
                folder = RunFolder(spool / run_name(task, named, estimator, seed))
                state, folds = _state(folder, there[number])
                share = 0.0 if state in {"published", "finished"} else 1 - folds / len(task.splits)
                seconds = None if whole is None else whole * share
                jobs.append(
                    Job(task, flow, seed, folder, state, setup, folds, seconds, ids[number])
                )
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


def _state(folder: RunFolder, there: set[str]) -> tuple[State, int]:
    if folder.path.name.rpartition("--")[2] in there:
        return "published", 0
    if not folder.path.is_dir():
        return "missing", 0
    found = state_of(folder)
    if found.state == "broken":
        # what is there of it is kept, and what is not is made
        return ("started" if found.folds else "missing"), found.folds
    return found.state, found.folds
