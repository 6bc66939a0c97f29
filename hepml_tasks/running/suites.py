"""The tasks of a suite, ready to run, with no more events than the suite says."""

from __future__ import annotations

from dataclasses import replace

from pydantic import JsonValue

from hepml_tasks.errors import SpecError
from hepml_tasks.running.task import Task, as_task, with_events
from hepml_tasks.spec import DerivedSpec, SuiteSpec, TaskSpec, find_task


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
        None for all events.

    Returns
    -------
    TaskSpec
        The spec itself where it has no more events than that.

    Raises
    ------
    SpecError
        For published data whose events have several rows.
    """
    simulator = spec.dataset.simulator
    # a row of a simulated dataset may be a hit, of which an event has many
    rows = spec.dataset.rows if simulator is None else simulator.events
    if events is None or (rows is not None and rows <= events):
        return spec
    if spec.dataset.simulator is not None:
        return with_events(spec, events)
    if spec.kind.grouped:
        raise SpecError(
            f"task {spec.name} has events of several rows, of which no part can be taken: leave"
            " `events` out of its suite"
        )
    by: list[JsonValue] = [c for c in (_classes(spec), spec.roles.split) if c is not None]
    parameters: dict[str, JsonValue] = {"events": events, "by": by}
    derived = DerivedSpec(source=spec.dataset, function="sample", seed=0, parameters=parameters)
    name = f"{spec.name}-{events}"
    dataset = replace(
        spec.dataset,
        name=f"{spec.dataset.name}-{events}",
        description=f"{events} events chosen by hepml_tasks. {spec.dataset.description}",
        derived=derived,
        files=(),
        simulator=None,
        rows=None if rows is None else events,
        # what is known of the whole isn't so of a part
        doi=None,
        content=None,
        undefined=None,
        table=None,
        parts=None,
        arff=None,
        openml=None,
    )
    return replace(
        spec,
        name=name,
        title=f"{spec.title}, {events} events",
        dataset=dataset,
        # published scores are those of all events
        references=(),
    )


def _classes(spec: TaskSpec) -> str | None:
    return spec.roles.target if spec.kind.target == "class" else None
