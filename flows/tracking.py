"""What flows for tracking share: they learn nothing, and give every hit of an event a track."""

from __future__ import annotations

from abc import abstractmethod
from typing import Any, Self

import numpy as np
import numpy.typing as npt
from sklearn.base import BaseEstimator, ClusterMixin


class TrackFinder(ClusterMixin, BaseEstimator):  # type: ignore[misc] # untyped bases
    """Finds the tracks of one collision event after the other, without training."""

    def fit(self, X: Any, y: Any = None) -> Self:
        """Learn nothing."""
        del X, y
        return self

    @abstractmethod
    def predict(self, X: Any) -> npt.NDArray[np.int64]:
        """Return a track id for each hit of one collision event.

        Parameters
        ----------
        X : DataFrame of shape (n_hits, n_features)
            With x, y and z in mm, and volume_id and layer_id where a flow asks for surfaces.
        """
