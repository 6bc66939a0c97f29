"""Derived columns after a move, with what no formula explains carried over from the file.

The published columns hold more than their formulas: masses of taus and jets that aren't in the
file, digits that were rounded away. Written anew from formulas, a column would tell who moved it.
So only its change is taken from the formulas: DER' = DER of the file + f(moved PRI) - f(PRI).

Three details keep that from being seen. The file's value is rounded, and so is the new one; the
first rounding has to be taken off before the second is put on, or DER - f(PRI) would be wider where
something has moved. Where a column saturates (a centrality at its largest value), its difference
from the formula is small, and has to grow with the distance from there. And a value stays within
its range. All of it leaves an event that hasn't moved as it is.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from hepml_tasks.data.derived.moves import HALF_STEP, Columns, Floats, on_grid
from hepml_tasks.data.kinematics import PRIMITIVE, derived_columns
from hepml_tasks.data.simulators.stream import Stream
from hepml_tasks.errors import ColumnError, DataError, nearest

_LARGEST_CENTRALITY = 1.414  # the square root of 2 on the file's grid
_FEW = 20  # events next to a threshold, whose spacing says where the lowest one may be
_EDGE = 0.05  # GeV: a sample's lowest value is a little above its threshold
_EXACT = 0.999  # a column is its formula, rounded, if so many of its values are
_WIDE = 0.005  # ten times its rounding and more: the rounding is as good as uniform
_CENTRALITY = "DER_met_phi_centrality"
_SIGNED = frozenset({"DER_prodeta_jet_jet", _CENTRALITY})


class _Draws(NamedTuple):
    """Where chance comes from: for a column alone, and the same for all."""

    stream: Stream
    shared: Floats


def primitive_of(table: pa.Table) -> dict[str, Floats]:
    """Return the primitive columns of a table, NaN where undefined.

    Parameters
    ----------
    table : pyarrow.Table
        With the columns of HiggsML, null where undefined.

    Raises
    ------
    ColumnError
        If one is missing.
    DataError
        If the sentinel is still in it, or a tau, lepton or missing momentum is undefined.
    """
    columns = {}
    for name in PRIMITIVE:
        if name not in table.column_names:
            raise ColumnError(
                f"no column {name!r} to derive from{nearest(name, table.column_names)}"
            )
        values = floats_of(table, name)
        if (values == -999.0).any():
            raise DataError(
                f"column {name!r} holds -999 as a number; say `undefined: -999.0` of the source"
            )
        if "jet_leading" not in name and "jet_subleading" not in name and np.isnan(values).any():
            raise DataError(f"column {name!r} has undefined values; no event can be derived of it")
        columns[name] = values
    return columns


def floats_of(table: pa.Table, name: str) -> Floats:
    """Return a column as float64, NaN where null."""
    column = table[name].cast(pa.float64())
    return np.asarray(column.to_numpy(zero_copy_only=False), dtype=np.float64)


def with_moved(table: pa.Table, before: Columns, after: Columns, stream: Stream) -> pa.Table:
    """Return a table whose objects have moved, with the derived columns that belong to them.

    Parameters
    ----------
    table : pyarrow.Table
        The source, of n rows.
    before, after : mapping of str to ndarray of float64, shape (n,)
        Its primitive columns, and what became of them; on the file's grid.
    stream : Stream
        Of size n: draws what was rounded away.

    Returns
    -------
    pyarrow.Table
        The same rows and columns, without those derived columns that no formula gives
        (``DER_mass_MMC``): they would belong to the event before the move.
    """
    draws = _Draws(stream, stream.uniform())
    nominal = derived_columns(before, undefined=np.nan)
    moved = derived_columns(after, undefined=np.nan)
    names, columns = [], []
    for name in table.column_names:
        column = table[name]
        if name in moved:
            values = _carried(name, floats_of(table, name), nominal[name], moved[name], draws)
            column = pa.array(values, from_pandas=True)
        elif name.startswith("DER_"):
            continue
        elif name in PRIMITIVE and pa.types.is_floating(column.type):
            column = pa.array(on_grid(after[name]), from_pandas=True)
        names.append(name)
        columns.append(column)
    return pa.table(columns, names=names)


def _carried(name: str, file: Floats, nominal: Floats, moved: Floats, draws: _Draws) -> Floats:
    rest = np.where(np.isnan(file) | np.isnan(nominal), 0.0, file - nominal)
    steep = [_steepness(name, values) for values in (nominal, moved)]
    rest = _before_rounding(rest, steep[0], draws) * (steep[1] / steep[0])
    values = moved + rest
    if name not in _SIGNED:
        # a length of some MeV may come out below zero: folded back, not heaped up at zero
        values = np.abs(values)
    values = on_grid(values)
    if name == _CENTRALITY:
        values = np.clip(values, -_LARGEST_CENTRALITY, _LARGEST_CENTRALITY)
    return np.asarray(np.where(np.isnan(moved), np.nan, values))


def _steepness(name: str, values: Floats) -> Floats:
    """Return how far a column moves with what its formula takes, up to a factor."""
    if name == _CENTRALITY:  # sqrt(2) cos(x), by x; not quite 0 at its ends: it divides
        return np.asarray(np.sqrt(np.maximum(2 - values * values, 1e-4)))
    if name == "DER_lep_eta_centrality":  # exp(-x^2), by x
        inside = np.clip(np.nan_to_num(values, nan=0.5), 1e-9, 1 - 1e-9)
        return np.asarray(np.maximum(inside * np.sqrt(-np.log(inside)), 1e-2))
    return np.ones(len(values))


def _before_rounding(rest: Floats, steep: Floats, draws: _Draws) -> Floats:
    """Draw what a difference from the formula was before the file's value was rounded.

    It is taken as normal, of the width that the column shows, and lies within half a step of what
    came, so that it rounds to the file's value again.
    """
    from scipy.special import ndtr, ndtri

    width = _width(rest, steep)
    size = np.abs(rest)
    low, high = size - HALF_STEP, size + HALF_STEP
    if width > _WIDE:
        # the same draw for all such columns: without a jet, two of them are equal in every event
        return np.asarray(np.sign(rest) * (low + (high - low) * draws.shared))
    chance = draws.stream.uniform()
    widths = np.maximum(width * steep, 1e-12)
    # from the upper tail, where a difference of many widths is still told from none
    tails = [ndtr(-edge / widths) for edge in (low, high)]
    drawn = -widths * ndtri(tails[0] + (tails[1] - tails[0]) * chance)
    drawn = np.where(tails[0] > 0, drawn, low)  # too many widths away for any tail
    return np.asarray(np.sign(rest) * np.clip(drawn, low, high))


def _width(rest: Floats, steep: Floats) -> float:
    """Return the standard deviation of a column's differences from its formula, less rounding."""
    if not len(rest) or np.mean(np.abs(rest) <= HALF_STEP * 1.001) > _EXACT:
        return 0.0
    size = (np.abs(rest) / steep)[steep > np.max(steep) / 3]
    # without the few that are far off: collinear events, whose sign has flipped
    squares = np.sort(size * size)[: max(int(0.995 * len(size)), 1)]
    return float(np.sqrt(max(float(squares.mean()) - (2 * HALF_STEP) ** 2 / 12, 0.0)))


def selected(pri: Columns, minima: Mapping[str, float]) -> NDArray[np.bool_]:
    """Tell which events lie above all thresholds.

    Parameters
    ----------
    pri : mapping of str to ndarray of float64, shape (n,)
    minima : mapping of str to float
        Columns, and what they have to exceed.
    """
    passes = [pri[name] > minimum for name, minimum in minima.items()]
    return np.asarray(np.logical_and.reduce(passes))


def check_threshold(pri: Columns, column: str, scales: Iterable[float], minimum: float) -> None:
    """Check that a threshold lies where scaled and unscaled events both are.

    Parameters
    ----------
    pri : mapping of str to ndarray of float64, shape (n,)
        The source.
    column : str
        Such as ``PRI_tau_pt``.
    scales : iterable of float
        The factors.
    minimum : float
        The threshold.

    Raises
    ------
    DataError
        If the source's own threshold, scaled, lies above: the place of the edge would tell.
    """
    lowest = float(pri[column].min()) if len(pri[column]) else 0.0
    edges = [lowest * scale for scale in (1.0, *scales)]
    # of a few events the lowest may lie well above the source's threshold, by chance
    nearest_few = np.sort(pri[column])[:_FEW]
    chance = 3 * float(np.ptp(nearest_few)) / len(nearest_few) if len(nearest_few) else 0.0
    if max(edges) - max(min(edges), minimum) > max(_EDGE, chance):
        raise DataError(
            f"{column} begins at {lowest:g}, and at {min(edges):.3f} to {max(edges):.3f} where it"
            f" is scaled: a threshold of {minimum:g} leaves an edge that tells them apart; raise it"
            f" to {max(edges):.3f}"
        )


def without_events(table: pa.Table, keep: NDArray[np.bool_]) -> pa.Table:
    """Return the rows that are kept."""
    return table.filter(pc.fill_null(pa.array(keep), False)).combine_chunks()
