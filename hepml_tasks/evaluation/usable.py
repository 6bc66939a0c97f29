"""Which metrics a task can have: those that its predictions are enough for."""

from __future__ import annotations

from collections.abc import Iterator

from hepml_tasks.errors import HepmlError
from hepml_tasks.metrics import get_metric
from hepml_tasks.spec import TaskSpec
from hepml_tasks.spec.problems import Field


def metric_problems(spec: TaskSpec) -> Iterator[tuple[Field, str]]:
    """Go through the metrics that a task names and can't have.

    Parameters
    ----------
    spec : TaskSpec

    Yields
    ------
    field : tuple of str or int
        Where the metric is named.
    message : str
    """
    named: list[tuple[Field, str]] = [(("metrics", "primary"), spec.metrics.primary)]
    named += [(("metrics", "also", i), name) for i, name in enumerate(spec.metrics.also)]
    for field, name in named:
        try:
            metric = get_metric(name)
        except HepmlError as error:
            yield field, str(error)
            continue
        reason = metric.unmet(
            spec.kind.metrics, spec.roles.columns_of_events, f"a task of type {spec.type}"
        )
        if reason is not None:
            yield field, f"metric {name!r} {reason}; `hepml metrics` lists what each needs"
    for number, reference in enumerate(spec.references):
        try:
            get_metric(reference.metric)
        except HepmlError as error:
            yield ("references", number, "metric"), str(error)
