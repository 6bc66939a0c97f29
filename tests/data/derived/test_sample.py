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


@settings(deadline=None, max_examples=60)
@given(st.lists(st.integers(1, 9), min_size=4, max_size=60), st.integers(2, 60), st.integers(0, 9))
def test_the_rows_of_an_event_are_all_taken_or_none(sizes, events, seed):
    event = np.repeat(np.arange(len(sizes)) * 7, sizes)
    # interleaved, as where the same events stand at several values below each other
    event = np.random.default_rng(seed).permutation(event)
    whole = pa.table({"id": np.arange(len(event)), "event": event, "y": event % 2})
    part = derive("sample", whole, seed=seed, events=events, by=["y"], group="event")
    kept = sorted(set(part["event"].to_pylist()))
    assert len(kept) == min(events, len(sizes))
    assert part.equals(whole.filter(np.isin(event, kept)))
    odd = sum(e % 2 for e in kept)
    assert abs(odd - (len(sizes) // 2) * len(kept) / len(sizes)) <= 2


@pytest.mark.parametrize(
    ("parameters", "error", "told"),
    [
        ({"events": 0}, DataError, "events is 0"),
        ({"events": 2, "by": ["id"]}, DataError, "too few for 100 combinations of id"),
        ({"events": 10, "group": "event"}, ColumnError, "no column 'event'"),
        ({"events": 1, "by": ["id"], "group": "y"}, DataError, "row 2 is of another combination"),
        ({"events": 10, "by": ["Y"]}, ColumnError, "no column 'Y'; did you mean 'y'"),
    ],
)
def test_what_cannot_be_chosen_is_told(parameters, error, told):
    with pytest.raises(error, match=told):
        derive("sample", table([0, 1] * 50), seed=0, **parameters)
