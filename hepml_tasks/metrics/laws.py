"""The laws that every registered metric obeys, as checks on random events.

A metric of another package tests itself with them::

    @pytest.mark.parametrize("law", laws_of(get_metric("my_metric")))
    def test_it_obeys_the_law(law):
        check_law(law, get_metric("my_metric"))

The law ``coverage`` is not among them: it takes a simulation of repeated experiments, as
``benchmarks/coverage.py`` has for the metrics of this package.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from types import MappingProxyType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hepml_tasks.errors import MetricError
from hepml_tasks.metrics.registry import Metric
from hepml_tasks.metrics.scoring import Score, score

_TWO_CLASSES = frozenset({"selection", "score", "probability", "samples"})
_EVENTS = 60


@dataclass(frozen=True, eq=False)
class Events:
    """Rows that a metric can be computed from.

    Parameters
    ----------
    y_true, y : ndarray of shape (n_events,) or (n_events, n_columns)
        Truth, and what the metric compares with it.
    weight : ndarray of shape (n_events,), optional
        None for a metric without weights.
    columns : mapping of str to ndarray
        Options that take a value per event.
    """

    y_true: NDArray[Any]
    y: NDArray[Any]
    weight: NDArray[Any] | None
    columns: Mapping[str, NDArray[Any]] = field(default_factory=dict)

    def rows(self, chosen: NDArray[np.intp]) -> Events:
        """Give some of the rows, in any order and any number of times."""
        return Events(
            self.y_true[chosen],
            self.y[chosen],
            None if self.weight is None else self.weight[chosen],
            {name: column[chosen] for name, column in self.columns.items()},
        )


def random_events(metric: Metric, seed: int) -> Events:
    """Draw events for a metric: ties among scores, weights of either sign, both classes filled."""
    rng = np.random.default_rng(seed)
    n = _EVENTS
    y_true: NDArray[Any] = rng.permutation(np.arange(n) % 2)
    signed = "cancelling_pair" not in metric.exempt
    weight = rng.uniform(0.5, 2, n) * np.where(signed & (rng.random(n) < 0.1), -0.2, 1.0)
    columns: dict[str, NDArray[Any]] = {}
    y: NDArray[Any]
    if metric.needs == "selection":
        y = (rng.random(n) < 0.3 + 0.4 * y_true).astype(int)
        y[:2] = 1
    elif metric.needs == "labels":
        y = np.where(rng.random(n) < 0.7, y_true, 1 - y_true)
    elif metric.needs == "score":
        y = np.round(rng.normal(y_true, 1.0), 1)
    elif metric.needs == "probability":
        y = np.round(rng.beta(1 + y_true, 2 - y_true), 2)
    elif metric.needs == "samples":
        y = rng.normal(0.5 * y_true[:, np.newaxis], 1.0, (n, 2))
    elif metric.needs == "tracks":
        y_true = rng.integers(1, 8, n) * 10**15
        y = np.where(rng.random(n) < 0.8, y_true // 10**15, rng.integers(1, 8, n))
        columns["event_id"] = np.arange(n) % 3
        weight = np.abs(weight)
    else:
        y_true = rng.uniform(10, 100, n)
        y = y_true * rng.normal(1, 0.1, n)
        if metric.needs == "interval":
            y = np.column_stack([y - rng.uniform(2, 14, n), y + rng.uniform(2, 14, n)])
    for name in metric.columns:
        columns.setdefault(name, rng.permutation(n).astype(float))
    return Events(y_true, y, weight if metric.weighted else None, columns)


def laws_of(metric: Metric) -> tuple[str, ...]:
    """Give the laws that apply to a metric and can be checked on random events."""
    return tuple(law for law in CHECKS if law not in metric.exempt)


def check_law(law: str, metric: Metric, *, seed: int = 0) -> None:
    """Check that a metric obeys a law, on random events.

    Parameters
    ----------
    law : str
        One of `CHECKS`.
    metric : Metric
    seed : int
        Of the events.

    Raises
    ------
    AssertionError
        When it doesn't: the message says what differs.
    """
    for check in CHECKS[law]:
        check(metric, seed)


def check_facts(metric: Metric) -> None:
    """Check that a metric tells what it is, and that its values stay in its range.

    Raises
    ------
    AssertionError
        When something is missing or wrong.
    """
    for fact in ("title", "source"):
        _hold(bool(getattr(metric, fact)), f"{metric.name} has no {fact}")
    text = metric.documentation
    _hold(metric.summary.endswith((".", "`.")), f"{metric.name}: its docstring has no first line")
    for section in ("Parameters", "Returns"):
        _hold(section in text, f"{metric.name}: its docstring has no section {section}")
    low, high = metric.range
    _hold(low < high, f"{metric.name} has the range {metric.range}")
    for seed in range(5):
        e = random_events(metric, seed)
        found = _value(metric, replace(e, weight=None if e.weight is None else np.abs(e.weight)))
        inside = low - 1e-12 <= found <= high + 1e-12
        _hold(inside, f"{metric.name} is {found} outside of its range {metric.range}")


def permutation(metric: Metric, seed: int) -> None:
    """Check that permuting events changes nothing."""
    e = random_events(metric, seed)
    order = np.random.default_rng(seed + 1).permutation(e.y_true.size)
    _same(_value(metric, e), _value(metric, e.rows(order)), "events in another order")


def duplication(metric: Metric, seed: int) -> None:
    """Check that an event twice equals the event once with weight 2."""
    e = random_events(metric, seed)
    everything = np.arange(e.y_true.size)
    if e.weight is None:
        twice = e.rows(np.tile(everything, 2))
        _same(_value(metric, e), _value(metric, twice), "all events twice")
        return
    chosen = np.random.default_rng(seed + 1).choice(everything, 10, replace=False)
    heavier = e.weight.copy()
    heavier[chosen] *= 2
    doubled = e.rows(np.concatenate([everything, chosen]))
    heavy = _value(metric, replace(e, weight=heavier))
    _same(heavy, _value(metric, doubled), "events twice instead of twice their weight")


def weight_scaling(metric: Metric, seed: int) -> None:
    """Check that a common factor on the weights acts as the metric declares."""
    e = random_events(metric, seed)
    if e.weight is None:
        return
    factor = 10.0 ** np.random.default_rng(seed + 1).uniform(-3, 3)
    before = _value(metric, e, **dict.fromkeys(metric.count_options, 10.0))
    scaled = replace(e, weight=e.weight * factor)
    after = _value(metric, scaled, **dict.fromkeys(metric.count_options, 10.0 * factor))
    _same(before * factor**metric.weight_power, after, f"all weights times {factor:g}")


def monotone(metric: Metric, seed: int) -> None:
    """Check that a strictly monotone map of the scores changes nothing."""
    if metric.needs != "score":
        return
    e = random_events(metric, seed)
    before = _value(metric, e)
    _same(before, _value(metric, replace(e, y=np.exp(e.y / 2))), "exp(score / 2)")
    _same(before, _value(metric, replace(e, y=1e6 * e.y**3 - 5)), "1e6 score³ - 5")


def cancelling_pair(metric: Metric, seed: int) -> None:
    """Check that a pair of weights +w and -w with the same score changes nothing."""
    e = random_events(metric, seed)
    rng = np.random.default_rng(seed + 1)
    n = e.y_true.size
    pair = e.rows(np.append(np.arange(n), [rng.integers(n)] * 2))
    if pair.weight is None:
        return
    weight = rng.uniform(0.1, 3)
    pair.weight[-2:] = weight, -weight
    if metric.needs == "score":
        # a score that no other event has
        pair.y[-2:] = rng.normal()
    _same(_value(metric, e), _value(metric, pair), "a pair of weights that cancel")


def values_that_are_not_finite(metric: Metric, seed: int) -> None:
    """Check that NaN or infinity among scores or weights names the argument."""
    e = random_events(metric, seed)
    name = "y_score" if metric.needs in {"score", "probability", "samples"} else "y_pred"
    if metric.needs == "tracks":
        name = "track_id"
    for bad in (math.nan, math.inf, -math.inf):
        broken = e.y.astype(float)
        broken.flat[3] = bad
        _refuses(metric, replace(e, y=broken), f"{bad} among the values", name)
        if e.weight is not None:
            weight = e.weight.copy()
            weight[3] = bad
            _refuses(metric, replace(e, weight=weight), f"a weight of {bad}", "sample_weight")


def an_empty_class(metric: Metric, seed: int) -> None:
    """Check that a class without events, and labels other than 0 and 1, name `y_true`."""
    if metric.needs not in _TWO_CLASSES:
        return
    e = random_events(metric, seed)
    for label in (0, 1):
        same = replace(e, y_true=np.full_like(e.y_true, label))
        _refuses(metric, same, f"events of class {label} only", "y_true")
    _refuses(metric, replace(e, y_true=e.y_true * 2 - 1), "labels -1 and 1", "y_true")


def shapes_that_differ(metric: Metric, seed: int) -> None:
    """Check that arrays of different lengths, and no events at all, name an argument."""
    e = random_events(metric, seed)
    names = ("y_score", "y_pred", "track_id")
    _refuses(metric, replace(e, y=e.y[:-1]), "a value too few", *names)
    if e.weight is not None:
        _refuses(metric, replace(e, weight=e.weight[:-1]), "a weight too few", "sample_weight")
    _refuses(metric, e.rows(np.arange(0)), "no events", "")


def totals_that_are_not_positive(metric: Metric, seed: int) -> None:
    """Check that a total weight of zero or less names `sample_weight`."""
    e = random_events(metric, seed)
    if e.weight is None:
        return
    for weight in (np.zeros_like(e.weight), -np.abs(e.weight)):
        broken = replace(e, weight=weight)
        _refuses(metric, broken, f"weights that sum to {weight.sum():g}", "sample_weight")


def small_integers(metric: Metric, seed: int) -> None:
    """Check that integer weights don't overflow."""
    e = random_events(metric, seed)
    if e.weight is None:
        return
    small = np.full(e.y_true.size, 100, dtype=np.int8)
    wide = _value(metric, replace(e, weight=small.astype(float)))
    _same(wide, _value(metric, replace(e, weight=small)), "weights as 8-bit integers")


def ties_everywhere(metric: Metric, seed: int) -> None:
    """Check that equal values for all events give a number."""
    e = random_events(metric, seed)
    y = np.broadcast_to(e.y[:1], e.y.shape).copy()
    _hold(not math.isnan(_value(metric, replace(e, y=y))), f"{metric.name} is NaN for ties")


def same_seed(metric: Metric, seed: int) -> None:
    """Check that the same seed gives the same uncertainty, beside the metric's own value."""
    e = random_events(metric, seed)
    first, second = (_score(metric, e, seed=3) for _ in range(2))
    _hold(first == second, f"{metric.name} has other uncertainties for the same seed")
    _hold(not math.isnan(first.uncertainty), f"{metric.name} has no uncertainty")
    value = _value(metric, e)
    agree = math.isclose(first.value, value, rel_tol=1e-12, abs_tol=1e-14)
    _hold(agree, f"{metric.name} is {value}, and {first.value} with its uncertainty")
    if "poisson" in first.method:
        other = _score(metric, e, seed=4)
        differ = (other.uncertainty, other.interval) != (first.uncertainty, first.interval)
        _hold(differ, f"{metric.name} has the same replicas for every seed")


Check = Callable[[Metric, int], None]

CHECKS: Mapping[str, tuple[Check, ...]] = MappingProxyType(
    {
        "permutation": (permutation,),
        "duplication": (duplication,),
        "weight_scaling": (weight_scaling,),
        "monotone": (monotone,),
        "cancelling_pair": (cancelling_pair,),
        "bad_input": (
            values_that_are_not_finite,
            an_empty_class,
            shapes_that_differ,
            totals_that_are_not_positive,
            small_integers,
            ties_everywhere,
        ),
        "same_seed": (same_seed,),
    }
)
"""The checks of each law, by its key in `hepml_tasks.metrics.registry.LAWS`."""


def _value(metric: Metric, e: Events, **options: Any) -> float:
    given = {**metric.test_options, **e.columns, **options}
    if metric.weighted:
        given["sample_weight"] = e.weight
    return metric(e.y_true, e.y, **given)


def _score(metric: Metric, e: Events, *, seed: int) -> Score:
    given = {**metric.test_options, **e.columns}
    return score(
        metric,
        e.y_true,
        y_pred=e.y,
        y_score=e.y,
        sample_weight=e.weight,
        seed=seed,
        replicas=20,
        **given,
    )


def _hold(truth: bool, message: str) -> None:
    if not truth:
        raise AssertionError(message)


def _same(before: float, after: float, what: str) -> None:
    close = before == after or math.isclose(before, after, rel_tol=1e-9, abs_tol=1e-10)
    _hold(close, f"{before!r} becomes {after!r} for {what}")


def _refuses(metric: Metric, e: Events, what: str, *names: str) -> None:
    """Check that an error names one of the arguments."""
    try:
        found = _value(metric, e)
    except MetricError as error:
        message = str(error)
    else:
        raise AssertionError(f"{metric.name} gives {found!r} for {what}; raise a MetricError")
    named = any(name in message for name in names)
    _hold(named, f"{metric.name} says {message!r} of {what}; name {' or '.join(names)}")
