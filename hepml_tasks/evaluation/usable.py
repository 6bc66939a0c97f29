"""Which metrics a task can have: those that its predictions are enough for."""

from __future__ import annotations

from collections.abc import Iterator

from hepml_tasks.errors import HepmlError
from hepml_tasks.metrics import get_metric
from hepml_tasks.spec import TaskSpec, TaskType
from hepml_tasks.spec.problems import Field

_OF_TWO_CLASSES = {"selection", "labels", "score", "probability"}

_NEEDS: dict[TaskType, set[str]] = {
    "binary-classification": _OF_TWO_CLASSES,
    "anomaly-detection": _OF_TWO_CLASSES,
    "multiclass-classification": {"labels"},
    "regression": {"regression"},
}


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
        if metric.needs not in _NEEDS[spec.type]:
            yield (
                field,
                f"metric {name!r} needs {metric.needs}, which predictions of a task of type"
                f" {spec.type} don't have; `hepml metrics` lists what each needs",
            )
        elif metric.columns:
            yield (
                field,
                f"metric {name!r} needs {', '.join(metric.columns)} for each event, for which"
                " there is no role; name another metric",
            )
    for number, reference in enumerate(spec.references):
        try:
            get_metric(reference.metric)
        except HepmlError as error:
            yield ("references", number, "metric"), str(error)
