"""A fast stable order of floating-point numbers."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from hepml_tasks.metrics.arrays import Bools, Floats, Ints

_SMALL = 1024
# large enough for NumPy's calls, small enough for the processor's cache
_BLOCK = 1 << 15


def stable_argsort(values: Floats) -> Ints:
    """Give the stable ascending order of finite numbers, about twice as fast as NumPy's.

    Parameters
    ----------
    values : ndarray of float64, shape (n,)

    Returns
    -------
    ndarray of int, shape (n,)
        Equal to ``np.argsort(values, kind="stable")``, on every machine.
    """
    return order_and_steps(values)[0]


def order_and_steps(values: Floats) -> tuple[Ints, Bools]:
    """Give the stable ascending order of finite numbers, and where it goes up.

    The leading bits of a number and its position are packed into one integer, which sorts much
    faster than an indirect sort; the few numbers that differ only in the bits left out are put
    in order afterwards. The numbers themselves are looked at only there: reading all of them in
    the new order would take as long as the rest for ten million.

    Parameters
    ----------
    values : ndarray of float64, shape (n,)

    Returns
    -------
    order : ndarray of int, shape (n,)
        Equal to ``np.argsort(values, kind="stable")``, on every machine.
    steps : ndarray of bool, shape (n - 1,)
        True where a number is larger than the one before it in that order.
    """
    size = values.size
    if size < _SMALL:
        return _plain(values)
    place = np.uint64((size - 1).bit_length())
    mask = (np.uint64(1) << place) - np.uint64(1)
    keys = np.empty(size, dtype=np.uint64)
    for start in range(0, size, _BLOCK):
        _pack(values[start : start + _BLOCK], start, place, keys[start : start + _BLOCK])
    keys.sort()
    # two keys differ before the place of the position where the higher bits of their xor are set
    unclear = np.concatenate(
        [
            np.flatnonzero((keys[k + 1 : k + _BLOCK + 1] ^ keys[k : size - 1][:_BLOCK]) <= mask) + k
            for k in range(0, size - 1, _BLOCK)
        ]
    )
    keys &= mask
    order = keys.view(np.int64).astype(np.intp, copy=False)
    steps = np.ones(size - 1, dtype=bool)
    if unclear.size > size // 4:
        return _plain(values)
    if unclear.size:
        if np.any(values[order[unclear + 1]] < values[order[unclear]]):
            members = np.union1d(unclear, unclear + 1)
            rows = order[members]
            # runs follow each other in ascending order, so sorting all sorts each run in place
            order[members] = rows[np.lexsort((rows, values[rows]))]
        steps[unclear] = values[order[unclear + 1]] > values[order[unclear]]
    return order, steps


def _pack(values: Floats, start: int, place: np.uint64, keys: NDArray[np.uint64]) -> None:
    """Write the leading bits of some numbers, with their positions below, to `keys`."""
    # adding 0.0 turns -0.0 into 0.0; then the bits of a float, its sign folded, order as it does
    bits = (values + 0.0).view(np.int64)
    sign = bits >> 63
    sign &= np.int64(0x7FFFFFFFFFFFFFFF)
    bits ^= sign
    np.bitwise_xor(bits.view(np.uint64), np.uint64(1 << 63), out=keys)
    keys >>= place
    keys <<= place
    keys |= np.arange(start, start + values.size, dtype=np.uint64)


def _plain(values: Floats) -> tuple[Ints, Bools]:
    order = np.argsort(values, kind="stable")
    ascending = values[order]
    return order, ascending[1:] > ascending[:-1]
