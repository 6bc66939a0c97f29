"""Four-momenta in GeV and two-body decays.

Formulas: Particle Data Group, *Review of Particle Physics*, chapter on kinematics.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from hepml_tasks.data.simulators.stream import Stream

Floats = NDArray[np.float64]


class Momentum(NamedTuple):
    """Components of n four-momenta, GeV, each of shape (n,)."""

    px: Floats
    py: Floats
    pz: Floats
    energy: Floats

    def scaled(self, factor: Floats) -> Momentum:
        """Multiply all components."""
        return Momentum(self.px * factor, self.py * factor, self.pz * factor, self.energy * factor)

    def minus(self, other: Momentum) -> Momentum:
        """Subtract component by component."""
        return Momentum(*(a - b for a, b in zip(self, other, strict=True)))


class Visible(NamedTuple):
    """Transverse momentum in GeV, pseudorapidity and azimuth in radians, each of shape (n,)."""

    pt: Floats
    eta: Floats
    phi: Floats

    @property
    def px(self) -> Floats:
        """GeV."""
        return self.pt * np.cos(self.phi)

    @property
    def py(self) -> Floats:
        """GeV."""
        return self.pt * np.sin(self.phi)


def with_rapidity(px: Floats, py: Floats, rapidity: Floats, mass: Floats) -> Momentum:
    """Build four-momenta from transverse momentum, rapidity and mass, all shape (n,)."""
    transverse = np.sqrt(mass**2 + px**2 + py**2)
    return Momentum(px, py, transverse * np.sinh(rapidity), transverse * np.cosh(rapidity))


def decay(parent: Momentum, stream: Stream) -> tuple[Momentum, Momentum]:
    """Decay isotropically to two massless particles.

    Parameters
    ----------
    parent : Momentum
        Of positive mass.
    stream : Stream
        Gives the direction in the parent's rest frame.

    Returns
    -------
    tuple of Momentum
        Boosted to the parent's frame; they sum to the parent.
    """
    cosine, phi = stream.uniform(-1.0, 1.0), stream.azimuth()
    mass = np.sqrt(parent.energy**2 - parent.px**2 - parent.py**2 - parent.pz**2)
    half, sine = mass / 2, np.sqrt(1 - cosine**2)
    x, y, z = half * sine * np.cos(phi), half * sine * np.sin(phi), half * cosine
    along = parent.px * x + parent.py * y + parent.pz * z
    factor = along / (mass * (parent.energy + mass)) + 0.5
    first = Momentum(
        x + factor * parent.px,
        y + factor * parent.py,
        z + factor * parent.pz,
        parent.energy / 2 + along / mass,
    )
    return first, parent.minus(first)


def visible(momentum: Momentum) -> Visible:
    """Express massless momenta by transverse momentum, pseudorapidity and azimuth."""
    pt = modulus(momentum.px, momentum.py)
    return Visible(pt, np.arcsinh(momentum.pz / pt), np.arctan2(momentum.py, momentum.px))


def modulus(x: Floats, y: Floats) -> Floats:
    """Length of a transverse vector; squares and roots are exact to the last bit everywhere."""
    return np.asarray(np.sqrt(x * x + y * y))
