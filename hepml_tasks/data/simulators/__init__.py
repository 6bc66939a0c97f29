"""Toy simulators: data whose labels nobody can look up, made from a seed.

A simulator is a function ``(events, *, seed, **parameters) -> pyarrow.Table`` that gives the same
table for the same arguments on every machine. It is registered here under a name and imported only
when it is used.
"""

from __future__ import annotations

import importlib
import inspect
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from hepml_tasks.errors import DataError, UnknownNameError, nearest

if TYPE_CHECKING:
    import pyarrow as pa

__all__ = ["Simulator", "get_simulator", "simulate", "simulators"]


@dataclass(frozen=True)
class Simulator:
    """A registered simulator.

    Parameters
    ----------
    name : str
        Name in task files; starts with ``toy-``.
    title : str
        What it makes, in one line.
    module : str
        Module that holds the function.
    function : str
        Its name there.
    """

    name: str
    title: str
    module: str
    function: str

    def load(self) -> Callable[..., pa.Table]:
        """Import the function."""
        function: Callable[..., Any] = getattr(importlib.import_module(self.module), self.function)
        return function

    def parameters(self) -> dict[str, Any]:
        """Name the function's parameters beside ``events`` and ``seed``, with their defaults."""
        signature = inspect.signature(self.load())
        return {
            name: parameter.default
            for name, parameter in signature.parameters.items()
            if name not in ("events", "seed")
        }


_SIMULATORS = {
    simulator.name: simulator
    for simulator in (
        Simulator(
            name="toy-higgs",
            title="Toy H to tau tau search in the columns of HiggsML, at particle level",
            module="hepml_tasks.data.simulators.toy_higgs",
            function="simulate_toy_higgs",
        ),
        Simulator(
            name="toy-higgs-mass",
            title="Toy pairs of taus of any mass between 60 and 180 GeV, with the true one",
            module="hepml_tasks.data.simulators.toy_mass",
            function="simulate_toy_mass",
        ),
    )
}


def simulators() -> dict[str, Simulator]:
    """All simulators by name."""
    return dict(_SIMULATORS)


def get_simulator(name: str) -> Simulator:
    """Look a simulator up.

    Raises
    ------
    UnknownNameError
        If there is none of that name.
    """
    try:
        return _SIMULATORS[name]
    except KeyError:
        raise UnknownNameError("simulator", name, _SIMULATORS) from None


def simulate(name: str, *, events: int, seed: int, **parameters: Any) -> pa.Table:
    """Make a table of toy events.

    Parameters
    ----------
    name : str
        A registered simulator.
    events : int
        Number of rows.
    seed : int
        At least 0; the same seed gives the same table.
    **parameters
        The simulator's own, see :meth:`Simulator.parameters`.

    Returns
    -------
    pyarrow.Table
        With the simulator's name, version, seed and parameters in the schema's metadata.

    Raises
    ------
    UnknownNameError
        If there is no such simulator.
    DataError
        If it has no such parameter, or can't use a value.

    Examples
    --------
    >>> simulate("toy-higgs", events=100, seed=1).num_rows
    100
    """
    simulator = get_simulator(name)
    known = simulator.parameters()
    for parameter in parameters:
        if parameter not in known:
            raise DataError(
                f"simulator {name!r} has no parameter {parameter!r}{nearest(parameter, known)}"
            )
    return simulator.load()(events, seed=seed, **parameters)
