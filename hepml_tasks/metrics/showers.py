"""Simulated showers against generated ones: histograms and a classifier's verdict."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import ArrayLike

from hepml_tasks.errors import MetricError
from hepml_tasks.metrics.arrays import (
    Bools,
    Floats,
    Ints,
    class_weights,
    labels,
    matrix,
    numbers,
    unsigned_class_weights,
)
from hepml_tasks.metrics.ranking import plan_auc, roc_auc
from hepml_tasks.metrics.registry import register
from hepml_tasks.metrics.resampling import Plan

_CLASSIFIER_SOURCE = "CaloChallenge 2022, C. Krause et al., arXiv:2410.21611"


def histogram_separation(first: ArrayLike, second: ArrayLike) -> float:
    r"""Separation power of two histograms, :math:`\frac12\sum_i (h_i-g_i)^2/(h_i+g_i)`.

    Parameters
    ----------
    first, second : array-like of shape (n_bins,)
        Bin contents, scaled to unit sum here; none negative.

    Returns
    -------
    float
        0 for identical, 1 for disjoint histograms.

    Raises
    ------
    MetricError
        When shapes differ, a bin is negative or a histogram is empty.

    References
    ----------
    arXiv:2009.03796, eq. 15.

    Examples
    --------
    >>> histogram_separation([1, 0], [0, 5])
    1.0
    """
    h = numbers("first", first)
    g = numbers("second", second, h.size)
    for name, bins in (("first", h), ("second", g)):
        if bins.min() < 0 or bins.sum() <= 0:
            raise MetricError(f"{name} has a negative bin or no content; pass counts")
    return float(_separation(h[np.newaxis] / h.sum(), g[np.newaxis] / g.sum())[0])


def _separation(h: Floats, g: Floats) -> Floats:
    with np.errstate(divide="ignore", invalid="ignore"):
        terms = np.square(h - g) / (h + g)
    return np.asarray(0.5 * np.where(h + g > 0, terms, 0.0).sum(axis=-1))


def separation_bias(bins: int, n_first: float, n_second: float) -> float:
    """Give what the separation of two equal distributions is on average.

    Parameters
    ----------
    bins : int
        Occupied bins k.
    n_first, n_second : float
        (Effective) numbers of events.

    Returns
    -------
    float
        k/4 · (1/N₁ + 1/N₂), to leading order.
    """
    return bins / 4 * (1 / n_first + 1 / n_second)


def plan_separation(
    y_true: ArrayLike,
    y_score: ArrayLike,
    *,
    bins: int = 50,
    limits: tuple[float, float] | None = None,
    subtract_bias: bool = False,
) -> Plan:
    """Prepare :func:`separation_power` for many sets of weights."""
    if bins < 1:
        raise MetricError(f"bins is {bins}; pass a whole number above zero")
    real = labels(y_true)
    features = matrix("y_score", y_score)
    if len(features) != real.size:
        raise MetricError(f"y_score has {len(features)} rows where {real.size} are needed")
    columns = []
    for column in features.T:
        number = _bin_numbers(column, bins, limits)
        order = np.argsort(number, kind="stable")
        columns.append((order, np.flatnonzero(np.diff(number[order], prepend=-1)), real[order]))

    def evaluate(weights: Floats) -> Floats:
        total = np.zeros(len(weights))
        for order, begin, first in columns:
            total += _binned(weights[:, order], begin, first, subtract_bias=subtract_bias)
        return total / len(columns)

    return Plan(evaluate)


def _bin_numbers(column: Floats, bins: int, limits: tuple[float, float] | None) -> Ints:
    low, high = limits if limits is not None else (column.min(), column.max())
    if not high >= low:
        raise MetricError(f"limits are {limits!r}; pass (lower, upper)")
    width = (high - low) / bins
    if width <= 0:
        return np.zeros(column.size, dtype=np.intp)
    return np.clip((column - low) / width, 0, bins - 1).astype(np.intp)


def _binned(weights: Floats, begin: Ints, first: Bools, *, subtract_bias: bool) -> Floats:
    h = np.add.reduceat(weights * first, begin, axis=-1)
    g = np.add.reduceat(weights * ~first, begin, axis=-1)
    total_h, total_g = h.sum(axis=-1, keepdims=True), g.sum(axis=-1, keepdims=True)
    with np.errstate(divide="ignore", invalid="ignore"):
        value = _separation(h / total_h, g / total_g)
        if subtract_bias:
            n_first = total_h[:, 0] ** 2 / (np.square(weights) * first).sum(axis=-1)
            n_second = total_g[:, 0] ** 2 / (np.square(weights) * ~first).sum(axis=-1)
            occupied = np.count_nonzero(h + g > 0, axis=-1)
            value = value - occupied / 4 * (1 / n_first + 1 / n_second)
    value[(total_h[:, 0] <= 0) | (total_g[:, 0] <= 0)] = np.nan
    return np.asarray(value)


@register(
    name="separation_power",
    title="Separation power, mean over features",
    needs="samples",
    source="arXiv:2009.03796, eq. 15",
    higher_is_better=False,
    range=(0.0, 1.0),
    plan=plan_separation,
    test_options={"bins": 5},
    exempt={
        "coverage": "a sum of squares has its boundary at zero and a bias of about "
        "k/4·(1/N1 + 1/N2), which replicas double"
    },
)
def separation_power(
    y_true: ArrayLike,
    y_score: ArrayLike,
    *,
    sample_weight: ArrayLike | None = None,
    bins: int = 50,
    limits: tuple[float, float] | None = None,
    subtract_bias: bool = False,
) -> float:
    r"""Separation of the histograms of two samples, mean over features.

    .. math:: \frac12 \sum_k \frac{(h_k - g_k)^2}{h_k + g_k}

    with h and g the bins of either sample, each scaled to unit sum.

    For a physicist: how well a histogram of generated showers agrees with the simulated one; 0 for
    the same, 1 for disjoint ones.

    For an ML reader: a triangular discrimination, a symmetric form of χ².

    Finite samples of one distribution have k/4·(1/N₁ + 1/N₂) on average, k occupied bins.

    Parameters
    ----------
    y_true : array-like of shape (n_events,)
        1 for the simulated sample, 0 for the generated one.
    y_score : array-like of shape (n_events,) or (n_events, n_features)
        Features.
    sample_weight : array-like of shape (n_events,), optional
        Event weights of any sign, each sample's total positive; a bin whose sum isn't positive
        is left out.
    bins : int
        Bins of equal width.
    limits : (float, float), optional
        Range of the histogram, the events' own without; events outside go to the outer bins.
    subtract_bias : bool
        Subtract the bias of finite samples, with N the effective numbers of events.

    Returns
    -------
    float

    Raises
    ------
    MetricError
        When labels, feature, weights or options aren't usable.

    Notes
    -----
    The 68 % interval of the bootstrap never held the truth in simulated repeats
    (``benchmarks/coverage.py``, 2,000 repeats of 1,000 events) of a separation
    of 0.005: finite samples raise the value, and the replicas once more. Use `subtract_bias`, or
    quote :func:`~hepml_tasks.metrics.showers.separation_bias` with it.
    """
    plan = plan_separation(y_true, y_score, bins=bins, limits=limits, subtract_bias=subtract_bias)
    return plan.value(class_weights(sample_weight, labels(y_true)))


@register(
    name="classifier_auc",
    title="AUC of a classifier that tells generated from simulated",
    needs="score",
    source=_CLASSIFIER_SOURCE,
    higher_is_better=False,
    range=(0.0, 1.0),
    plan=plan_auc,
)
def classifier_auc(
    y_true: ArrayLike, y_score: ArrayLike, *, sample_weight: ArrayLike | None = None
) -> float:
    r"""AUC of a classifier that was trained to tell generated from simulated showers.

    .. math:: P(s_1 > s_0) + \tfrac12 P(s_1 = s_0)

    for the scores of two showers, one of each sample.

    For a physicist: 0.5 when nothing that the classifier sees gives a generated shower away, 1
    when everything does.

    For an ML reader: a classifier two-sample test; it is the generator's figure, so lower is
    better.

    Parameters
    ----------
    y_true : array-like of shape (n_events,)
        1 for one sample, 0 for the other.
    y_score : array-like of shape (n_events,)
        The classifier's output on events that it wasn't trained on.
    sample_weight : array-like of shape (n_events,), optional
        Event weights of any sign, each class's total positive.

    Returns
    -------
    float

    Raises
    ------
    MetricError
        When labels, scores or weights aren't usable.
    """
    return roc_auc(y_true, y_score, sample_weight=sample_weight)


@register(
    name="classifier_jsd",
    title="Jensen-Shannon divergence from a classifier",
    needs="score",
    source=_CLASSIFIER_SOURCE,
    higher_is_better=False,
    range=(0.0, 1.0),
    exempt={
        "cancelling_pair": "isotonic calibration isn't defined for negative weights",
        "coverage": "calibrated on the same events it is biased upwards, at the boundary of zero",
    },
)
def classifier_jsd(
    y_true: ArrayLike, y_score: ArrayLike, *, sample_weight: ArrayLike | None = None
) -> float:
    r"""Jensen-Shannon divergence of two samples, from a classifier that tells them apart.

    .. math:: \frac{\ln 2 - \mathrm{BCE}}{\ln 2}

    For a physicist: 0 when generated showers can't be told from simulated ones, 1 when they always
    can.

    For an ML reader: BCE is the cross entropy of the classifier after isotonic calibration on
    these events, with both samples counting the same.

    The calibration makes it a function of the order of the scores alone.

    Parameters
    ----------
    y_true : array-like of shape (n_events,)
        1 for one sample, 0 for the other.
    y_score : array-like of shape (n_events,)
        The classifier's output on events that it wasn't trained on.
    sample_weight : array-like of shape (n_events,), optional
        Event weights, not negative, each class's total positive.

    Returns
    -------
    float

    Raises
    ------
    MetricError
        When labels, scores or weights aren't usable, negative weights among them.

    Notes
    -----
    The 68 % interval of the bootstrap held the truth in 22 % of simulated repeats
    (``benchmarks/coverage.py``, 2,000 repeats of 1,000 events): calibrated on the
    events that it is evaluated on, the divergence lies 1.2 standard deviations too high.
    """
    from scipy.optimize import isotonic_regression

    first = labels(y_true)
    score = numbers("y_score", y_score, first.size)
    weights = unsigned_class_weights(
        sample_weight, first, "isotonic calibration needs weights of one sign"
    )
    ones, zeros = _by_score(score, first, weights)
    total = ones + zeros
    used = total > 0
    ones, zeros, total = ones[used], zeros[used], total[used]
    probability = np.asarray(isotonic_regression(ones / total, weights=total).x)
    with np.errstate(divide="ignore", invalid="ignore"):
        entropy = -np.where(ones > 0, ones * np.log(probability), 0.0).sum()
        entropy -= np.where(zeros > 0, zeros * np.log1p(-probability), 0.0).sum()
    return float(1 - entropy / math.log(2))


def _by_score(score: Floats, first: Bools, weights: Floats) -> tuple[Floats, Floats]:
    """Sum each sample's weight at each distinct score, each sample half of the total."""
    distinct, place = np.unique(score, return_inverse=True)
    sums = [
        np.bincount(place[mask], weights=weights[mask], minlength=distinct.size)
        for mask in (first, ~first)
    ]
    return 0.5 * sums[0] / sums[0].sum(), 0.5 * sums[1] / sums[1].sum()
