"""Skewed events: half of a table's events distorted, to be told from the other half.

Every event is used once, so that no undistorted event has a distorted twin. A distortion moves the
measured objects; the derived columns follow. What would tell a distorted event by its form and not
by its physics is taken away: thresholds are raised, for both halves, to where both have events;
acceptances are kept; derived columns agree with the primitive ones as well as they do in the
source; digits are those of the file. What a distortion changes by its nature stays: an unbalanced
event is what a blurred missing momentum means.

The idea is that of the *HEP detector anomalies* starting kit (ramp-kits), in which cuts on single
columns find a part of the distorted events with certainty. Here none should.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from hepml_tasks.data.derived.carried import (
    check_threshold,
    primitive_of,
    selected,
    with_moved,
    without_events,
)
from hepml_tasks.data.derived.moves import Floats, mirrored, scaled, turned, with_missing
from hepml_tasks.data.simulators.stream import Stream
from hepml_tasks.errors import DataError, UnknownNameError, nearest

if TYPE_CHECKING:
    import pyarrow as pa

VERSION = "1"
"""Version of the skew: changes whenever the same arguments give another table."""

SKEWED = "Skewed"
"""Name of the column with the class."""

CLASSES = ("undistorted", "distorted")
"""Its values."""

_EVENT_ID = "EventId"
_CHOICE, _SHARES, _DRAWS, _DIGITS = 0, 1, 2, 3  # first word of a stream's key

Mask = NDArray[np.bool_]


@dataclass(frozen=True)
class Distortion:
    """A distortion, as a task file names it.

    Parameters
    ----------
    name : str
        One of `DISTORTIONS`.
    strength : float
        The scale, or the width in GeV or radians; 0 for one that has none.
    what : str
        The object: ``tau``, ``lep`` or ``met``.
    share : float, optional
        The fraction of distorted events that it happens to, and no other that has a share; all
        of them by default.
    """

    name: str
    strength: float
    what: str
    share: float | None

    def distort(self, pri: dict[str, Floats], which: Mask, stream: Stream) -> dict[str, Floats]:
        """Distort some events; the others come out as they came in."""
        return DISTORTIONS[self.name].distort(self, pri, which, stream)


@dataclass(frozen=True)
class Kind:
    """What there is to say of a kind of distortion.

    Parameters
    ----------
    strength : str
        What its strength is called; empty where it has none.
    low, high : float
        The allowed strengths.
    objects : tuple of str
        What it happens to.
    distort : callable
        ``(distortion, pri, which, stream) -> pri``.
    """

    strength: str
    low: float
    high: float
    objects: tuple[str, ...]
    distort: Callable[[Distortion, dict[str, Floats], Mask, Stream], dict[str, Floats]]


def _energy_scale(
    distortion: Distortion, pri: dict[str, Floats], which: Mask, stream: Stream
) -> dict[str, Floats]:
    what: Any = distortion.what
    return scaled(pri, what, np.where(which, distortion.strength, 1.0), stream)


def _noise(
    distortion: Distortion, pri: dict[str, Floats], which: Mask, stream: Stream
) -> dict[str, Floats]:
    width = np.where(which, distortion.strength, 0.0)
    px = width * stream.normal(0.0, 1.0)
    return with_missing(pri, px, width * stream.normal(0.0, 1.0))


def _turn(
    distortion: Distortion, pri: dict[str, Floats], which: Mask, stream: Stream
) -> dict[str, Floats]:
    what: Any = distortion.what
    # cut off at half a turn: more would be the same again
    angle = distortion.strength * stream.normal(0.0, 1.0, math.pi / distortion.strength)
    return turned(pri, what, np.where(which, angle, 0.0))


def _mirror(
    distortion: Distortion, pri: dict[str, Floats], which: Mask, _stream: Stream
) -> dict[str, Floats]:
    what: Any = distortion.what
    return mirrored(pri, what, np.where(which, -1.0, 1.0))


DISTORTIONS = {
    "energy-scale": Kind("scale", 0.5, 2.0, ("tau", "lep"), _energy_scale),
    "noise": Kind("width", 0.01, 1000.0, ("met",), _noise),
    "turn": Kind("width", 0.001, 10.0, ("tau", "lep", "met"), _turn),
    "mirror": Kind("", 0.0, 0.0, ("tau", "lep"), _mirror),
}
"""The kinds of distortion.

``energy-scale``
    The momentum of tau or lepton is multiplied by ``scale``; missing and summed energy follow.
``noise``
    Each component of the missing momentum gets normal noise of ``width`` GeV.
``turn``
    Tau, lepton or missing momentum turn in the transverse plane, each event by a normal angle of
    ``width`` radians; nothing is balanced.
``mirror``
    The pseudorapidity of tau or lepton changes its sign: its own distribution stays what it is.
"""


def skew(
    table: pa.Table,
    *,
    seed: int,
    distortions: Sequence[Mapping[str, Any]] = (),
    tau_pt_min: float = 22.0,
    lep_pt_min: float = 26.0,
    events: int | None = None,
) -> pa.Table:
    """Distort half of the events.

    Parameters
    ----------
    table : pyarrow.Table
        With the columns of HiggsML, null where undefined.
    seed : int
        At least 0: of the halves, of who gets which distortion, and of the distortions.
    distortions : sequence of mapping
        Each with ``name``, ``object`` and, but for ``mirror``, ``scale`` or ``width``: see
        `DISTORTIONS`. Those without ``share`` happen to every distorted event, those with one to
        that fraction of them, no two to the same event. In the order of the list.
    tau_pt_min, lep_pt_min : float
        GeV. What the momenta have to exceed, in both halves, after the distortions.
    events : int, optional
        Source events to use, chosen at random; all by default.

    Returns
    -------
    pyarrow.Table
        EventId where the source has one, primitive and derived columns without ``DER_mass_MMC``,
        and ``Skewed``: distorted or undistorted. In the source's order; no weight, no label.

    Raises
    ------
    ColumnError
        If a column is missing.
    DataError
        If an argument can't be used.
    UnknownNameError
        If there is no such distortion.
    """
    import pyarrow as pa

    named = _read(distortions)
    rows, distorted = _halves(table.num_rows, events, seed)
    columns = [c for c in table.column_names if c == _EVENT_ID or c.startswith(("PRI_", "DER_"))]
    source = table.select(columns).take(rows)
    before = primitive_of(source)
    minima = {"PRI_tau_pt": tau_pt_min, "PRI_lep_pt": lep_pt_min}
    for what in ("tau", "lep"):
        scales = [d.strength for d in named if (d.name, d.what) == ("energy-scale", what)]
        ends = [math.prod(max(s, 1.0) for s in scales), math.prod(min(s, 1.0) for s in scales)]
        check_threshold(before, f"PRI_{what}_pt", ends, minima[f"PRI_{what}_pt"])

    after = dict(before)
    chance, low = Stream(seed, (_SHARES,), len(rows)).uniform(), 0.0
    for number, distortion in enumerate(named):
        which = distorted
        if distortion.share is not None:
            high = low + distortion.share
            which = distorted & (chance >= low) & (chance < high)
            low = high
        stream = Stream(seed, (_DRAWS, number), len(rows))
        after = distortion.distort(after, which, stream)
    keep = selected(after, minima)
    skewed = pa.array(np.array(CLASSES)[distorted.astype(int)])
    digits = Stream(seed, (_DIGITS,), len(rows))
    made = with_moved(source, before, after, digits).append_column(SKEWED, skewed)
    return without_events(made, keep)


def _halves(available: int, events: int | None, seed: int) -> tuple[NDArray[np.int64], Mask]:
    """Choose rows at random, and of them every second to be distorted."""
    if events is None:
        events = available
    if isinstance(events, bool) or not isinstance(events, int) or not 2 <= events <= available:
        raise DataError(
            f"skew: events is {events!r}; give a whole number from 2 to the {available} of the"
            " source"
        )
    words = Stream(seed, (_CHOICE,), available).words()
    order = np.argsort(words, kind="stable")[:events]
    by_row = np.argsort(order, kind="stable")
    return order[by_row], (np.arange(events) % 2 == 1)[by_row]


def _read(distortions: Sequence[Mapping[str, Any]]) -> list[Distortion]:
    if not isinstance(distortions, list | tuple) or not distortions:
        raise DataError(
            "skew: distortions is empty or no list; name at least one, such as"
            " {name: energy-scale, object: tau, scale: 1.05}"
        )
    named = [_one(number, d) for number, d in enumerate(distortions)]
    total = sum(d.share for d in named if d.share is not None)
    if total > 1 + 1e-9:
        raise DataError(f"skew: the shares of the distortions sum to {total:g}, more than 1")
    if all(d.share is not None for d in named) and total < 1 - 1e-9:
        raise DataError(
            f"skew: the shares of the distortions sum to {total:g}: the rest of the distorted"
            " events would not be; let them sum to 1, or name a distortion without a share"
        )
    return named


def _one(number: int, given: object) -> Distortion:
    where = f"skew: distortions.{number}"
    if not isinstance(given, Mapping):
        raise DataError(f"{where} is {given!r:.60}; give fields such as `name:`")
    if "name" not in given:
        raise DataError(f"{where} has no name; there are {', '.join(DISTORTIONS)}")
    name = str(given["name"])
    if name not in DISTORTIONS:
        raise UnknownNameError("distortion", name, DISTORTIONS)
    kind = DISTORTIONS[name]
    known = [f for f in ("name", "object", kind.strength, "share") if f]
    for field in given:
        if field not in known:
            raise DataError(f"{where} ({name}) has no field {field!r}{nearest(str(field), known)}")
    what = given.get("object")
    if what not in kind.objects:
        raise DataError(f"{where} ({name}): object is {what!r}; give {' or '.join(kind.objects)}")
    strength = 0.0
    if kind.strength:
        strength = _number(where, kind.strength, given.get(kind.strength), kind.low, kind.high)
    share = None if "share" not in given else _number(where, "share", given["share"], 0.0, 1.0)
    return Distortion(name, strength, str(what), share)


def _number(where: str, field: str, value: object, low: float, high: float) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not low <= value <= high:
        raise DataError(f"{where}: {field} is {value!r}; give a number from {low:g} to {high:g}")
    return float(value)
