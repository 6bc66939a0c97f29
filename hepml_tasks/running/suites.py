"""The tasks of a suite, ready to run, with no more events than the suite says."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from pydantic import JsonValue

from hepml_tasks.running.task import Task, as_task, with_events
from hepml_tasks.spec import DatasetSpec, DerivedSpec, SuiteSpec, TaskSpec, find_task


def suite_tasks(suite: SuiteSpec, *, events: int | None = None) -> list[Task]:
    """Return the tasks of a suite.

    Parameters
    ----------
    suite : SuiteSpec
    events : int, optional
        Another number of events for all of them, which have to be simulated. Of those whose rows
        are hits there are no more than their own: an event has hundreds of them.
    """
    tasks = []
    for entry in suite.tasks:
        spec = capped(find_task(entry.task), entry.events)
        wanted, simulator = events, spec.dataset.simulator
        if wanted is not None and simulator is not None and spec.kind.grouped:
            wanted = min(wanted, simulator.events)
        tasks.append(as_task(spec, split=entry.split, events=wanted))
    return tasks


def capped(spec: TaskSpec, events: int | None) -> TaskSpec:
    """Return the spec of a task with fewer events: another task, under a name of its own.

    Parameters
    ----------
    spec : TaskSpec
    events : int, optional
        Those of a simulated dataset are simulated, those of any other are a part of it that has
        the same share of each class and of each part of an official split: always the same part.
        Where an event has several rows, all of them are taken or none. None for all events.

    Returns
    -------
    TaskSpec
        The spec itself where it has no more events than that.
    """
    dataset = spec.dataset
    # a row of a simulated dataset may be a hit, of which an event has many
    simulator = dataset.root.simulator if spec.kind.grouped else dataset.simulator
    rows = dataset.rows if simulator is None else simulator.events
    if events is None or (rows is not None and rows <= events):
        return spec
    if simulator is not None:
        return with_events(spec, events)
    by = [c for c in (_classes(spec), spec.roles.split) if c is not None]
    if dataset.derived is not None and dataset.derived.nuisance is not None:
        # the same events at all values: those of the source, of which each is a row
        source = _part(dataset.derived.source, events, by)
        derived = replace(dataset.derived, source=source, checksum=None)
        part = replace(_part(dataset, events, by), derived=derived, rows=None)
    else:
        part = _part(dataset, events, by, group=spec.roles.group)
    return replace(
        spec,
        name=f"{spec.name}-{events}",
        title=f"{spec.title}, {events} events",
        dataset=part,
        # published scores are those of all events
        references=(),
    )


def _part(
    dataset: DatasetSpec, events: int, by: Sequence[str], *, group: str | None = None
) -> DatasetSpec:
    """Return the spec of a part of a dataset."""
    parameters: dict[str, JsonValue] = {"events": events, "by": list(by)}
    if group is not None:
        parameters["group"] = group
    counted = dataset.rows is not None and group is None
    return replace(
        dataset,
        name=f"{dataset.name}-{events}",
        description=f"{events} events chosen by hepml_tasks. {dataset.description}",
        derived=DerivedSpec(source=dataset, function="sample", seed=0, parameters=parameters),
        files=(),
        simulator=None,
        rows=events if counted else None,
        # what is known of the whole isn't so of a part
        doi=None,
        content=None,
        undefined=None,
        table=None,
        parts=None,
        arff=None,
        openml=None,
    )


def _classes(spec: TaskSpec) -> str | None:
    return spec.roles.target if spec.kind.target == "class" else None
