"""Random draws that come out the same on every machine and with every version of NumPy.

NumPy promises that a bit generator's words never change, but reserves the right to change its
distributions (NEP 19). So only words are taken from it, and distributions are made here by
inverting them, one word a value: no rejection, hence no draw that depends on another.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Block = TypeVar("Block")


@dataclass(frozen=True)
class Resonance:
    """A mass distribution: Breit-Wigner between two limits.

    Parameters
    ----------
    mass : float
        Position of the peak, GeV.
    width : float
        Full width at half maximum, GeV; 0 for a sharp mass.
    low, high : float
        Limits, GeV.
    """

    mass: float
    width: float
    low: float
    high: float


class Stream:
    """Draws for ``size`` events at a time.

    Parameters
    ----------
    seed : int
        At least 0.
    key : tuple of int
        Which of the seed's independent streams (PCG64, M.E. O'Neill 2014, keyed by NumPy's
        SeedSequence).
    size : int
        Number of values of every draw.
    """

    def __init__(self, seed: int, key: tuple[int, ...], size: int) -> None:
        self._source = np.random.PCG64(np.random.SeedSequence(seed, spawn_key=key))
        self._size = size

    def words(self) -> NDArray[np.uint64]:
        """Draw 64-bit words."""
        return np.asarray(self._source.random_raw(self._size), dtype=np.uint64)

    def uniform(self, low: float = 0.0, high: float = 1.0) -> Floats:
        """Draw uniformly from the open interval."""
        # 52 bits and a half step: neither 0 nor 1 can come out, so every inverse is finite.
        unit = ((self.words() >> np.uint64(12)).astype(np.float64) + 0.5) * 2.0**-52
        return low + (high - low) * unit

    def azimuth(self) -> Floats:
        """Draw uniformly from (-pi, pi), radians."""
        return self.uniform(-np.pi, np.pi)

    def exponential(self, mean: float) -> Floats:
        """Draw from an exponential distribution."""
        return -mean * np.log(self.uniform())

    def normal(self, mean: float, width: float, bound: float = math.inf) -> Floats:
        """Draw from a normal distribution of which only what lies within +-``bound`` is kept."""
        from scipy.special import ndtr, ndtri

        if not width:
            return mean + 0.0 * self.uniform()
        low, high = float(ndtr((-bound - mean) / width)), float(ndtr((bound - mean) / width))
        return mean + width * np.asarray(ndtri(self.uniform(low, high)))

    def mass(self, resonance: Resonance) -> Floats:
        """Draw masses in GeV (Breit-Wigner in the mass itself: a Cauchy distribution)."""
        half = resonance.width / 2
        if not half:
            return resonance.mass + 0.0 * self.uniform()
        low = math.atan((resonance.low - resonance.mass) / half)
        high = math.atan((resonance.high - resonance.mass) / half)
        return resonance.mass + half * np.tan(self.uniform(low, high))


def in_order(make: Callable[[int], Block], workers: int) -> Iterator[Block]:
    """Make blocks 0, 1, 2 … without end, several at a time.

    Parameters
    ----------
    make : callable
        Makes the block of a number, whatever was made before.
    workers : int
        Threads; what comes out doesn't depend on it.
    """
    first = 0
    with ThreadPoolExecutor(workers) as pool:
        while True:
            yield from pool.map(make, range(first, first + workers))
            first += workers
