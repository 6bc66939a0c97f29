r"""Toy H to tau tau search in the columns of HiggsML: a lepton, a hadronic tau, missing momentum.

**This is a toy.** It follows energy and momentum through four processes with a handful of draws
each, and nothing else. It makes no claim to agree with ATLAS or with any other experiment, and its
figures can't be compared with those on HiggsML.

=======  ======  ==========================================================================
Process  Label   Model
=======  ======  ==========================================================================
H        s       resonance of 125 GeV, H to tau tau, lepton plus hadrons; of another mass and
                 with other jets where parameters say so
Z        b       the same with a Breit-Wigner of 91.19 GeV
W        b       W to lepton and neutrino, and a jet that fakes a hadronic tau
T        b       pairs of W, one to a lepton, one to a hadronic tau (top quark pairs)
=======  ======  ==========================================================================

What is not realistic
---------------------
- Resolutions are worse than any detector's: 20 % on the tau's momentum and 1.2 sqrt(sumET) on
  each component of the missing one, where 0.5 would be common. They stand in for what is not
  modelled: further backgrounds, spin correlations, neutrinos that aren't collinear.
- The missing momentum is that of the neutrinos plus noise, and is not correlated with the
  mismeasurement of visible objects.
- Jets are drawn, not radiated: their numbers and spectra are fixed by hand, their momentum is
  balanced by the hard system, those of T stand for b jets and are not balanced. No jet below
  30 GeV is ever measured above, and there is no pile-up, trigger or charge.
- Taus are massless, unpolarised and decay collinearly; directions are measured exactly.
- All events of a process have the same weight. Yields are round numbers like those of HiggsML,
  about 20/fb at 8 TeV.

Sources: leptonic tau decay spectrum (5 - 9x^2 + 4x^3)/3, unpolarised and collinear, Y.-S. Tsai,
Phys. Rev. D 4 (1971) 2821 and K. Hagiwara, A.D. Martin, D. Zeppenfeld, Phys. Lett. B 235 (1990)
198, where that of the single pion is found too; masses and widths, Particle Data Group; two-body
kinematics and Breit-Wigner, the same, chapter on kinematics; columns as C. Adam-Bourdarios et al.,
DOI 10.7483/OPENDATA.ATLAS.ZBP2.M5T8; collinear mass, R.K. Ellis et al., Nucl. Phys. B 297 (1988)
221. The remaining numbers are this project's choice.

Reproducibility
---------------
Every block of 8,192 generated events has a stream of its own, keyed by process and number of the
block. Cuts are applied to values rounded to three decimals, so a processor whose sine differs in
the last bit makes the same table, unless a value lies within that bit of a rounding edge: about one
in 10^9 does.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import asdict, replace
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from hepml_tasks.data.kinematics import UNDEFINED
from hepml_tasks.data.simulators.stream import Resonance, Stream, in_order
from hepml_tasks.data.simulators.toy_higgs_events import (
    BLOCK,
    FEATURES,
    PROCESSES,
    Detector,
    Process,
    made_block,
)
from hepml_tasks.errors import DataError, UnknownNameError

if TYPE_CHECKING:
    import pyarrow as pa

VERSION = "1"
"""Version of the generator: changes whenever the same arguments make another table."""

FIRST_EVENT = 100_000
"""First EventId, as in HiggsML."""

METADATA_KEY = b"hepml_simulator"
"""Key of the schema's metadata, whose value is a JSON object."""

_SHUFFLE = 0  # first word of a stream's key: the row order, or the events of a process
_EVENTS = 1

_PATIENCE = 64  # blocks without a single event before giving up


def simulate_toy_higgs(
    events: int,
    *,
    seed: int = 20140512,
    tau_resolution: float = Detector.tau_resolution,
    met_resolution: float = Detector.met_resolution,
    recoil_smearing: float = Detector.recoil_smearing,
    tau_pt_min: float = Detector.tau_pt_min,
    shares: Mapping[str, float] | None = None,
    signal_share: float | None = None,
    signal_mass: float = 125.0,
    signal_forward_jets: float = 0.10,
    workers: int = 1,
) -> pa.Table:
    """Make a table of toy H to tau tau search events; see the module for how unrealistic it is.

    Parameters
    ----------
    events : int
        Number of rows, all of which pass the selection.
    seed : int
        At least 0. The same seed and parameters give the same table.
    tau_resolution, met_resolution, recoil_smearing, tau_pt_min : float
        See :class:`Detector`.
    shares : mapping of str to float, optional
        Fraction of the rows by process; they sum to 1. Default: H 34, Z 39, W 23, T 4 %.
    signal_share : float, optional
        Instead of `shares`: the fraction of process H, above 0 and below 1. The others keep their
        proportions.
    signal_mass : float
        Of the resonance that process H is, in GeV, 60 to 2000: a Higgs boson, or something heavier.
    signal_forward_jets : float
        Fraction of the events of process H with two jets that has them in opposite directions.
    workers : int
        Threads; the table doesn't depend on it.

    Returns
    -------
    pyarrow.Table
        EventId (int64), the columns of :data:`FEATURES` (float64, but PRI_jet_num int64), Weight
        (float64), Label (s, b) and Process (H, Z, W, T). Values are rounded to three decimals,
        derived columns computed from rounded primitive ones; undefined is -999.0. The weights of a
        process sum to its expected events, so renormalise them after a split. The metadata's JSON
        under ``hepml_simulator`` holds version, seed and all parameters: remove it
        (``table.replace_schema_metadata(None)``) before publishing events whose labels are secret.

    Raises
    ------
    DataError
        If an argument can't be used.

    Examples
    --------
    >>> table = simulate_toy_higgs(1000, seed=1)
    >>> table.num_rows, table.column_names[:2]
    (1000, ['EventId', 'DER_mass_transverse_met_lep'])
    >>> float(round(sum(table["Weight"].to_pylist())))
    411692.0
    """
    import pyarrow as pa

    detector = Detector(tau_resolution, met_resolution, recoil_smearing, tau_pt_min)
    _check_integer("seed", seed, 0)
    _check_integer("workers", workers, 1)
    processes = {**PROCESSES, "H": _signal(signal_mass, signal_forward_jets)}
    rows = _rows(events, _with_signal(shares, signal_share))
    parts: list[dict[str, NDArray[Any]]] = []
    for name, count in rows.items():
        parts += _take(processes[name], count, seed, detector, workers)
    order = np.argsort(Stream(seed, (_SHUFFLE,), events).words(), kind="stable")
    columns = {name: np.concatenate([part[name] for part in parts])[order] for name in FEATURES}

    names = np.repeat(list(rows), list(rows.values()))[order]
    weight = {name: PROCESSES[name].expected / count for name, count in rows.items()}
    arrays: dict[str, Any] = {"EventId": FIRST_EVENT + np.arange(events, dtype=np.int64)}
    arrays |= columns
    arrays["Weight"] = np.array([weight[name] for name in names])
    arrays["Label"] = pa.array([PROCESSES[name].label for name in names], pa.string())
    arrays["Process"] = pa.array(names.tolist(), pa.string())
    described = {
        "name": "toy-higgs",
        "version": VERSION,
        "events": events,
        "seed": seed,
        "rows": rows,
        "undefined": UNDEFINED,
        "parameters": asdict(detector),
        "processes": [asdict(process) for process in processes.values()],
    }
    return pa.table(arrays).replace_schema_metadata(
        {METADATA_KEY: json.dumps(described, sort_keys=True)}
    )


def toy_higgs_block(
    process: str, block: int, seed: int, detector: Detector | None = None
) -> dict[str, NDArray[Any]]:
    """Make the events of one block that pass the selection: the unit of work.

    The rows of a process are those of its blocks 0, 1, 2 … one after the other, so blocks can be
    made in any order and place.

    Parameters
    ----------
    process : str
        H, Z, W or T.
    block : int
        Number of the block, from 0.
    seed : int
        At least 0.
    detector : Detector, optional
        Resolutions and threshold.

    Returns
    -------
    dict of str to ndarray, shape (n,)
        The columns of :data:`FEATURES`; n is what is left of :data:`BLOCK` events.

    Raises
    ------
    UnknownNameError
        If there is no such process.
    DataError
        If a number is negative.
    """
    if process not in PROCESSES:
        raise UnknownNameError("process of toy-higgs", process, PROCESSES)
    _check_integer("block", block, 0)
    _check_integer("seed", seed, 0)
    return _block(PROCESSES[process], block, seed, detector or Detector())


def _block(process: Process, block: int, seed: int, detector: Detector) -> dict[str, NDArray[Any]]:
    key = (_EVENTS, list(PROCESSES).index(process.name), block)
    return made_block(process, key, seed, detector)[0]


def _check_integer(name: str, value: object, low: int) -> None:
    if isinstance(value, bool) or not isinstance(value, int | np.integer) or value < low:
        raise DataError(f"toy-higgs: {name} is {value!r}; give a whole number from {low} up")


def _signal(mass: float, forward_jets: float) -> Process:
    """Return process H with another resonance and other jets."""
    for name, value, low, high in (
        ("signal_mass", mass, 60.0, 2000.0),
        ("signal_forward_jets", forward_jets, 0.0, 1.0),
    ):
        if (
            isinstance(value, bool)
            or not isinstance(value, int | float)
            or not low <= value <= high
        ):
            raise DataError(f"toy-higgs: {name} is {value!r}; give {low:g} to {high:g}")
    resonance = Resonance(float(mass), 0.0, float(mass), float(mass))
    return replace(PROCESSES["H"], resonance=resonance, forward_jets=float(forward_jets))


def _with_signal(
    shares: Mapping[str, float] | None, signal_share: float | None
) -> Mapping[str, float] | None:
    """Return the shares of the processes with a given one of signal."""
    if signal_share is None:
        return shares
    number = isinstance(signal_share, int | float) and not isinstance(signal_share, bool)
    if shares is not None or not number or not 0 < signal_share < 1:
        raise DataError(
            f"toy-higgs: signal_share is {signal_share!r}; give a fraction above 0 and below 1,"
            " and no shares"
        )
    others = {name: p.share for name, p in PROCESSES.items() if name != "H"}
    rest = (1 - signal_share) / sum(others.values())
    return {"H": signal_share} | {name: share * rest for name, share in others.items()}


def _rows(events: int, shares: Mapping[str, float] | None) -> dict[str, int]:
    """Share the rows out among the processes, to the nearest."""
    _check_integer("events", events, 1)
    fractions = {name: process.share for name, process in PROCESSES.items()}
    if shares is not None:
        for name in shares:
            if name not in PROCESSES:
                raise UnknownNameError("process of toy-higgs", name, PROCESSES)
        fractions = {name: float(shares.get(name, 0.0)) for name in PROCESSES}
        if min(fractions.values()) < 0 or not math.isclose(sum(fractions.values()), 1.0):
            raise DataError(f"toy-higgs: shares are {dict(shares)}; give fractions that sum to 1")
    rows = {name: int(events * fraction) for name, fraction in fractions.items()}
    by_rest = sorted(PROCESSES, key=lambda name: rows[name] - events * fractions[name])
    for name in by_rest[: events - sum(rows.values())]:
        rows[name] += 1
    for name, count in rows.items():
        if fractions[name] and not count:
            raise DataError(
                f"toy-higgs: {events} events leave none of process {name}; "
                f"give at least {math.ceil(1 / min(f for f in fractions.values() if f))}"
            )
    return {name: count for name, count in rows.items() if count}


def _take(
    process: Process, count: int, seed: int, detector: Detector, workers: int
) -> list[dict[str, NDArray[Any]]]:
    """Take the first ``count`` events of a process, block by block."""
    parts = []
    missing = count
    made = in_order(lambda block: _block(process, block, seed, detector), workers)
    for block, columns in enumerate(made):
        found = len(columns["PRI_tau_pt"])
        parts.append({name: values[:missing] for name, values in columns.items()})
        missing -= min(found, missing)
        if not missing:
            break
        if block + 1 >= _PATIENCE and missing == count:
            raise DataError(
                f"toy-higgs: none of {_PATIENCE * BLOCK} generated events of process "
                f"{process.name} passes the selection; lower tau_pt_min ({detector.tau_pt_min:g})"
            )
    return parts
