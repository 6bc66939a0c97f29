r"""The three measures of the search for τ → μμμ: agreement, correlation, truncated area.

All are of the challenge "Flavours of Physics" (LHCb, Yandex, CERN; Kaggle 2015). A classifier had
to pass the first two tests before its third figure counted.
"""

from __future__ import annotations

import math
from typing import Literal

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import ArrayLike

from hepml_tasks.errors import MetricError
from hepml_tasks.metrics.arrays import Floats, Ints, class_weights, labels, numbers
from hepml_tasks.metrics.ranking import class_totals, rank
from hepml_tasks.metrics.registry import register
from hepml_tasks.metrics.resampling import Plan
from hepml_tasks.metrics.sorting import stable_argsort

_SOURCE = "Flavours of Physics, Kaggle 2015"

AGREEMENT_LIMIT = 0.09
"""The challenge's upper limit on :func:`agreement_ks`."""
CORRELATION_LIMIT = 0.002
"""The challenge's upper limit on :func:`correlation_cvm`."""

_BANDS = (0.0, 0.2, 0.4, 0.6, 0.8, 1.0)
_BAND_WEIGHTS = (2.0, 1.5, 1.0, 0.5, 0.0)


def plan_agreement(y_true: ArrayLike, y_score: ArrayLike) -> Plan:
    """Prepare :func:`agreement_ks` for many sets of weights."""
    ranking = rank(y_true, y_score)

    def evaluate(weights: Floats) -> Floats:
        first, second = ranking.curves(weights)
        total_first, total_second = class_totals(first, second)
        with np.errstate(divide="ignore", invalid="ignore"):
            first /= total_first[:, np.newaxis]
            second /= total_second[:, np.newaxis]
            first -= second
            np.abs(first, out=first)
            distance = first.max(axis=-1)
        distance[(total_first <= 0) | (total_second <= 0)] = np.nan
        return np.asarray(distance)

    return Plan(evaluate, ranking.order)


@register(
    name="agreement_ks",
    title="Agreement of data and simulation (Kolmogorov-Smirnov)",
    needs="score",
    source=_SOURCE,
    higher_is_better=False,
    range=(0.0, 1.0),
    plan=plan_agreement,
    exempt={
        "coverage": "a largest distance has its boundary at zero and is biased upwards by the "
        "fluctuations of both samples"
    },
)
def agreement_ks(
    y_true: ArrayLike, y_score: ArrayLike, *, sample_weight: ArrayLike | None = None
) -> float:
    r"""Weighted Kolmogorov-Smirnov distance of the scores of data and simulation.

    .. math:: \max_t \left| F_{\mathrm{data}}(t) - F_{\mathrm{simulation}}(t) \right|

    For a physicist: the classifier is shown a control channel (D_s → φπ) in real data and in
    simulation; a large distance says that it exploits what simulation gets wrong.

    For an ML reader: the largest difference of two weighted distribution functions, a check of
    domain shift.

    The challenge required less than 0.09.

    Parameters
    ----------
    y_true : array-like of shape (n_events,)
        1 for one sample (data), 0 for the other (simulation); the distance is symmetric.
    y_score : array-like of shape (n_events,)
        The classifier's output.
    sample_weight : array-like of shape (n_events,), optional
        Event weights of any sign (background-subtracted data have negative ones), each sample's
        total positive.

    Returns
    -------
    float
        In [0, 1] unless weights are negative.

    Raises
    ------
    MetricError
        When labels, scores or weights aren't usable.

    Notes
    -----
    The 68 % interval of the bootstrap held the truth in 49 % of simulated repeats
    (``benchmarks/coverage.py``, 2,000 repeats of 1,000 events) at a distance of
    0.45: the fluctuations of both samples make a largest distance larger.
    """
    plan = plan_agreement(y_true, y_score)
    return plan.value(class_weights(sample_weight, labels(y_true)))


def correlation_cvm(
    y_score: ArrayLike, mass: ArrayLike, *, window: int = 200, step: int = 50
) -> float:
    r"""Cramér-von Mises measure of the dependence of the score on the mass.

    Events are ordered by mass; in each window of neighbours the distribution of the score's rank
    is compared with the overall one,

    .. math:: \left\langle \frac1n \sum_{j=1}^n \left(\frac jn - F_w(j)\right)^2 \right\rangle_w .

    For a physicist: a classifier that knows the mass sculpts a peak in the background. For an ML
    reader: a test of independence of an output and a protected variable. The challenge required
    less than 0.002.

    The original orders equal scores by mass, so that a constant score looks fully correlated
    (0.1133). Here equal scores share their ranks evenly: the step of an event in :math:`F_w` is
    spread over the ranks of its tie, and a constant score gives 0. Without ties both agree.

    Parameters
    ----------
    y_score : array-like of shape (n_events,)
        The classifier's output on background events.
    mass : array-like of shape (n_events,)
        The mass, in any unit; equal masses stay in the order in which they came.
    window : int
        Events in a window.
    step : int
        Events from one window's start to the next.

    Returns
    -------
    float

    Raises
    ------
    MetricError
        When an array isn't usable or there are fewer events than a window has.
    """
    return float(_window_distances(y_score, mass, window, step).mean())


def _window_distances(y_score: ArrayLike, mass: ArrayLike, window: int, step: int) -> Floats:
    """Give the mean squared distance of each window, in O(n log n + windows · window)."""
    score = numbers("y_score", y_score)
    masses = numbers("mass", mass, score.size)
    n = score.size
    if window < 1 or step < 1:
        raise MetricError(f"window is {window} and step {step}; pass whole numbers above zero")
    if n < window:
        raise MetricError(f"y_score has {n} values, fewer than a window of {window}")
    tie, starts = _ties(score)
    ramp, moment, shared = _tie_sums(starts, n)
    in_windows = sliding_window_view(tie[stable_argsort(masses)], window)[::step]
    m = float(window)
    odd = 2 * np.arange(1, window + 1) - 1.0
    uniform = (n + 1) * (2 * n + 1) / (6 * n)
    distances = np.empty(len(in_windows))
    # a block of windows at a time: all of them hold each event several times
    for first in range(0, len(in_windows), _WINDOWS):
        ties = np.sort(in_windows[first : first + _WINDOWS], axis=1)
        squares = ramp[ties] @ odd
        if starts.size < n:
            squares -= _shared_pairs(ties, shared)
        crossed = moment[ties].sum(axis=1)
        distances[first : first + _WINDOWS] = uniform - 2 * crossed / (n * m) + squares / (m * m)
    return np.asarray(np.maximum(distances, 0.0) / n)


_WINDOWS = 128


def _ties(score: Floats) -> tuple[Ints, Ints]:
    """Give each event the number of its score among the distinct ones, and where each begins."""
    order = stable_argsort(score)
    ascending = score[order]
    new = np.append(True, ascending[1:] != ascending[:-1])
    tie = np.empty(score.size, dtype=np.intp)
    tie[order] = np.cumsum(new) - 1
    return tie, np.flatnonzero(new)


def _tie_sums(starts: Ints, n: int) -> tuple[Floats, Floats, Floats]:
    """Give what each tie adds: an event of a tie of ranks a … b, g of them, is a ramp over them.

    Returns
    -------
    ramp, moment, shared : ndarray of shape (n_ties,)
        The sums over all ranks j of ramp(j), of j · ramp(j), and what a pair of one tie lacks.
    """
    a, b = starts + 1.0, np.append(starts[1:], n).astype(np.float64)
    g = b - a + 1
    ramp = n + 1 - (a + b) / 2
    moment = (n * (n + 1) - b * (b + 1)) / 2 + (g + 1) * (2 * g + 1) / 6 + (a - 1) * (g + 1) / 2
    shared = (g * g - 1) / (6 * g)
    return ramp, moment, shared


def _shared_pairs(ties: Ints, shared: Floats) -> Floats:
    """Sum a number per tie over all ordered pairs of a window's events that share a tie."""
    windows, window = ties.shape
    first = np.ones(ties.shape, dtype=bool)
    first[:, 1:] = ties[:, 1:] != ties[:, :-1]
    begin = np.flatnonzero(first.ravel())
    length = np.diff(np.append(begin, ties.size)).astype(np.float64)
    pairs: Floats = np.zeros(windows)
    np.add.at(pairs, begin // window, length**2 * shared[ties.ravel()[begin]])
    return pairs


def _correlation_estimate(
    y_true: ArrayLike,
    y_score: ArrayLike,
    *,
    mass: ArrayLike,
    window: int = 200,
    step: int = 50,
    sample_weight: ArrayLike | None = None,  # noqa: ARG001 - the interface of all metrics
) -> tuple[float, float, str]:
    background = ~labels(y_true)
    score = numbers("y_score", y_score, background.size)[background]
    masses = numbers("mass", mass, background.size)[background]
    distances = _window_distances(score, masses, window, step)
    # windows overlap: only as many of them are independent as fit side by side
    independent = min(distances.size, max(1, score.size // window))
    deviation = float(distances.std(ddof=1)) if independent > 1 else math.nan
    return (
        float(distances.mean()),
        deviation / math.sqrt(independent),
        f"spread of windows, {independent} independent, test sample only",
    )


@register(
    name="correlation_cvm",
    title="Correlation of score and mass (Cramér-von Mises)",
    needs="score",
    source=_SOURCE,
    weighted=False,
    higher_is_better=False,
    range=(0.0, 1 / 3),
    columns=("mass",),
    estimate=_correlation_estimate,
    test_options={"window": 8, "step": 4},
    exempt={
        "duplication": "windows count events, so that twice the events are half the mass range",
        "coverage": "the windows' spread is a batch spread about a biased mean, at the boundary "
        "of zero",
    },
)
def background_correlation(
    y_true: ArrayLike, y_score: ArrayLike, *, mass: ArrayLike, window: int = 200, step: int = 50
) -> float:
    r"""Dependence of the score on the mass among background events: :func:`correlation_cvm`.

    .. math:: \left\langle \frac1n \sum_{j=1}^n \left(\frac jn - F_w(j)\right)^2 \right\rangle_w

    over windows w of neighbours in mass, :math:`F_w` being the distribution of the score's overall
    rank in a window.

    For a physicist: a classifier that knows the mass sculpts a peak in the background.

    For an ML reader: a test of independence of an output and a protected variable.

    Signal is left out, as its mass peaks and its score is high, which is no fault. The challenge
    required less than 0.002.

    Parameters
    ----------
    y_true : array-like of shape (n_events,)
        1 for signal, 0 for background.
    y_score : array-like of shape (n_events,)
        The classifier's output.
    mass : array-like of shape (n_events,)
        The mass, in any unit.
    window : int
        Events in a window.
    step : int
        Events from one window's start to the next.

    Returns
    -------
    float

    Raises
    ------
    MetricError
        When an array isn't usable or there is less background than a window has.

    Notes
    -----
    The interval comes from the spread of the windows, of which only those side by side count as
    independent. It held the truth in 70 % of simulated repeats
    (``benchmarks/coverage.py``, 2,000 repeats of 1,600 background events) for two errors that
    cancel: it is 1.4 times too wide, and the value lies 0.7 standard deviations below that of a
    large sample, of which a window is a smaller part.
    """
    return _correlation_estimate(y_true, y_score, mass=mass, window=window, step=step)[0]


def plan_truncated(
    y_true: ArrayLike, y_score: ArrayLike, *, method: Literal["exact", "kaggle"] = "exact"
) -> Plan:
    """Prepare :func:`truncated_auc` for many sets of weights."""
    if method not in {"exact", "kaggle"}:
        raise MetricError(f"method is {method!r}; pass 'exact' or 'kaggle'")
    below = _clipped_area if method == "kaggle" else _exact_area
    ranking = rank(y_true, y_score)
    scale = sum(w * (high - low) for w, low, high in _bands())

    def evaluate(weights: Floats) -> Floats:
        signal, background = ranking.curves(weights)
        total_signal, total_background = class_totals(signal, background)
        with np.errstate(divide="ignore", invalid="ignore"):
            tpr = np.pad(signal / total_signal[:, np.newaxis], ((0, 0), (1, 0)))
            width = np.diff(background, prepend=0.0) / total_background[:, np.newaxis]
            area = np.zeros(len(weights))
            previous = np.zeros(len(weights))
            for weight, _, high in _bands():
                current = below(tpr, width, high)
                area += weight * (current - previous)
                previous = current
        area[(total_signal <= 0) | (total_background <= 0)] = np.nan
        return area / scale

    return Plan(evaluate, ranking.order)


def _bands() -> list[tuple[float, float, float]]:
    return list(zip(_BAND_WEIGHTS, _BANDS[:-1], _BANDS[1:], strict=True))


def _clipped_area(tpr: Floats, width: Floats, cut: float) -> Floats:
    """Integrate the curve whose points were clipped: the challenge's code."""
    clipped = np.minimum(tpr, cut)
    return np.asarray((width * (clipped[:, 1:] + clipped[:, :-1])).sum(axis=-1) / 2)


def _exact_area(tpr: Floats, width: Floats, cut: float) -> Floats:
    """Integrate the clipped curve, whose straight pieces bend where they reach the cut."""
    low = np.minimum(tpr[:, 1:], tpr[:, :-1])
    high = np.maximum(tpr[:, 1:], tpr[:, :-1])
    rise = high - low
    with np.errstate(divide="ignore", invalid="ignore"):
        part = np.clip(np.where(rise > 0, (cut - low) / rise, (low <= cut) * 1.0), 0.0, 1.0)
    mean = part * (low + np.minimum(high, cut)) / 2 + (1 - part) * cut
    return np.asarray((width * mean).sum(axis=-1))


@register(
    name="truncated_auc",
    title="Truncated area under the ROC curve",
    needs="score",
    source=_SOURCE,
    range=(0.0, 1.0),
    plan=plan_truncated,
)
def truncated_auc(
    y_true: ArrayLike,
    y_score: ArrayLike,
    *,
    sample_weight: ArrayLike | None = None,
    method: Literal["exact", "kaggle"] = "exact",
) -> float:
    r"""Area under the ROC curve in bands of signal efficiency, the low ones counting more.

    .. math:: \frac{\sum_k c_k A_k}{\sum_k c_k \Delta_k}

    with :math:`A_k` the area of band k that lies below the curve, :math:`\Delta_k` its width and
    :math:`c_k` its weight.

    For a physicist: a search for a rare decay works at low signal efficiency and high purity.

    For an ML reader: a partial area under the ROC curve, in steps.

    The bands end at 0.2, 0.4, 0.6, 0.8 and 1 and have the weights 2, 1.5, 1, 0.5 and 0; a perfect
    classifier has 1.

    Parameters
    ----------
    y_true : array-like of shape (n_events,)
        1 for signal, 0 for background.
    y_score : array-like of shape (n_events,)
        Grows with the belief in signal.
    sample_weight : array-like of shape (n_events,), optional
        Event weights of any sign, each class's total positive.
    method : {"exact", "kaggle"}
        ``kaggle`` clips the points of the curve as the challenge's code does, which
        underestimates a coarse curve: a constant score gives 0.5, where the exact area is 0.7.

    Returns
    -------
    float

    Raises
    ------
    MetricError
        When labels, scores, weights or the method aren't usable.
    """
    plan = plan_truncated(y_true, y_score, method=method)
    return plan.value(class_weights(sample_weight, labels(y_true)))
