"""Poisson bootstrap whose replicas belong to the events, not to the model.

The weight of an event in a replica is a function of (seed, event id, replica number) alone. Two
models that are evaluated on the same events see the same replicas, whatever the order of the rows
and on whichever machine, so that the difference of their scores has an interval of its own
[1]_ [2]_. The resampling unit is what the id names: rows that share an id (the hits of a
collision event) are kept or dropped together.

References
----------
.. [1] J. A. Hanley and B. MacGibbon, "Creating non-parametric bootstrap samples using Poisson
   frequencies", Comput. Methods Programs Biomed. 83 (2006) 57.
.. [2] ATLAS Collaboration, "Evaluating statistical uncertainties and correlations using the
   bootstrap method", ATL-PHYS-PUB-2021-011.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from hepml_tasks.errors import MetricError
from hepml_tasks.metrics.arrays import Floats, Ints, vector

Counts = NDArray[np.uint8]

_GOLDEN = np.uint64(0x9E3779B97F4A7C15)
_MIX_1 = np.uint64(0xBF58476D1CE4E5B9)
_MIX_2 = np.uint64(0x94D049BB133111EB)

# 65536 · P(X >= j) for j = 1 … 8 and a Poisson mean of 1, rounded so that mean and variance are
# exactly 1; a 16-bit lane of the hash is compared with them, and a hash serves four replicas
_TAIL = (41427, 17317, 5262, 1245, 240, 39, 5, 1)
_LANES = 4
_CHUNK = 1 << 18


@dataclass(frozen=True)
class Plan:
    """A metric on fixed events, ready for any number of sets of weights.

    Parameters
    ----------
    evaluate : callable
        Takes weights of shape (n_replicas, n_events), in the order of `order`, and gives
        n_replicas values; NaN where a replica has no value (an empty class).
    order : ndarray of int, shape (n_events,), optional
        The order of the events that `evaluate` expects; None for the order as they came.
    """

    evaluate: Callable[[Floats], Floats]
    order: Ints | None = None

    def value(self, weights: Floats) -> float:
        """Give the metric for one set of weights, in the order in which the events came."""
        sorted_weights = weights if self.order is None else weights[self.order]
        return float(self.evaluate(sorted_weights[np.newaxis])[0])

    def replicas(
        self, weights: Floats, event_id: ArrayLike | None, replicas: int, seed: int
    ) -> Floats:
        """Give the metric in each bootstrap replica, shape (replicas,)."""
        keys = event_keys(event_id, weights.size)
        if self.order is not None:
            weights, keys = weights[self.order], keys[self.order]
        values = np.empty(replicas)
        done = 0
        for counts in replica_chunks(seed, keys, replicas):
            values[done : done + len(counts)] = self.evaluate(counts * weights)
            done += len(counts)
        return values


def plan_mean(losses: Floats) -> Plan:
    """Prepare the weighted mean of a number per event for many sets of weights.

    Parameters
    ----------
    losses : ndarray of shape (n_events,)
        The number of each event.

    Returns
    -------
    Plan
        NaN in a replica whose weights sum to zero or less.
    """

    def evaluate(weights: Floats) -> Floats:
        total = weights.sum(axis=-1)
        with np.errstate(divide="ignore", invalid="ignore"):
            mean = (weights * losses).sum(axis=-1) / total
        mean[total <= 0] = np.nan
        return np.asarray(mean)

    return Plan(evaluate)


def event_keys(event_id: ArrayLike | None, size: int) -> NDArray[np.uint64]:
    """Turn event ids into 64-bit keys.

    Parameters
    ----------
    event_id : array-like of shape (n_events,) or None
        Whole numbers or strings; None numbers the rows as they come.
    size : int
        The number of events.

    Returns
    -------
    ndarray of uint64, shape (n_events,)

    Raises
    ------
    MetricError
        When an id is neither a whole number nor text.
    """
    if event_id is None:
        return np.arange(size, dtype=np.uint64)
    ids = vector("event_id", event_id, size)
    if ids.dtype.kind in "biu":
        return ids.astype(np.int64 if ids.dtype.kind == "i" else np.uint64).view(np.uint64)
    if ids.dtype.kind == "f":
        if not np.all(np.isfinite(ids)) or np.any(ids != np.trunc(ids)):
            raise MetricError("event_id has numbers that aren't whole; pass integers or strings")
        return ids.astype(np.int64).view(np.uint64)
    if ids.dtype.kind not in "OUST":
        raise MetricError(f"event_id holds {ids.dtype} values; pass integers or strings")
    distinct, inverse = np.unique(ids.astype(str), return_inverse=True)
    digests = b"".join(hashlib.blake2b(str(i).encode(), digest_size=8).digest() for i in distinct)
    return np.frombuffer(digests, dtype="<u8").astype(np.uint64)[inverse]


def poisson_weights(seed: int, event_id: ArrayLike, replicas: int) -> Counts:
    """Give the Poisson(1) weight of every event in every bootstrap replica.

    Parameters
    ----------
    seed : int
        Any integer; another seed gives independent replicas.
    event_id : array-like of shape (n_events,)
        Whole numbers or strings. Equal ids have equal weights.
    replicas : int
        How many. The first replicas are the same whatever the number.

    Returns
    -------
    ndarray of uint8, shape (replicas, n_events)
        One byte per event and replica; :func:`replica_chunks` gives the same in pieces.

    Examples
    --------
    >>> together = poisson_weights(0, [7, 8, 9], 100)
    >>> alone = poisson_weights(0, [9], 100)
    >>> bool((together[:, 2] == alone[:, 0]).all())
    True
    """
    keys = event_keys(event_id, np.asarray(event_id).size)
    result = np.empty((replicas, keys.size), dtype=np.uint8)
    done = 0
    for counts in replica_chunks(seed, keys, replicas):
        result[done : done + len(counts)] = counts
        done += len(counts)
    return result


def replica_chunks(seed: int, keys: NDArray[np.uint64], replicas: int) -> Iterator[Counts]:
    """Yield the weights of `poisson_weights` in chunks of replicas that stay small in memory.

    Parameters
    ----------
    seed : int
        Any integer.
    keys : ndarray of uint64, shape (n_events,)
        From :func:`event_keys`.
    replicas : int
        How many replicas there are together.

    Yields
    ------
    ndarray of uint8, shape (n_chunk, n_events)
        One replica at a time for a large sample, many for a small one.
    """
    seed_key = _mix(np.array([seed % (1 << 64)], dtype=np.uint64))
    base = _mix(keys ^ seed_key)
    blocks = max(1, _CHUNK // max(1, _LANES * keys.size))
    rows = max(1, min(blocks * _LANES, _CHUNK // max(1, keys.size)))
    for first in range(0, -(-replicas // _LANES), blocks):
        last = min(first + blocks, -(-replicas // _LANES))
        counts = _counts(base, first, last)[: replicas - first * _LANES]
        for start in range(0, len(counts), rows):
            yield counts[start : start + rows]


def _counts(base: NDArray[np.uint64], first: int, last: int) -> Counts:
    """Give the replicas of hash blocks `first` to `last`."""
    # the splitmix64 sequence that starts at the event's own state (Steele et al., OOPSLA 2014)
    steps = np.arange(first + 1, last + 1, dtype=np.uint64)[:, np.newaxis] * _GOLDEN
    lanes = _mix(base + steps).astype("<u8", copy=False).view("<u2")
    lanes = lanes.reshape(last - first, base.size, _LANES)
    counts = np.zeros(lanes.shape, dtype=np.uint8)
    for tail in _TAIL:
        counts += lanes < tail
    return np.ascontiguousarray(counts.transpose(0, 2, 1)).reshape(-1, base.size)


def _mix(state: NDArray[np.uint64]) -> NDArray[np.uint64]:
    """Scramble 64-bit states: the output function of splitmix64."""
    result = state + _GOLDEN
    scratch = result >> np.uint64(30)
    result ^= scratch
    result *= _MIX_1
    np.right_shift(result, np.uint64(27), out=scratch)
    result ^= scratch
    result *= _MIX_2
    np.right_shift(result, np.uint64(31), out=scratch)
    result ^= scratch
    return result
