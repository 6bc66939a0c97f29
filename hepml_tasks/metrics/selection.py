"""Metrics of a selection: functions of four weighted sums.

The sums are of selected signal (tp), rejected signal (fn), selected background (fp) and rejected
background (tn). Their uncertainty follows from the sums of squared weights.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from hepml_tasks.errors import MetricError
from hepml_tasks.metrics.arrays import (
    Floats,
    Ints,
    class_weights,
    flags,
    labels,
    total_weights,
    vector,
)
from hepml_tasks.metrics.registry import register
from hepml_tasks.metrics.resampling import Plan, plan_mean

Cells = tuple[Floats, Floats, Floats, Floats]
"""tp, fn, fp, tn, each of shape (n_replicas,)."""


def cell_numbers(y_true: ArrayLike, y_pred: ArrayLike) -> Ints:
    """Give each event its cell: 0 tp, 1 fn, 2 fp, 3 tn.

    Raises
    ------
    MetricError
        When labels or selection aren't usable.
    """
    signal = labels(y_true)
    selected = flags("y_pred", y_pred, signal.size)
    return 2 * ~signal + np.asarray(~selected, dtype=np.intp)


def cell_sums(y_true: ArrayLike, y_pred: ArrayLike, sample_weight: ArrayLike | None) -> Cells:
    """Give the four weighted sums of a selection, each of shape (1,).

    Raises
    ------
    MetricError
        When labels, selection or weights aren't usable.
    """
    cells = cell_numbers(y_true, y_pred)
    weights = class_weights(sample_weight, cells < 2)
    return sums_by_cell(cells, weights)


def sums_by_cell(cells: Ints, values: Floats) -> Cells:
    """Sum values over each of the four cells."""
    tp, fn, fp, tn = (np.array([(values * (cells == k)).sum()]) for k in range(4))
    return tp, fn, fp, tn


def plan_cells(
    y_true: ArrayLike,
    y_pred: ArrayLike,
    function: Callable[[Floats, Floats, Floats, Floats], Floats],
) -> Plan:
    """Prepare a function of the four sums for many sets of weights."""
    cells = cell_numbers(y_true, y_pred)
    order = np.argsort(cells, kind="stable")
    edges = np.searchsorted(cells[order], np.arange(5))

    def evaluate(weights: Floats) -> Floats:
        tp, fn, fp, tn = (
            weights[:, low:high].sum(axis=-1) for low, high in itertools.pairwise(edges)
        )
        with np.errstate(divide="ignore", invalid="ignore"):
            result = np.array(function(tp, fn, fp, tn), dtype=np.float64)
        result[(tp + fn <= 0) | (fp + tn <= 0)] = np.nan
        return result

    return Plan(evaluate, order)


def _signal_efficiency_cells(tp: Floats, fn: Floats, fp: Floats, tn: Floats) -> Floats:  # noqa: ARG001 - all take four sums
    return tp / (tp + fn)


def _background_efficiency_cells(tp: Floats, fn: Floats, fp: Floats, tn: Floats) -> Floats:  # noqa: ARG001 - all take four sums
    return fp / (fp + tn)


def _purity_cells(tp: Floats, fn: Floats, fp: Floats, tn: Floats) -> Floats:  # noqa: ARG001 - all take four sums
    return tp / (tp + fp)


@register(
    name="signal_efficiency",
    title="Signal efficiency",
    needs="selection",
    source="true positive rate",
    range=(0.0, 1.0),
    cells=_signal_efficiency_cells,
    additive=True,
)
def signal_efficiency(
    y_true: ArrayLike, y_pred: ArrayLike, *, sample_weight: ArrayLike | None = None
) -> float:
    r"""Share of the signal that is selected.

    .. math:: \epsilon_S = \frac{s}{W_S}

    For a physicist: the efficiency of the selection, without the acceptance before it.

    For an ML reader: the recall or true positive rate.

    Parameters
    ----------
    y_true : array-like of shape (n_events,)
        1 for signal, 0 for background.
    y_pred : array-like of shape (n_events,)
        1 for a selected event.
    sample_weight : array-like of shape (n_events,), optional
        Event weights of any sign, each class's total positive.

    Returns
    -------
    float
        In [0, 1] unless weights are negative.

    Raises
    ------
    MetricError
        When labels, selection or weights aren't usable.
    """
    return float(_signal_efficiency_cells(*cell_sums(y_true, y_pred, sample_weight))[0])


@register(
    name="background_efficiency",
    title="Background efficiency",
    needs="selection",
    source="false positive rate",
    range=(0.0, 1.0),
    higher_is_better=False,
    cells=_background_efficiency_cells,
    additive=True,
)
def background_efficiency(
    y_true: ArrayLike, y_pred: ArrayLike, *, sample_weight: ArrayLike | None = None
) -> float:
    r"""Share of the background that is selected.

    .. math:: \epsilon_B = \frac{b}{W_B}

    For a physicist: the share of the background that is left in the signal region.

    For an ML reader: the false positive rate.

    Parameters
    ----------
    y_true : array-like of shape (n_events,)
        1 for signal, 0 for background.
    y_pred : array-like of shape (n_events,)
        1 for a selected event.
    sample_weight : array-like of shape (n_events,), optional
        Event weights of any sign, each class's total positive.

    Returns
    -------
    float
        In [0, 1] unless weights are negative.

    Raises
    ------
    MetricError
        When labels, selection or weights aren't usable.
    """
    return float(_background_efficiency_cells(*cell_sums(y_true, y_pred, sample_weight))[0])


@register(
    name="purity",
    title="Purity of the selection",
    needs="selection",
    source="precision",
    range=(0.0, 1.0),
    luminosity=True,
    cells=_purity_cells,
    additive=True,
)
def purity(
    y_true: ArrayLike, y_pred: ArrayLike, *, sample_weight: ArrayLike | None = None
) -> float:
    r"""Share of signal in what is selected.

    .. math:: \frac{s}{s + b}

    For a physicist: how clean the selected sample is at the expected cross sections.

    For an ML reader: the precision, with weights that carry the true share of each class.

    Parameters
    ----------
    y_true : array-like of shape (n_events,)
        1 for signal, 0 for background.
    y_pred : array-like of shape (n_events,)
        1 for a selected event.
    sample_weight : array-like of shape (n_events,), optional
        Event weights of any sign, each class's total positive.

    Returns
    -------
    float
        In [0, 1] unless weights are negative.

    Raises
    ------
    MetricError
        When the selection is empty or sums to zero or less, or input isn't usable.
    """
    sums = cell_sums(y_true, y_pred, sample_weight)
    if not sums[0][0] + sums[2][0] > 0:
        raise MetricError(
            f"y_pred selects events of total weight {sums[0][0] + sums[2][0]:g}; "
            "purity needs a positive sum"
        )
    return float(_purity_cells(*sums)[0])


def plan_accuracy(y_true: ArrayLike, y_pred: ArrayLike) -> Plan:
    """Prepare :func:`predictive_accuracy` for many sets of weights."""
    truth = _classes("y_true", y_true)
    right = truth == _classes("y_pred", y_pred, truth.size)
    return plan_mean(right.astype(np.float64))


@register(
    name="predictive_accuracy",
    title="Accuracy, unweighted",
    needs="labels",
    source="OpenML evaluation measure predictive_accuracy",
    weighted=False,
    range=(0.0, 1.0),
    plan=plan_accuracy,
)
def predictive_accuracy(y_true: ArrayLike, y_pred: ArrayLike) -> float:
    r"""Share of events whose class is predicted rightly, without weights: OpenML's own measure.

    .. math:: \frac{1}{N} \sum_i 1[\hat y_i = y_i]

    For a physicist: says little, as it counts simulated events and not expected ones: where signal
    is rare, selecting nothing has a high accuracy.

    For an ML reader: scikit-learn's ``accuracy_score``, of two classes or more.

    Parameters
    ----------
    y_true, y_pred : array-like of shape (n_events,)
        Classes, two or more, of any type that can be compared.

    Returns
    -------
    float

    Raises
    ------
    MetricError
        When the shapes differ, there is no event, or a number isn't finite.
    """
    plan = plan_accuracy(y_true, y_pred)
    return plan.value(np.ones(np.size(y_true)))


def plan_balanced_accuracy(y_true: ArrayLike, y_pred: ArrayLike) -> Plan:
    """Prepare :func:`balanced_accuracy` for many sets of weights."""
    truth = _classes("y_true", y_true)
    right = truth == _classes("y_pred", y_pred, truth.size)
    members = [truth == label for label in np.unique(truth)]

    def evaluate(weights: Floats) -> Floats:
        recall = np.zeros(len(weights))
        for here in members:
            total = weights[:, here].sum(axis=-1)
            with np.errstate(divide="ignore", invalid="ignore"):
                share = weights[:, here & right].sum(axis=-1) / total
            share[total <= 0] = np.nan
            recall += share / len(members)
        return recall

    return Plan(evaluate)


@register(
    name="balanced_accuracy",
    title="Balanced accuracy",
    needs="labels",
    source="scikit-learn's balanced_accuracy_score",
    range=(0.0, 1.0),
    plan=plan_balanced_accuracy,
)
def balanced_accuracy(
    y_true: ArrayLike, y_pred: ArrayLike, *, sample_weight: ArrayLike | None = None
) -> float:
    r"""Mean over the classes of the weighted share that is recognised.

    .. math:: \frac{1}{K} \sum_k \frac{\sum_{y_i = k} w_i\, 1[\hat y_i = k]}{\sum_{y_i = k} w_i}

    For a physicist: the mean efficiency of processes, each at its own yield: a rare one counts as
    much as a common one, and the luminosity cancels.

    For an ML reader: macro-averaged recall, of two classes or more.

    Parameters
    ----------
    y_true, y_pred : array-like of shape (n_events,)
        Classes, of any type that can be compared.
    sample_weight : array-like of shape (n_events,), optional
        Event weights of any sign, each class's total positive.

    Returns
    -------
    float
        1/K for a guess, 1 for none wrong.

    Raises
    ------
    MetricError
        When the shapes differ, there is no event, or a class's weights sum to zero or less.
    """
    plan = plan_balanced_accuracy(y_true, y_pred)
    value = plan.value(total_weights(sample_weight, np.size(y_true)))
    if np.isnan(value):
        raise MetricError("sample_weight: a class sums to zero or less; give it a positive sum")
    return value


def _classes(name: str, values: ArrayLike, size: int | None = None) -> NDArray[Any]:
    array = vector(name, values, size)
    if array.dtype.kind == "f" and not np.all(np.isfinite(array)):
        raise MetricError(f"{name} has values that aren't finite; pass a class per event")
    return array
