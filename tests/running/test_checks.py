from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hepml_tasks.data.table import load_table
from hepml_tasks.errors import DataError
from hepml_tasks.running.checks import check_data, check_table
from hepml_tasks.running.task import with_events
from hepml_tasks.spec import ColumnSpec, Official, find_task

SPEC = with_events(find_task("toy-higgs"), 1000)


@pytest.fixture
def table():
    return load_table(SPEC.dataset)


def put(table, name, values):
    """Return the table with other values in a column."""
    return table.set_column(table.column_names.index(name), name, pa.array(values))


def values_of(table, name):
    return table[name].to_numpy(zero_copy_only=False).copy()


def worst(findings):
    """Return what is not ok, as check, level and figure."""
    return [(f.check, f.level, f.figure) for f in findings if f.level != "ok"]


def test_sound_data_have_no_error_and_no_warning(table):
    findings = check_table(SPEC, table)
    assert worst(findings) == []
    told = {f.check: f.figure for f in findings}
    assert told["events"] == "1000"
    assert told["columns"] == "34, 30 of them features"
    assert told["classes"] == "b 660 (66.0 %), s 340 (34.0 %)"
    assert told["class sums"] == "as the spec says: s 692 of 692, b 411000 of 411000"
    assert told["event ids"] == "1000, each once"
    assert told["split 4-fold"].startswith("4 folds: 750 train, 250 tested; 34.00 …")
    assert told["values"].endswith("30 declared ranges kept")


def test_every_finding_is_told_at_once(table):
    weight = values_of(table, "Weight")
    weight[:3] = [-1.0, np.nan, 0.0]
    eta = values_of(table, "PRI_lep_eta")
    eta[5] = 7.0
    ids = values_of(table, "EventId")
    ids[1] = ids[0]
    broken = put(put(put(table, "Weight", weight), "PRI_lep_eta", eta), "EventId", ids)
    broken = broken.drop_columns("PRI_met").slice(0, 999)
    found = worst(check_table(SPEC, broken))
    assert ("events", "error", "999 where the spec says 1000") in found
    assert any(c == "columns" and "no 'PRI_met' (declared)" in f for c, _, f in found)
    assert any(c == "values" and f == "Weight: 1 NaN or infinite" for c, _, f in found)
    assert any(
        c == "values" and f.startswith("PRI_lep_eta: 1 outside -2.5 … 2.5 (found") and " 7)" in f
        for c, _, f in found
    )
    assert any(c == "weights" and "negative in 1 events" in f for c, _, f in found)
    assert ("weights", "warning", "0 in 1 events") in found
    assert ("event ids", "error", "1 events have the id of another") in found


def test_a_misspelt_column_is_told_with_the_nearest(table):
    roles = replace(SPEC.roles, weight="Wieght", features=("DER_*", "PRY_*"))
    found = worst(check_table(replace(SPEC, roles=roles), table))
    assert ("columns", "error", "no 'Wieght' (weight); did you mean 'Weight'?") in found
    assert any("none like 'PRY_*' (features)" in f for _, _, f in found)


def test_a_column_that_is_there_twice_is_told(table):
    twice = table.append_column("PRI_met", table["PRI_met"])
    assert ("columns", "error", "'PRI_met' is there 2 times") in worst(check_table(SPEC, twice))


def test_types_are_compared_with_roles_and_declarations(table):
    text = put(table, "PRI_met", ["x"] * 1000)
    text = put(text, "EventId", np.arange(1000) + 0.5)
    text = put(text, "PRI_jet_num", values_of(table, "PRI_jet_num").astype(float))
    found = worst(check_table(SPEC, text))
    assert ("types", "error", "PRI_met (feature) is text, not a number") in found
    assert ("types", "error", "EventId (event id) is float, not a number") not in found
    assert any(f.startswith("EventId (event id) is float, not a whole") for _, _, f in found)
    assert ("types", "error", "PRI_jet_num is float where the spec says integer") in found


def test_whole_numbers_are_good_enough_for_a_column_of_floats(table):
    columns = {"PRI_jet_num": ColumnSpec(type="float")}
    spec = replace(SPEC, dataset=replace(SPEC.dataset, columns=columns))
    assert worst(check_table(spec, table)) == []


def test_undefined_values_where_none_are_allowed_are_told(table):
    values = values_of(table, "PRI_met").astype(object)
    values[:7] = None
    found = worst(check_table(SPEC, put(table, "PRI_met", values)))
    assert ("undefined", "error", "PRI_met: 7, where the spec allows none") in found


def test_a_feature_that_is_never_defined_is_told(table):
    empty = put(table, "DER_mass_jet_jet", pa.nulls(1000, pa.float64()))
    found = worst(check_table(SPEC, empty))
    assert ("undefined", "error", "DER_mass_jet_jet: in every event") in found


def test_numbers_that_stand_for_undefined_are_suspected(table):
    spec = replace(SPEC, dataset=replace(SPEC.dataset, undefined=None, columns={}))
    values = values_of(table, "PRI_jet_leading_pt")
    missing = int(np.isnan(values).sum())
    sentinel = put(table, "PRI_jet_leading_pt", np.nan_to_num(values, nan=-999.0))
    found = worst(check_table(spec, sentinel))
    figure = f"PRI_jet_leading_pt: {missing} times -999, as a number"
    assert found == [("undefined", "warning", figure)]


def test_classes_that_are_not_two_are_told(table):
    labels = values_of(table, "Label")
    labels[0] = "x"
    found = worst(check_table(SPEC, put(table, "Label", labels)))
    assert ("classes", "error", "3 where there have to be 2: b, s, x") in found
    assert ("class sums", "error", "the spec has no sum for class 'x'; there are b, s") in found
    roles = replace(SPEC.roles, positive="S")
    spec = replace(SPEC, roles=roles, class_sums=None)
    found = worst(check_table(spec, table))
    assert ("classes", "error", "no event is 'S'; did you mean 's'?") in found


def test_undefined_labels_are_told_and_no_split_is_made(table):
    labels = values_of(table, "Label")
    labels[:4] = None
    findings = check_table(SPEC, put(table, "Label", labels))
    assert ("classes", "error", "Label undefined in 4 events") in worst(findings)
    assert not any(f.check.startswith("split") for f in findings)


def test_a_rare_class_is_a_warning(table):
    rare = pa.concat_tables(
        [
            table.filter(pc.equal(table["Label"], "b")),
            table.filter(pc.equal(table["Label"], "s")).slice(0, 6),
        ]
    )
    spec = with_events(SPEC, len(rare))
    assert ("classes", "warning", "b 660 (99.1 %), s 6 (0.9 %)") in worst(check_table(spec, rare))


@settings(max_examples=25, deadline=None)
@given(st.integers(300, 900), st.integers(0, 2**31))
def test_any_part_of_the_events_has_the_same_share_of_both_sums(events, seed):
    table = load_table(SPEC.dataset)
    rows = np.random.default_rng(seed).choice(1000, events, replace=False)
    part = table.take(np.sort(rows))
    (finding,) = [
        f for f in check_table(with_events(SPEC, events), part) if f.check == "class sums"
    ]
    assert finding.level == "ok"
    assert "% of the spec's" in finding.figure


def test_weights_of_one_class_alone_scaled_are_a_warning(table):
    weight = values_of(table, "Weight")
    weight[values_of(table, "Label") == "s"] *= 3
    found = worst(check_table(SPEC, put(table, "Weight", weight)))
    ((check, level, figure),) = found
    assert (check, level) == ("class sums", "warning")
    assert figure.startswith("not the same share of each class, s 300 %, b 100 %")


def test_sums_that_are_not_above_zero_are_errors(table):
    weight = values_of(table, "Weight")
    weight[values_of(table, "Label") == "s"] *= -1
    found = worst(check_table(SPEC, put(table, "Weight", weight)))
    assert ("class sums", "error", "s: the sum of weights is -692, not above 0") in found
    spec = replace(SPEC, class_sums={"s": 0.0, "b": 411000.0, "z": 1.0})
    found = worst(check_table(spec, table))
    assert ("class sums", "error", "s: 0 in the spec, not above 0") in found
    assert any("'z', and no event is of that class" in f for _, _, f in found)


def test_duplicates_are_counted_in_the_data_and_across_each_split(table):
    # the last ten events get the features of the first ten
    rows = np.r_[0:990, 0:10]
    copied = table.take(rows)
    copied = put(copied, "EventId", np.arange(1000))
    copied = put(copied, "Label", values_of(table, "Label"))
    findings = {f.check: f for f in check_table(SPEC, copied) if f.check != "duplicates"}
    every = [f.figure for f in check_table(SPEC, copied) if f.check == "duplicates"]
    assert every[0] == "10 events (1.00 %) have the features of another"
    label = values_of(table, "Label")
    torn = int((label[:10] != label[990:]).sum())
    assert (f"{torn} sets of features are in several classes" in every) == (torn > 0)
    # in ten folds each copy is tested once while the other trains, unless both are tested
    task_rows = findings["split 10-fold, duplicates"]
    assert task_rows.level == "warning"
    assert 2 <= int(task_rows.figure.split()[0]) <= 20
    assert task_rows.figure.endswith("have the features of one that trains")


def test_undefined_values_make_duplicates_too_and_other_values_do_not():
    spec = replace(
        SPEC,
        roles=replace(SPEC.roles, features=("a", "b"), weight=None, event_id=None),
        class_sums=None,
        dataset=replace(SPEC.dataset, columns={}, rows=4),
        splits=SPEC.splits[2:],
    )
    table = pa.table(
        {"a": [1.0, 1.0, 1.0, 2.0], "b": [None, None, 0.0, None], "Label": ["s", "b", "s", "b"]}
    )
    figures = [f.figure for f in check_table(spec, table) if f.check == "duplicates"]
    assert figures == [
        "1 events (25.00 %) have the features of another",
        "1 sets of features are in several classes",
    ]


@pytest.fixture
def official():
    split = Official(
        kind="official",
        name="official",
        train=("t",),
        test=("b", "v", "w"),
        partitions={"public": ("b",), "private": ("v",), "other": ("w",)},
    )
    return replace(SPEC, roles=replace(SPEC.roles, split="Set"), splits=(split,))


def test_an_official_split_is_told_part_by_part(table, official):
    marked = table.append_column(
        "Set", pa.array(["t"] * 600 + ["b"] * 100 + ["v"] * 200 + ["u"] * 100)
    )
    (finding,) = [f for f in check_table(official, marked) if f.check == "split official"]
    assert finding.level == "error"
    assert finding.figure.startswith(
        "600 train, 300 tested, public 100, private 200, other 0, 100 in neither"
    )
    assert "no part has the rows marked u: name them as unused" in finding.figure
    assert "no row is marked w" in finding.figure


def test_a_split_that_cannot_be_made_is_told(table, official):
    marked = table.append_column("Set", pa.array(["T"] * 1000))
    found = worst(check_table(official, marked))
    assert any(c == "split official" and "no row marked t" in f for c, _, f in found)
    few = pa.concat_tables(
        [table.filter(pc.equal(table["Label"], s)).slice(0, n) for s, n in (("b", 50), ("s", 3))]
    )
    found = worst(check_table(with_events(SPEC, 53), few))
    assert any(c == "split 4-fold" and "too few for 4 parts" in f for c, _, f in found)


def test_a_split_with_one_class_alone_is_an_error(table, official):
    label = values_of(table, "Label")
    marked = table.append_column("Set", pa.array(np.where(label == "s", "t", "b")))
    found = worst(check_table(official, marked))
    assert any("one class alone in train" in f for _, _, f in found)


def test_real_data_are_what_their_task_says(real_mirror, real_task_file):
    findings = check_data(find_task(real_task_file))
    assert worst(findings) == []
    told = {f.check: f.figure for f in findings}
    assert told["events"] == "18000"
    assert told["classes"] == "b 11864 (65.9 %), s 6136 (34.1 %)"
    assert told["class sums"].startswith("2.233 % of the spec's: s 15.74534956 of 691.9886077")


def test_a_wrong_number_of_events_does_not_hide_the_rest(real_mirror, real_task_file):
    spec = find_task(real_task_file)
    spec = replace(spec, dataset=replace(spec.dataset, rows=17000))
    findings = check_data(spec)
    assert worst(findings) == [("events", "error", "18000 where the spec says 17000")]
    # and what it read doesn't make a run believe the number
    with pytest.raises(DataError, match="18000 events where dataset higgsml-18k has 17000"):
        load_table(spec.dataset)


def test_no_events_at_all_are_told(table):
    assert worst(check_table(SPEC, table.slice(0, 0))) == [
        ("events", "error", "0 where the spec says 1000")
    ]


def test_the_command_tells_all_and_its_exit_code_says_whether_it_is_sound(hepml, small_task):
    done = hepml("data", "verify", small_task)
    assert done.returncode == 0, done.stderr
    assert "toy-small: 0 errors, 0 warnings" in done.stdout
    told = json.loads(hepml("data", "verify", small_task, "--json").stdout)
    assert told["task"] == "toy-small"
    assert {f["level"] for f in told["findings"]} == {"ok"}
    text = small_task.read_text().replace("PRI_met_phi:", "PRI_metphi:")
    small_task.write_text(text.replace("rows: 1500", "rows: 1499"))
    done = hepml("data", "verify", small_task)
    assert done.returncode == 3
    assert "no 'PRI_metphi' (declared); did you mean 'PRI_met_phi'?" in done.stdout
    assert "1500 where the spec says 1499" in done.stdout


def test_the_command_tells_why_data_cannot_be_had(hepml, real_task_file):
    done = hepml("data", "verify", real_task_file)
    assert done.returncode == 1
    assert done.stderr.startswith("hepml: error: ")
    assert "HEPML_MIRRORS" in done.stderr
