"""Classifiers for events whose calibration is uncertain: what to make of a nuisance in training."""

from __future__ import annotations

from typing import Any, Literal

import numpy as np
import numpy.typing as npt
import pandas as pd
from sklearn.base import BaseEstimator, ClassifierMixin, clone
from sklearn.utils.validation import check_is_fitted

from hepml_tasks.errors import FlowError, nearest

Use = Literal["ignore", "augment", "feature"]


class NuisanceClassifier(ClassifierMixin, BaseEstimator):  # type: ignore[misc] # untyped bases
    """A classifier that decides at which values of a nuisance it is trained, and if it sees them.

    Parameters
    ----------
    estimator : classifier
        Has `predict_proba`, and takes `sample_weight`.
    column : str
        The column with the value of the nuisance.
    use : {"ignore", "augment", "feature"}
        "ignore" trains with the events at the nominal value. "augment" trains with each event at
        one of the values, by chance: as many events as there are, of all calibrations. "feature"
        does so too and keeps the value as a feature, so that the classifier is one for each value
        (P. Baldi et al., Eur. Phys. J. C 76 (2016) 235).
    nominal : float
        The nominal value.
    random_state : int, optional
        Of the choice.
    """

    def __init__(
        self,
        estimator: Any = None,
        column: str = "",
        use: Use = "ignore",
        nominal: float = 1.0,
        random_state: int | None = None,
    ) -> None:
        self.estimator = estimator
        self.column = column
        self.use = use
        self.nominal = nominal
        self.random_state = random_state

    def fit(
        self,
        X: pd.DataFrame,
        y: Any,
        sample_weight: npt.ArrayLike | None = None,
        groups: npt.ArrayLike | None = None,
    ) -> NuisanceClassifier:
        """Fit the estimator to events at some of the values.

        Parameters
        ----------
        X : DataFrame of shape (n_rows, n_features)
            Events at several values of the nuisance, one below the other.
        y : array-like of shape (n_rows,)
        sample_weight : array-like of shape (n_rows,), optional
            At full luminosity at each value.
        groups : array-like of shape (n_rows,), optional
            Which rows are the same event; each row is one by itself by default.

        Raises
        ------
        FlowError
            For an unknown option, a column that isn't there, or no event at the nominal value.
        """
        if self.estimator is None:
            raise FlowError("estimator: NuisanceClassifier needs the classifier that it wraps")
        if self.use not in {"ignore", "augment", "feature"}:
            raise FlowError(f"use={self.use!r} is unknown; use one of ignore, augment, feature")
        kept = np.flatnonzero(self._choose(self._values(X), groups))
        if not len(kept):
            raise FlowError(f"no training event has a {self.column} of {self.nominal:g}")
        weight = {} if sample_weight is None else {"sample_weight": np.asarray(sample_weight)[kept]}
        self.estimator_ = clone(self.estimator)
        self.estimator_.fit(self._seen(X.iloc[kept]), np.asarray(y)[kept], **weight)
        self.classes_ = self.estimator_.classes_
        self.n_features_in_ = X.shape[1]
        return self

    def predict_proba(self, X: pd.DataFrame) -> npt.NDArray[np.float64]:
        """Return the scores, of shape (n_rows, n_classes), ordered as `classes_`."""
        check_is_fitted(self)
        return np.asarray(self.estimator_.predict_proba(self._seen(X)), dtype=np.float64)

    def predict(self, X: pd.DataFrame) -> npt.NDArray[Any]:
        """Return the class of each row."""
        check_is_fitted(self)
        return np.asarray(self.estimator_.predict(self._seen(X)))

    @property
    def threshold_(self) -> float | None:
        """The estimator's threshold, if it tells one."""
        return getattr(self.estimator_, "threshold_", None)

    def _values(self, X: pd.DataFrame) -> npt.NDArray[np.float64]:
        columns = list(getattr(X, "columns", []))
        if self.column not in columns:
            raise FlowError(
                f"column: the events have no column {self.column!r}{nearest(self.column, columns)};"
                " it is the one that the task's roles call nuisance"
            )
        return np.asarray(X[self.column], dtype=np.float64)

    def _choose(
        self, values: npt.NDArray[np.float64], groups: npt.ArrayLike | None
    ) -> npt.NDArray[np.bool_]:
        if self.use == "ignore":
            return np.isclose(values, self.nominal)
        rng = np.random.default_rng(self.random_state)
        known = np.unique(values)
        rows = np.arange(len(values)) if groups is None else np.asarray(groups)
        _, event = np.unique(rows, return_inverse=True)
        # an event that isn't there at its value takes no part, as in data
        drawn = known[rng.integers(len(known), size=event.max() + 1)]
        return np.asarray(drawn[event] == values)

    def _seen(self, X: pd.DataFrame) -> pd.DataFrame:
        return X if self.use == "feature" else X.drop(columns=[self.column])
