"""Reconstruction error: what a few principal components don't describe is abnormal."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
from sklearn.base import BaseEstimator
from sklearn.decomposition import PCA
from sklearn.impute import SimpleImputer
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.utils.validation import check_is_fitted

from hepml_tasks.flows.anomaly import AnomalyDetector


class ReconstructionError(BaseEstimator):  # type: ignore[misc] # untyped base
    """How far events are from the subspace of the largest principal components.

    Parameters
    ----------
    n_components : int
        The dimension of the subspace.
    random_state : int, optional
        Of the decomposition.
    """

    def __init__(self, n_components: int = 10, random_state: int | None = None) -> None:
        self.n_components = n_components
        self.random_state = random_state

    def fit(self, X: Any, y: Any = None) -> ReconstructionError:
        """Find the components; columns should have a common scale, and no value undefined.

        Parameters
        ----------
        X : array-like of shape (n_events, n_features)
        y : ignored
        """
        del y
        self.pca_ = PCA(self.n_components, random_state=self.random_state).fit(X)
        self.n_features_in_ = X.shape[1]
        return self

    def score_samples(self, X: Any) -> npt.NDArray[np.float64]:
        """Return minus the mean squared distance to the subspace, of shape (n_events,)."""
        check_is_fitted(self)
        rest = np.asarray(X) - self.pca_.inverse_transform(self.pca_.transform(X))
        return np.asarray(-np.mean(rest**2, axis=1), dtype=np.float64)


def build() -> AnomalyDetector:
    """Return the flow: an undefined value becomes the median."""
    return AnomalyDetector(
        Pipeline(
            [
                ("impute", SimpleImputer(strategy="median")),
                ("scale", StandardScaler()),
                ("reconstruct", ReconstructionError()),
            ]
        )
    )
