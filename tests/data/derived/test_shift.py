"""Shifts of the tau energy scale, on real events and toys."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from hepml_tasks.data.checksum import table_sha256
from hepml_tasks.data.derived import derive
from hepml_tasks.data.derived.carried import primitive_of
from hepml_tasks.data.derived.shift import shift_tau
from hepml_tasks.data.kinematics import DERIVED, derived_columns
from hepml_tasks.errors import ColumnError, DataError

SCALES = (0.9, 0.97, 1.03, 1.1)
few = settings(
    max_examples=10, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)


def test_the_nominal_scale_gives_the_file_back(source):
    nominal = shift_tau(source, scale=1.0)
    names = [name for name in source.column_names if name != "DER_mass_MMC"]
    assert nominal.column_names == [*names, "Selected"]
    assert nominal.select(names).equals(source.select(names))


@few
@given(seed=st.integers(0, 2**32))
def test_the_nominal_scale_gives_any_part_of_the_file_back_whatever_the_seed(source, seed):
    rows = np.random.default_rng(seed).choice(source.num_rows, 500)
    part = source.take(rows)
    nominal = shift_tau(part, scale=1.0, seed=seed)
    assert nominal.select(DERIVED).equals(part.select(DERIVED))
    for name in ("PRI_tau_pt", "PRI_met", "PRI_met_phi", "PRI_met_sumet"):
        assert nominal[name].equals(part[name])


@few
@given(scale=st.floats(0.9, 1.1), seed=st.integers(0, 2**32))
def test_only_what_depends_on_tau_and_missing_momentum_moves(toy, scale, seed):
    shifted = shift_tau(toy, scale=scale, seed=seed)
    untouched = [
        name for name in toy.column_names if not name.startswith(("DER_", "PRI_tau_pt", "PRI_met"))
    ]
    untouched += [f"DER_{name}_jet_jet" for name in ("deltaeta", "mass", "prodeta")]
    untouched += ["DER_deltar_tau_lep", "DER_lep_eta_centrality"]
    assert shifted.select(untouched).equals(toy.select(untouched))


@pytest.mark.parametrize("scale", SCALES)
def test_momentum_is_scaled_and_balanced(source, column, scale):
    shifted = shift_tau(source, scale=scale)
    before, after = (column(t, "PRI_tau_pt") for t in (source, shifted))
    np.testing.assert_allclose(after, scale * before, atol=0.0011)
    phi = column(source, "PRI_tau_phi")
    for part in (np.cos, np.sin):
        was, now = (
            t_pt * part(phi) + column(t, "PRI_met") * part(column(t, "PRI_met_phi"))
            for t, t_pt in ((source, before), (shifted, after))
        )
        # the angle is rounded: half a thousandth of the missing momentum, twice
        met = np.maximum(column(source, "PRI_met"), column(shifted, "PRI_met"))
        assert (np.abs(was - now) <= 0.0012 * met + 0.002).all()
    added = column(shifted, "PRI_met_sumet") - column(source, "PRI_met_sumet")
    np.testing.assert_allclose(added, after - before, atol=1e-9)


@pytest.mark.parametrize("scale", SCALES)
def test_derived_columns_follow_by_the_formulas_alone(source, column, scale):
    shifted = shift_tau(source, scale=scale)
    nominal, moved = (derived_columns(primitive_of(t), undefined=np.nan) for t in (source, shifted))
    for name in DERIVED:
        file, ours = column(source, name), column(shifted, name)
        np.testing.assert_array_equal(np.isnan(file), np.isnan(ours), err_msg=name)
        expected = file + moved[name] - nominal[name]
        if name == "DER_met_phi_centrality":
            # what is carried grows with the distance from the largest value, where the column
            # saturates; and it flips where lepton and tau are back to back
            expected = np.clip(expected, -1.414, 1.414)
            assert (np.abs(ours - expected) > 0.00101).mean() < 0.01
            continue
        if name != "DER_prodeta_jet_jet":
            assert (expected < -0.001).mean() < 0.001, name
            expected = np.abs(expected)
        np.testing.assert_allclose(ours, expected, atol=0.00101, err_msg=name)


def test_exact_columns_stay_exact(toy, column):
    shifted = shift_tau(toy, scale=1.07)
    exact = derived_columns(primitive_of(shifted), undefined=np.nan)
    for name in (*DERIVED, "DER_mass_col"):
        np.testing.assert_allclose(
            column(shifted, name), np.round(exact[name], 3), atol=1e-9, err_msg=name
        )


def test_more_scale_is_more_momentum_event_by_event(source, column):
    by_scale = [shift_tau(source, scale=scale) for scale in (0.9, 0.95, 1.0, 1.05, 1.1)]
    for name in ("PRI_tau_pt", "DER_mass_vis", "DER_sum_pt", "PRI_met_sumet"):
        steps = np.diff([column(t, name) for t in by_scale], axis=0)
        assert (steps > 0).mean() > 0.999, name
    ratios = np.diff([column(t, "DER_pt_ratio_lep_tau") for t in by_scale], axis=0)
    assert (ratios < 0).mean() > 0.999
    selected = [t["Selected"].to_numpy().sum() for t in by_scale]
    assert selected == sorted(selected)
    assert selected[0] < selected[-1]


@pytest.mark.parametrize("scale", SCALES)
def test_both_directions_are_populated_down_to_the_threshold(real, column, scale):
    for table in (shift_tau(real, scale=1.0), shift_tau(real, scale=scale)):
        pt = column(table, "PRI_tau_pt")
        selected = table["Selected"].to_numpy()
        np.testing.assert_array_equal(selected, pt > 22.0)
        lowest = np.histogram(pt[selected], np.arange(22.0, 23.01, 0.25))[0]
        assert lowest.min() > 0.75 * lowest.max()


def test_rows_stay_where_they_are(source):
    shifted = shift_tau(source, scale=0.9)
    for name in ("EventId", "Weight", "Label"):
        assert shifted[name].equals(source[name])
    assert not pc.all(shifted["Selected"]).as_py()


@pytest.mark.parametrize("scale", [0.97, 1.05])
def test_digits_do_not_tell_a_shift(source, column, digit_distance, scale):
    shifted = shift_tau(source, scale=scale)
    limit = 1.95 / np.sqrt(source.num_rows / 2)  # 0.1 % of chance
    for name in shifted.column_names:
        if name.startswith(("PRI_", "DER_")):
            ours, file = column(shifted, name), column(source, name)
            np.testing.assert_array_equal(ours, np.round(ours, 3), err_msg=name)
            if name in {"DER_met_phi_centrality", "DER_pt_ratio_lep_tau", "PRI_jet_num"}:
                continue  # as coarse as the digits themselves
            assert digit_distance(ours, file) < limit, name


def test_a_scaled_grid_has_no_gaps(column):
    # 1.05 times whole thousandths, rounded, leaves out one thousandth in 21
    n = 60_000
    columns = {name: np.full(n, 1.0) for name in ("PRI_tau_eta", "PRI_tau_phi", "PRI_lep_eta")}
    columns |= {"PRI_lep_phi": np.full(n, -1.0), "PRI_lep_pt": np.full(n, 30.0)}
    columns |= {"PRI_met": np.full(n, 30.0), "PRI_met_phi": np.full(n, 0.5)}
    columns |= {"PRI_met_sumet": np.full(n, 200.0), "PRI_jet_all_pt": np.zeros(n)}
    columns["PRI_tau_pt"] = 20 + np.arange(n) % 3000 / 1000
    table = pa.table({**columns, "PRI_jet_num": np.zeros(n, dtype=np.int64)})
    for jet in ("leading", "subleading"):
        for part in ("pt", "eta", "phi"):
            table = table.append_column(f"PRI_jet_{jet}_{part}", pa.nulls(n, pa.float64()))
    pt = column(shift_tau(table, scale=1.05, seed=2), "PRI_tau_pt")
    found = np.bincount(np.round(pt * 1000).astype(np.int64))[21_010:24_140]
    assert found.min() > 0
    assert found.max() < 3 * found.mean()


def test_the_same_arguments_give_the_same_table_and_another_seed_another(toy):
    one, same, other = (derive("tau-energy-scale", toy, seed=s, scale=1.05) for s in (1, 1, 2))
    assert table_sha256(one) == table_sha256(same) != table_sha256(other)


def test_a_threshold_that_shows_the_shift_is_refused(source):
    with pytest.raises(DataError, match=r"PRI_tau_pt begins at 20.*raise it to 2[34]"):
        shift_tau(source, scale=1.15)
    assert shift_tau(source, scale=1.15, tau_pt_min=23.05).num_rows == source.num_rows


@pytest.mark.parametrize("scale", [True, "1.05", 0.0, -1.0, 3.0, float("nan"), None])
def test_a_scale_that_is_none_is_refused(toy, scale):
    with pytest.raises(DataError, match="tau-energy-scale: scale is"):
        shift_tau(toy, scale=scale)


def test_a_table_without_its_columns_or_with_its_sentinel_is_refused(toy):
    with pytest.raises(ColumnError, match="no column 'PRI_met_phi' to derive from; did you mean"):
        shift_tau(toy.drop_columns(["PRI_met_phi"]))
    place = toy.column_names.index("PRI_jet_leading_pt")
    wrong = pc.fill_null(toy["PRI_jet_leading_pt"], -999.0)
    with pytest.raises(DataError, match="'PRI_jet_leading_pt' holds -999 as a number; say"):
        shift_tau(toy.set_column(place, "PRI_jet_leading_pt", wrong))
