from __future__ import annotations

import pytest

from hepml_tasks.errors import HepmlError, MetricError, UnknownNameError, nearest


def test_a_misspelt_name_is_answered_with_the_nearest_known_one():
    error = UnknownNameError(
        "task", "higsml", ["higgsml", "magic"], remedy="`hepml tasks` lists them"
    )
    assert str(error) == (
        "no task is called 'higsml'; did you mean 'higgsml'?; `hepml tasks` lists them"
    )


def test_case_does_not_hide_the_nearest_name():
    assert nearest("pri_TAU_pt", ["PRI_tau_pt", "Label"]) == "; did you mean 'PRI_tau_pt'?"


def test_a_name_like_none_lists_what_there_is_if_that_is_short():
    assert nearest("zzz", ["a", "b"]) == "; there are a, b"
    assert nearest("zzz", [f"name{i}" for i in range(50)]) == ""


def test_metric_errors_are_value_errors_too():
    assert issubclass(MetricError, ValueError)
    with pytest.raises(HepmlError):
        raise MetricError("y_true")
