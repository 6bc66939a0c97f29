"""Datasets made of other datasets: shifted, skewed.

A derivation is a function ``(table, *, seed, **parameters) -> pyarrow.Table`` that gives the same
table for the same arguments, and needs nothing else. It is registered here under a name and
imported only when it is used.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from hepml_tasks.data.registered import Registered, look_up

if TYPE_CHECKING:
    import pyarrow as pa

__all__ = ["Derivation", "derivations", "derive", "get_derivation"]


class Derivation(Registered):
    """A registered derivation: a function of a source's table."""


_DERIVATIONS = {
    derivation.name: derivation
    for derivation in (
        Derivation(
            name="tau-energy-scale",
            title="The hadronic tau's momentum scaled, and all that depends on it",
            module="hepml_tasks.data.derived.shift",
            function="shift_tau",
        ),
        Derivation(
            name="skew",
            title="Half of the events distorted, in named ways",
            module="hepml_tasks.data.derived.skew",
            function="skew",
        ),
        Derivation(
            name="sample",
            title="Fewer events, the same share of each class",
            module="hepml_tasks.data.derived.sample",
            function="sample",
        ),
    )
}


def derivations() -> dict[str, Derivation]:
    """All derivations by name."""
    return dict(_DERIVATIONS)


def get_derivation(name: str) -> Derivation:
    """Look a derivation up.

    Raises
    ------
    UnknownNameError
        If there is none of that name.
    """
    return look_up("derivation", name, _DERIVATIONS)


def derive(name: str, table: pa.Table, *, seed: int, **parameters: Any) -> pa.Table:
    """Make a table of another one.

    Parameters
    ----------
    name : str
        A registered derivation.
    table : pyarrow.Table
        The source, with null where a value is undefined.
    seed : int
        At least 0; the same seed gives the same table.
    **parameters
        The derivation's own, see :meth:`Derivation.parameters`.

    Returns
    -------
    pyarrow.Table

    Raises
    ------
    UnknownNameError
        If there is no such derivation.
    DataError
        If it has no such parameter, can't use a value, or the source lacks a column.
    """
    derivation = get_derivation(name)
    derivation.check("derivation", parameters)
    return derivation.load()(table, seed=seed, **parameters)
