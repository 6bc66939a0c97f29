"""Fewer events of a table: the same share of each class and part, chosen by a seed."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from hepml_tasks.data.simulators.stream import Stream
from hepml_tasks.errors import ColumnError, DataError, nearest

if TYPE_CHECKING:
    import pyarrow as pa

VERSION = "1"
"""Version of the choice: changes whenever the same arguments give another table."""


def sample(
    table: pa.Table,
    *,
    seed: int,
    events: int,
    by: Sequence[str] = (),
    group: str | None = None,
) -> pa.Table:
    """Choose events of a table, and keep their order.

    Parameters
    ----------
    table : pyarrow.Table
    seed : int
    events : int
        How many are chosen; all of them where there are no more.
    by : sequence of str
        Columns whose combinations of values keep their shares, such as the class and the part of
        an official split, each to the nearest event and with one event at least.
    group : str, optional
        The column that says which rows are one event; each row is one without.

    Raises
    ------
    ColumnError
        If the table lacks one of these columns.
    DataError
        If there are more combinations than events, `events` is no number above 0, or the rows of
        an event are of several combinations.
    """
    if isinstance(events, bool) or not isinstance(events, int) or events < 1:
        raise DataError(f"sample: events is {events!r}; give a whole number above 0")
    if events >= table.num_rows:
        return table
    strata = _strata(table, by)
    if group is None:
        return table.take(_chosen(strata, seed, events, by))
    event = _strata(table, [group])
    first = np.unique(event, return_index=True)[1]
    if (torn := np.flatnonzero(strata != strata[first][event])).size:
        raise DataError(
            f"sample: row {torn[0]} is of another combination of {', '.join(by)} than others of"
            f" its {group}, which can't be torn apart; name columns that are equal in all of them"
        )
    if events >= len(first):
        return table
    return table.filter(np.isin(event, _chosen(strata[first], seed, events, by)))


def _chosen(
    strata: NDArray[np.int64], seed: int, events: int, by: Sequence[str]
) -> NDArray[np.int64]:
    """Choose events from their strata, and return their numbers in ascending order."""
    counts = np.bincount(strata)
    if len(counts) > events:
        raise DataError(
            f"sample: {events} events are too few for {len(counts)} combinations of"
            f" {', '.join(by)}; ask for more, or name fewer columns"
        )
    shares = _shares(counts, events)
    # the events of a stratum in a random order, of which the first ones are chosen
    order = np.lexsort((Stream(seed, (), len(strata)).uniform(), strata))
    begins = np.cumsum(counts) - counts
    chosen = [order[b : b + n] for b, n in zip(begins, shares, strict=True)]
    return np.sort(np.concatenate(chosen))


def _strata(table: pa.Table, by: Sequence[str]) -> NDArray[np.int64]:
    import pyarrow.compute as pc

    strata = np.zeros(table.num_rows, np.int64)
    for name in by:
        if name not in table.column_names:
            raise ColumnError(
                f"sample: there is no column {name!r}{nearest(name, table.column_names)}"
            )
        told: Any = pc.dictionary_encode(table[name].combine_chunks(), null_encoding="encode")
        # numbered by value and not by first appearance
        values = [str(v) for v in told.dictionary.to_pylist()]
        numbers = np.argsort(np.argsort(values, kind="stable"), kind="stable")
        strata = strata * len(values) + numbers[told.indices.to_numpy()]
    return np.asarray(np.unique(strata, return_inverse=True)[1], np.int64)


def _shares(counts: NDArray[np.int64], events: int) -> NDArray[np.int64]:
    """Divide events among strata by their sizes: largest remainders, and one at least."""
    spare = events - len(counts)
    exact = counts * (spare / counts.sum())
    shares = np.minimum(1 + np.floor(exact).astype(np.int64), counts)
    for stratum in np.argsort(-(exact - np.floor(exact)), kind="stable").tolist() * 2:
        if shares.sum() == events:
            break
        if shares[stratum] < counts[stratum]:
            shares[stratum] += 1
    return np.asarray(shares, np.int64)
