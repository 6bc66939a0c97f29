"""A classifier that knows the two questions of weighted events.

A fit needs weights that are balanced between the classes; a figure of merit needs physical ones.
`WeightedClassifier` takes the physical weights, balances them for the fit of the estimator inside,
and chooses with the physical ones which events to select.
"""

from __future__ import annotations

from typing import Any, Literal

import numpy as np
import numpy.typing as npt
from sklearn.base import BaseEstimator, ClassifierMixin, clone
from sklearn.model_selection import StratifiedKFold
from sklearn.pipeline import Pipeline
from sklearn.utils.validation import check_is_fitted

from hepml_tasks.errors import FlowError
from hepml_tasks.metrics import best_threshold

Balance = Literal["classes", "none"]
ThresholdRule = Literal["ams", "half"]


class WeightedClassifier(ClassifierMixin, BaseEstimator):  # type: ignore[misc] # untyped bases
    """A classifier, fitted with balanced weights, that selects with physical ones.

    Of more than two classes none is signal: the likeliest class is predicted, nothing is selected.

    Parameters
    ----------
    estimator : estimator
        Has `predict_proba` and takes `sample_weight`; the last step of a pipeline gets it.
    balance : {"classes", "none"}
        "classes" scales the weights of the fit so that all classes have the same sum and the
        mean weight is 1; "none" fits with the weights as they come.
    threshold_rule : {"ams", "half"}
        How the selection between two classes is made: "ams" takes the score threshold with the
        largest approximate median significance on out-of-fold scores of the training events;
        "half" takes 0.5.
    b_reg : float
        The regularisation of AMS.
    threshold_folds : int
        Folds in which the training events are scored for the threshold.
    pos_label : str, optional
        The class that is signal; the last of the sorted classes by default.
    random_state : int, optional
        Shuffles the threshold's folds.

    Notes
    -----
    The threshold never sees an event on which it is scored: its folds are of training events
    only. `sample_weight` must be at full luminosity for it to mean anything (the runner of this
    package sees to that); without weights every event counts 1.
    """

    def __init__(
        self,
        estimator: Any = None,
        balance: Balance = "classes",
        threshold_rule: ThresholdRule = "ams",
        b_reg: float = 10.0,
        threshold_folds: int = 3,
        pos_label: str | None = None,
        random_state: int | None = None,
    ) -> None:
        self.estimator = estimator
        self.balance = balance
        self.threshold_rule = threshold_rule
        self.b_reg = b_reg
        self.threshold_folds = threshold_folds
        self.pos_label = pos_label
        self.random_state = random_state

    def fit(self, X: Any, y: Any, sample_weight: npt.ArrayLike | None = None) -> WeightedClassifier:
        """Fit the estimator and choose the threshold.

        Parameters
        ----------
        X : array-like of shape (n_events, n_features)
        y : array-like of shape (n_events,)
            Two classes or more, as numbers or text.
        sample_weight : array-like of shape (n_events,), optional
            Physical weights at full luminosity.

        Raises
        ------
        FlowError
            For a single class, or an option with an unknown value.
        """
        self._check_options()
        labels = np.asarray(y)
        self.classes_, codes = np.unique(labels, return_inverse=True)
        if len(self.classes_) < 2:
            raise FlowError("y: WeightedClassifier needs two classes or more, got 1")
        weight = np.ones(len(codes)) if sample_weight is None else np.asarray(sample_weight, float)
        self.n_features_in_ = X.shape[1]
        if len(self.classes_) > 2:
            self.threshold_: float | None = None
            self.estimator_ = self._fit_inner(X, codes, weight)
            return self
        self._positive = self._find_positive()
        signal = (codes == self._positive).astype(np.int64)
        self.threshold_ = self._choose_threshold(X, signal, weight)
        self.estimator_ = self._fit_inner(X, signal, weight)
        return self

    def predict_proba(self, X: Any) -> npt.NDArray[np.float64]:
        """Return the score of each class, of shape (n_events, n_classes), ordered as `classes_`."""
        check_is_fitted(self)
        if len(self.classes_) > 2:
            return np.asarray(self.estimator_.predict_proba(X), dtype=np.float64)
        signal = _signal_score(self.estimator_, X)
        columns = (1 - signal, signal) if self._positive == 1 else (signal, 1 - signal)
        return np.column_stack(columns)

    def predict(self, X: Any) -> npt.NDArray[Any]:
        """Return the class of each event: signal where its score reaches the threshold.

        Of more than two classes, the one with the highest score.
        """
        check_is_fitted(self)
        if len(self.classes_) > 2:
            return np.asarray(self.classes_[self.predict_proba(X).argmax(axis=1)])
        selected = _signal_score(self.estimator_, X) >= np.asarray(self.threshold_)
        order = [1 - self._positive, self._positive]
        return np.asarray(self.classes_[order])[selected.astype(np.int64)]

    def _check_options(self) -> None:
        for name, allowed in (
            ("balance", ("classes", "none")),
            ("threshold_rule", ("ams", "half")),
        ):
            value = getattr(self, name)
            if value not in allowed:
                raise FlowError(f"{name}={value!r} is unknown; use one of {', '.join(allowed)}")
        if self.estimator is None:
            raise FlowError("estimator: WeightedClassifier needs the estimator that it wraps")

    def _find_positive(self) -> int:
        if self.pos_label is None:
            return 1
        # OpenML keeps parameters as text: compare as text
        matches = np.flatnonzero(self.classes_.astype(str) == str(self.pos_label))
        if len(matches) != 1:
            raise FlowError(
                f"pos_label={self.pos_label!r} is no class; they are"
                f" {', '.join(self.classes_.astype(str))}"
            )
        return int(matches[0])

    def _fit_inner(self, X: Any, codes: npt.NDArray[np.int64], weight: npt.NDArray[Any]) -> Any:
        estimator = clone(self.estimator)
        if self.balance == "classes":
            weight = balanced(codes, weight)
        estimator.fit(X, codes, **{weight_argument(estimator): weight})
        return estimator

    def _choose_threshold(
        self, X: Any, signal: npt.NDArray[np.int64], weight: npt.NDArray[Any]
    ) -> float:
        if self.threshold_rule == "half":
            return 0.5
        folds = StratifiedKFold(self.threshold_folds, shuffle=True, random_state=self.random_state)
        scores = np.empty(len(signal))
        for train, rest in folds.split(np.zeros((len(signal), 1)), signal):
            inner = self._fit_inner(_rows(X, train), signal[train], weight[train])
            scores[rest] = _signal_score(inner, _rows(X, rest))
        lowest = float(best_threshold(signal, scores, sample_weight=weight, b_reg=self.b_reg))
        # halfway to the next score: the final fit's scores are those of no fold to the last digit
        below = scores[scores < lowest]
        return (lowest + float(below.max())) / 2 if below.size else 0.0


def balanced(
    codes: npt.NDArray[np.int64], weight: npt.NDArray[np.float64]
) -> npt.NDArray[np.float64]:
    """Scale weights so that all classes have the same sum and the mean weight is 1.

    Parameters
    ----------
    codes : ndarray of shape (n_events,)
        Each event's class, by its number.
    weight : ndarray of shape (n_events,)
        May be negative for single events.

    Raises
    ------
    FlowError
        If a class's weights don't sum to a positive number.
    """
    result = weight.astype(np.float64, copy=True)
    classes = np.unique(codes)
    for c in classes:
        total = weight[codes == c].sum()
        if not total > 0:
            raise FlowError(
                f"sample_weight: class {c} sums to {total:g}; balanced weights need a positive sum"
            )
        result[codes == c] *= len(codes) / len(classes) / total
    return result


def _signal_score(estimator: Any, X: Any) -> npt.NDArray[np.float64]:
    return np.asarray(estimator.predict_proba(X)[:, 1], dtype=np.float64)


def weight_argument(estimator: Any) -> str:
    """Return what `sample_weight` is called in the `fit` of an estimator, or of a pipeline."""
    if isinstance(estimator, Pipeline):
        return f"{estimator.steps[-1][0]}__sample_weight"
    return "sample_weight"


def _rows(X: Any, rows: npt.NDArray[np.int64]) -> Any:
    return X.iloc[rows] if hasattr(X, "iloc") else X[rows]
