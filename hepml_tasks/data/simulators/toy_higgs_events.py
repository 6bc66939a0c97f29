"""The events of the toy H to tau tau search: how each process decays, and what is measured of it.

What is and isn't realistic, and the sources: :mod:`~hepml_tasks.data.simulators.toy_higgs`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, NamedTuple

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
from hepml_tasks.errors import DataError

Floats = NDArray[np.float64]

BLOCK = 8192
"""Generated events of a block, before selection; part of the generator's version."""

FEATURES: tuple[str, ...] = (*DERIVED, COLLINEAR_MASS, *PRIMITIVE)
"""Columns that a classifier may use, in the table's order."""

_LEP_PT_MIN = 26.0
_JET_PT_MIN = 30.0
_ETA_MAX = 2.5
_JET_ETA_MAX = 4.5
_TOP_W_PT_MEAN = 60.0


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
