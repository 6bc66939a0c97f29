"""A detector behind a wall: it answers in the classes of a task, and is told nothing of them."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from hepml_tasks.errors import RunError


class WithoutLabels:
    """Fits and asks a detector as if it were a classifier.

    Parameters
    ----------
    detector : estimator
        Unfitted. Fitted to features alone, it predicts 0 or 1, which is abnormal, and
        `predict_proba` has a column for each.
    normal, abnormal : str
        The classes of the task.
    """

    def __init__(self, detector: Any, normal: str, abnormal: str) -> None:
        self.detector = detector
        self.classes_ = np.array([normal, abnormal])

    def fit(self, X: pd.DataFrame, _y: object) -> None:
        """Fit the detector to the features; neither labels nor weights get to it."""
        self.detector.fit(X)

    def predict(self, X: pd.DataFrame) -> npt.NDArray[np.str_]:
        """Return the class of each event, of shape (n_events,).

        Raises
        ------
        RunError
            If the detector predicts anything else than 0 and 1.
        """
        found = np.asarray(self.detector.predict(X))
        if not np.isin(found, [0, 1]).all():
            raise RunError(
                f"predict of {type(self.detector).__name__} gave {found.flat[0]}; a detector that"
                " was fitted without labels predicts 0, or 1 for an anomaly"
            )
        return np.asarray(self.classes_[found.astype(np.int64)])

    def predict_proba(self, X: pd.DataFrame) -> npt.NDArray[np.float64]:
        """Return the scores, of shape (n_events, 2), ordered as `classes_`."""
        return np.asarray(self.detector.predict_proba(X), dtype=np.float64)

    @property
    def threshold_(self) -> float | None:
        """The detector's threshold, if it tells one."""
        return getattr(self.detector, "threshold_", None)


def check_detector(estimator: Any) -> None:
    """Refuse an estimator that needs labels, or has no score between 0 and 1.

    Raises
    ------
    RunError
    """
    from sklearn.base import is_classifier, is_regressor

    name = type(estimator).__name__
    if is_classifier(estimator) or is_regressor(estimator):
        raise RunError(f"{name} learns from labels; the task has none at training: run a detector")
    if not hasattr(estimator, "predict_proba"):
        raise RunError(
            f"{name} gives no score between 0 and 1: wrap it in"
            " hepml_tasks.flows.anomaly.AnomalyDetector"
        )
