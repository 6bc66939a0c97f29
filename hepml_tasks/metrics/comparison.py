"""Two runs or many on the same events: differences with an interval, and statistical ties.

All runs see the same bootstrap replicas, so that what the events have in common cancels in a
difference: its interval is smaller than one from the runs' own uncertainties.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from hepml_tasks.errors import MetricError
from hepml_tasks.metrics.arrays import Floats
from hepml_tasks.metrics.registry import Metric, get_metric
from hepml_tasks.metrics.scoring import LOWER, UPPER, Prepared, prepare


@dataclass(frozen=True)
class Comparison:
    """The difference of two runs on the same events.

    Parameters
    ----------
    first, second : float
        The metric of each run.
    difference : float
        ``first - second``.
    uncertainty : float
        Standard deviation of the difference over common replicas.
    interval : tuple of float
        The central 68.27 % interval of the difference.
    unpaired : float
        What the deviation would be if the runs had been evaluated on different events.
    better : str or None
        ``"first"`` or ``"second"`` where the difference is larger than twice its uncertainty.
    method : str
        How it was made.
    """

    first: float
    second: float
    difference: float
    uncertainty: float
    interval: tuple[float, float]
    unpaired: float
    better: str | None
    method: str


def compare(
    metric: str | Metric,
    y_true: ArrayLike,
    first: ArrayLike,
    second: ArrayLike,
    *,
    sample_weight: ArrayLike | None = None,
    event_id: ArrayLike | None = None,
    class_sums: Sequence[float] | None = None,
    replicas: int = 200,
    seed: int = 0,
    **options: Any,
) -> Comparison:
    """Compare two runs on the same events.

    Parameters
    ----------
    metric : str or Metric
        Its name, or the metric itself.
    y_true : array-like of shape (n_events,)
        Truth.
    first, second : array-like of shape (n_events,)
        What each run says: scores, selections or whatever the metric needs.
    sample_weight, event_id, class_sums, replicas, seed, **options
        As for :func:`~hepml_tasks.metrics.score`.

    Returns
    -------
    Comparison

    Raises
    ------
    MetricError
        When arrays aren't usable or the metric can't be bootstrapped.

    Examples
    --------
    >>> y, first, second = [0, 0, 1, 1] * 50, [0, 1, 1, 1] * 50, [0, 1, 0, 1] * 50
    >>> result = compare("signal_efficiency", y, first, second)
    >>> result.difference, result.better
    (0.5, 'first')
    """
    chosen = get_metric(metric) if isinstance(metric, str) else metric
    values, table = _replica_table(
        chosen,
        y_true,
        {"first": first, "second": second},
        sample_weight=sample_weight,
        event_id=event_id,
        class_sums=class_sums,
        replicas=replicas,
        seed=seed,
        **options,
    )
    return comparison_of(chosen, values, table, replicas, seed)


def comparison_of(
    metric: Metric, values: Floats, table: Floats, replicas: int, seed: int
) -> Comparison:
    """Compare two values by their common replicas.

    Parameters
    ----------
    metric : Metric
    values : ndarray of shape (2,)
    table : ndarray of shape (2, n_replicas)
        In the replicas of which both have a finite value they are compared.
    replicas, seed : int
        How it was made.

    Raises
    ------
    MetricError
        When fewer than half of the replicas have a finite value.
    """
    table = table[:, np.isfinite(table).all(axis=0)]
    if table.shape[1] < max(2, replicas // 2):
        raise MetricError(
            f"y_true has too few events: {replicas - table.shape[1]} of {replicas} replicas have no"
            f" finite {metric.name}"
        )
    differences = table[0] - table[1]
    difference = float(values[0] - values[1])
    deviation = float(differences.std(ddof=1))
    low, high = np.quantile(differences, [LOWER, UPPER], method="closest_observation")
    better = None
    if abs(difference) > 2 * deviation:
        better = "first" if (difference > 0) == metric.higher_is_better else "second"
    return Comparison(
        float(values[0]),
        float(values[1]),
        difference,
        deviation,
        (float(low), float(high)),
        float(math.hypot(*table.std(axis=1, ddof=1))),
        better,
        f"common poisson-bootstrap-{replicas}, test sample only, seed {seed}",
    )


@dataclass(frozen=True)
class Ties:
    """Runs in groups whose members can't be told apart.

    Parameters
    ----------
    order : tuple of str
        The runs, the best first.
    values : mapping of str to float
        The metric of each run.
    groups : tuple of tuple of str
        Largest sets of runs no two of which differ significantly. A run may be in several; two
        runs that share no group differ.
    p_values : mapping of (str, str) to float
        Probability, for each pair, of so large a difference anywhere if all runs were equal:
        adjusted for the number of pairs.
    level : float
        The family-wise error.
    method : str
        How it was made.
    """

    order: tuple[str, ...]
    values: Mapping[str, float]
    groups: tuple[tuple[str, ...], ...]
    p_values: Mapping[tuple[str, str], float]
    level: float
    method: str

    @property
    def best(self) -> tuple[str, ...]:
        """The runs that can't be told from the leading one."""
        leader = self.order[0]
        return tuple(
            run for run in self.order if any(leader in g and run in g for g in self.groups)
        )


def tied_groups(
    metric: str | Metric,
    y_true: ArrayLike,
    runs: Mapping[str, ArrayLike],
    *,
    level: float = 0.05,
    sample_weight: ArrayLike | None = None,
    event_id: ArrayLike | None = None,
    class_sums: Sequence[float] | None = None,
    replicas: int = 1000,
    seed: int = 0,
    **options: Any,
) -> Ties:
    """Put runs on the same events into statistically tied groups.

    All pairs are compared by the largest studentised difference over common bootstrap replicas
    (single-step max-T): the chance of separating any two equal runs stays below `level`, however
    many runs there are.

    Parameters
    ----------
    metric : str or Metric
        Its name, or the metric itself.
    y_true : array-like of shape (n_events,)
        Truth.
    runs : mapping of str to array-like of shape (n_events,)
        What each run says.
    level : float
        The family-wise error, in (0, 1).
    sample_weight, event_id, class_sums, replicas, seed, **options
        As for :func:`~hepml_tasks.metrics.score`.

    Returns
    -------
    Ties

    Raises
    ------
    MetricError
        When arrays or options aren't usable, or the metric can't be bootstrapped.

    References
    ----------
    P. H. Westfall and S. S. Young, "Resampling-based multiple testing" (1993); the groups by
    H.-P. Piepho, J. Comput. Graph. Stat. 13 (2004) 456.
    """
    if not 0 < level < 1:
        raise MetricError(f"level is {level!r}; pass a probability between 0 and 1")
    if not runs:
        raise MetricError("runs is empty; pass at least one run")
    chosen = get_metric(metric) if isinstance(metric, str) else metric
    values, table = _replica_table(
        chosen,
        y_true,
        runs,
        sample_weight=sample_weight,
        event_id=event_id,
        class_sums=class_sums,
        replicas=replicas,
        seed=seed,
        **options,
    )
    names = list(runs)
    rank = np.argsort(-values if chosen.higher_is_better else values, kind="stable")
    order = tuple(names[i] for i in rank)
    p_values = _adjusted_p_values(names, values, table)
    apart = [pair for pair, p in p_values.items() if p < level]
    groups = _groups(order, apart)
    return Ties(
        order,
        {names[i]: float(values[i]) for i in rank},
        groups,
        p_values,
        level,
        f"max-T over common poisson-bootstrap-{table.shape[1]}, test sample only, seed {seed}",
    )


def _replica_table(
    metric: Metric,
    y_true: ArrayLike,
    runs: Mapping[str, ArrayLike],
    *,
    replicas: int,
    seed: int,
    **options: Any,
) -> tuple[Floats, Floats]:
    """Give the value of each run, and its replicas, shape (n_runs, replicas)."""
    if metric.estimate is not None:
        raise MetricError(
            f"metric {metric.name!r} keeps a published procedure without bootstrap; "
            "compare its scores"
        )
    if replicas < 2:
        raise MetricError(f"replicas is {replicas}; a comparison needs at least 2")
    values, rows = [], []
    for name, run in runs.items():
        try:
            prepared: Prepared = prepare(metric, y_true, y_pred=run, y_score=run, **options)
        except MetricError as error:
            raise MetricError(f"run {name!r}: {error}") from None
        values.append(prepared.value)
        rows.append(prepared.replicas(replicas, seed))
    table = np.array(rows)
    table = table[:, np.isfinite(table).all(axis=0)]
    if table.shape[1] < max(2, replicas // 2) or not np.all(np.isfinite(values)):
        raise MetricError(
            f"y_true has too few events: {replicas - table.shape[1]} of {replicas} replicas "
            f"have no finite {metric.name}"
        )
    return np.array(values), table


def _adjusted_p_values(
    names: list[str], values: Floats, table: Floats
) -> dict[tuple[str, str], float]:
    pairs = list(itertools.combinations(range(len(names)), 2))
    if not pairs:
        return {}
    observed = np.array([values[i] - values[j] for i, j in pairs])
    largest = np.zeros(table.shape[1])
    statistics = np.zeros(len(pairs))
    for k, (i, j) in enumerate(pairs):
        differences = table[i] - table[j]
        deviation = differences.std(ddof=1)
        if deviation > 0:
            # centred on its own mean: a maximum over thresholds is biased in the replicas
            centred = np.abs(differences - differences.mean()) / deviation
            np.maximum(largest, centred, out=largest)
            statistics[k] = abs(observed[k]) / deviation
        elif observed[k] != 0:
            statistics[k] = math.inf
    above = (largest[np.newaxis] >= statistics[:, np.newaxis]).sum(axis=1)
    adjusted = (above + 1) / (largest.size + 1)
    return {(names[i], names[j]): float(p) for (i, j), p in zip(pairs, adjusted, strict=True)}


def _groups(order: tuple[str, ...], apart: list[tuple[str, str]]) -> tuple[tuple[str, ...], ...]:
    """Give the largest sets without a pair that is apart: insert and absorb."""
    groups: list[frozenset[str]] = [frozenset(order)]
    for pair in apart:
        split: list[frozenset[str]] = []
        for group in groups:
            split += [group - {run} for run in pair] if set(pair) <= group else [group]
        unique = list(dict.fromkeys(split))
        groups = [g for g in unique if not any(g < other for other in unique)]
    place = {run: k for k, run in enumerate(order)}
    ordered = [tuple(sorted(group, key=place.__getitem__)) for group in groups]
    return tuple(sorted(ordered, key=lambda group: [place[run] for run in group]))
