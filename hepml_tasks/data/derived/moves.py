r"""Move measured objects: scale their momenta, turn and mirror them, blur the missing momentum.

Columns are those of :data:`hepml_tasks.data.kinematics.PRIMITIVE`, as float64, NaN where undefined.
A move takes an array of what to do to each event, and one that does nothing (a scale of 1, a turn
of 0) leaves an event as it is to the last digit. That is arithmetic, not a case of its own: nothing
here asks whether an event is to be moved.

Values are on the grid of the file, three decimals. A scaled grid isn't the grid: of 1.05 times the
multiples of 0.001, rounded, one in 21 can never come out, and a reader of last digits would know
what was scaled. So momenta are spread over their rounding interval before they are scaled.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from hepml_tasks.data.simulators.stream import Stream

Floats = NDArray[np.float64]
Columns = Mapping[str, Floats]
Object = Literal["tau", "lep"]

DECIMALS = 3
"""Decimals of the file, in GeV and radians."""

HALF_STEP = 0.4999 * 10.0**-DECIMALS
"""Half a step of the grid, and inside it: what is moved by no more rounds to where it was."""


def on_grid(values: Floats) -> Floats:
    """Round to the file's decimals; a zero has no sign."""
    return np.round(values, DECIMALS) + 0.0


def scaled(pri: Columns, what: Object, scale: Floats, stream: Stream) -> dict[str, Floats]:
    """Scale the momentum of tau or lepton, and balance the missing and the summed energy.

    Parameters
    ----------
    pri : mapping of str to ndarray of float64, shape (n,)
    what : {"tau", "lep"}
    scale : ndarray of shape (n,)
    stream : Stream
        Of size n.

    Returns
    -------
    dict of str to ndarray of float64, shape (n,)
        The transverse momentum is multiplied, direction kept; its change is taken from the missing
        momentum and added to the scalar sum. On the grid.
    """
    before = pri[f"PRI_{what}_pt"]
    after = on_grid((before + stream.uniform(-HALF_STEP, HALF_STEP)) * scale)
    change, phi = after - before, pri[f"PRI_{what}_phi"]
    moved = {**pri, f"PRI_{what}_pt": after}
    moved["PRI_met_sumet"] = on_grid(pri["PRI_met_sumet"] + change)
    return with_missing(moved, -change * np.cos(phi), -change * np.sin(phi))


def with_missing(pri: Columns, px: Floats, py: Floats) -> dict[str, Floats]:
    """Add a vector to the missing transverse momentum.

    Parameters
    ----------
    pri : mapping of str to ndarray of float64, shape (n,)
    px, py : ndarray of shape (n,)
        GeV.

    Returns
    -------
    dict of str to ndarray of float64, shape (n,)
    """
    phi = _within_turn(pri["PRI_met_phi"])
    # along and across the old direction: where nothing is added the angle turns by exactly 0
    along = pri["PRI_met"] + px * np.cos(phi) + py * np.sin(phi)
    across = py * np.cos(phi) - px * np.sin(phi)
    met = np.sqrt(along * along + across * across)
    turned = phi + np.arctan2(across, along)
    return {**pri, "PRI_met": on_grid(met), "PRI_met_phi": on_grid(_within_turn(turned))}


def turned(pri: Columns, what: Literal["tau", "lep", "met"], angle: Floats) -> dict[str, Floats]:
    """Turn an object in the transverse plane, and nothing with it.

    Parameters
    ----------
    pri : mapping of str to ndarray of float64, shape (n,)
    what : {"tau", "lep", "met"}
    angle : ndarray of shape (n,)
        Radians.
    """
    phi = _within_turn(pri[f"PRI_{what}_phi"]) + angle
    return {**pri, f"PRI_{what}_phi": on_grid(_within_turn(phi))}


def mirrored(pri: Columns, what: Object, sign: Floats) -> dict[str, Floats]:
    """Multiply an object's pseudorapidity by +1 or -1.

    Parameters
    ----------
    pri : mapping of str to ndarray of float64, shape (n,)
    what : {"tau", "lep"}
    sign : ndarray of shape (n,)
    """
    return {**pri, f"PRI_{what}_eta": on_grid(pri[f"PRI_{what}_eta"] * sign)}


def _within_turn(phi: Floats) -> Floats:
    """Bring azimuths to [-pi, pi]; pi itself, in the file 3.142, stays on its side."""
    edge = np.pi + 10.0**-DECIMALS
    phi = np.where(phi > edge, phi - 2 * np.pi, np.where(phi < -edge, phi + 2 * np.pi, phi))
    return np.asarray(np.clip(phi, -np.pi, np.pi))
