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
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass, replace
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from hepml_tasks.data.kinematics import (
    COLLINEAR_MASS,
    DERIVED,
    PRIMITIVE,
    UNDEFINED,
    derived_columns,
)
from hepml_tasks.data.simulators.momenta import Visible, decay, modulus, visible, with_rapidity
from hepml_tasks.data.simulators.stream import Resonance, Stream
from hepml_tasks.errors import DataError, UnknownNameError

if TYPE_CHECKING:
    import pyarrow as pa

Floats = NDArray[np.float64]

VERSION = "1"
"""Version of the generator: changes whenever the same arguments make another table."""

BLOCK = 8192
"""Generated events of a block, before selection; part of the generator's version."""

FIRST_EVENT = 100_000
"""First EventId, as in HiggsML."""

FEATURES: tuple[str, ...] = (*DERIVED, COLLINEAR_MASS, *PRIMITIVE)
"""Columns that a classifier may use, in the table's order."""

METADATA_KEY = b"hepml_simulator"
"""Key of the schema's metadata, whose value is a JSON object."""

_SHUFFLE = 0  # first word of a stream's key: the row order, or the events of a process
_EVENTS = 1

_LEP_PT_MIN = 26.0
_JET_PT_MIN = 30.0
_ETA_MAX = 2.5
_JET_ETA_MAX = 4.5
_TOP_W_PT_MEAN = 60.0
_PATIENCE = 64  # blocks without a single event before giving up


@dataclass(frozen=True)
class Process:
    """What is set by hand for one process.

    Parameters
    ----------
    name : str
        Value of column Process.
    label : str
        Value of column Label: s or b.
    expected : float
        Events expected in the data, the sum of this process's weights.
    share : float
        Fraction of the rows.
    jets : tuple of float
        Probabilities of 0, 1, 2 and 3 jets, before resolution.
    jet_pt_mean : float
        Mean of a jet's transverse momentum above 30 GeV, in GeV.
    jet_eta_width : float
        Width of the jets' pseudorapidity.
    resonance : Resonance
        What decays.
    forward_jets : float
        Fraction of the events with two jets that has them in opposite directions, as in vector
        boson fusion.
    """

    name: str
    label: str
    expected: float
    share: float
    jets: tuple[float, float, float, float]
    jet_pt_mean: float
    jet_eta_width: float
    resonance: Resonance
    forward_jets: float = 0.0


_W_BOSON = Resonance(80.38, 2.085, 40.0, 140.0)

PROCESSES: dict[str, Process] = {
    process.name: process
    for process in (
        Process(
            name="H",
            label="s",
            expected=692.0,
            share=0.34,
            jets=(0.32, 0.33, 0.25, 0.10),
            jet_pt_mean=40.0,
            jet_eta_width=1.8,
            resonance=Resonance(125.0, 0.0, 125.0, 125.0),
            forward_jets=0.10,
        ),
        Process(
            name="Z",
            label="b",
            expected=46_000.0,
            share=0.39,
            jets=(0.32, 0.36, 0.22, 0.10),
            jet_pt_mean=40.0,
            jet_eta_width=1.8,
            resonance=Resonance(91.19, 2.495, 60.0, 130.0),
        ),
        Process(
            name="W",
            label="b",
            expected=357_000.0,
            share=0.23,
            jets=(0.62, 0.27, 0.08, 0.03),
            jet_pt_mean=25.0,
            jet_eta_width=1.8,
            resonance=_W_BOSON,
        ),
        Process(
            name="T",
            label="b",
            expected=8_000.0,
            share=0.04,
            jets=(0.06, 0.24, 0.34, 0.36),
            jet_pt_mean=40.0,
            jet_eta_width=1.1,
            resonance=_W_BOSON,
        ),
    )
}
"""The four processes by name."""


@dataclass(frozen=True)
class Detector:
    """What can be tuned: resolutions and the threshold on the tau.

    Parameters
    ----------
    tau_resolution : float
        Relative resolution of the hadronic tau's transverse momentum.
    met_resolution : float
        k in sigma = k sqrt(sumET / GeV) GeV of each component of the missing momentum.
    recoil_smearing : float
        Width in GeV of each component of the transverse momentum that no jet balances.
    tau_pt_min : float
        Taus are kept above this, in GeV. Take 22 where a tau energy scale of up to 10 % will be
        applied later, so that the shifted events are all there.
    """

    tau_resolution: float = 0.20
    met_resolution: float = 1.2
    recoil_smearing: float = 12.0
    tau_pt_min: float = 20.0

    def __post_init__(self) -> None:
        for name, value, low, high in (
            ("tau_resolution", self.tau_resolution, 0.0, 0.5),
            ("met_resolution", self.met_resolution, 0.0, 10.0),
            ("recoil_smearing", self.recoil_smearing, 0.0, 100.0),
            ("tau_pt_min", self.tau_pt_min, 20.0, 100.0),
        ):
            if isinstance(value, bool) or not isinstance(value, int | float):
                raise DataError(f"toy-higgs: {name} is {value!r}; give a number")
            if not low <= value <= high:
                raise DataError(f"toy-higgs: {name} is {value!r}; give {low:g} to {high:g}")


class _Final(NamedTuple):
    """What comes out of a process, before measurement."""

    lep: Visible
    tau: Visible
    neutrinos_px: Floats
    neutrinos_py: Floats
    pair_mass: Floats | None = None


class _Jets(NamedTuple):
    """Jets, by falling transverse momentum; absent ones have pt 0."""

    pt: Floats
    eta: Floats
    phi: Floats

    @property
    def px(self) -> Floats:
        return _sum_columns(self.pt * np.cos(self.phi))

    @property
    def py(self) -> Floats:
        return _sum_columns(self.pt * np.sin(self.phi))


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


def made_block(
    process: Process, key: tuple[int, ...], seed: int, detector: Detector
) -> tuple[dict[str, NDArray[Any]], Floats | None]:
    """Make the events of one block, of any process that decays as one of :data:`PROCESSES`.

    Parameters
    ----------
    process : Process
        Its name says how it decays.
    key : tuple of int
        Of the block's stream.
    seed : int
    detector : Detector

    Returns
    -------
    columns : dict of str to ndarray, shape (n,)
        Those of :data:`FEATURES`.
    pair_mass : ndarray of shape (n,), optional
        The true mass in GeV of the pair of taus, where there is one.
    """
    stream = Stream(seed, key, BLOCK)
    jets = _draw_jets(process, stream)
    final = _FINAL_STATES[process.name](process, jets, stream, detector)
    pri, keep = _measure(final, jets, stream, detector)
    derived = derived_columns(pri)
    columns = {name: pri[name] if name in pri else np.round(derived[name], 3) for name in FEATURES}
    return columns, None if final.pair_mass is None else final.pair_mass[keep]


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
    for block, columns in enumerate(_blocks(process, seed, detector, workers)):
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


def _blocks(
    process: Process, seed: int, detector: Detector, workers: int
) -> Iterator[dict[str, NDArray[Any]]]:
    """Make blocks 0, 1, 2 … without end, ``workers`` at a time."""
    first = 0
    with ThreadPoolExecutor(workers) as pool:
        while True:
            wave = range(first, first + workers)
            yield from pool.map(lambda block: _block(process, block, seed, detector), wave)
            first += workers


def _draw_jets(process: Process, stream: Stream) -> _Jets:
    count = np.searchsorted(np.cumsum(process.jets)[:-1], stream.uniform(), side="right")
    pt = np.column_stack([_JET_PT_MIN + stream.exponential(process.jet_pt_mean) for _ in range(3)])
    pt = -np.sort(-np.where(np.arange(3) < count[:, None], pt, 0.0), axis=1)
    phi = np.column_stack([stream.azimuth() for _ in range(3)])
    width = process.jet_eta_width
    # Cut off at the acceptance, not piled up at its edge.
    eta = np.column_stack([stream.normal(0.0, width, _JET_ETA_MAX) for _ in range(3)])
    if process.forward_jets:
        forward = (stream.uniform() < process.forward_jets) & (count >= 2)
        side = np.where(stream.uniform() < 0.5, -1.0, 1.0)
        eta[:, 0] = np.where(forward, side * stream.normal(2.2, 0.8, _JET_ETA_MAX), eta[:, 0])
        eta[:, 1] = np.where(forward, -side * stream.normal(2.4, 0.8, _JET_ETA_MAX), eta[:, 1])
    return _Jets(pt, eta, phi)


def _tau_pair(process: Process, jets: _Jets, stream: Stream, detector: Detector) -> _Final:
    """H or Z to two taus, one to a lepton, one to hadrons; recoils against the jets."""
    noise_x, noise_y = _unbalanced(stream, detector)
    boson = with_rapidity(
        noise_x - jets.px,
        noise_y - jets.py,
        stream.normal(0.0, 1.1),
        mass := stream.mass(process.resonance),
    )
    first, second = decay(boson, stream)
    lep = first.scaled(_leptonic_fraction(stream))
    had = second.scaled(_hadronic_fraction(stream))
    return _Final(
        visible(lep), visible(had), boson.px - lep.px - had.px, boson.py - lep.py - had.py, mass
    )


def _w_and_fake(process: Process, jets: _Jets, stream: Stream, detector: Detector) -> _Final:
    """W to a lepton and a neutrino; recoils against the jets and one taken for a tau."""
    fake = Visible(20.0 + stream.exponential(14.0), stream.normal(0.0, 1.4), stream.azimuth())
    noise_x, noise_y = _unbalanced(stream, detector)
    boson = with_rapidity(
        noise_x - jets.px - fake.px,
        noise_y - jets.py - fake.py,
        stream.normal(0.0, 1.1),
        stream.mass(process.resonance),
    )
    lep, neutrino = decay(boson, stream)
    return _Final(visible(lep), fake, neutrino.px, neutrino.py)


def _w_pair(process: Process, jets: _Jets, stream: Stream, detector: Detector) -> _Final:
    """Two W, to a lepton and to a hadronic tau; the jets are not balanced."""
    del jets, detector
    bosons = []
    for _ in range(2):
        pt, phi = stream.exponential(_TOP_W_PT_MEAN), stream.azimuth()
        rapidity, mass = stream.normal(0.0, 1.0), stream.mass(process.resonance)
        bosons.append(with_rapidity(pt * np.cos(phi), pt * np.sin(phi), rapidity, mass))
    lep, _ = decay(bosons[0], stream)
    tau, _ = decay(bosons[1], stream)
    had = tau.scaled(_hadronic_fraction(stream))
    both = [a + b for a, b in zip(*bosons, strict=True)]
    return _Final(visible(lep), visible(had), both[0] - lep.px - had.px, both[1] - lep.py - had.py)


_FINAL_STATES = {"H": _tau_pair, "Z": _tau_pair, "W": _w_and_fake, "T": _w_pair}


def _measure(
    final: _Final, jets: _Jets, stream: Stream, detector: Detector
) -> tuple[dict[str, NDArray[Any]], NDArray[np.bool_]]:
    """Smear, round, and keep what passes the selection; say which events those are."""
    lep = final.lep._replace(pt=_rounded(final.lep.pt * stream.normal(1.0, 0.02)))
    tau = final.tau._replace(
        pt=_rounded(final.tau.pt * stream.normal(1.0, detector.tau_resolution))
    )
    jets = _measure_jets(jets, stream)
    jet_num = (jets.pt > 0).sum(axis=1)
    jet_all_pt = _rounded(_sum_columns(jets.pt))

    sumet = lep.pt + tau.pt + jet_all_pt + 60.0 + stream.exponential(120.0)
    noise = detector.met_resolution * np.sqrt(np.maximum(sumet, 0.0))
    met_px = final.neutrinos_px + noise * stream.normal(0.0, 1.0)
    met_py = final.neutrinos_py + noise * stream.normal(0.0, 1.0)

    keep = (tau.pt > detector.tau_pt_min) & (lep.pt > _LEP_PT_MIN)
    keep &= (np.abs(_rounded(tau.eta)) < _ETA_MAX) & (np.abs(_rounded(lep.eta)) < _ETA_MAX)
    columns: list[Any] = [*tau, *lep, modulus(met_px, met_py), np.arctan2(met_py, met_px), sumet]
    columns.append(jet_num.astype(np.int64))
    for place in range(2):
        columns += [
            np.where(jet_num > place, part[:, place], UNDEFINED)
            for part in (jets.pt, jets.eta, jets.phi)
        ]
    columns.append(jet_all_pt)
    kept = {
        name: values[keep] if values.dtype == np.int64 else _rounded(values[keep])
        for name, values in zip(PRIMITIVE, columns, strict=True)
    }
    return kept, keep


def _measure_jets(jets: _Jets, stream: Stream) -> _Jets:
    """Smear the jets, drop those below the threshold, sort again."""
    unit = np.column_stack([stream.normal(0.0, 1.0) for _ in range(3)])
    relative = np.sqrt(0.6**2 / np.where(jets.pt > 0, jets.pt, 1.0) + 0.05**2)
    pt = _rounded(jets.pt * (1 + relative * unit))
    pt = np.where(pt >= _JET_PT_MIN, pt, 0.0)
    order = np.argsort(-pt, axis=1, kind="stable")
    return _Jets(*(np.take_along_axis(part, order, axis=1) for part in (pt, jets.eta, jets.phi)))


def _leptonic_fraction(stream: Stream) -> Floats:
    """Draw a lepton's share of its tau's momentum: density (5 - 9x^2 + 4x^3)/3, mean 0.35."""
    x = np.linspace(0.0, 1.0, 4097)
    return np.interp(stream.uniform(), (5 * x - 3 * x**3 + x**4) / 3, x)


def _hadronic_fraction(stream: Stream) -> Floats:
    """Draw the hadrons' share: 18 % uniform (one pion), 82 % Beta(3.5, 2) (rho, a1)."""
    # Beta(a, 2) is the product of Beta(a, 1) and Beta(a + 1, 1), which are powers of uniforms.
    several = stream.uniform() ** (1 / 3.5) * stream.uniform() ** (1 / 4.5)
    one = stream.uniform()
    return np.where(stream.uniform() < 0.18, one, several)


def _unbalanced(stream: Stream, detector: Detector) -> tuple[Floats, Floats]:
    width = detector.recoil_smearing
    return stream.normal(0.0, width), stream.normal(0.0, width)


def _sum_columns(values: Floats) -> Floats:
    # One by one: a sum along an axis may take its terms in an order that depends on the machine.
    return np.asarray(values[:, 0] + values[:, 1] + values[:, 2])


def _rounded(values: Floats) -> Floats:
    return np.round(values, 3)
