"""Toy pairs of taus of any mass, and what it was.

**This is a toy.** The events are those of :mod:`~hepml_tasks.data.simulators.toy_higgs`, with all
that is not realistic about them, but the resonance has a mass between 60 and 180 GeV, each as
likely as any other before the selection. The neutrinos carry part of it
away: the true mass is the target of a regression, and the visible, transverse and collinear masses
are among the features.

Blocks and streams are as there, so that the table is the same on every machine.
"""

from __future__ import annotations

import json
from dataclasses import asdict, replace
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from hepml_tasks.data.kinematics import UNDEFINED
from hepml_tasks.data.simulators.stream import Resonance, in_order
from hepml_tasks.data.simulators.toy_higgs import FIRST_EVENT, METADATA_KEY
from hepml_tasks.data.simulators.toy_higgs_events import FEATURES, PROCESSES, Detector, made_block
from hepml_tasks.errors import DataError

if TYPE_CHECKING:
    import pyarrow as pa

VERSION = "1"
"""Version of the generator: changes whenever the same arguments make another table."""

TARGET = "Mass"
"""The true mass of the pair in GeV, rounded to three decimals."""

LOW, HIGH = 60.0, 180.0

# So wide that between its limits it is flat to one part in a thousand.
_RESONANCE = Resonance((LOW + HIGH) / 2, 1e4, LOW, HIGH)
_PAIR = replace(PROCESSES["H"], resonance=_RESONANCE)
_EVENTS = 2  # first word of a stream's key: toy-higgs has 0 and 1


def simulate_toy_mass(
    events: int,
    *,
    seed: int = 20140512,
    tau_resolution: float = Detector.tau_resolution,
    met_resolution: float = Detector.met_resolution,
    workers: int = 1,
) -> pa.Table:
    """Make a table of toy tau pairs; see the module for how unrealistic it is.

    Parameters
    ----------
    events : int
        Number of rows, all of which pass the selection.
    seed : int
        At least 0. The same seed and parameters give the same table.
    tau_resolution, met_resolution : float
        See :class:`~hepml_tasks.data.simulators.toy_higgs_events.Detector`.
    workers : int
        Threads; the table doesn't depend on it.

    Returns
    -------
    pyarrow.Table
        EventId (int64), the columns of toy-higgs (undefined is -999.0) and Mass (float64), the true
        mass in GeV.

    Raises
    ------
    DataError
        If an argument can't be used.

    Examples
    --------
    >>> simulate_toy_mass(100, seed=1).column_names[-1]
    'Mass'
    """
    import pyarrow as pa

    for name, value, low in (("events", events, 1), ("seed", seed, 0), ("workers", workers, 1)):
        if isinstance(value, bool) or not isinstance(value, int | np.integer) or value < low:
            raise DataError(f"toy-higgs-mass: {name} is {value!r}; give a whole number from {low}")
    detector = Detector(tau_resolution=tau_resolution, met_resolution=met_resolution)
    parts: list[dict[str, NDArray[Any]]] = []
    found = 0
    for part in in_order(lambda block: mass_block(block, seed, detector), workers):
        parts.append(part)
        found += len(part[TARGET])
        if found >= events:
            break
    arrays: dict[str, Any] = {"EventId": FIRST_EVENT + np.arange(events, dtype=np.int64)}
    for name in (*FEATURES, TARGET):
        arrays[name] = np.concatenate([part[name] for part in parts])[:events]
    described = {
        "name": "toy-higgs-mass",
        "version": VERSION,
        "events": events,
        "seed": seed,
        "undefined": UNDEFINED,
        "parameters": asdict(detector),
        "resonance": asdict(_RESONANCE),
    }
    return pa.table(arrays).replace_schema_metadata(
        {METADATA_KEY: json.dumps(described, sort_keys=True)}
    )


def mass_block(block: int, seed: int, detector: Detector) -> dict[str, NDArray[Any]]:
    """Make the events of one block: the unit of work.

    Parameters
    ----------
    block : int
        Number of the block, from 0.
    seed : int
    detector : Detector

    Returns
    -------
    dict of str to ndarray, shape (n,)
        The columns of :func:`simulate_toy_mass` but the number of the event.
    """
    columns, mass = made_block(_PAIR, (_EVENTS, block), seed, detector)
    assert mass is not None  # noqa: S101 - the process has a pair
    return {**columns, TARGET: np.round(mass, 3)}
