"""Hits of the same direction from the centre, the floor of tracking."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from hepml_tasks.flows.tracking import TrackFinder


class AzimuthClusters(TrackFinder):
    """Takes hits in a cell of azimuth and cot(theta) for a track, as if tracks were straight.

    Parameters
    ----------
    azimuths : int
        Cells of azimuth.
    width : float
        Of a cell in asinh(cot(theta)), the pseudorapidity seen from the centre.
    """

    def __init__(self, azimuths: int = 200, width: float = 0.05) -> None:
        self.azimuths = azimuths
        self.width = width

    def predict(self, X: Any) -> npt.NDArray[np.int64]:
        """Return a track id for each hit of one collision event."""
        x, y, z = (X[c].to_numpy() for c in ("x", "y", "z"))
        azimuth = np.floor((np.arctan2(y, x) / (2 * np.pi) + 0.5) * self.azimuths)
        slope = np.floor(np.arcsinh(z / np.hypot(x, y)) / self.width)
        cells = np.stack([azimuth, slope])
        return np.asarray(np.unique(cells, axis=1, return_inverse=True)[1], dtype=np.int64).ravel()


def build() -> AzimuthClusters:
    """Return the flow."""
    return AzimuthClusters()
