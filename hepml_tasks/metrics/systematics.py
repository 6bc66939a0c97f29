"""A metric across the values of a nuisance: worst case, spread and slope."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from hepml_tasks.errors import MetricError
from hepml_tasks.metrics.arrays import Floats, numbers, vector
from hepml_tasks.metrics.comparison import Comparison, comparison_of
from hepml_tasks.metrics.registry import Metric, get_metric
from hepml_tasks.metrics.scoring import LOWER, UPPER, Score, prepare, score


@dataclass(frozen=True)
class Effect:
    """A number that tells what a nuisance does.

    Parameters
    ----------
    value : float
    uncertainty : float
        Its statistical deviation over replicas common to all points; NaN where there is none.
    method : str
        How the deviation was made.
    """

    value: float
    uncertainty: float
    method: str

    def as_dict(self) -> dict[str, Any]:
        """Give the fields for JSON, as a score gives its own."""
        told = {"value": self.value, "uncertainty": self.uncertainty}
        plain = {name: x if math.isfinite(x) else None for name, x in told.items()}
        return {**plain, "method": self.method}


@dataclass(frozen=True)
class WorstScore(Score):
    """The worst value of a metric over those of a nuisance, and what else the nuisance does.

    Parameters
    ----------
    spread : Effect
        Largest minus smallest value.
    slope : Effect
        Of the straight line through the values, per unit of the nuisance.
    """

    spread: Effect
    slope: Effect

    def as_dict(self) -> dict[str, Any]:
        """Give the fields for JSON, those of the effects as a mapping each."""
        effects = {"spread": self.spread.as_dict(), "slope": self.slope.as_dict()}
        return {**super().as_dict(), **effects}


@dataclass(frozen=True)
class Systematics:
    """What a nuisance does to a metric.

    Parameters
    ----------
    scores : mapping of float to Score
        The metric at each value of the nuisance, ascending.
    worst : float
        The worst value of the metric.
    worst_score : WorstScore
        The same with an uncertainty: that of the worst value over replicas common to all points,
        each at its own worst point. With the uncertainties of spread and slope, too.
    worst_at : float
        Where it is.
    spread : float
        Largest minus smallest value.
    slope : float
        Of the straight line through the values, per unit of the nuisance.
    slope_uncertainty : float
        Its statistical deviation over replicas common to all points; NaN where there is none.
    method : str
        How the deviation was made.
    """

    scores: Mapping[float, Score]
    worst: float
    worst_score: WorstScore
    worst_at: float
    spread: float
    slope: float
    slope_uncertainty: float
    method: str


def across_nuisance(
    metric: str | Metric,
    points: Mapping[float, Mapping[str, ArrayLike]],
    *,
    replicas: int = 200,
    seed: int = 0,
    **options: Any,
) -> Systematics:
    """Evaluate a metric across the values of a nuisance.

    Parameters
    ----------
    metric : str or Metric
        Its name, or the metric itself.
    points : mapping of float to mapping
        For each value of the nuisance (a jet energy scale, in standard deviations) the arrays of
        :func:`~hepml_tasks.metrics.score`: ``y_true``, ``y_score`` or ``y_pred``, and
        ``sample_weight`` and ``event_id`` where there are. Points that share event ids share
        their replicas, so that statistics cancel in the slope.
    replicas, seed, **options
        As for :func:`~hepml_tasks.metrics.score`.

    Returns
    -------
    Systematics

    Raises
    ------
    MetricError
        When there are fewer than two values or the arrays of one aren't usable.

    Examples
    --------
    >>> y, good, bad = [0, 0, 1, 1], [0, 0, 1, 1], [0, 1, 1, 0]
    >>> points = {-1.0: {"y_true": y, "y_pred": bad}, 0.0: {"y_true": y, "y_pred": good}}
    >>> result = across_nuisance("signal_efficiency", points)
    >>> result.worst, result.worst_at, result.slope
    (0.5, -1.0, 0.5)
    """
    chosen = get_metric(metric) if isinstance(metric, str) else metric
    if len(points) < 2:
        raise MetricError(f"points has {len(points)} values of the nuisance; pass at least 2")
    at = sorted(float(value) for value in points)
    if not np.all(np.isfinite(at)):
        raise MetricError("points has a nuisance value that isn't finite")
    scores: dict[float, Score] = {}
    rows: list[Floats] = []
    for value in at:
        arrays: dict[str, Any] = dict(points[value])
        try:
            scores[value] = score(chosen, **arrays, replicas=replicas, seed=seed, **options)
            if chosen.estimate is None and replicas > 1:
                rows.append(prepare(chosen, **arrays, **options).replicas(replicas, seed))
        except MetricError as error:
            raise MetricError(f"points[{value:g}]: {error}") from None
    values = np.array([s.value for s in scores.values()])
    worst = int(values.argmin() if chosen.higher_is_better else values.argmax())
    table, told = np.array(rows), f"common poisson-bootstrap-{replicas}, seed {seed}"
    slopes = _slopes(np.array(at), table.T) if rows else np.empty(0)
    spreads = np.ptp(table, axis=0) if rows else np.empty(0)
    slope = _effect(float(_slopes(np.array(at), values[np.newaxis])[0]), slopes, told)
    spread = _effect(float(np.ptp(values)), spreads, told)
    there = _worst_score(chosen, scores[at[worst]], table, replicas, seed)
    return Systematics(
        scores,
        float(values[worst]),
        WorstScore(**vars(there), spread=spread, slope=slope),
        at[worst],
        spread.value,
        slope.value,
        slope.uncertainty,
        slope.method,
    )


def _effect(value: float, replicas: Floats, method: str) -> Effect:
    usable = replicas[np.isfinite(replicas)]
    if usable.size < 2:
        return Effect(value, math.nan, "none")
    return Effect(value, float(usable.std(ddof=1)), method)


def _worst_score(metric: Metric, there: Score, rows: Floats, replicas: int, seed: int) -> Score:
    """Give the score at the worst point the uncertainty of the worst of all points."""
    if not rows.size:
        return there
    worst = rows.min(axis=0) if metric.higher_is_better else rows.max(axis=0)
    usable = worst[np.isfinite(worst)]
    if usable.size < max(2, replicas // 2):
        return replace(there, uncertainty=math.nan, interval=(math.nan, math.nan))
    low, high = np.quantile(usable, [LOWER, UPPER], method="closest_observation")
    return replace(
        there,
        uncertainty=float(usable.std(ddof=1)),
        interval=(float(low), float(high)),
        method=f"common poisson-bootstrap-{replicas} of the worst value, test sample only,"
        f" seed {seed}",
    )


def compare_across(
    metric: Metric,
    first: Mapping[float, Mapping[str, Any]],
    second: Mapping[float, Mapping[str, Any]],
    *,
    replicas: int = 200,
    seed: int = 0,
) -> Comparison:
    """Compare the worst values of two runs on the same events.

    Parameters
    ----------
    metric : Metric
    first, second : mapping of float to mapping
        As `points` of :func:`across_nuisance`.
    replicas, seed : int
        Of the bootstrap, common to both runs and all points.

    Returns
    -------
    Comparison

    Raises
    ------
    MetricError
        When too few replicas have a value.
    """
    values, table = [], []
    for points in (first, second):
        prepared = [prepare(metric, **p) for p in points.values()]
        rows = np.array([p.replicas(replicas, seed) for p in prepared])
        worst = np.min if metric.higher_is_better else np.max
        values.append(float(worst([p.value for p in prepared])))
        table.append(worst(rows, axis=0))
    return comparison_of(metric, np.array(values), np.array(table), replicas, seed)


def _slopes(at: Floats, values: Floats) -> Floats:
    """Fit straight lines; values of shape (n_lines, n_points)."""
    centred = at - at.mean()
    return np.asarray(values @ centred / (centred @ centred))


def split_by_nuisance(
    nuisance: ArrayLike, **columns: ArrayLike | None
) -> dict[float, dict[str, ArrayLike]]:
    """Split columns by the value of a nuisance, for :func:`across_nuisance`.

    Parameters
    ----------
    nuisance : array-like of shape (n_events,)
        The nuisance's value of each event.
    **columns : array-like of shape (n_events,)
        Arrays to split; None is left out.

    Returns
    -------
    dict
        For each value, the rows of each column.

    Raises
    ------
    MetricError
        When a column has another length.
    """
    values = numbers("nuisance", nuisance)
    arrays: dict[str, Any] = {}
    for name, column in columns.items():
        if column is None:
            continue
        array = np.asarray(column)
        vector(name, array if array.ndim == 1 else np.arange(len(array)), values.size)
        arrays[name] = array
    return {
        float(value): {name: array[values == value] for name, array in arrays.items()}
        for value in np.unique(values)
    }
