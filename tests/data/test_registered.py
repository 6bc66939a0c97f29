"""Functions that task files name."""

from __future__ import annotations

import pytest

from hepml_tasks.data.registered import Registered, look_up
from hepml_tasks.errors import DataError, UnknownNameError

SHIFT = Registered("shift", "a shift", "hepml_tasks.data.derived.shift", "shift_tau")


def test_parameters_are_what_is_given_by_name_without_the_seed():
    assert SHIFT.parameters() == {"scale": 1.0, "tau_pt_min": 22.0}
    SHIFT.check("derivation", ["scale"])
    with pytest.raises(DataError, match="derivation 'shift' has no parameter 'table'"):
        SHIFT.check("derivation", ["table"])


def test_an_unknown_name_is_answered_with_the_nearest():
    assert look_up("derivation", "shift", {"shift": SHIFT}) is SHIFT
    with pytest.raises(UnknownNameError, match="no derivation is called 'shfit'; did you mean"):
        look_up("derivation", "shfit", {"shift": SHIFT})
