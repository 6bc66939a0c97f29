from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from hepml_tasks.data.events import load_events, take_apart
from hepml_tasks.data.table import load_table
from hepml_tasks.errors import ColumnError, DataError
from hepml_tasks.spec import read_task


@pytest.fixture
def spec(small_task: Path):
    return read_task(small_task)


@pytest.fixture
def table(spec) -> pa.Table:
    return load_table(spec.dataset)


def test_weight_event_id_and_process_never_become_features(spec):
    events = load_events(spec)
    assert set(events.frame().columns) == set(events.features)
    assert not {"Weight", "EventId", "Label", "Process"} & set(events.features)
    assert len(events.features) == 30


def test_what_the_file_calls_undefined_is_nan_for_the_model_and_nothing_else_is(spec):
    events = load_events(spec)
    frame = events.frame()
    assert not (frame == -999.0).any().any()
    no_jet = frame["PRI_jet_num"] == 0
    assert frame.loc[no_jet, "PRI_jet_leading_pt"].isna().all()
    assert frame.loc[~no_jet, "PRI_jet_leading_pt"].notna().all()
    assert frame["PRI_tau_pt"].notna().all()


def test_a_second_load_reads_the_kept_table(spec):
    first, second = load_table(spec.dataset), load_table(spec.dataset)
    assert first.equals(second)


def test_the_real_events_load_with_their_published_numbers(real_mirror, real_task_file):
    events = load_events(read_task(real_task_file))
    assert len(events) == 18000
    assert len(events.features) == 30
    assert sorted(np.unique(events.y)) == ["b", "s"]
    assert (events.y == "s").sum() == 6136


def test_a_misspelt_column_is_answered_with_the_nearest(spec, table):
    roles = replace(spec.roles, weight="Weigth")
    with pytest.raises(
        ColumnError,
        match=r"no column 'Weigth', which task toy-small names as weight; did you mean 'Weight'\?",
    ):
        take_apart(table, replace(spec, roles=roles))


def test_a_missing_feature_is_answered_with_the_nearest(spec, table):
    roles = replace(spec.roles, features=("PRI_tau_pT", "PRI_met"))
    with pytest.raises(ColumnError, match=r"'PRI_tau_pT'.*features; did you mean 'PRI_tau_pt'"):
        take_apart(table, replace(spec, roles=roles))


def test_a_pattern_that_takes_no_column_is_an_error(spec, table):
    roles = replace(spec.roles, features=("DER_*", "RAW_*"))
    with pytest.raises(ColumnError, match=r"no column like 'RAW_\*'"):
        take_apart(table, replace(spec, roles=roles))


def with_column(table: pa.Table, name: str, values: list) -> pa.Table:
    column = pa.array(values + table[name].to_pylist()[len(values) :])
    return table.set_column(table.column_names.index(name), name, column)


@pytest.mark.parametrize(
    ("column", "values", "problem"),
    [
        ("Weight", [float("nan")], "'Weight' has 1 NaN or infinite"),
        ("Weight", [None], "'Weight' has undefined"),
        ("Label", [None], "'Label' .target. has undefined"),
        ("Label", ["x"], "holds b, s, x; task toy-small needs two classes"),
        ("PRI_met", [float("inf")], "'PRI_met' has 1 NaN or infinite"),
    ],
)
def test_values_that_no_task_can_use_are_named_with_their_column(
    spec, table, column, values, problem
):
    with pytest.raises(DataError, match=problem):
        take_apart(with_column(table, column, values), spec)


def test_text_among_numbers_is_named_with_its_column(spec, table):
    text = pa.array(["x"] * table.num_rows)
    table = table.set_column(table.column_names.index("PRI_met"), "PRI_met", text)
    with pytest.raises(DataError, match="column 'PRI_met' is string, not a number"):
        take_apart(table, spec)


def test_another_number_of_events_than_published_is_an_error(spec):
    dataset = replace(spec.dataset, rows=1400)
    with pytest.raises(DataError, match="1500 events where dataset toy-higgs has 1400"):
        load_table(dataset)
