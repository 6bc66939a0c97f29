"""How long `hep-small` takes: every standard flow that suits, on each of its tasks, from the cache.

    python benchmarks/small_suite.py [--suite hep-small] [--goal SECONDS] [--events N]

Published data may not be here, so a task on them is timed on stand-ins: as many events as the suite
caps it to, with the task's columns, normal numbers, and a class that two of them tell. What a fit
costs is decided by rows, columns and classes; scores are those of stand-ins and are not shown.
Simulated tasks run on their own events. Exit status 1 when it takes longer than the goal, which is
ten minutes on a laptop.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import pyarrow as pa

import hepml_tasks as hep
from hepml_tasks.data.events import take_apart
from hepml_tasks.flows import FLOWS
from hepml_tasks.running.suites import suite_tasks
from hepml_tasks.running.task import Task
from hepml_tasks.spec import DatasetSpec, Official, TaskSpec, find_suite

GOAL = 600.0
USUAL = 20_000


def main() -> int:
    """Time the suite."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--suite", default="hep-small")
    parser.add_argument("--goal", type=float, default=GOAL)
    parser.add_argument("--events", type=int, help="fewer, to see that it works")
    given = parser.parse_args()
    total = 0.0
    with tempfile.TemporaryDirectory() as spool:
        for task in suite_tasks(find_suite(given.suite)):
            if task.spec.dataset.root.simulator is None:
                stand_in(task, given.events)
            total += timed(task, Path(spool))
    print(f"{given.suite}: {total:.0f} s of {given.goal:.0f} s")
    return 0 if total <= given.goal else 1


def timed(task: Task, spool: Path) -> float:
    """Run every flow on a task, and return how long they took."""
    events = len(task.events)
    begun = time.monotonic()
    for flow in FLOWS.values():
        if flow.suits(task.spec.type) and flow.is_available():
            hep.run(flow.build(), task, name=flow.name, spool=spool)
    seconds = time.monotonic() - begun
    print(f"{task.name:40} {events:7} events {seconds:7.1f} s", flush=True)
    return seconds


def stand_in(task: Task, events: int | None) -> None:
    """Give a task events that look like its own to a fit."""
    spec = task.spec
    rows = min(events or USUAL, spec.dataset.rows or USUAL)
    rng = np.random.default_rng(0)
    numbers = rng.normal(size=(rows, 2)).sum(axis=1)
    positive = numbers + rng.normal(size=rows) > 0
    label = spec.roles.positive or "1"
    columns: dict[str, object] = {}
    for name in _features(spec):
        columns[name] = rng.normal(size=rows) + (0.3 * numbers if len(columns) < 2 else 0.0)
    other = next((c for c in spec.class_sums or {} if c != label), "0")
    columns[spec.roles.target] = np.where(positive, label, other)
    if spec.roles.weight is not None:
        columns[spec.roles.weight] = rng.random(rows) + 0.5
    if spec.roles.event_id is not None:
        columns[spec.roles.event_id] = np.arange(rows)
    if spec.roles.split is not None:
        assert isinstance(task.split, Official)
        marks = np.array([*task.split.train, *task.split.test])
        columns[spec.roles.split] = marks[rng.integers(0, len(marks), rows)]
    vars(task)["events"] = take_apart(pa.table(columns), spec)


def _features(spec: TaskSpec) -> list[str]:
    known = _names(spec.dataset)
    found = list(spec.roles.features_among(known))
    # patterns over columns that no file names: as many as HiggsML has
    return found or [p.replace("*", str(i)) for p in spec.roles.features for i in range(15)]


def _names(dataset: DatasetSpec) -> list[str]:
    if dataset.table is not None and dataset.table.names:
        return list(dataset.table.names)
    if dataset.derived is not None:
        return _names(dataset.derived.source)
    return list(dataset.columns)


if __name__ == "__main__":
    sys.exit(main())
