r"""Derived columns of the HiggsML file, computed from its primitive ones.

Transverse momenta and masses are in GeV, angles in radians. Objects are massless unless said
otherwise: ``px = pt cos(phi)``, ``py = pt sin(phi)``, ``pz = pt sinh(eta)``.

The formulas are those of the HiggsML documentation (C. Adam-Bourdarios et al., *Learning to
discover: the Higgs boson machine learning challenge*, 2014, appendix B, distributed with
DOI 10.7483/OPENDATA.ATLAS.ZBP2.M5T8). ``DER_mass_MMC`` is missing on purpose: it is a likelihood
over the neutrinos' unmeasured momenta, not a function of these columns. Its simple ancestor, the
collinear mass, is offered instead, under a name of its own.

Input columns are rounded to three decimals in the published file, so vector sums can't be
recomputed to three decimals: 0.0005 rad times 50 GeV is 0.025 GeV. The published ``DER_mass_vis``
was made with a massive tau, and ``DER_mass_jet_jet`` with jet masses that aren't in the file.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from hepml_tasks.errors import ColumnError, nearest

Floats = NDArray[np.float64]
Mask = NDArray[np.bool_]

UNDEFINED = -999.0
"""What HiggsML writes where a quantity has no value."""

COLLINEAR_MASS = "DER_mass_col"
"""Name of the collinear mass; HiggsML has no such column."""

DERIVED: tuple[str, ...] = (
    "DER_mass_transverse_met_lep",
    "DER_mass_vis",
    "DER_pt_h",
    "DER_deltaeta_jet_jet",
    "DER_mass_jet_jet",
    "DER_prodeta_jet_jet",
    "DER_deltar_tau_lep",
    "DER_pt_tot",
    "DER_sum_pt",
    "DER_pt_ratio_lep_tau",
    "DER_met_phi_centrality",
    "DER_lep_eta_centrality",
)
"""The derived columns of HiggsML that are functions of its primitive ones, in the file's order."""

PRIMITIVE: tuple[str, ...] = (
    "PRI_tau_pt",
    "PRI_tau_eta",
    "PRI_tau_phi",
    "PRI_lep_pt",
    "PRI_lep_eta",
    "PRI_lep_phi",
    "PRI_met",
    "PRI_met_phi",
    "PRI_met_sumet",
    "PRI_jet_num",
    "PRI_jet_leading_pt",
    "PRI_jet_leading_eta",
    "PRI_jet_leading_phi",
    "PRI_jet_subleading_pt",
    "PRI_jet_subleading_eta",
    "PRI_jet_subleading_phi",
    "PRI_jet_all_pt",
)
"""The primitive columns of HiggsML, in the file's order."""


@dataclass(frozen=True)
class _Object:
    """Transverse momentum, pseudorapidity and azimuth of one object per event."""

    pt: Floats
    eta: Floats
    phi: Floats

    @property
    def px(self) -> Floats:
        return self.pt * np.cos(self.phi)

    @property
    def py(self) -> Floats:
        return self.pt * np.sin(self.phi)


def derived_columns(
    pri: Mapping[str, ArrayLike], *, undefined: float = UNDEFINED, tau_mass: float = 0.0
) -> dict[str, Floats]:
    """Compute all columns of :data:`DERIVED`, and the collinear mass, from the primitive columns.

    Parameters
    ----------
    pri : mapping of str to array_like, shape (n,)
        The columns of :data:`PRIMITIVE` except ``PRI_met_sumet``, which no formula uses; others
        are ignored. Columns of the first (second) jet are read only where ``PRI_jet_num`` is at
        least 1 (2), whatever stands elsewhere. ``PRI_jet_num`` may be capped or not.
    undefined : float
        What to write where a quantity has no value: two-jet columns where ``PRI_jet_num`` is
        below 2, the collinear mass where the equations have no physical solution.
    tau_mass : float
        Mass of the hadronic tau in GeV in ``DER_mass_vis``. 0 is this package's convention; the
        published HiggsML values used 0.8 for one-prong and 1.2 for three-prong taus, and the
        file doesn't say which is which.

    Returns
    -------
    dict of str to ndarray of float64, shape (n,)
        In the order of :data:`DERIVED`, then :data:`COLLINEAR_MASS`; not rounded.

    Raises
    ------
    ColumnError
        If a primitive column is missing.

    Examples
    --------
    >>> event = {"PRI_tau_pt": [40.0], "PRI_tau_eta": [0.0], "PRI_tau_phi": [0.0],
    ...          "PRI_lep_pt": [40.0], "PRI_lep_eta": [0.0], "PRI_lep_phi": [3.0],
    ...          "PRI_met": [20.0], "PRI_met_phi": [0.5], "PRI_jet_num": [0],
    ...          "PRI_jet_leading_pt": [-999.0], "PRI_jet_leading_eta": [-999.0],
    ...          "PRI_jet_leading_phi": [-999.0], "PRI_jet_subleading_pt": [-999.0],
    ...          "PRI_jet_subleading_eta": [-999.0], "PRI_jet_subleading_phi": [-999.0],
    ...          "PRI_jet_all_pt": [0.0]}
    >>> columns = derived_columns(event)
    >>> round(float(columns["DER_mass_vis"][0]), 3), float(columns["DER_mass_jet_jet"][0])
    (79.8, -999.0)
    """
    jets = np.asarray(_column(pri, "PRI_jet_num"))
    one, two = jets >= 1, jets >= 2
    tau, lep = _object(pri, "PRI_tau"), _object(pri, "PRI_lep")
    met = _Object(_column(pri, "PRI_met"), np.zeros(len(jets)), _column(pri, "PRI_met_phi"))
    first = _object(pri, "PRI_jet_leading", one)
    second = _object(pri, "PRI_jet_subleading", two)

    h_px, h_py = tau.px + lep.px + met.px, tau.py + lep.py + met.py
    columns = {
        "DER_mass_transverse_met_lep": _transverse_mass(lep, met),
        "DER_mass_vis": _pair_mass(tau, lep, tau_mass),
        "DER_pt_h": _modulus(h_px, h_py),
        "DER_deltaeta_jet_jet": np.abs(first.eta - second.eta),
        "DER_mass_jet_jet": _pair_mass(first, second, 0.0),
        "DER_prodeta_jet_jet": first.eta * second.eta,
        "DER_deltar_tau_lep": _modulus(tau.eta - lep.eta, _delta_phi(tau.phi, lep.phi)),
        "DER_pt_tot": _modulus(h_px + first.px + second.px, h_py + first.py + second.py),
        "DER_sum_pt": tau.pt + lep.pt + _column(pri, "PRI_jet_all_pt"),
        "DER_pt_ratio_lep_tau": lep.pt / tau.pt,
        "DER_met_phi_centrality": _phi_centrality(met.phi, lep.phi, tau.phi),
        "DER_lep_eta_centrality": _eta_centrality(lep.eta, first.eta, second.eta),
    }
    for name in (
        "DER_deltaeta_jet_jet",
        "DER_mass_jet_jet",
        "DER_prodeta_jet_jet",
        "DER_lep_eta_centrality",
    ):
        columns[name] = np.where(two, columns[name], undefined)
    columns[COLLINEAR_MASS] = collinear_mass(pri, undefined=undefined)
    return columns


def collinear_mass(pri: Mapping[str, ArrayLike], *, undefined: float = UNDEFINED) -> Floats:
    r"""Mass of a pair of taus if their neutrinos fly along the visible decay products.

    The missing transverse momentum is written as :math:`a\,\vec p_T(l) + b\,\vec p_T(\tau)`; then
    :math:`m = m_{vis} \sqrt{(1+a)(1+b)}` with massless visible objects (R.K. Ellis et al.,
    Nucl. Phys. B 297 (1988) 221).

    Parameters
    ----------
    pri : mapping of str to array_like, shape (n,)
        ``PRI_tau_*``, ``PRI_lep_*``, ``PRI_met`` and ``PRI_met_phi``.
    undefined : float
        What to write unless both a > 0 and b > 0, that is, unless the missing momentum points
        between lepton and tau.

    Returns
    -------
    ndarray of float64, shape (n,)
        GeV. The error grows without bound where lepton and tau are back to back.

    Raises
    ------
    ColumnError
        If a column is missing.
    """
    tau, lep = _object(pri, "PRI_tau"), _object(pri, "PRI_lep")
    met, met_phi = _column(pri, "PRI_met"), _column(pri, "PRI_met_phi")
    across = np.sin(tau.phi - lep.phi)
    # Dividing the same sign by the modulus: no 0/0 where the two are collinear.
    size = np.where(across == 0, 1.0, np.abs(across))
    a = met * np.sign(across) * np.sin(tau.phi - met_phi) / (lep.pt * size)
    b = met * np.sign(across) * np.sin(met_phi - lep.phi) / (tau.pt * size)
    between = (a > 0) & (b > 0)
    scale = np.sqrt((1 + np.where(between, a, 0.0)) * (1 + np.where(between, b, 0.0)))
    return np.where(between, _pair_mass(tau, lep, 0.0) * scale, undefined)


def _column(pri: Mapping[str, ArrayLike], name: str) -> Floats:
    try:
        return np.asarray(pri[name], dtype=np.float64)
    except KeyError:
        raise ColumnError(f"no column {name!r} to derive from{nearest(name, pri)}") from None


def _object(pri: Mapping[str, ArrayLike], prefix: str, present: Mask | None = None) -> _Object:
    parts: list[Any] = [_column(pri, f"{prefix}_{part}") for part in ("pt", "eta", "phi")]
    if present is not None:  # an absent jet is a null vector: it adds nothing to a sum
        parts = [np.where(present, part, 0.0) for part in parts]
    return _Object(*parts)


def _delta_phi(a: Floats, b: Floats) -> Floats:
    """Difference of azimuths in [-pi, pi)."""
    return (a - b + np.pi) % (2 * np.pi) - np.pi


def _modulus(x: Floats, y: Floats) -> Floats:
    # Not np.hypot: squares and roots are exact to the last bit on every machine.
    return np.asarray(np.sqrt(x * x + y * y))


def _transverse_mass(lep: _Object, met: _Object) -> Floats:
    """sqrt(2 pt met (1 - cos dphi)), through the half angle to keep precision at small dphi."""
    return 2 * np.sqrt(lep.pt * met.pt) * np.abs(np.sin((lep.phi - met.phi) / 2))


def _pair_mass(a: _Object, b: _Object, mass_a: float) -> Floats:
    """Invariant mass of a (of mass ``mass_a``) and massless b.

    cosh(deta) - cos(dphi) = 2 (sinh(deta/2)^2 + sin(dphi/2)^2) doesn't cancel at small angles, and
    a mass adds m^2 + 2 (E - p) E_b, where E - p = m^2 / (E + p).
    """
    spread = np.sinh((a.eta - b.eta) / 2) ** 2 + np.sin((a.phi - b.phi) / 2) ** 2
    squared = 4 * a.pt * b.pt * spread
    if mass_a:
        momentum = a.pt * np.cosh(a.eta)
        energy = np.sqrt(momentum**2 + mass_a**2)
        excess = mass_a**2 / (energy + momentum)
        squared = squared + mass_a**2 + 2 * excess * b.pt * np.cosh(b.eta)
    return np.asarray(np.sqrt(squared))


def _phi_centrality(met: Floats, lep: Floats, tau: Floats) -> Floats:
    """Place of the missing momentum between lepton and tau, +-sqrt 2 in the middle; or 0."""
    sign = np.sign(np.sin(tau - lep))
    a, b = np.sin(met - lep) * sign, np.sin(tau - met) * sign
    length = _modulus(a, b)
    # Lepton and tau collinear: the published value is 0.
    return np.asarray((a + b) / np.where(length == 0, 1.0, length))


def _eta_centrality(lep: Floats, first: Floats, second: Floats) -> Floats:
    """1 for a lepton midway between two jets, 1/e on one of them; its limit where they coincide."""
    gap = (first - second) ** 2
    off = (lep - (first + second) / 2) ** 2
    inside = np.exp(-4 * off / np.where(gap == 0, 1.0, gap))
    return np.where(gap == 0, np.where(off == 0, 1.0, 0.0), inside)
