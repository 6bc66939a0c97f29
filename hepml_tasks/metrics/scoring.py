"""A metric's value with its uncertainty, by one convention.

- Efficiencies and purities, ratios of additive sums, propagate the sums of squared weights.
- Significances, ranks, curves and maxima take a Poisson bootstrap with replicas that belong to the
  events.
- Rows that share an event id are one resampling unit and take the bootstrap in any case.
- With `class_sums`, each class's total is renormalised to the full luminosity, in the value and in
  every replica.
- The interval is of the test sample alone: it leaves out the variance of training.
"""

from __future__ import annotations

import contextlib
import inspect
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from hepml_tasks.errors import MetricError
from hepml_tasks.metrics.arrays import (
    Bools,
    Floats,
    Ints,
    class_weights,
    labels,
    total_weights,
    vector,
)
from hepml_tasks.metrics.registry import Metric, get_metric
from hepml_tasks.metrics.resampling import Plan, event_keys, plan_mean
from hepml_tasks.metrics.selection import cell_numbers, plan_cells, sums_by_cell
from hepml_tasks.metrics.significance import checked_class_sums

_TWO_CLASSES = frozenset({"selection", "score", "probability", "samples"})

LOWER, UPPER = 0.15865525393145707, 0.8413447460685429
"""Quantiles at one standard deviation below and above the mean of a normal distribution."""

_ROUNDING = 1e-13


@dataclass(frozen=True)
class Score:
    """A figure and how well it is known.

    Parameters
    ----------
    value : float
        The metric.
    uncertainty : float
        One standard deviation; NaN where `method` says that there is none.
    interval : tuple of float
        The central 68.27 % interval.
    method : str
        How uncertainty and interval were made, and what they leave out.
    n : int
        The number of events.
    n_eff : float
        The effective number of events, (Σw)²/Σw².
    """

    value: float
    uncertainty: float
    interval: tuple[float, float]
    method: str
    n: int
    n_eff: float

    def as_dict(self) -> dict[str, Any]:
        """Give the fields for JSON, which has neither NaN nor infinity: those become None."""

        def plain(x: float) -> float | None:
            return x if math.isfinite(x) else None

        return {
            "value": plain(self.value),
            "uncertainty": plain(self.uncertainty),
            "interval": [plain(x) for x in self.interval],
            "method": self.method,
            "n": self.n,
            "n_eff": plain(self.n_eff),
        }


def score(
    metric: str | Metric,
    y_true: ArrayLike,
    *,
    y_pred: ArrayLike | None = None,
    y_score: ArrayLike | None = None,
    sample_weight: ArrayLike | None = None,
    event_id: ArrayLike | None = None,
    class_sums: Sequence[float] | None = None,
    replicas: int = 200,
    seed: int = 0,
    **options: Any,
) -> Score:
    """Compute a metric with its uncertainty.

    Parameters
    ----------
    metric : str or Metric
        Its name, or the metric itself.
    y_true : array-like of shape (n_events,)
        Truth: 1 for signal and 0 for background, a class, a number or a particle id, as the
        metric needs.
    y_pred, y_score : array-like of shape (n_events,), optional
        What the model says; the one that the metric doesn't need is ignored.
    sample_weight : array-like of shape (n_events,), optional
        Event weights of any sign; ignored by metrics that are unweighted by definition.
    event_id : array-like of shape (n_events,), optional
        The resampling unit of each row; each row is a unit of its own without.
    class_sums : (float, float), optional
        Sums of signal and background weights at full luminosity.
    replicas : int
        Bootstrap replicas; 0 for the value alone.
    seed : int
        Seed of the replicas.
    **options
        Further arguments of the metric.

    Returns
    -------
    Score

    Raises
    ------
    MetricError
        When the arrays aren't usable.
    UnknownNameError
        When no metric has that name.

    Examples
    --------
    >>> result = score("signal_efficiency", [1, 1, 0, 0], y_pred=[1, 0, 0, 0])
    >>> result.value, round(result.uncertainty, 4)
    (0.5, 0.3536)
    """
    chosen = get_metric(metric) if isinstance(metric, str) else metric
    if chosen.estimate is not None:
        values = _needed(chosen, y_pred, y_score)
        value, deviation, method = chosen.estimate(y_true, values, **{**chosen.options, **options})
        size = len(np.asarray(y_true))
        return Score(value, deviation, (value - deviation, value + deviation), method, size, size)
    prepared = prepare(
        chosen,
        y_true,
        y_pred=y_pred,
        y_score=y_score,
        sample_weight=sample_weight,
        event_id=event_id,
        class_sums=class_sums,
        **options,
    )
    total = float(prepared.weights.sum())
    squares = float(np.square(prepared.weights).sum())
    n, n_eff = prepared.weights.size, total / squares * total if squares > 0 else 0.0
    value = prepared.value

    def result(uncertainty: float, interval: tuple[float, float], method: str) -> Score:
        return Score(value, uncertainty, interval, method, n, n_eff)

    nothing = (math.nan, math.nan)
    if replicas <= 0:
        return result(math.nan, nothing, "none asked for")
    keys = prepared.keys
    units = n if keys is None else np.unique(keys).size
    if units < 2:
        return result(math.nan, nothing, "none: one resampling unit has no spread")
    # a significance is no sum: far from linear in its background, it takes the bootstrap
    if prepared.cells is not None and units == n and chosen.additive:
        deviation = prepared.deviation()
        low, high = chosen.range
        return result(
            deviation,
            (min(value, max(low, value - deviation)), max(value, min(high, value + deviation))),
            "sum of squared weights, test sample only",
        )
    values = prepared.replicas(replicas, seed)
    method = f"poisson-bootstrap-{replicas}, test sample only, seed {seed}"
    usable = values[~np.isnan(values)]
    if usable.size < replicas:
        method += f", {replicas - usable.size} replicas without a value left out"
    if usable.size < max(2, replicas // 2):
        return result(math.nan, nothing, f"none: {method}")
    low, high = np.quantile(usable, [LOWER, UPPER], method="closest_observation")
    if not np.isfinite(usable).all():
        return result(math.inf, (float(low), float(high)), method)
    deviation = float(usable.std(ddof=1))
    if deviation <= _ROUNDING * np.abs(usable).max():
        # replicas that differ by rounding alone are all the same
        return result(0.0, (value, value), method)
    return result(deviation, (float(low), float(high)), method)


@dataclass(frozen=True)
class Prepared:
    """A metric on given events: its value, and its plan for replicas.

    Parameters
    ----------
    value : float
        The metric.
    weights : ndarray of shape (n_events,)
        The weights as they enter.
    plan : Plan
        The metric for other weights.
    cells : ndarray of int, shape (n_events,), optional
        The cell of each event, for a function of the sums of a selection.
    function : callable, optional
        That function, with renormalisation.
    keys : ndarray of uint64, shape (n_events,), optional
        The resampling unit of each event.
    """

    value: float
    weights: Floats
    plan: Plan
    cells: Ints | None = None
    function: Callable[[Floats, Floats, Floats, Floats], Floats] | None = None
    keys: NDArray[np.uint64] | None = None

    def replicas(self, replicas: int, seed: int) -> Floats:
        """Give the metric in each bootstrap replica."""
        return self.plan.replicas(self.weights, self.keys, replicas, seed)

    def deviation(self) -> float:
        """Propagate the sums of squared weights through the function of the four sums."""
        if self.cells is None or self.function is None:
            raise MetricError("only a function of a selection's sums has sums to propagate")
        sums = np.array(sums_by_cell(self.cells, self.weights))[:, 0]
        squares = np.array(sums_by_cell(self.cells, np.square(self.weights)))[:, 0]
        scale = np.repeat([sums[:2].sum(), sums[2:].sum()], 2)
        step = 1e-5 * np.maximum(np.abs(sums), 1e-3 * scale)
        # central differences; an empty sum has no variance and needs none
        points = np.concatenate([sums + np.diag(step), sums - np.diag(step)])
        with np.errstate(divide="ignore", invalid="ignore"):
            up, down = np.split(self.function(*points.T), 2)
            slopes = np.where(squares > 0, (up - down) / (2 * step), 0.0)
        variance = float((np.square(slopes) * squares).sum())
        return math.sqrt(variance) if math.isfinite(variance) else math.inf


def _needed(metric: Metric, y_pred: ArrayLike | None, y_score: ArrayLike | None) -> ArrayLike:
    """Give the one of two arrays that a metric compares with the truth."""
    name = "y_score" if metric.needs in {"score", "probability", "samples"} else "y_pred"
    values = y_score if name == "y_score" else y_pred
    if values is None:
        raise MetricError(f"{name} is missing; metric {metric.name!r} needs it")
    return values


def prepare(
    metric: Metric,
    y_true: ArrayLike,
    *,
    y_pred: ArrayLike | None = None,
    y_score: ArrayLike | None = None,
    sample_weight: ArrayLike | None = None,
    event_id: ArrayLike | None = None,
    class_sums: Sequence[float] | None = None,
    **options: Any,
) -> Prepared:
    """Check the input of a metric and prepare it for replicas.

    Parameters and errors are those of :func:`score`.

    Returns
    -------
    Prepared
    """
    values = _needed(metric, y_pred, y_score)
    options = {**metric.options, **options}
    if metric.units is not None:
        return _prepare_units(metric, y_true, values, sample_weight, event_id=event_id, **options)
    sums = checked_class_sums(class_sums) if metric.luminosity else None
    truth = vector("y_true", y_true)
    keys = None if event_id is None else event_keys(event_id, truth.size)
    used = sample_weight if metric.weighted else None
    signal = labels(y_true) if metric.needs in _TWO_CLASSES else None
    event_weights = (
        class_weights(used, signal) if signal is not None else total_weights(used, truth.size)
    )
    if metric.cells is not None:
        return _prepare_cells(metric, truth, values, event_weights, sums, options, keys)
    if metric.plan is not None and "class_sums" in inspect.signature(metric.plan).parameters:
        plan = metric.plan(truth, values, class_sums=sums, **options)
    elif metric.plan is not None:
        plan = _renormalised(metric.plan(truth, values, **options), signal, sums)
    else:
        plan = _renormalised(_plain_plan(metric, truth, values, options), signal, sums)
    if metric.plan is not None and sums is None:
        # the function's own checks belong to the value
        given = {"sample_weight": used} if metric.weighted else {}
        return Prepared(
            float(metric.function(truth, values, **given, **options)),
            event_weights,
            plan,
            keys=keys,
        )
    return Prepared(plan.value(event_weights), event_weights, plan, keys=keys)


def _renormalised(plan: Plan, signal: Bools | None, sums: tuple[float, float] | None) -> Plan:
    """Rescale each class to its full sum before the metric is evaluated."""
    if signal is None or sums is None:
        return plan
    first = signal if plan.order is None else signal[plan.order]

    def evaluate(many: Floats) -> Floats:
        with np.errstate(divide="ignore", invalid="ignore"):
            up = sums[0] / (many * first).sum(axis=-1, keepdims=True)
            down = sums[1] / (many * ~first).sum(axis=-1, keepdims=True)
            good = ((up > 0) & np.isfinite(up) & (down > 0) & np.isfinite(down))[:, 0]
            result = np.full(len(many), np.nan)
            if good.any():
                factors = np.where(first, up[good], down[good])
                result[good] = plan.evaluate(many[good] * factors)
        return result

    return Plan(evaluate, plan.order)


def _prepare_units(
    metric: Metric,
    y_true: ArrayLike,
    values: ArrayLike,
    sample_weight: ArrayLike | None,
    **options: Any,
) -> Prepared:
    """Prepare a mean over units of several rows: the units are what is resampled."""
    if metric.units is None:
        raise MetricError(f"metric {metric.name!r} isn't a mean over units")
    ids, figures = metric.units(y_true, values, sample_weight=sample_weight, **options)
    plan, ones = plan_mean(figures), np.ones(figures.size)
    return Prepared(plan.value(ones), ones, plan, keys=event_keys(ids, figures.size))


def _prepare_cells(
    metric: Metric,
    y_true: ArrayLike,
    y_pred: ArrayLike,
    event_weights: Floats,
    sums: tuple[float, float] | None,
    options: dict[str, Any],
    keys: NDArray[np.uint64] | None,
) -> Prepared:
    def function(tp: Floats, fn: Floats, fp: Floats, tn: Floats) -> Floats:
        if sums is not None:
            signal, background = sums[0] / (tp + fn), sums[1] / (fp + tn)
            tp, fn, fp, tn = tp * signal, fn * signal, fp * background, tn * background
        if metric.cells is None:
            raise MetricError(f"metric {metric.name!r} isn't a function of four sums")
        return np.asarray(metric.cells(tp, fn, fp, tn, **options))

    cells = cell_numbers(y_true, y_pred)
    scaled = event_weights
    if sums is not None:
        signal = cells < 2
        scaled = event_weights * np.where(
            signal,
            sums[0] / (event_weights * signal).sum(),
            sums[1] / (event_weights * ~signal).sum(),
        )
    # the function itself gives the value, with its own checks
    value = metric.function(y_true, y_pred, sample_weight=scaled, **options)
    plan = plan_cells(y_true, y_pred, function)
    return Prepared(float(value), event_weights, plan, cells, function, keys)


def _plain_plan(
    metric: Metric, y_true: NDArray[Any], values: ArrayLike, options: dict[str, Any]
) -> Plan:
    """Evaluate a metric that has no plan of its own, one replica after the other."""
    rows = np.asarray(values)
    columns = {
        name: np.asarray(options[name]) for name in metric.columns if options.get(name) is not None
    }

    def one(weights: Floats) -> float:
        if metric.weighted:
            return float(metric.function(y_true, rows, sample_weight=weights, **options))
        # an unweighted metric sees an event as often as the replica has it
        chosen = np.repeat(np.arange(y_true.size), weights.astype(np.intp))
        picked = {**options, **{name: column[chosen] for name, column in columns.items()}}
        return float(metric.function(y_true[chosen], rows[chosen], **picked))

    def evaluate(many: Floats) -> Floats:
        if len(many) == 1:
            return np.array([one(many[0])])
        result = np.full(len(many), np.nan)
        for row, weights in enumerate(many):
            # a replica may have lost a class
            with contextlib.suppress(MetricError):
                result[row] = one(weights)
        return result

    return Plan(evaluate)
