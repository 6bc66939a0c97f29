from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hepml_tasks.data.derived import derive
from hepml_tasks.errors import ColumnError, DataError


def table(classes: list[int]) -> pa.Table:
    return pa.table({"id": range(len(classes)), "y": [str(c) for c in classes]})


@settings(deadline=None, max_examples=60)
@given(
    st.lists(st.integers(0, 4), min_size=8, max_size=200), st.integers(5, 200), st.integers(0, 9)
)
def test_every_class_keeps_its_share_to_the_event(classes, events, seed):
    whole = table(classes)
    part = derive("sample", whole, seed=seed, events=events, by=["y"])
    assert part.num_rows == min(events, len(classes))
    # the order of the source, each event once
    assert np.all(np.diff(part["id"].to_numpy()) > 0)
    for label in set(whole["y"].to_pylist()):
        there = whole["y"].to_pylist().count(label)
        here = part["y"].to_pylist().count(label)
        assert 1 <= here <= there
        assert abs(here - there * part.num_rows / len(classes)) <= len(set(classes))


def test_the_same_seed_chooses_the_same_events():
    whole = table([0, 1] * 500)
    first = derive("sample", whole, seed=3, events=100, by=["y"])
    assert first.equals(derive("sample", whole, seed=3, events=100, by=["y"]))
    assert not first.equals(derive("sample", whole, seed=4, events=100, by=["y"]))


def test_classes_are_numbered_by_value_and_not_by_the_order_of_rows():
    # another order of the same rows within a class changes which are chosen, not how many
    whole = table([0] * 70 + [1] * 30)
    counts = derive("sample", whole.take(np.arange(99, -1, -1)), seed=0, events=10, by=["y"])
    assert counts["y"].to_pylist().count("1") == 3


@pytest.mark.parametrize(
    ("parameters", "error", "told"),
    [
        ({"events": 0}, DataError, "events is 0"),
        ({"events": 2, "by": ["id"]}, DataError, "too few for 100 combinations of id"),
        ({"events": 10, "by": ["Y"]}, ColumnError, "no column 'Y'; did you mean 'y'"),
    ],
)
def test_what_cannot_be_chosen_is_told(parameters, error, told):
    with pytest.raises(error, match=told):
        derive("sample", table([0, 1] * 50), seed=0, **parameters)
