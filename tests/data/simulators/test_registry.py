"""Simulators are found by name and refuse what they don't know."""

from __future__ import annotations

import subprocess
import sys

import pytest

from hepml_tasks.data.simulators import get_simulator, simulate, simulators
from hepml_tasks.errors import DataError, UnknownNameError


def test_every_simulator_says_that_it_is_a_toy() -> None:
    for name, simulator in simulators().items():
        assert name == simulator.name
        assert name.startswith("toy-")
        assert "toy" in simulator.title.lower()


@pytest.mark.parametrize("name", sorted(simulators()))
def test_every_simulator_makes_the_events_asked_for_and_says_how(name: str) -> None:
    table = simulate(name, events=50, seed=3)
    # a collision has many hits, each a row
    events = table["event"].unique() if "event" in table.column_names else table["EventId"]
    assert len(events) == 50
    assert b"hepml_simulator" in table.schema.metadata


def test_parameters_are_listed_with_their_defaults() -> None:
    parameters = get_simulator("toy-higgs").parameters()
    assert parameters["tau_resolution"] == 0.20
    assert not {"events", "seed"} & parameters.keys()


def test_unknown_simulator_suggests_the_nearest() -> None:
    with pytest.raises(UnknownNameError, match="did you mean 'toy-higgs'"):
        simulate("toy-higs", events=100, seed=1)


def test_unknown_parameter_suggests_the_nearest() -> None:
    with pytest.raises(DataError, match="no parameter 'tau_resolutoin'; did you mean 'tau_res"):
        simulate("toy-higgs", events=100, seed=1, tau_resolutoin=0.1)


def test_looking_a_simulator_up_imports_no_heavy_library() -> None:
    code = (
        "import sys; from hepml_tasks.data.simulators import simulators; simulators();"
        "print(sorted({'numpy', 'pyarrow', 'scipy', 'pandas'} & sys.modules.keys()))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
