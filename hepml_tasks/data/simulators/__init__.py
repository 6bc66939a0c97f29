"""Toy simulators: data whose labels nobody can look up, made from a seed.

A simulator is a function ``(events, *, seed, **parameters) -> pyarrow.Table`` that gives the same
table for the same arguments on every machine. It is registered here under a name and imported only
when it is used.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from hepml_tasks.data.registered import Registered, look_up

if TYPE_CHECKING:
    import pyarrow as pa

__all__ = ["Simulator", "get_simulator", "simulate", "simulators"]


class Simulator(Registered):
    """A registered simulator: a function of a number of events. Its name starts with ``toy-``."""


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
        Simulator(
            name="toy-tracks",
            title="Toy collision events with charged tracks in a barrel of ten layers, hit by hit",
            module="hepml_tasks.data.simulators.toy_tracks",
            function="simulate_toy_tracks",
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
    return look_up("simulator", name, _SIMULATORS)


def simulate(name: str, *, events: int, seed: int, **parameters: Any) -> pa.Table:
    """Make a table of toy events.

    Parameters
    ----------
    name : str
        A registered simulator.
    events : int
        Number of events: of rows, or of collisions where a row is a hit.
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
    simulator.check("simulator", parameters)
    return simulator.load()(events, seed=seed, **parameters)
