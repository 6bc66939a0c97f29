r"""Expected significance of a counting experiment: AMS and the Asimov formula.

All formulas are evaluated in forms that don't cancel: with :math:`x = s/b` and
:math:`t = \sigma_b^2/b`, half of :math:`Z^2/b` is
:math:`(1+x)\ln(1+u) - \ln(1+y)/t` with :math:`u = x/(1+t+xt)` and :math:`y = tx/(1+t)`,
which for :math:`t \to 0` joins :math:`(1+x)\ln(1+x) - x`, the known background.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import overload

import numpy as np
from numpy.typing import ArrayLike

from hepml_tasks.errors import MetricError
from hepml_tasks.metrics.arrays import Floats, class_weights, labels, numbers, positive
from hepml_tasks.metrics.ranking import Ranking, rank
from hepml_tasks.metrics.registry import register
from hepml_tasks.metrics.resampling import Plan
from hepml_tasks.metrics.selection import cell_sums

ClassSums = Sequence[float]
"""Full-luminosity sums of the weights: (signal, background)."""


@overload
def asimov_significance(s: float, b: float, *, sigma_b: float = 0.0) -> float: ...
@overload
def asimov_significance(
    s: ArrayLike, b: ArrayLike, *, sigma_b: ArrayLike = 0.0
) -> float | Floats: ...
def asimov_significance(s: ArrayLike, b: ArrayLike, *, sigma_b: ArrayLike = 0.0) -> float | Floats:
    r"""Median significance of a signal over a background known to `sigma_b`.

    .. math::

        Z_A = \sqrt{2\left[(s+b)\ln\frac{(s+b)(b+\sigma^2)}{b^2+(s+b)\sigma^2}
        - \frac{b^2}{\sigma^2}\ln\left(1+\frac{\sigma^2 s}{b(b+\sigma^2)}\right)\right]}

    and for :math:`\sigma = 0` :math:`\sqrt{2[(s+b)\ln(1+s/b) - s]}`. For a physicist: the
    Asimov-data-set value of the discovery test :math:`q_0` for one counting bin, its background
    constrained by a control measurement. For an ML reader: how surprising the selected signal
    would be if there were background alone, in Gaussian standard deviations.

    Parameters
    ----------
    s, b : float or array-like
        Expected selected signal and background events, not negative.
    sigma_b : float or array-like
        Standard uncertainty of the expected background.

    Returns
    -------
    float or ndarray
        A float for numbers, an array for arrays. Infinite for ``b == sigma_b == 0`` and positive
        `s`, the limit of the formula; 0 for ``b == 0`` with positive `sigma_b`.

    Raises
    ------
    MetricError
        When an argument is negative or not finite.

    References
    ----------
    G. Cowan, K. Cranmer, E. Gross, O. Vitells, Eur. Phys. J. C 71 (2011) 1554, arXiv:1007.1727;
    G. Cowan, "Discovery sensitivity for a counting experiment with background uncertainty"
    (2012).

    Examples
    --------
    >>> round(asimov_significance(10, 100), 6)
    0.983992
    >>> round(asimov_significance(10, 100, sigma_b=10), 6)
    0.690196
    """
    arrays = []
    for name, value in (("s", s), ("b", b), ("sigma_b", sigma_b)):
        array = np.asarray(value, dtype=np.float64)
        if not np.all(np.isfinite(array)) or np.any(array < 0):
            raise MetricError(f"{name} is {value!r}; pass finite numbers that aren't negative")
        arrays.append(array)
    try:
        signal, background, sigma = np.broadcast_arrays(*arrays)
    except ValueError:
        raise MetricError(
            "s, b and sigma_b have shapes "
            f"{', '.join(str(a.shape) for a in arrays)}, which don't go together"
        ) from None
    result = np.vectorize(_asimov, otypes=[np.float64])(signal, background, sigma)
    return float(result) if result.ndim == 0 else result


def _asimov(s: float, b: float, sigma: float) -> float:
    if s == 0:
        return 0.0
    if b == 0:
        return 0.0 if sigma > 0 else math.inf
    x, t = s / b, (sigma / b) * sigma
    if t < 1e-290:
        # subnormal numbers have lost their digits, and the limit is exact here
        t = 0.0
    if not (math.isfinite(x) and math.isfinite(t) and x > 1e-150 and math.isfinite(x * t)):
        return _asimov_extreme(s, b, sigma)
    u, y = x / (1 + t + x * t), t * x / (1 + t)
    if x < 0.1:
        # orders s and s² are taken out by hand: they cancel or nearly so
        half = x * x / ((1 + t) * (1 + t + x * t)) + (1 + x) * _log1p_rest(u)
        if y > 0:
            half -= _log1p_rest(y) / t
    else:
        half = (1 + x) * math.log1p(u) - (math.log1p(y) / t if y > 0 else x)
    # the order of the factors keeps 1e300 events from overflowing
    return math.sqrt(2 * half) * math.sqrt(b)


def _log1p_rest(z: float) -> float:
    """Give ln(1 + z) − z without cancellation, for z ≥ 0."""
    if z > 0.1:
        return math.log1p(z) - z
    # Σ_{k≥2} (−1)^{k+1} z^k / k: sixteen terms reach double precision below 0.1
    total = 0.0
    for k in range(17, 1, -1):
        total = (1 if k % 2 else -1) / k + z * total
    return total * z * z


def _asimov_extreme(s: float, b: float, sigma: float) -> float:
    """Evaluate the formula where ratios leave the range of double precision."""
    lx = math.log(s) - math.log(b)
    lt = 2 * math.log(sigma) - math.log(b) if sigma > 0 else -math.inf
    if lx < -20:
        # Z = s/√(b + σ²), to a relative x
        return math.exp(math.log(s) - 0.5 * (math.log(b) + np.logaddexp(0.0, lt)))
    if lt < -600:
        # known background
        half = np.logaddexp(0.0, lx) * (1 + math.exp(-lx)) - 1
        return math.exp(0.5 * (math.log(2 * half) + math.log(s)))
    l1x = np.logaddexp(0.0, lx)
    lu = lx - np.logaddexp(0.0, l1x + lt)
    ly = lx + lt - np.logaddexp(0.0, lt)
    first = l1x + _log_log1p(lu)
    second = _log_log1p(ly) - lt
    if second >= first:
        return 0.0
    log_half = first + math.log1p(-math.exp(second - first))
    return math.exp(0.5 * (math.log(2.0) + log_half + math.log(b)))


def _log_log1p(log_z: float) -> float:
    """Give ln(ln(1 + z)) from ln z."""
    return log_z if log_z < -36 else math.log(np.logaddexp(0.0, log_z))


def ams_of_counts(s: Floats, b: Floats, b_reg: float) -> Floats:
    """Give the AMS of many pairs of counts; a deficit, and a negative background, count as zero."""
    background = np.maximum(b, 0.0) + b_reg
    signal = np.maximum(s, 0.0)
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        x = signal / background
        half = (signal + background) * np.log1p(x) - signal
        small = x < 1e-2
        if small.any():
            # (1 + x) ln(1 + x) − x = Σ_{k≥2} (−x)^k / (k (k − 1))
            z, series = x[small], np.zeros(int(small.sum()))
            for k in range(10, 1, -1):
                series = (-1) ** k / (k * (k - 1)) + z * series
            half[small] = series * z * z * background[small]
        result = np.sqrt(2 * np.maximum(half, 0.0))
    result[(background == 0) & (signal > 0)] = math.inf
    result[signal == 0] = 0.0
    return np.asarray(result)


def ams_cells(tp: Floats, fn: Floats, fp: Floats, tn: Floats, *, b_reg: float = 10.0) -> Floats:  # noqa: ARG001 - all take four sums
    """AMS as a function of the sums of a selection."""
    return ams_of_counts(tp, fp, b_reg)


_AMS_SOURCE = (
    "C. Adam-Bourdarios et al., 'The Higgs boson machine learning challenge', PMLR 42 (2015) 19-55"
)


@register(
    name="ams",
    title="Approximate median significance (AMS)",
    needs="selection",
    source=_AMS_SOURCE,
    range=(0.0, math.inf),
    luminosity=True,
    weight_power=0.5,
    count_options=("b_reg",),
    cells=ams_cells,
)
def ams(
    y_true: ArrayLike,
    y_pred: ArrayLike,
    *,
    sample_weight: ArrayLike | None = None,
    b_reg: float = 10.0,
) -> float:
    r"""Approximate median significance of a selection.

    .. math:: \sqrt{2\left[(s+b+b_r)\ln\left(1+\frac{s}{b+b_r}\right) - s\right]}

    with s and b the weighted sums of selected signal and background.

    For a physicist: the Asimov discovery significance of a counting experiment, regularised by
    :math:`b_r` background events against selections of almost nothing.

    For an ML reader: a figure of merit of the predicted classes in which the weights are numbers
    of expected events; it is no mean over events.

    The formula is evaluated to full precision for :math:`s \ll b` too. A deficit (s below zero)
    gives 0, and a negative sum of selected background, which negative weights can give, counts as
    zero.

    Parameters
    ----------
    y_true : array-like of shape (n_events,)
        1 for signal, 0 for background.
    y_pred : array-like of shape (n_events,)
        1 for a selected event.
    sample_weight : array-like of shape (n_events,), optional
        Expected events at full luminosity; of any sign, each class's total positive. On part of
        the data, rescale each class to its full sum (``class_sums`` of
        :func:`~hepml_tasks.metrics.score`).
    b_reg : float
        The regularisation :math:`b_r`, 10 in the HiggsML challenge.

    Returns
    -------
    float

    Raises
    ------
    MetricError
        When labels, selection, weights or `b_reg` aren't usable.

    Examples
    --------
    >>> round(ams([1, 0], [1, 1], sample_weight=[350, 8000]), 6)
    3.882702
    """
    regular = positive("b_reg", b_reg, zero=True)
    sums = cell_sums(y_true, y_pred, sample_weight)
    return float(ams_cells(*sums, b_reg=regular)[0])


def significance_cells(
    tp: Floats,
    fn: Floats,  # noqa: ARG001 - all take four sums
    fp: Floats,
    tn: Floats,  # noqa: ARG001 - all take four sums
    *,
    sigma_b: float = 0.0,
) -> Floats:
    """Asimov significance as a function of the sums of a selection."""
    return np.atleast_1d(
        asimov_significance(np.maximum(tp, 0.0), np.maximum(fp, 0.0), sigma_b=sigma_b)
    )


@register(
    name="asimov_significance",
    title="Asimov discovery significance",
    needs="selection",
    source="G. Cowan et al., Eur. Phys. J. C 71 (2011) 1554, arXiv:1007.1727; G. Cowan (2012)",
    range=(0.0, math.inf),
    luminosity=True,
    weight_power=0.5,
    cells=significance_cells,
)
def selection_significance(
    y_true: ArrayLike,
    y_pred: ArrayLike,
    *,
    sample_weight: ArrayLike | None = None,
    sigma_b: float = 0.0,
) -> float:
    r"""Asimov discovery significance of a selection: :func:`asimov_significance` of its sums.

    .. math::

        \sqrt{2\left[(s+b)\ln\frac{(s+b)(b+\sigma^2)}{b^2+(s+b)\sigma^2}
        - \frac{b^2}{\sigma^2}\ln\left(1+\frac{\sigma^2 s}{b(b+\sigma^2)}\right)\right]}

    with s and b the weighted sums of selected signal and background, and σ the uncertainty of b.

    For a physicist: the median discovery significance of one counting bin whose background is
    known to σ from a control measurement.

    For an ML reader: how surprising the selected signal would be if there were background alone,
    in Gaussian standard deviations.

    A negative sum of selected events, which negative weights can give, counts as zero.

    Parameters
    ----------
    y_true : array-like of shape (n_events,)
        1 for signal, 0 for background.
    y_pred : array-like of shape (n_events,)
        1 for a selected event.
    sample_weight : array-like of shape (n_events,), optional
        Expected events at full luminosity; of any sign, each class's total positive.
    sigma_b : float
        Standard uncertainty of the selected background, in events.

    Returns
    -------
    float
        Infinite for signal without any background and without `sigma_b`.

    Raises
    ------
    MetricError
        When labels, selection, weights or `sigma_b` aren't usable.
    """
    sigma = positive("sigma_b", sigma_b, zero=True)
    sums = cell_sums(y_true, y_pred, sample_weight)
    return float(significance_cells(*sums, sigma_b=sigma)[0])


def _half_squared(signal: Floats, background: Floats, b_reg: float) -> Floats:
    """Give what grows with the AMS, for the search; small signals lose digits here."""
    total = np.maximum(background, 0.0)
    total += b_reg
    with np.errstate(divide="ignore", invalid="ignore"):
        half = signal / total
        np.maximum(half, 0.0, out=half)
        np.log1p(half, out=half)
        total += signal
        half *= total
        half -= signal
    half[np.isnan(half)] = math.inf
    half[signal <= 0] = 0.0
    return half


def _scan(
    ranking: Ranking, weights: Floats, b_reg: float, class_sums: ClassSums | None
) -> tuple[Floats, np.ndarray[tuple[int, ...], np.dtype[np.intp]]]:
    """Give the largest AMS of each row of weights and the position of its threshold."""
    rows = np.arange(len(weights))
    up = down = np.ones((len(weights), 1))
    if class_sums is not None:
        with np.errstate(divide="ignore", invalid="ignore"):
            up = class_sums[0] / (weights * ranking.signal).sum(axis=-1, keepdims=True)
            down = class_sums[1] / (weights * ~ranking.signal).sum(axis=-1, keepdims=True)
    highest, start = np.full(len(weights), -1.0), 0
    best = np.zeros(len(weights), dtype=np.intp)
    best_signal, best_background = np.zeros(len(weights)), np.zeros(len(weights))
    last_signal = last_background = best_signal
    for raw_signal, raw_background in ranking.blocks(weights):
        last_signal, last_background = raw_signal[:, -1], raw_background[:, -1]
        signal, background = raw_signal * up, raw_background * down
        half = _half_squared(signal, background, b_reg)
        place = half.argmax(axis=-1)
        found = half[rows, place]
        # the first of equal maxima is kept: the highest threshold
        better = found > highest
        highest[better] = found[better]
        best[better] = place[better] + start
        best_signal[better] = signal[rows, place][better]
        best_background[better] = background[rows, place][better]
        start += signal.shape[1]
    value = ams_of_counts(best_signal, best_background, b_reg)
    value[(last_signal <= 0) | (last_background <= 0)] = np.nan
    return value, best


def plan_ams_maximum(
    y_true: ArrayLike,
    y_score: ArrayLike,
    *,
    b_reg: float = 10.0,
    class_sums: ClassSums | None = None,
) -> Plan:
    """Prepare :func:`ams_maximum` for many sets of weights."""
    regular = positive("b_reg", b_reg, zero=True)
    ranking = rank(y_true, y_score)
    return Plan(
        lambda weights: _scan(ranking, weights, regular, class_sums)[0],
        ranking.order,
    )


@register(
    name="ams_maximum",
    title="Largest AMS over all thresholds (optimistic)",
    needs="score",
    source=_AMS_SOURCE,
    range=(0.0, math.inf),
    luminosity=True,
    weight_power=0.5,
    count_options=("b_reg",),
    plan=plan_ams_maximum,
    exempt={
        "coverage": "a maximum over thresholds on the same events is biased upwards, and the "
        "replicas are biased once more"
    },
)
def ams_maximum(
    y_true: ArrayLike,
    y_score: ArrayLike,
    *,
    sample_weight: ArrayLike | None = None,
    b_reg: float = 10.0,
    class_sums: ClassSums | None = None,
) -> float:
    r"""Largest AMS over all thresholds on the score; optimistic, as it looks at the labels.

    .. math:: \max_t \mathrm{AMS}\left(s(t), b(t)\right)

    For a physicist: the significance that the best cut on the score would reach, if it were known
    beforehand.

    For an ML reader: a figure of the ranking, with the threshold tuned on the test set.

    The threshold is chosen on the same events that give the value, so that it is too high on
    average; :func:`ams` of a selection made beforehand is the honest figure. With negative weights
    the maximum runs over the distinct scores as they come.

    Parameters
    ----------
    y_true : array-like of shape (n_events,)
        1 for signal, 0 for background.
    y_score : array-like of shape (n_events,)
        Grows with the belief in signal; events with a score at or above a threshold are selected.
    sample_weight : array-like of shape (n_events,), optional
        Expected events; of any sign, each class's total positive.
    b_reg : float
        The regularisation in background events.
    class_sums : (float, float), optional
        Sums of signal and of background at full luminosity, to which the weights are rescaled.

    Returns
    -------
    float

    Raises
    ------
    MetricError
        When labels, scores, weights or options aren't usable.

    Notes
    -----
    The 68 % interval of the bootstrap held the truth in 33 % of simulated repeats
    (``benchmarks/coverage.py``, 2,000 repeats of 1,000 events): the value
    lies 0.9 standard deviations too high, since the threshold follows the fluctuations of these
    events, and the replicas follow them once more.
    """
    sums = checked_class_sums(class_sums)
    plan = plan_ams_maximum(y_true, y_score, b_reg=b_reg, class_sums=sums)
    return plan.value(class_weights(sample_weight, labels(y_true)))


def best_threshold(
    y_true: ArrayLike,
    y_score: ArrayLike,
    *,
    sample_weight: ArrayLike | None = None,
    b_reg: float = 10.0,
    class_sums: ClassSums | None = None,
) -> float:
    """Give the score threshold with the largest AMS; select ``y_score >= threshold``.

    Meant for training events: on test events it would look at the labels.

    Parameters
    ----------
    y_true : array-like of shape (n_events,)
        1 for signal, 0 for background.
    y_score : array-like of shape (n_events,)
        Grows with the belief in signal.
    sample_weight : array-like of shape (n_events,), optional
        Expected events; of any sign, each class's total positive.
    b_reg : float
        The regularisation in background events.
    class_sums : (float, float), optional
        Sums of signal and of background at full luminosity, to which the weights are rescaled.

    Returns
    -------
    float
        One of the scores; the highest of them where several are equally good.

    Raises
    ------
    MetricError
        When labels, scores, weights or options aren't usable.

    Examples
    --------
    >>> best_threshold([0, 0, 1, 1], [0.1, 0.4, 0.6, 0.8], sample_weight=[100, 100, 10, 10])
    0.6
    """
    regular = positive("b_reg", b_reg, zero=True)
    sums = checked_class_sums(class_sums)
    signal = labels(y_true)
    weights = class_weights(sample_weight, signal)
    score = numbers("y_score", y_score, signal.size)
    ranking = rank(signal, score)
    _, best = _scan(ranking, weights[ranking.order][np.newaxis], regular, sums)
    position = best[0] if ranking.ends is None else ranking.ends[best[0]]
    return float(score[ranking.order[position]])


def checked_class_sums(class_sums: ClassSums | None) -> tuple[float, float] | None:
    """Give class sums as two positive numbers.

    Raises
    ------
    MetricError
        When they aren't.
    """
    if class_sums is None:
        return None
    try:
        signal, background = class_sums
    except (TypeError, ValueError):
        raise MetricError(
            f"class_sums is {class_sums!r}; pass the sums of signal and background"
        ) from None
    return positive("class_sums", signal), positive("class_sums", background)
