"""Seeds of two hits, followed outwards along helices."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from hepml_tasks.flows.helix import (
    Arc,
    Floats,
    Hits,
    Ints,
    Surface,
    hits_of,
    length_to,
    moved,
    surfaces_of,
    through,
    wrapped,
)
from hepml_tasks.flows.tracking import TrackFinder

_MOST = 24  # hits of a candidate
_NEAR = 3  # hits that it may have on a surface
_WIDER = 4.0  # windows that are looked through for them
_APART = 8.0  # mm between hits from which a direction is taken
_EDGE = 10.0  # mm by which a module may be off its surface


class TrackFollower(TrackFinder):
    """Pairs of inner hits that point to the beam, extended hit by hit, the best kept.

    A pair and the beam make a helix. From its last hit a candidate goes on to the surface that it
    meets next, takes the nearest hit there, and turns to the circle through its last three hits.
    Of candidates that share hits the longest one keeps them.

    Parameters
    ----------
    seed_radius : float
        Seeds are hits within that distance of the beam, mm.
    bend : float
        The strongest curvature of a seed, 1/mm: 0.004 is 0.15 GeV in 2 T.
    vertex : float
        How far along the beam a seed may point away from the centre, mm.
    across, along : float
        How far from its prediction a hit may be, across the track and along the beam, mm.
    holes : int
        How many surfaces without a hit a candidate may cross in a row.
    fewest : int
        Hits of a track at least.
    """

    def __init__(
        self,
        seed_radius: float = 180.0,
        bend: float = 0.0045,
        vertex: float = 200.0,
        across: float = 2.0,
        along: float = 6.0,
        holes: int = 1,
        fewest: int = 4,
    ) -> None:
        self.seed_radius = seed_radius
        self.bend = bend
        self.vertex = vertex
        self.across = across
        self.along = along
        self.holes = holes
        self.fewest = fewest

    def predict(self, X: Any) -> npt.NDArray[np.int64]:
        """Return a track id for each hit of one collision event."""
        hits = hits_of(X)
        if not len(hits.x):
            return np.empty(0, dtype=np.int64)
        inner, outer = self._seeds(hits)
        found, distance = self._follow(hits, surfaces_of(hits), inner, outer)
        return _resolved(found, distance, len(hits.x), self.fewest)

    def _seeds(self, hits: Hits) -> tuple[Ints, Ints]:
        """Return pairs of hits that lie on a helix from near the centre."""
        rows = np.flatnonzero(hits.r < self.seed_radius)
        rows = rows[np.argsort(hits.phi[rows], kind="stable")]
        # an arc that is bent most, between the beam and the outermost radius
        window = np.arcsin(min(1.0, self.seed_radius * self.bend / 2))
        phi = hits.phi[rows]
        twice = np.concatenate([phi, phi + 2 * np.pi])
        last = np.searchsorted(twice, phi + window, side="right")
        count = last - np.arange(len(rows)) - 1
        one = np.repeat(np.arange(len(rows)), count)
        step = np.arange(len(one)) - np.repeat(np.cumsum(count) - count, count) + 1
        a, b = rows[one], rows[(one + step) % len(rows)]
        swap = hits.r[a] > hits.r[b]
        a, b = np.where(swap, b, a), np.where(swap, a, b)
        apart = hits.r[b] - hits.r[a]
        far = np.hypot(apart, hits.z[b] - hits.z[a])
        near = (hits.surface[a] != hits.surface[b]) & (apart > 1) & (apart < 100) & (far > 15)
        a, b = a[near], b[near]
        turn = wrapped(hits.phi[b] - hits.phi[a])
        chord = np.hypot(hits.x[b] - hits.x[a], hits.y[b] - hits.y[a])
        curvature = 2 * np.sin(turn) / chord
        slope = (hits.z[b] - hits.z[a]) / chord
        start = hits.z[a] - slope * hits.r[a]
        good = (np.abs(curvature) < self.bend) & (np.abs(start) < self.vertex)
        return a[good], b[good]

    def _follow(
        self, hits: Hits, surfaces: list[Surface], inner: Ints, outer: Ints
    ) -> tuple[Ints, Floats]:
        """Extend pairs, and return the rows of each candidate (-1 beyond its end)."""
        n = len(inner)
        walk = _Walk(
            hits=hits,
            layers=[_Layer(hits, s, self.across, self.along) for s in surfaces],
            first=inner,
            # before the pair is the beam
            anchors=np.stack([np.full(n, -1, dtype=np.int64), inner, outer], axis=1),
            found=np.full((n, _MOST), -1, dtype=np.int64),
            count=np.zeros(n, dtype=np.int64),
            distance=np.zeros(n),
            passed=np.zeros((n, len(surfaces)), dtype=bool),
            missed=np.zeros(n, dtype=np.int64),
        )
        for hit in (inner, outer):
            walk.take(np.arange(n), hit, np.zeros(n))
            walk.passed[np.arange(n), hits.surface[hit]] = True
        alive = np.arange(n)
        while len(alive):
            alive = walk.step(alive, self.holes)
        return walk.found, walk.distance


@dataclass
class _Walk:
    """Candidates on their way outwards, a row each."""

    hits: Hits
    layers: list[_Layer]
    first: Ints
    anchors: Ints
    found: Ints
    count: Ints
    distance: Floats
    passed: npt.NDArray[np.bool_]
    missed: Ints

    def take(self, rows: Ints, hit: Ints, distance: Floats) -> None:
        """Give each of some candidates a hit."""
        room = self.count[rows] < _MOST
        rows, hit, distance = rows[room], hit[room], distance[room]
        self.found[rows, self.count[rows]] = hit
        self.count[rows] += 1
        self.distance[rows] += distance**2

    def arcs(self, rows: Ints) -> Arc:
        """Return where candidates go: the circle through three points, the slope from the first."""
        h = self.hits
        third, before, last = self.anchors[rows].T
        beam = third < 0
        x = np.stack([np.where(beam, 0.0, h.x[third]), h.x[before], h.x[last]])
        y = np.stack([np.where(beam, 0.0, h.y[third]), h.y[before], h.y[last]])
        direction, curvature = through(*(np.stack([x[i], y[i]]) for i in range(3)))
        # the length of the arc from the first hit, as if all of it were bent like this end
        first = self.first[rows]
        chord = np.hypot(h.x[last] - h.x[first], h.y[last] - h.y[first])
        half = np.clip(np.abs(curvature) * chord / 2, 1e-9, 1)
        length = np.maximum(chord * np.arcsin(half) / half, 1e-3)
        slope = (h.z[last] - h.z[first]) / length
        return Arc(h.x[last], h.y[last], h.z[last], direction, curvature, slope)

    def step(self, rows: Ints, holes: int) -> Ints:
        """Move candidates to the surface that each meets next; return those that go on."""
        arc = self.arcs(rows)
        lengths = np.stack([layer.lengths(arc) for layer in self.layers], axis=1)
        lengths[self.passed[rows]] = np.inf
        chosen = np.argmin(lengths, axis=1)
        length = lengths[np.arange(len(rows)), chosen]
        on = np.isfinite(length)
        rows, chosen = rows[on], chosen[on]
        arc = moved(Arc(*(part[on] for part in arc)), length[on])
        self.passed[rows, chosen] = True
        for number in np.unique(chosen):
            here = np.flatnonzero(chosen == number)
            near, distance = self.layers[number].near(Arc(*(part[here] for part in arc)))
            self._extend(rows[here], near, distance)
        return rows[self.missed[rows] <= holes]

    def _extend(self, rows: Ints, near: Ints, distance: Floats) -> None:
        good = near[:, 0] >= 0
        self.missed[rows[~good]] += 1
        self.missed[rows[good]] = 0
        for place in range(near.shape[1]):
            # behind the nearest hit those of a module that overlaps, which are nearer to it
            some = near[:, place] >= 0
            self.take(rows[some], near[some, place], distance[some, place])
        moving, best, last = rows[good], near[good, 0], self.anchors[rows[good], 2]
        h = self.hits
        far = (h.x[best] - h.x[last]) ** 2 + (h.y[best] - h.y[last]) ** 2 > _APART**2
        moving, best = moving[far], best[far]
        self.anchors[moving, :2] = self.anchors[moving, 1:]
        self.anchors[moving, 2] = best


class _Layer:
    """A surface and its hits, to look for those that are near a prediction."""

    def __init__(self, hits: Hits, surface: Surface, across: float, along: float) -> None:
        from scipy.spatial import cKDTree

        self._hits, self._surface, self._across, self._along = hits, surface, across, along
        rows = surface.rows
        points = self._coordinates(hits.phi[rows], hits.r[rows], hits.z[rows])
        # the ends of the range of azimuth are neighbours
        turn = 2 * np.pi * self._scale(hits.r[rows])
        shifted = [points + np.stack([k * turn, np.zeros(len(rows))], axis=1) for k in (-1, 0, 1)]
        self._rows = np.tile(rows, 3)
        self._tree = cKDTree(np.concatenate(shifted))

    def _scale(self, r: Floats) -> Floats:
        return (r if self._surface.disc else np.full_like(r, self._surface.place)) / self._across

    def _coordinates(self, phi: Floats, r: Floats, z: Floats) -> Floats:
        far = r if self._surface.disc else z
        return np.stack([phi * self._scale(r), far / self._along], axis=1)

    def lengths(self, arc: Arc) -> Floats:
        """Return how far it is to the surface, infinite where its hits are elsewhere."""
        length = length_to(arc, self._surface)
        there = moved(arc, np.where(np.isfinite(length), length, 0.0))
        place = np.hypot(there.x, there.y) if self._surface.disc else there.z
        inside = (place > self._surface.low - _EDGE) & (place < self._surface.high + _EDGE)
        return np.where(inside, length, np.inf)

    def near(self, arc: Arc) -> tuple[Ints, Floats]:
        """Return the hits near where arcs cross, the nearest first and -1 where there are no more.

        Returns
        -------
        rows : ndarray of int64, shape (n, _NEAR)
        distance : ndarray of float64
            1 at the edge of the window.
        """
        r = np.hypot(arc.x, arc.y)
        points = self._coordinates(np.arctan2(arc.y, arc.x), r, arc.z)
        # modules are not quite on the surface: a wider look first
        _, place = self._tree.query(points, k=_NEAR, distance_upper_bound=_WIDER)
        none = place == len(self._rows)
        rows = np.where(none, -1, self._rows[np.where(none, 0, place)])
        distance = np.where(none, np.inf, self._distance(arc, rows))
        distance[distance > 1] = np.inf
        order = np.argsort(distance, axis=1, kind="stable")
        rows = np.take_along_axis(rows, order, axis=1)
        distance = np.take_along_axis(distance, order, axis=1)
        return np.where(np.isfinite(distance), rows, -1), distance

    def _distance(self, arc: Arc, rows: Ints) -> Floats:
        """Return how far hits are from arcs, each where it is."""
        h = self._hits
        x, y, z, slope = (part[:, None] for part in (arc.x, arc.y, arc.z, arc.slope))
        cos, sin = np.cos(arc.direction)[:, None], np.sin(arc.direction)[:, None]
        with np.errstate(divide="ignore", invalid="ignore"):
            if self._surface.disc:
                rest = (h.z[rows] - z) / slope
            else:
                rest = (h.r[rows] - np.hypot(x, y)) * np.hypot(x, y) / (x * cos + y * sin)
        rest = np.where(np.abs(rest) < _EDGE, rest, 0.0)
        x, y, z = x + rest * cos, y + rest * sin, z + rest * slope
        across = h.r[rows] * wrapped(h.phi[rows] - np.arctan2(y, x))
        far = h.r[rows] - np.hypot(x, y) if self._surface.disc else h.z[rows] - z
        return np.hypot(across / self._across, far / self._along)


def _resolved(found: Ints, distance: Floats, n_hits: int, fewest: int) -> Ints:
    """Give each hit to one candidate, and an id of its own where none keeps it."""
    count = (found >= 0).sum(axis=1)
    # the longest first, of equally long ones the one that fits best
    order = np.lexsort((distance / np.maximum(count, 1), -count))
    track = np.full(n_hits, -1, dtype=np.int64)
    number = 0
    for row in order[count[order] >= fewest]:
        members = found[row, : count[row]]
        free = members[track[members] < 0]
        if len(free) >= max(fewest, 0.6 * len(members)):
            track[free] = number
            number += 1
    alone = np.flatnonzero(track < 0)
    track[alone] = number + np.arange(len(alone))
    return track


def build() -> TrackFollower:
    """Return the flow."""
    return TrackFollower()
