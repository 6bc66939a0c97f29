"""Geometry of tracks: helices around the beam in a homogeneous field, without knowing the field."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]


class Hits(NamedTuple):
    """The hits of one collision event.

    Parameters
    ----------
    x, y, z, r, phi : ndarray of float64, shape (n_hits,)
        mm and radians; r is the distance from the beam.
    surface : ndarray of int64
        The part of the detector that each hit is on, from 0.
    """

    x: Floats
    y: Floats
    z: Floats
    r: Floats
    phi: Floats
    surface: Ints


class Surface(NamedTuple):
    """A cylinder around the beam, or a disc across it, with the hits that are on it.

    Parameters
    ----------
    disc : bool
    place : float
        The cylinder's radius, or the disc's z, mm.
    low, high : float
        Where its hits are: in z on a cylinder, in r on a disc.
    rows : ndarray of int64
        Of the hits.
    """

    disc: bool
    place: float
    low: float
    high: float
    rows: Ints


def hits_of(X: Any) -> Hits:
    """Take the hits of an event from a frame with x, y, z, volume_id and layer_id."""
    x, y, z = (X[c].to_numpy(dtype=np.float64) for c in ("x", "y", "z"))
    layers = np.stack([X[c].to_numpy(dtype=np.float64) for c in ("volume_id", "layer_id")])
    surface = np.unique(layers, axis=1, return_inverse=True)[1].reshape(-1).astype(np.int64)
    return Hits(x, y, z, np.hypot(x, y), np.arctan2(y, x), surface)


def surfaces_of(hits: Hits) -> list[Surface]:
    """Find out what the parts of the detector are, from where their hits are."""
    found = []
    for number in range(int(hits.surface.max(initial=-1)) + 1):
        rows = np.flatnonzero(hits.surface == number)
        r, z = hits.r[rows], hits.z[rows]
        disc = bool(np.ptp(z) < np.ptp(r))
        across, along = (r, z) if disc else (z, r)
        found.append(
            Surface(disc, float(np.median(along)), float(across.min()), float(across.max()), rows)
        )
    return found


def wrapped(angle: Floats) -> Floats:
    """Bring angles between -pi and pi."""
    return np.asarray(angle - 2 * np.pi * np.round(angle / (2 * np.pi)))


class Arc(NamedTuple):
    """Circles through a point each, and the slope along the beam.

    Parameters
    ----------
    x, y, z : ndarray
        The point.
    direction : ndarray
        Of the motion there, radians.
    curvature : ndarray
        1/mm; positive turns to the left.
    slope : ndarray
        dz over the length in the transverse plane.
    """

    x: Floats
    y: Floats
    z: Floats
    direction: Floats
    curvature: Floats
    slope: Floats


def through(first: Floats, second: Floats, third: Floats) -> tuple[Floats, Floats]:
    """Return direction and curvature at the third of three points in the transverse plane.

    Parameters
    ----------
    first, second, third : ndarray of shape (2, n)

    Returns
    -------
    direction, curvature : ndarray of shape (n,)
    """
    a, b, c = second - first, third - second, third - first
    sides = np.hypot(*a) * np.hypot(*b) * np.hypot(*c)
    curvature = 2 * (a[0] * b[1] - a[1] * b[0]) / np.where(sides > 0, sides, np.inf)
    half = np.clip(curvature * np.hypot(*b) / 2, -1, 1)
    return np.arctan2(b[1], b[0]) + np.arcsin(half), curvature


def moved(arc: Arc, length: Floats) -> Arc:
    """Go a length further along each arc."""
    half = arc.curvature * length / 2
    chord = length * np.sinc(half / np.pi)
    return arc._replace(
        x=arc.x + chord * np.cos(arc.direction + half),
        y=arc.y + chord * np.sin(arc.direction + half),
        z=arc.z + arc.slope * length,
        direction=arc.direction + 2 * half,
    )


def length_to(arc: Arc, surface: Surface) -> Floats:
    """Return how far it is along each arc to a surface, infinite where it doesn't get there."""
    if surface.disc:
        with np.errstate(divide="ignore", invalid="ignore"):
            length = (surface.place - arc.z) / arc.slope
        most = np.pi / np.maximum(np.abs(arc.curvature), 1e-9)
        return np.where((length > 0) & (length < most), length, np.inf)
    return _to_cylinder(arc, surface.place)


def _to_cylinder(arc: Arc, radius: float) -> Floats:
    # the squared distance from the beam after a turn t, with sines of t and of half of it
    k = np.where(np.abs(arc.curvature) < 1e-9, 1e-9, arc.curvature)
    cos, sin = np.cos(arc.direction), np.sin(arc.direction)
    square = arc.x**2 + arc.y**2
    along, across = arc.x * cos + arc.y * sin, arc.y * cos - arc.x * sin
    # square + 2 along sin(t)/k + 2 (1 + k across) (1 - cos t)/k^2 = radius^2
    p, q = along / k, (1 + k * across) / k**2
    amplitude = np.hypot(p, q)
    with np.errstate(invalid="ignore"):
        level = (radius**2 - square - 2 * q) / (2 * amplitude)
        # p sin t - q cos t = amplitude sin(t - shift)
        turn = np.arcsin(level) + np.arctan2(q, p)
        other = np.pi - np.arcsin(level) + np.arctan2(q, p)
    both = np.stack([turn, other]) * np.sign(k)
    both = np.mod(both, 2 * np.pi)
    turn = np.min(both, axis=0) / np.abs(k)
    good = np.isfinite(turn) & (square < radius**2) & (turn * np.abs(k) < np.pi)
    return np.where(good, turn, np.inf)
