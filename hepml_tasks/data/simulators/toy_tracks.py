r"""Toy collision events with charged tracks in a barrel of ten layers, hit by hit.

**This is a toy.** Helices in a homogeneous field cross thin cylinders; nothing else happens. It
makes no claim to agree with any detector. Columns, units and hit weights are those of TrackML, so
that what runs on one runs on the other.

What is not realistic
---------------------
- Cylinders instead of modules, no endcaps, no material but 2 % of a radiation length a layer, no
  energy loss, no decays or showers in flight, no hit that two particles share.
- A particle's outward half turn alone leaves hits.
- Spectra are fixed by hand: transverse momentum 0.15 GeV plus a Gamma distribution, with a power
  tail; pseudorapidity flat. Particles of an event have nothing to do with each other.

Sources: columns, units and hit weights, S. Amrouche et al., arXiv:1904.06778, and the challenge's
library (github.com/LAL/trackml-library, weights.py), with one change: a hit's place along its
track is by path length, since the distance from the vertex along the beam is degenerate for
central tracks. Radii and resolutions follow TrackML's barrel. Multiple scattering is the formula of
V.L. Highland as the Particle Data Group gives it. The remaining numbers are this project's choice.

Reproducibility
---------------
Every block of 16 events has streams of its own, keyed by the block's number. The transverse
momentum is rounded before it is used, positions to a micrometre, so that a processor whose sine
differs in the last bit makes the same table, unless a value lies within that bit of a rounding
edge: about one in 10^9 does.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from hepml_tasks.data.simulators.stream import Stream
from hepml_tasks.data.simulators.toy_higgs import METADATA_KEY
from hepml_tasks.errors import DataError

if TYPE_CHECKING:
    import pyarrow as pa

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Columns = dict[str, NDArray[Any]]

VERSION = "1"
"""Version of the generator: changes whenever the same arguments make another table."""

BLOCK = 16
"""Collision events of a block; part of the generator's version."""

FIELD = 2.0
"""Tesla, along z."""

FEATURES = ("x", "y", "z", "volume_id", "layer_id", "module_id")
"""Columns that a flow may use."""

_EVENTS, _PARTICLES = 0, 1  # first word of a stream's key
_SECTORS = 64
_FEWEST = 20
_ANCHORS = np.array([10.0, 8, 6, 5, 3, 3, 3, 5, 6])


class Layer(NamedTuple):
    """A cylinder around the beam.

    Parameters
    ----------
    radius, half_length : float
        mm.
    volume, layer : int
        As TrackML numbers them.
    across, along : float
        Resolution in r times phi, and in z, mm.
    """

    radius: float
    half_length: float
    volume: int
    layer: int
    across: float
    along: float


LAYERS = (
    *(Layer(r, 500, 8, n, 0.010, 0.015) for r, n in ((32, 2), (72, 4), (116, 6), (172, 8))),
    *(Layer(r, 1080, 13, n, 0.030, 0.30) for r, n in ((260, 2), (360, 4), (500, 6), (660, 8))),
    *(Layer(r, 1080, 17, n, 0.030, 3.0) for r, n in ((820, 2), (1020, 4))),
)
"""From the inside out."""


@dataclass(frozen=True)
class Tracker:
    """What can be set.

    Parameters
    ----------
    particles : float
        Mean number of particles in an event, which is Poisson distributed.
    vertex_spread : float
        Width of the vertices along the beam, mm: 5.5 for one collision, 55 for pile-up.
    secondaries : float
        Share of the particles that begin away from the beam.
    efficiency : float
        Probability that a crossing leaves a hit.
    noise : float
        Share of noise among the hits.
    scattering : float
        Factor on the angles of multiple scattering; 0 makes exact helices.
    """

    particles: float = 100.0
    vertex_spread: float = 5.5
    secondaries: float = 0.05
    efficiency: float = 0.97
    noise: float = 0.15
    scattering: float = 1.0


class Motion(NamedTuple):
    """Where particles are, and where they go.

    Parameters
    ----------
    x, y, z : ndarray
        mm.
    phi : ndarray
        Direction of the transverse momentum.
    slope : ndarray
        sinh of the pseudorapidity: longitudinal over transverse momentum.
    pt : ndarray
        GeV.
    charge : ndarray
    """

    x: Floats
    y: Floats
    z: Floats
    phi: Floats
    slope: Floats
    pt: Floats
    charge: Floats


def bending_radius(pt: Any) -> Any:
    """Return the radius in mm of the circle on which a transverse momentum in GeV moves."""
    return pt / (0.3 * FIELD) * 1000.0


def move_to(state: Motion, radius: float) -> tuple[Motion, Floats]:
    """Follow helices outwards to a cylinder around the beam.

    Parameters
    ----------
    state : Motion
    radius : float
        mm.

    Returns
    -------
    Motion
        There; NaN for particles that don't get there, or begin outside.
    path : ndarray
        Length of the way in the transverse plane, mm.
    """
    r, q = bending_radius(state.pt), state.charge
    sin, cos = np.sin(state.phi), np.cos(state.phi)
    cx, cy = state.x + q * r * sin, state.y - q * r * cos
    square = state.x * state.x + state.y * state.y
    # of the circle's centre: differences of large numbers are written out, not taken
    distance = np.sqrt(cx * cx + cy * cy)
    gap = (square + 2 * q * r * (state.x * sin - state.y * cos)) / (distance + r)
    half = (radius * radius - gap * gap) / (4 * r * distance)
    good = (square < radius * radius) & (half > 0) & (half < 1)
    half = np.where(good, half, np.nan)
    # angles at the centre from the direction of the beam, along the motion
    there = 2 * np.arcsin(np.sqrt(half))
    across = cy * state.x - cx * state.y
    along = -cx * (state.x - cx) - cy * (state.y - cy)
    turn = there + q * np.arctan2(across, along)
    chord = 2 * r * np.sin(turn / 2)
    middle = state.phi - q * turn / 2
    moved = state._replace(
        x=state.x + chord * np.cos(middle),
        y=state.y + chord * np.sin(middle),
        z=state.z + r * turn * state.slope,
        phi=state.phi - q * turn,
    )
    return moved, r * turn


def simulate_toy_tracks(
    events: int,
    *,
    seed: int = 20180430,
    particles: float = Tracker.particles,
    vertex_spread: float = Tracker.vertex_spread,
    secondaries: float = Tracker.secondaries,
    efficiency: float = Tracker.efficiency,
    noise: float = Tracker.noise,
    scattering: float = Tracker.scattering,
    workers: int = 1,
) -> pa.Table:
    """Make a table of the hits of toy collision events; see the module for how unrealistic it is.

    Parameters
    ----------
    events : int
        Number of collision events; a row is a hit.
    seed : int
        At least 0. The same seed and parameters give the same table.
    particles, vertex_spread, secondaries, efficiency, noise, scattering : float
        See :class:`Tracker`.
    workers : int
        Threads; the table doesn't depend on it.

    Returns
    -------
    pyarrow.Table
        event, hit_id (from 1 in each event), x, y, z in mm, volume_id, layer_id, module_id (a
        sector in azimuth), particle_id (0 is noise), the true tx, ty, tz in mm and tpx, tpy, tpz in
        GeV, and weight, which sums to 1 in each event. Hits are in the order of the detector, by
        chance within a module.

    Raises
    ------
    DataError
        If an argument can't be used.

    Examples
    --------
    >>> simulate_toy_tracks(2, seed=1).column_names[:5]
    ['event', 'hit_id', 'x', 'y', 'z']
    """
    import pyarrow as pa

    tracker = Tracker(particles, vertex_spread, secondaries, efficiency, noise, scattering)
    for name, value, low in (("events", events, 1), ("seed", seed, 0), ("workers", workers, 1)):
        if isinstance(value, bool) or not isinstance(value, int | np.integer) or value < low:
            raise DataError(f"toy-tracks: {name} is {value!r}; give a whole number from {low} up")
    _check(tracker)
    blocks = range(-(-int(events) // BLOCK))
    with ThreadPoolExecutor(workers) as pool:
        parts = list(pool.map(lambda b: toy_tracks_block(b, seed, tracker)[0], blocks))
    columns = {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}
    wanted = columns["event"] < events
    described = {
        "name": "toy-tracks",
        "version": VERSION,
        "events": int(events),
        "seed": int(seed),
        "parameters": asdict(tracker),
        "layers": [layer._asdict() for layer in LAYERS],
    }
    return pa.table(
        {name: values[wanted] for name, values in columns.items()}
    ).replace_schema_metadata({METADATA_KEY: json.dumps(described, sort_keys=True)})


def toy_tracks_block(block: int, seed: int, tracker: Tracker) -> tuple[Columns, Columns]:
    """Make the events of one block: the unit of work.

    Parameters
    ----------
    block : int
        Number of the block, from 0; its events have the numbers from `block` * :data:`BLOCK`.
    seed : int
    tracker : Tracker

    Returns
    -------
    hits : dict of str to ndarray
        The columns of :func:`simulate_toy_tracks`.
    particles : dict of str to ndarray
        event, particle_id, vx, vy, vz in mm, px, py, pz in GeV, q and nhits.
    """
    counts = _poisson(Stream(seed, (_EVENTS, block), BLOCK).uniform(), tracker.particles)
    event = np.repeat(np.arange(BLOCK, dtype=np.int64), counts)
    number = np.concatenate([np.arange(1, n + 1, dtype=np.int64) for n in counts])
    stream = Stream(seed, (_PARTICLES, block), len(event))
    start = _particles(stream, tracker)
    hits = _merged(_crossings(start, stream, tracker, event, number))
    hits["weight"] = _weights(hits, start.pt)
    order = np.lexsort([hits[n] for n in ("lot", "module_id", "layer_id", "volume_id", "event")])
    hits = {name: values[order] for name, values in hits.items()}
    first = np.searchsorted(hits["event"], hits["event"])
    table: Columns = {
        "event": block * BLOCK + hits["event"],
        "hit_id": np.arange(len(order), dtype=np.int64) - first + 1,
    }
    names = (*FEATURES, "particle_id", "tx", "ty", "tz", "tpx", "tpy", "tpz", "weight")
    table |= {name: hits[name] for name in names}
    true = hits["source"] >= 0
    made: Columns = {
        "event": block * BLOCK + event,
        "particle_id": number,
        "vx": start.x,
        "vy": start.y,
        "vz": start.z,
        "px": start.pt * np.cos(start.phi),
        "py": start.pt * np.sin(start.phi),
        "pz": start.pt * start.slope,
        "q": start.charge.astype(np.int64),
        "nhits": np.bincount(hits["source"][true], minlength=len(event)),
    }
    return table, made


def _check(tracker: Tracker) -> None:
    for name, value in asdict(tracker).items():
        share = name in {"secondaries", "efficiency", "noise"}
        low, high = (_FEWEST if name == "particles" else 0), (1 if share else 1e6)
        number = isinstance(value, int | float) and not isinstance(value, bool)
        if not number or not low <= value <= high:
            raise DataError(
                f"toy-tracks: {name} is {value!r}; give a number from {low} to {high:g}"
            )
    if tracker.noise > 0.5 or tracker.efficiency < 0.5:
        raise DataError("toy-tracks: more noise than 0.5 or less efficiency is no detector")


def _poisson(uniform: Floats, mean: float) -> Ints:
    from scipy.special import pdtr

    most = int(mean + 12 * np.sqrt(mean) + 12)
    below = np.asarray(pdtr(np.arange(most), mean))
    return np.searchsorted(below, uniform).astype(np.int64)


def _particles(stream: Stream, tracker: Tracker) -> Motion:
    charge = np.where(stream.uniform() < 0.5, -1.0, 1.0)
    phi = stream.azimuth()
    slope = np.sinh(stream.uniform(-2.0, 2.0))
    soft = 0.15 + stream.exponential(0.22) + stream.exponential(0.22)
    hard = 0.5 * stream.uniform() ** (-1 / 3)
    mixed: Floats = np.where(stream.uniform() < 0.1, hard, soft)
    pt = np.round(mixed, 6)
    x, y = stream.normal(0.0, 0.015), stream.normal(0.0, 0.015)
    z = stream.normal(0.0, tracker.vertex_spread)
    away = np.where(stream.uniform() < tracker.secondaries, stream.exponential(100.0), 0.0)
    # what decays there came straight from the beam, at the angle of its particle
    return Motion(
        x + away * np.cos(phi), y + away * np.sin(phi), z + away * slope, phi, slope, pt, charge
    )


def _crossings(
    start: Motion, stream: Stream, tracker: Tracker, event: Ints, number: Ints
) -> Iterator[Columns]:
    """Give the hits of each layer, and the noise that comes with them."""
    state, path = start, np.zeros(len(event))
    source = np.arange(len(event), dtype=np.int64)
    spawned = tracker.noise / (1 - tracker.noise)
    for layer in LAYERS:
        moved, length = move_to(state, float(layer.radius))
        there = np.isfinite(moved.x)
        state = Motion(*(np.where(there, new, old) for new, old in zip(moved, state, strict=True)))
        path = path + np.where(there, length, 0.0)
        seen = there & (np.abs(state.z) < layer.half_length)
        seen &= stream.uniform() < tracker.efficiency
        azimuth = np.arctan2(state.y, state.x) + stream.normal(0.0, layer.across) / layer.radius
        z = state.z + stream.normal(0.0, layer.along)
        truth = {
            "tx": state.x,
            "ty": state.y,
            "tz": state.z,
            "tpx": state.pt * np.cos(state.phi),
            "tpy": state.pt * np.sin(state.phi),
            "tpz": state.pt * state.slope,
        }
        hit = {"event": event, "particle_id": number, "source": source, "path": path}
        yield _measured(layer, azimuth, z, stream.words(), seen, hit | truth)
        noisy = seen & (stream.uniform() < spawned)
        azimuth, z = stream.azimuth(), stream.uniform(-layer.half_length, layer.half_length)
        nobody = {"particle_id": np.zeros_like(number), "source": np.full_like(source, -1)}
        nothing = {"path": np.zeros(len(event))} | {n: np.zeros(len(event)) for n in truth}
        nothing |= {"tx": layer.radius * np.cos(azimuth), "ty": layer.radius * np.sin(azimuth)}
        nothing["tz"] = z
        yield _measured(
            layer, azimuth, z, stream.words(), noisy, {"event": event} | nobody | nothing
        )
        state = _scattered(state, stream, tracker, there)


def _scattered(state: Motion, stream: Stream, tracker: Tracker, there: NDArray[np.bool_]) -> Motion:
    """Turn directions by what 2 % of a radiation length does to a particle of charge 1."""
    flight = np.sqrt(1 + state.slope * state.slope)
    width = 0.0136 / (state.pt * flight) * np.sqrt(0.02) * (1 + 0.038 * np.log(0.02))
    width = np.where(there, tracker.scattering * width, 0.0)
    first, second = width * stream.normal(0.0, 1.0), width * stream.normal(0.0, 1.0)
    # the momentum stays: an angle across the beam turns by more, one along it changes the slope
    slope = state.slope + second * flight * flight
    pt = state.pt * flight / np.sqrt(1 + slope * slope)
    return state._replace(phi=state.phi + first * flight, slope=slope, pt=pt)


def _measured(
    layer: Layer,
    azimuth: Floats,
    z: Floats,
    lot: NDArray[np.uint64],
    seen: NDArray[np.bool_],
    more: Columns,
) -> Columns:
    x, y = layer.radius * np.cos(azimuth), layer.radius * np.sin(azimuth)
    sector = np.floor((np.arctan2(y, x) / (2 * np.pi) + 0.5) * _SECTORS).astype(np.int64)
    ids = {"volume_id": layer.volume, "layer_id": layer.layer}
    columns: Columns = {n: np.full(len(x), v, dtype=np.int64) for n, v in ids.items()}
    columns |= {"x": x, "y": y, "z": z, "module_id": sector % _SECTORS, "lot": lot, **more}
    return {
        name: np.round(values[seen], 6 if name.startswith("tp") else 3)
        if values.dtype == np.float64 and name != "path"
        else values[seen]
        for name, values in columns.items()
    }


def _merged(parts: Iterator[Columns]) -> Columns:
    found = list(parts)
    return {name: np.concatenate([part[name] for part in found]) for name in found[0]}


def _weights(hits: Columns, pt: Floats) -> Floats:
    """Weigh hits as TrackML does: ends and fast particles more, an event's sum to 1."""
    source = hits["source"]
    true = np.flatnonzero(source >= 0)
    # the hits of a particle come in the order of layers, hence of path length
    order = true[np.lexsort((hits["path"][true], source[true]))]
    owner = source[order]
    count = np.bincount(owner, minlength=len(pt))[owner]
    rank = np.arange(len(order)) - np.searchsorted(owner, owner)
    place = rank / np.maximum(count - 1, 1) * (len(_ANCHORS) - 1)
    shape = np.interp(place, np.arange(len(_ANCHORS)), _ANCHORS)
    shape = np.where(count < 4, 0.0, shape)
    total = np.bincount(owner, weights=shape, minlength=len(pt))[owner]
    fast = np.clip(0.2 + 0.8 * (pt[owner] - 0.5) / 2.5, 0.2, 1.0)
    weight = np.zeros(len(source))
    weight[order] = shape / np.where(total > 0, total, 1.0) * fast
    sums = np.bincount(hits["event"], weights=weight)
    return np.round(weight / sums[hits["event"]], 12)
