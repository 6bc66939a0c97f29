"""Checked arrays: what every metric accepts, and the errors for what none does.

Each function names the argument at fault, so that a message reads the same whichever metric was
called.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from hepml_tasks.errors import MetricError

Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]
Ints = NDArray[np.intp]


def vector(name: str, values: ArrayLike, size: int | None = None) -> NDArray[Any]:
    """Give `values` as a one-dimensional array of any type.

    Parameters
    ----------
    name : str
        The argument's name, for errors.
    values : array-like of shape (n_events,)
        What the caller passed.
    size : int, optional
        The length that `values` must have.

    Returns
    -------
    ndarray of shape (n_events,)

    Raises
    ------
    MetricError
        When it isn't one-dimensional, is empty or has another length.
    """
    array = np.asarray(values)
    if array.ndim != 1:
        raise MetricError(f"{name} has shape {array.shape}; pass one value per event")
    if array.size == 0:
        raise MetricError(f"{name} is empty; pass at least one event")
    if size is not None and array.size != size:
        raise MetricError(
            f"{name} has {array.size} values where {size} are needed; "
            "pass arrays of the same events"
        )
    return array


def numbers(name: str, values: ArrayLike, size: int | None = None) -> Floats:
    """Give `values` as finite double-precision numbers of shape (n_events,).

    Integers are converted before any sum, so that they can't overflow.

    Raises
    ------
    MetricError
        When a value is no number, is NaN or is infinite.
    """
    array = vector(name, values, size)
    return _finite(name, array)


def matrix(name: str, values: ArrayLike, columns: int | None = None) -> Floats:
    """Give `values` as finite numbers of shape (n_rows, n_columns).

    Raises
    ------
    MetricError
        When it isn't a table of that width, is empty or has values that aren't finite.
    """
    array = np.asarray(values)
    if array.ndim == 1:
        array = array[:, np.newaxis]
    if array.ndim != 2 or array.size == 0:
        raise MetricError(f"{name} has shape {array.shape}; pass rows of features")
    if columns is not None and array.shape[1] != columns:
        raise MetricError(f"{name} has {array.shape[1]} columns where {columns} are needed")
    return _finite(name, array)


def _finite(name: str, array: NDArray[Any]) -> Floats:
    if array.dtype.kind not in "biuf":
        try:
            array = array.astype(np.float64)
        except (TypeError, ValueError):
            raise MetricError(
                f"{name} holds {array.dtype} values, not numbers; convert them first"
            ) from None
    result = np.ascontiguousarray(array, dtype=np.float64)
    # the sum is finite for nearly all good input and much cheaper than a mask
    with np.errstate(over="ignore", invalid="ignore"):
        suspicious = not np.isfinite(result.sum())
    if suspicious:
        bad = np.flatnonzero(~np.isfinite(result))
        if bad.size:
            value = result.ravel()[bad[0]]
            raise MetricError(
                f"{name} has {bad.size} values that aren't finite (the first, {value}, "
                f"at position {bad[0]}); replace or drop them"
            )
    return result


def flags(name: str, values: ArrayLike, size: int | None = None) -> Bools:
    """Give labels or a selection, 0 and 1, as booleans of shape (n_events,).

    Raises
    ------
    MetricError
        When a value is neither 0 nor 1.
    """
    array = vector(name, values, size)
    if array.dtype.kind == "b":
        return array
    if array.dtype.kind not in "iuf":
        array = numbers(name, array)
    result = array == 1
    if not np.all(result | (array == 0)):
        odd = array[~(result | (array == 0))][0]
        raise MetricError(f"{name} has the value {odd}; labels are 1 (signal) and 0 (background)")
    return np.asarray(result)


def labels(y_true: ArrayLike) -> Bools:
    """Give true labels as booleans, with both classes present.

    Raises
    ------
    MetricError
        When a class is empty or a label is neither 0 nor 1.
    """
    signal = flags("y_true", y_true)
    found = np.count_nonzero(signal)
    if found in {0, signal.size}:
        raise MetricError(
            f"y_true has no {'signal (1)' if found == 0 else 'background (0)'} event among "
            f"{signal.size}; both classes are needed"
        )
    return signal


def weights(sample_weight: ArrayLike | None, size: int) -> Floats:
    """Give event weights, 1 each when there are none; any sign.

    Raises
    ------
    MetricError
        When a weight isn't finite or the length differs.
    """
    if sample_weight is None:
        return np.ones(size)
    return numbers("sample_weight", sample_weight, size)


def class_weights(sample_weight: ArrayLike | None, signal: Bools) -> Floats:
    """Give event weights whose total is positive in each class.

    Parameters
    ----------
    sample_weight : array-like of shape (n_events,) or None
        Weights of any sign, as next-to-leading-order simulation has them.
    signal : ndarray of bool, shape (n_events,)
        Which events are signal.

    Returns
    -------
    ndarray of shape (n_events,)

    Raises
    ------
    MetricError
        When a class's total is zero, negative or overflows.
    """
    result = weights(sample_weight, signal.size)
    if sample_weight is None:
        return result
    with np.errstate(over="ignore", invalid="ignore"):
        for name, mask in (("signal", signal), ("background", ~signal)):
            total = float((result * mask).sum())
            if not total > 0 or not np.isfinite(total):
                raise MetricError(
                    f"sample_weight sums to {total:g} over the {name} events; "
                    "a class needs a positive, finite total"
                )
    return result


def total_weights(sample_weight: ArrayLike | None, size: int) -> Floats:
    """Give event weights of any sign whose total is positive.

    Raises
    ------
    MetricError
        When the total is zero, negative or overflows.
    """
    result = weights(sample_weight, size)
    with np.errstate(over="ignore", invalid="ignore"):
        total = float(result.sum())
    if not total > 0 or not np.isfinite(total):
        raise MetricError(f"sample_weight sums to {total:g}; the total must be positive and finite")
    return result


def unsigned_class_weights(sample_weight: ArrayLike | None, signal: Bools, why: str) -> Floats:
    """Give event weights that aren't negative, for what can't be defined with others.

    Parameters
    ----------
    sample_weight : array-like of shape (n_events,) or None
        Event weights.
    signal : ndarray of bool, shape (n_events,)
        Which events are signal, or of the first sample.
    why : str
        What needs them, for the error.

    Raises
    ------
    MetricError
        When a weight is negative, or a class's total isn't positive.
    """
    result = class_weights(sample_weight, signal)
    if result.min() < 0:
        raise MetricError(
            f"sample_weight has {np.count_nonzero(result < 0)} negative weights; {why}"
        )
    return result


def positive(name: str, value: float, *, zero: bool = False) -> float:
    """Give a finite number above zero (or zero too).

    Raises
    ------
    MetricError
        When it isn't.
    """
    number = float(value)
    if not np.isfinite(number) or number < 0 or (number == 0 and not zero):
        raise MetricError(
            f"{name} is {value!r}; pass a {'non-negative' if zero else 'positive'} number"
        )
    return number


def fraction(name: str, value: float) -> float:
    """Give a number strictly between 0 and 1, or 1.

    Raises
    ------
    MetricError
        When it isn't in (0, 1].
    """
    number = float(value)
    if not 0 < number <= 1:
        raise MetricError(f"{name} is {value!r}; pass a number above 0 and at most 1")
    return number
