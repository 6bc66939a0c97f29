"""Derivations are found by name, and refuse what they don't know."""

from __future__ import annotations

import subprocess
import sys

import pytest

from hepml_tasks.data.derived import derivations, derive, get_derivation
from hepml_tasks.errors import DataError, UnknownNameError


@pytest.mark.parametrize("name", sorted(derivations()))
def test_every_derivation_is_a_function_of_table_seed_and_parameters(name):
    derivation = get_derivation(name)
    assert derivation.name == name
    assert derivation.version
    assert not {"table", "seed"} & derivation.parameters().keys()


def test_an_unknown_derivation_or_parameter_is_answered_with_the_nearest(toy):
    with pytest.raises(UnknownNameError, match="no derivation is called 'skwe'; did you mean"):
        derive("skwe", toy, seed=1)
    with pytest.raises(DataError, match="no parameter 'scales'; did you mean 'scale'"):
        derive("tau-energy-scale", toy, seed=1, scales=1.0)


def test_looking_one_up_imports_none():
    code = (
        "import sys; from hepml_tasks.data.derived import get_derivation;"
        "get_derivation('skew'); print('hepml_tasks.data.derived.skew' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"
