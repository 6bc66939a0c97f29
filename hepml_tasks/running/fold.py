"""One fold: fit on its training events, predict its test events, keep the result."""

from __future__ import annotations

import signal
import sys
import threading
import time
import warnings
from collections.abc import Callable, Mapping
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
import pyarrow as pa

from hepml_tasks.data.events import WITHHELD, Across
from hepml_tasks.errors import RunError
from hepml_tasks.running.folder import RunFolder, write_json, write_parquet
from hepml_tasks.running.unlabelled import WithoutLabels, check_detector
from hepml_tasks.spec.kinds import Target
from hepml_tasks.splits import Split

_ONE_AT_A_TIME = threading.Lock()
"""Limits of threads and filters of warnings are a whole process's."""

Predicted = dict[str, npt.NDArray[Any]]
"""The columns that a flow's answer becomes: ``prediction``, and a confidence a class."""


def _classes(model: Any, X: pd.DataFrame, group: npt.NDArray[np.int64] | None) -> Predicted:
    del group
    confidences = np.asarray(model.predict_proba(X), dtype=np.float64)
    classes = np.asarray(model.classes_).astype(str).tolist()
    predicted = np.asarray(model.predict(X)).astype(np.str_)
    return {"prediction": predicted} | {
        f"confidence.{c}": confidences[:, i] for i, c in enumerate(classes)
    }


def _number(model: Any, X: pd.DataFrame, group: npt.NDArray[np.int64] | None) -> Predicted:
    del group
    return {"prediction": np.asarray(model.predict(X)).astype(np.float64)}


def _ids(model: Any, X: pd.DataFrame, group: npt.NDArray[np.int64] | None) -> Predicted:
    found = np.empty(len(X), dtype=np.int64)
    groups = np.zeros(len(X), dtype=np.int64) if group is None else group
    order = np.argsort(groups, kind="stable")
    edges = np.flatnonzero(np.diff(groups[order])) + 1
    for rows in np.split(order, edges):
        ids = np.asarray(model.predict(X.iloc[rows]))
        if ids.shape != (len(rows),) or ids.dtype.kind not in "iu":
            raise RunError(
                f"predict gave {ids.dtype} of shape {ids.shape} where {len(rows)} whole numbers are"
                " due, an id for each row"
            )
        found[rows] = ids
    return {"prediction": found}


PREDICT: dict[Target, Callable[..., Predicted]] = {
    "class": _classes,
    "number": _number,
    "id": _ids,
}
"""How a fitted flow is asked, by what the task's target is."""


def run_fold(
    estimator: Any,
    X: pd.DataFrame,
    y: npt.NDArray[Any],
    weight: npt.NDArray[np.float64],
    split: Split,
    *,
    class_sums: Mapping[str, float],
    positive: str | None,
    threads: int,
    folder: Path,
    unlabelled: bool = False,
    target: Target = "class",
    group: npt.NDArray[np.int64] | None = None,
    across: Across | None = None,
) -> None:
    """Fit and predict one fold, and write its two files into the run folder.

    Parameters
    ----------
    estimator : scikit-learn estimator
        Unfitted; gets the training events' physical weights if its `fit` takes `sample_weight`.
    X : DataFrame of shape (n_events, n_features)
    y : ndarray of str, of float64 for a regression, or of int64 for ids
    weight : ndarray of float64
        Physical weights of all events.
    split : Split
    class_sums : mapping of str to float
        The training weights are renormalised to these, class by class.
    positive : str, optional
        The class that is signal, of two.
    threads : int
        How many threads the estimator may use.
    folder : Path
        The run folder.
    unlabelled : bool
        Keep labels and weights from the estimator: two classes, one of them `positive`.
    target : {"class", "number", "id"}
        What is predicted.
    group : ndarray of int64, shape (n_events,), optional
        Which rows belong together. The estimator gets those of the training events if its `fit`
        takes `groups`. Ids are predicted group by group, so that an estimator sees the hits of
        one collision event at a time.
    across : Across, optional
        At which value of a nuisance a row is. The estimator is fitted to the events that are there
        at their value, whose weights are at full luminosity value by value.

    Raises
    ------
    RunError
        If the estimator fails, is of the other kind (a classifier for a regression), or gives
        scores that aren't finite numbers.
    """
    from sklearn.base import clone

    model = clone(estimator)
    if unlabelled:
        model = _without_labels(model, class_sums, positive)
    else:
        check_kind(model, target)
        if positive is not None:
            point_out_signal(model, y, positive)
    where = f"repeat {split.repeat}, fold {split.fold}"
    options: dict[str, npt.NDArray[Any]] = {}
    there = slice(None) if across is None else across.selected[split.train]
    train = split.train[there]
    if not unlabelled and takes_weights(model):
        values = None if across is None else across.value[split.train]
        options["sample_weight"] = _at_each_value(
            values, weight[split.train], y[split.train], class_sums
        )[there]
    if group is not None and takes_groups(model):
        options["groups"] = group[train]
    tested = None if group is None else group[split.test]
    pools = thread_pools(len(sys.modules))
    with _ONE_AT_A_TIME, pools.limit(limits=threads), warnings.catch_warnings():
        # an estimator's advice on its own parameters is no business of the run
        warnings.simplefilter("ignore")
        start = time.perf_counter()
        try:
            model.fit(X.iloc[train], y[train], **options)
            fitted = time.perf_counter()
            predicted = PREDICT[target](model, X.iloc[split.test], tested)
        except Exception as error:
            problem = str(error).splitlines()[0] if str(error) else ""
            raise RunError(
                f"the flow failed in {where}: {type(error).__name__}: {problem}"
            ) from error
        finished = time.perf_counter()
    _check_finite(predicted, where)
    columns: dict[str, Any] = {
        "repeat": np.full(len(split.test), split.repeat, dtype=np.int64),
        "fold": np.full(len(split.test), split.fold, dtype=np.int64),
        "row": split.test,
        **({} if across is None else {"nuisance": across.value[split.test]}),
        "truth": pa.array(
            y[split.test], mask=y[split.test] == WITHHELD if target == "class" else None
        ),
        **predicted,
    }
    record = {
        "fit_seconds": round(fitted - start, 6),
        "predict_seconds": round(finished - fitted, 6),
        "threshold": getattr(model, "threshold_", None),
    }
    path = RunFolder(folder).fold_path(split.repeat, split.fold)
    # the predictions last: a fold is finished when they are there
    write_json(path.with_suffix(".json"), record)
    write_parquet(path, pa.table(columns))


def _without_labels(
    model: Any, class_sums: Mapping[str, float], positive: str | None
) -> WithoutLabels:
    check_detector(model)
    (normal,) = (c for c in class_sums if c != positive)
    return WithoutLabels(model, normal, str(positive))


@lru_cache(maxsize=1)
def thread_pools(_modules: int) -> Any:
    """Find the libraries with threads of their own: again only when modules have come since.

    Parameters
    ----------
    _modules : int
        How many are imported.
    """
    from threadpoolctl import ThreadpoolController

    return ThreadpoolController()


def _check_finite(predicted: Predicted, where: str) -> None:
    rows = len(predicted["prediction"])
    numbers = [v for v in predicted.values() if v.dtype.kind == "f"]
    bad = sum((~np.isfinite(v) for v in numbers), np.zeros(rows, dtype=bool)) > 0
    if bad.any():
        raise RunError(
            f"the flow gave NaN or infinite scores for {int(bad.sum())} events in {where}; nothing"
            " of this fold is kept"
        )


def run_fold_in_worker(*args: Any, **options: Any) -> None:
    """Run a fold in a process that leaves an interrupt to the one that started it."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    run_fold(*args, **options)


def _at_each_value(
    values: npt.NDArray[np.float64] | None,
    weight: npt.NDArray[np.float64],
    y: npt.NDArray[Any],
    class_sums: Mapping[str, float],
) -> npt.NDArray[np.float64]:
    """Renormalise weights at each value of a nuisance by itself, or once without one."""
    if values is None:
        return at_full_luminosity(weight, y, class_sums)
    result = np.empty(len(weight))
    for value in np.unique(values):
        here = values == value
        result[here] = at_full_luminosity(weight[here], y[here], class_sums)
    return result


def at_full_luminosity(
    weight: npt.NDArray[np.float64], y: npt.NDArray[Any], class_sums: Mapping[str, float]
) -> npt.NDArray[np.float64]:
    """Renormalise each class's weights to its sum over the full dataset.

    Parameters
    ----------
    weight : ndarray of shape (n_events,)
    y : ndarray of shape (n_events,)
    class_sums : mapping of str to float

    Raises
    ------
    RunError
        If a class's weights don't sum to a positive number.
    """
    result = weight.copy()
    for label, full in class_sums.items():
        here = y == label
        total = float(weight[here].sum())
        if not total > 0:
            raise RunError(f"the training weights of class {label!r} sum to {total:g}, not above 0")
        result[here] *= full / total
    return result


def check_kind(estimator: Any, target: Target) -> None:
    """Refuse a classifier where there are no classes, and a regressor where there are no numbers.

    Raises
    ------
    RunError
    """
    from sklearn.base import is_classifier, is_regressor

    name = type(estimator).__name__
    if target != "class" and is_classifier(estimator):
        raise RunError(f"{name} is a classifier; {_WANTED[target]}")
    if target != "number" and is_regressor(estimator):
        raise RunError(f"{name} is a regressor; {_WANTED[target]}")


_WANTED: dict[Target, str] = {
    "class": "the task has classes: run a classifier on it",
    "number": "the task is a regression: run a regressor on it",
    "id": "the task asks which rows belong together: run a flow that clusters on it",
}


def takes_groups(estimator: Any) -> bool:
    """Whether an estimator's `fit` has a `groups`."""
    from sklearn.utils.validation import has_fit_parameter

    return bool(has_fit_parameter(estimator, "groups"))


def takes_weights(estimator: Any) -> bool:
    """Whether an estimator's `fit` has a `sample_weight` (a bare pipeline's has not)."""
    from sklearn.utils.validation import has_fit_parameter

    return bool(has_fit_parameter(estimator, "sample_weight"))


def point_out_signal(estimator: Any, y: npt.NDArray[np.str_], positive: str) -> None:
    """Tell a flow which class is signal where it isn't the last in sorted order."""
    # the parameters first: to look at every event's label takes longer
    if "pos_label" in estimator.get_params(deep=False) and np.unique(y)[-1] != positive:
        estimator.set_params(pos_label=positive)
