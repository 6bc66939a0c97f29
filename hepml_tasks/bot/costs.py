"""What a run will cost, from the runs that there are: the time of its fits and predictions."""

from __future__ import annotations

import statistics
from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from hepml_tasks.errors import HepmlError
from hepml_tasks.running.folder import RunFolder
from hepml_tasks.running.spool import runs_in
from hepml_tasks.running.task import Task

_Place = tuple[str, str, str]


@dataclass
class Costs:
    """How long runs took, by task, split and flow, and by flow alone.

    Seconds are those of the processes: a run whose folds are fitted at once is over sooner.
    """

    exact: dict[_Place, list[float]] = field(default_factory=lambda: defaultdict(list))
    per_event: dict[str, list[float]] = field(default_factory=lambda: defaultdict(list))

    def learn(self, task: Task, flow: str, seconds: float) -> None:
        """Take a run of a task into account."""
        self.exact[task.spec.name, task.split.name, flow].append(seconds)
        self.per_event[flow].append(seconds / _size(task))

    def learn_details(self, task: Task, details: Iterable[Mapping[str, str]]) -> None:
        """Take the runs of a server on a task into account, by what they say of themselves."""
        for told in details:
            try:
                seconds = float(told["seconds"])
            except (KeyError, ValueError):
                continue
            if 0 < seconds < float("inf"):
                self.learn(task, told.get("flow", ""), seconds)

    def estimate(self, task: Task, flow: str) -> float | None:
        """Return the seconds that a flow will take on a task, or None where nothing is known.

        The median of its runs on that task and split; else of its runs on others, by the number of
        events and folds; else what the flow takes with its own parameters.
        """
        known = self.exact.get((task.spec.name, task.split.name, flow))
        if known:
            return statistics.median(known)
        rates = self.per_event.get(flow)
        if rates:
            return statistics.median(rates) * _size(task)
        plain, has_setup, _ = flow.partition(".")
        return self.estimate(task, plain) if has_setup else None


def costs_of(spool: Path, tasks: Iterable[Task]) -> Costs:
    """Return what the runs of a spool took on tasks."""
    by_name = {(t.spec.name, t.split.name): t for t in tasks}
    costs = Costs()
    for folder in runs_in(spool):
        # what can't be read says nothing about costs
        try:
            place, flow, seconds, folds = _told(folder)
        except (HepmlError, KeyError, TypeError):
            continue
        task = by_name.get(place)
        if task is not None and seconds > 0:
            costs.learn(task, flow, seconds * len(task.splits) / folds)
    return costs


def _told(folder: RunFolder) -> tuple[tuple[str, str], str, float, int]:
    description: dict[str, Any] = folder.description
    place = (str(description["task"]["name"]), str(description["task"]["split"]))
    folds = sum(1 for _ in (folder.path / "folds").glob("r*f*.parquet"))
    return place, str(description["flow"]["name"]), folder.seconds, max(folds, 1)


def _size(task: Task) -> float:
    return float(len(task.events) * len(task.splits))
