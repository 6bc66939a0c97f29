"""Anomaly detection: a score and a selection from events without labels.

What finds anomalies is an estimator with scikit-learn's `score_samples`, the lower the more
abnormal. :class:`AnomalyDetector` makes of it what a task wants: a score between 0 and 1, and which
events are selected.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
from sklearn.base import BaseEstimator, OutlierMixin, clone
from sklearn.model_selection import KFold
from sklearn.utils.validation import check_is_fitted

from hepml_tasks.errors import FlowError

Floats = npt.NDArray[np.float64]


class AnomalyDetector(OutlierMixin, BaseEstimator):  # type: ignore[misc] # untyped bases
    """What an estimator finds abnormal, as a score between 0 and 1 and a selection.

    Parameters
    ----------
    estimator : estimator
        Has `fit` without labels and `score_samples`, the lower the more abnormal.
    contamination : float
        The fraction of the training events that would be selected, in (0, 0.5].
    threshold_folds : int
        Folds in which the training events are scored for the threshold: none is scored by a fit
        that has seen it.
    pos_label : str, optional
        The class of the anomalies, where classes are given; the last of the sorted ones by default.
    random_state : int, optional
        Shuffles the threshold's folds.

    Notes
    -----
    Scores are stretched around the threshold, which is at 0.5: with the distance from it in
    quartile ranges of the training scores, x, the confidence is (1 + x / (1 + abs(x))) / 2. That is
    a monotone map, which has room for what is far out, and puts the fits of several folds on one
    scale.
    """

    def __init__(
        self,
        estimator: Any = None,
        contamination: float = 0.02,
        threshold_folds: int = 3,
        pos_label: str | None = None,
        random_state: int | None = None,
    ) -> None:
        self.estimator = estimator
        self.contamination = contamination
        self.threshold_folds = threshold_folds
        self.pos_label = pos_label
        self.random_state = random_state

    def fit(self, X: Any, y: Any = None) -> AnomalyDetector:
        """Fit the estimator and choose the threshold, without labels.

        Parameters
        ----------
        X : array-like of shape (n_events, n_features)
        y : array-like of shape (n_events,), optional
            Nothing is learnt from it but what the two classes are called, as some programs must be
            told. Without it they are 0 and 1, and 1 is abnormal.

        Raises
        ------
        FlowError
            For an option with an unusable value, or other than two classes.
        """
        if self.estimator is None:
            raise FlowError("estimator: AnomalyDetector needs the estimator that it wraps")
        if not 0 < self.contamination <= 0.5:
            raise FlowError(
                f"contamination={self.contamination!r} is no fraction above 0, up to 0.5"
            )
        self.classes_ = np.array([0, 1]) if y is None else np.unique(np.asarray(y))
        self._positive = self._find_positive()
        self.n_features_in_ = X.shape[1]
        scores = self._scores_out_of_fold(X)
        self.threshold_ = float(np.quantile(scores, 1 - self.contamination))
        low, high = np.quantile(scores, [0.25, 0.75])
        # all alike: then any scale will do
        self.scale_ = float(high - low) or 1.0
        self.estimator_ = clone(self.estimator).fit(X)
        return self

    def predict_proba(self, X: Any) -> Floats:
        """Return the score of each class, of shape (n_events, 2), ordered as `classes_`."""
        check_is_fitted(self)
        distance = (_abnormality(self.estimator_, X) - self.threshold_) / self.scale_
        score = (1 + distance / (1 + np.abs(distance))) / 2
        columns = (1 - score, score) if self._positive == 1 else (score, 1 - score)
        return np.column_stack(columns)

    def predict(self, X: Any) -> npt.NDArray[Any]:
        """Return the class of each event: the anomalies' where its score reaches the threshold."""
        check_is_fitted(self)
        selected = _abnormality(self.estimator_, X) >= self.threshold_
        order = [1 - self._positive, self._positive]
        return np.asarray(self.classes_[order])[selected.astype(np.int64)]

    def _find_positive(self) -> int:
        if len(self.classes_) != 2:
            raise FlowError(
                f"y: AnomalyDetector tells 2 classes apart, got {len(self.classes_)}; without"
                " labels give no y"
            )
        if self.pos_label is None:
            return 1
        # OpenML keeps parameters as text: compare as text
        names: list[str] = self.classes_.astype(str).tolist()
        if str(self.pos_label) not in names:
            raise FlowError(f"pos_label={self.pos_label!r} is no class; they are {names}")
        return names.index(str(self.pos_label))

    def _scores_out_of_fold(self, X: Any) -> Floats:
        folds = KFold(self.threshold_folds, shuffle=True, random_state=self.random_state)
        scores = np.empty(len(X))
        for train, rest in folds.split(np.zeros((len(X), 1))):
            fitted = clone(self.estimator).fit(_rows(X, train))
            scores[rest] = _abnormality(fitted, _rows(X, rest))
        return scores


def _abnormality(estimator: Any, X: Any) -> Floats:
    return -np.asarray(estimator.score_samples(X), dtype=np.float64)


def _rows(X: Any, rows: npt.NDArray[np.int64]) -> Any:
    return X.iloc[rows] if hasattr(X, "iloc") else X[rows]
