"""DBSCAN in coordinates in which the hits of a helix are one point."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
from sklearn.cluster import DBSCAN

from hepml_tasks.flows.helix import Floats, Hits, Ints, hits_of
from hepml_tasks.flows.tracking import TrackFinder


class HelixClusters(TrackFinder):
    """For each of several curvatures and vertices, hits that would start in the same direction.

    A hit, a curvature and a vertex on the beam give a direction at the beam and a slope along it:
    the same ones for all hits of a track, if curvature and vertex are its own. DBSCAN finds where
    hits pile up; of all the clusters that a hit was in, the largest one keeps it.

    Parameters
    ----------
    bend : float
        The strongest curvature that is tried, 1/mm: 0.003 is 0.2 GeV in 2 T.
    bends : int
        Number of curvatures, of both signs.
    vertex : float
        How far along the beam from the centre vertices are tried, mm.
    vertices : int
        Number of vertices.
    distance : float
        DBSCAN's radius in the direction, radians.
    flatness : float
        By how much less the slope counts than the direction.
    fewest, most : int
        Hits of a cluster; a larger one is not of one track.
    """

    def __init__(
        self,
        bend: float = 0.003,
        bends: int = 15,
        vertex: float = 6.0,
        vertices: int = 3,
        distance: float = 0.012,
        flatness: float = 0.15,
        fewest: int = 4,
        most: int = 20,
    ) -> None:
        self.bend = bend
        self.bends = bends
        self.vertex = vertex
        self.vertices = vertices
        self.distance = distance
        self.flatness = flatness
        self.fewest = fewest
        self.most = most

    def predict(self, X: Any) -> npt.NDArray[np.int64]:
        """Return a track id for each hit of one collision event."""
        hits = hits_of(X)
        n = len(hits.x)
        # at first each hit is a cluster of its own
        best, size, made = np.arange(n), np.ones(n, dtype=np.int64), n
        for curvature in np.linspace(-self.bend, self.bend, self.bends):
            for vertex in np.linspace(-self.vertex, self.vertex, self.vertices):
                cluster, members = self._clusters(hits, float(curvature), float(vertex))
                better = members > size
                best[better] = made + cluster[better]
                size[better] = members[better]
                made += n
        return np.asarray(best, dtype=np.int64)

    def _clusters(self, hits: Hits, curvature: float, vertex: float) -> tuple[Ints, Ints]:
        """Return each hit's cluster, and how many hits that has: 0 for none, or too many."""
        half = hits.r * curvature / 2
        reached = np.flatnonzero(np.abs(half) < 0.95)
        turn = np.arcsin(half[reached])
        direction = hits.phi[reached] - turn
        # the way in the transverse plane
        length = hits.r[reached] / np.sinc(np.asarray(turn) / np.pi)
        slope: Floats = np.arctan2(hits.z[reached] - vertex, length)
        points = np.stack([np.cos(direction), np.sin(direction), self.flatness * slope], axis=1)
        labels = DBSCAN(eps=self.distance, min_samples=3).fit_predict(points)
        cluster = np.full(len(hits.x), -1, dtype=np.int64)
        cluster[reached] = labels
        count = np.bincount(labels + 1)
        members = np.zeros(len(hits.x), dtype=np.int64)
        members[reached] = np.where(labels < 0, 0, count[labels + 1])
        members[(members < self.fewest) | (members > self.most)] = 0
        return cluster, members


def build() -> HelixClusters:
    """Return the flow."""
    return HelixClusters()
