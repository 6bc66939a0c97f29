"""How many events each class has, and what they weigh."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from hepml_tasks.spec import TaskSpec


@dataclass(frozen=True)
class ClassCount:
    """A class of the target.

    Parameters
    ----------
    label : str
    events : int
    weights : float
        Their sum of weights; the number of events where the data have no weights.
    squares : float
        The sum of the squared weights, the variance of `weights`.
    expected : float, optional
        The sum of weights at full luminosity, as the spec's ``class_sums`` says.
    """

    label: str
    events: int
    weights: float
    squares: float
    expected: float | None


def count_classes(spec: TaskSpec, table: pa.Table) -> list[ClassCount]:
    """Count events and weights by class, the signal first.

    Parameters
    ----------
    spec : TaskSpec
    table : pyarrow.Table
        With the columns of target and weight. Undefined labels are no class, undefined weights
        count 0.
    """
    roles = spec.roles
    labels = table[roles.target].cast(pa.string())
    if roles.weight is None:
        weights = np.ones(table.num_rows)
    else:
        weights = pc.fill_null(table[roles.weight].cast(pa.float64()), 0.0).to_numpy()
    named = labels.to_numpy()
    counts = []
    for label in sorted(set(pc.unique(labels.drop_null()).to_pylist())):
        here = weights[named == label]
        expected = None if spec.class_sums is None else spec.class_sums.get(label)
        counts.append(
            ClassCount(label, len(here), float(here.sum()), float((here**2).sum()), expected)
        )
    return sorted(counts, key=lambda c: (c.label != roles.positive, c.label))
