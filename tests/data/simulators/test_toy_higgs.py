"""The toy's events: reproducible, cut where it says, with physics in them and no tell-tale."""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from scipy import stats

from hepml_tasks.data.kinematics import COLLINEAR_MASS, DERIVED, PRIMITIVE, derived_columns
from hepml_tasks.data.simulators.toy_higgs import VERSION, simulate_toy_higgs, toy_higgs_block
from hepml_tasks.data.simulators.toy_higgs_events import BLOCK, FEATURES, PROCESSES, Detector
from hepml_tasks.errors import DataError, UnknownNameError

EVENTS = 60_000
ALWAYS = [name for name in PRIMITIVE if "jet" not in name]  # columns that are never undefined


def digest(table: pa.Table) -> str:
    """SHA-256 of names, types and values."""
    total = hashlib.sha256()
    for field in table.schema:
        values = table[field.name].combine_chunks().to_numpy(zero_copy_only=False)
        total.update(f"{field.name}:{field.type}".encode())
        total.update("\n".join(values).encode() if values.dtype == object else values.tobytes())
    return total.hexdigest()


@pytest.fixture(scope="module")
def table() -> pa.Table:
    return simulate_toy_higgs(EVENTS, seed=1)


@pytest.fixture(scope="module")
def events(table: pa.Table) -> pd.DataFrame:
    return table.to_pandas()


@pytest.fixture(scope="module")
def other_events() -> pd.DataFrame:
    return simulate_toy_higgs(EVENTS, seed=2).to_pandas()


def auc(label: np.ndarray, score: np.ndarray, weight: np.ndarray | None = None) -> float:
    from sklearn.metrics import roc_auc_score

    return float(roc_auc_score(label, score, sample_weight=weight))


def trees_auc(features: pd.DataFrame, label: np.ndarray, weight: np.ndarray | None = None) -> float:
    """AUC on the second half of boosted trees trained on the first."""
    from sklearn.ensemble import HistGradientBoostingClassifier

    half = len(features) // 2
    trees = HistGradientBoostingClassifier(
        max_iter=150, max_leaf_nodes=16, learning_rate=0.08, random_state=0
    )
    trees.fit(features[:half], label[:half])
    score = trees.predict_proba(features[half:])[:, 1]
    return auc(label[half:], score, None if weight is None else weight[half:])


# Form


def test_columns_are_those_of_higgsml_but_for_the_mass(table: pa.Table) -> None:
    assert table.column_names == [
        "EventId",
        *DERIVED,
        COLLINEAR_MASS,
        *PRIMITIVE,
        "Weight",
        "Label",
        "Process",
    ]
    whole = {"EventId", "PRI_jet_num"}
    for field in table.schema:
        if field.name in ("Label", "Process"):
            assert field.type == pa.string()
        else:
            assert field.type == (pa.int64() if field.name in whole else pa.float64()), field.name


@pytest.mark.parametrize("count", [25, 101, 2500])
def test_exactly_the_rows_asked_for_come_out(count: int) -> None:
    made = simulate_toy_higgs(count, seed=4)
    assert made.num_rows == count
    assert set(made["Process"].to_pylist()) == set(PROCESSES)


def test_event_ids_are_unique_and_start_as_in_higgsml(events: pd.DataFrame) -> None:
    np.testing.assert_array_equal(events["EventId"], np.arange(100_000, 100_000 + EVENTS))


def test_metadata_tell_how_the_table_was_made(table: pa.Table) -> None:
    told = json.loads(table.schema.metadata[b"hepml_simulator"])
    assert told["name"] == "toy-higgs"
    assert told["version"] == "1"
    assert told["events"] == EVENTS
    assert told["seed"] == 1
    assert told["parameters"]["met_resolution"] == 1.2
    assert [process["name"] for process in told["processes"]] == list(PROCESSES)


def test_shares_and_weights_are_those_of_the_processes(events: pd.DataFrame) -> None:
    counts = events["Process"].value_counts(normalize=True)
    sums = events.groupby("Process")["Weight"].sum()
    for name, process in PROCESSES.items():
        assert counts[name] == pytest.approx(process.share, abs=1e-4)
        assert sums[name] == pytest.approx(process.expected, abs=1e-6)
        of_process = events[events["Process"] == name]
        assert of_process["Weight"].nunique() == 1
        assert set(of_process["Label"]) == {process.label}
    assert dict(sums.round(6)) == {"H": 692.0, "T": 8000.0, "W": 357_000.0, "Z": 46_000.0}


def test_values_are_finite_and_have_three_decimals(events: pd.DataFrame) -> None:
    for name in FEATURES:
        values = events[name].to_numpy(dtype=float)
        assert np.isfinite(values).all()
        np.testing.assert_array_equal(values, np.round(values, 3), err_msg=name)


def test_no_event_comes_twice(events: pd.DataFrame) -> None:
    assert not events.duplicated(["PRI_tau_pt", "PRI_lep_pt", "PRI_met"]).any()


def test_derived_columns_follow_from_the_rounded_primitive_ones(events: pd.DataFrame) -> None:
    again = derived_columns({name: events[name].to_numpy() for name in PRIMITIVE})
    for name, values in again.items():
        np.testing.assert_array_equal(np.round(values, 3), events[name], err_msg=name)


def test_undefined_stands_where_higgsml_has_it(events: pd.DataFrame) -> None:
    jets = events["PRI_jet_num"]
    for name in FEATURES:
        undefined = events[name] == -999.0
        if "leading" in name and "sub" not in name:
            np.testing.assert_array_equal(undefined, jets == 0)
        elif "subleading" in name or "jet_jet" in name or name == "DER_lep_eta_centrality":
            np.testing.assert_array_equal(undefined, jets <= 1)
        elif name != COLLINEAR_MASS:
            assert not undefined.any(), name
    assert (events.loc[jets == 0, "PRI_jet_all_pt"] == 0).all()


# Reproducibility


def test_same_seed_gives_the_same_bytes_however_many_workers(table: pa.Table) -> None:
    assert digest(simulate_toy_higgs(EVENTS, seed=1, workers=3)) == digest(table)


def test_events_change_only_with_the_version() -> None:
    # Whoever must change this digest raises VERSION.
    assert VERSION == "1"
    assert (
        digest(simulate_toy_higgs(1000, seed=1))
        == "f059ee3c9b8f27f393f15b93f894da8704f6a0764e52b4eab7345f1fc2fdc0e7"
    )


def test_another_seed_gives_other_events(events: pd.DataFrame, other_events: pd.DataFrame) -> None:
    assert not set(events["PRI_met_sumet"] * 1e6 + events["PRI_met"]) & set(
        other_events["PRI_met_sumet"] * 1e6 + other_events["PRI_met"]
    )


def test_blocks_made_in_any_order_hold_the_rows_of_the_table(events: pd.DataFrame) -> None:
    blocks = {block: toy_higgs_block("W", block, 1) for block in (2, 0, 1)}
    for name in FEATURES:
        joined = np.concatenate([blocks[block][name] for block in sorted(blocks)])
        in_table = np.sort(events.loc[events["Process"] == "W", name])
        np.testing.assert_array_equal(np.sort(joined[: len(in_table)]), in_table)


def test_fewer_events_are_the_first_of_more(events: pd.DataFrame) -> None:
    few = simulate_toy_higgs(1000, seed=1).to_pandas()
    key = ["Process", *PRIMITIVE]
    assert len(few.merge(events, on=key)) == len(few)


def test_processor_without_vector_extensions_makes_the_same_table() -> None:
    found = np.show_config(mode="dicts")["SIMD Extensions"]["found"]
    code = (
        "import hashlib, pyarrow as pa\n"
        "from hepml_tasks.data.simulators.toy_higgs import simulate_toy_higgs\n"
        "sink = pa.BufferOutputStream()\n"
        "table = simulate_toy_higgs(20000, seed=5)\n"
        "with pa.ipc.new_stream(sink, table.schema) as writer: writer.write_table(table)\n"
        "print(hashlib.sha256(sink.getvalue()).hexdigest())\n"
        "import numpy as np; x = np.linspace(0.1, 9, 100001)\n"
        "print(hashlib.sha256(np.log(x).tobytes() + np.tan(x).tobytes()).hexdigest())\n"
    )
    plain, disabled = (
        subprocess.run(
            [sys.executable, "-c", code],
            env=os.environ | {"NPY_DISABLE_CPU_FEATURES": features},
            capture_output=True,
            text=True,
            check=True,
        ).stdout.split()
        for features in ("", " ".join(found))
    )
    assert plain[0] == disabled[0]
    if "AVX512_SKX" in found or "X86_V4" in found:  # where the last bit is known to differ
        assert plain[1] != disabled[1]


# Selection


def test_cuts_start_exactly_where_they_should(events: pd.DataFrame) -> None:
    assert 20.0 < events["PRI_tau_pt"].min() < 20.02
    assert 26.0 < events["PRI_lep_pt"].min() < 26.02
    for name in ("PRI_tau_eta", "PRI_lep_eta"):
        assert 2.49 < events[name].abs().max() < 2.5
    for rank in ("leading", "subleading"):
        pt, eta = events[f"PRI_jet_{rank}_pt"], events[f"PRI_jet_{rank}_eta"]
        assert 30.0 <= pt[pt > 0].min() < 30.05
        assert 4.3 < eta[pt > 0].abs().max() <= 4.5


def test_jets_are_sorted_and_their_sum_is_the_scalar_sum(events: pd.DataFrame) -> None:
    first, second, total = (
        events[f"PRI_jet_{part}"].to_numpy() for part in ("leading_pt", "subleading_pt", "all_pt")
    )
    jets = events["PRI_jet_num"].to_numpy()
    assert set(jets) == {0, 1, 2, 3}
    assert (first >= second)[jets >= 2].all()
    np.testing.assert_allclose(total[jets == 1], first[jets == 1], atol=1e-9)
    np.testing.assert_allclose(total[jets == 2], (first + second)[jets == 2], atol=1e-9)
    rest = (total - first - second)[jets == 3]
    assert (rest > 30.0 - 1e-9).all()
    assert (rest <= second[jets == 3] + 1e-9).all()
    scalar = events["PRI_tau_pt"] + events["PRI_lep_pt"] + total
    np.testing.assert_allclose(events["DER_sum_pt"], scalar, atol=1e-9)


@pytest.mark.parametrize(
    ("process", "acceptance"), [("H", 0.21), ("Z", 0.11), ("W", 0.585), ("T", 0.41)]
)
def test_every_process_keeps_its_share_of_generated_events(process: str, acceptance: float) -> None:
    kept = np.mean([len(toy_higgs_block(process, n, 9)["PRI_met"]) for n in range(4)]) / BLOCK
    assert kept == pytest.approx(acceptance, abs=0.015)


# Physics


@pytest.mark.parametrize(
    ("column", "medians"),
    [
        ("DER_mass_vis", {"H": 76, "Z": 57, "W": 90, "T": 79}),
        ("DER_mass_transverse_met_lep", {"H": 27, "Z": 23, "W": 70, "T": 78}),
    ],
)
def test_medians_are_as_designed(
    events: pd.DataFrame, column: str, medians: dict[str, float]
) -> None:
    found = events.groupby("Process")[column].median()
    for process, median in medians.items():
        assert found[process] == pytest.approx(median, abs=3.0), process


def test_neutrinos_make_most_missing_momentum_in_top_pairs(events: pd.DataFrame) -> None:
    met = events.groupby("Process")["PRI_met"].median()
    assert met["T"] > 1.4 * met[["H", "Z", "W"]].max()
    assert met[["H", "Z", "W"]].between(36, 46).all()


def peak(values: pd.Series, width: float = 5.0) -> float:
    counts, edges = np.histogram(values, np.arange(0.0, 200.0 + width, width))
    return float(edges[np.argmax(counts)] + width / 2)


def test_transverse_mass_of_w_has_the_jacobian_edge(events: pd.DataFrame) -> None:
    mass = events.groupby("Process")["DER_mass_transverse_met_lep"]
    w_mass = mass.get_group("W")
    assert 60 < peak(w_mass) < 85
    below, above = w_mass.between(60, 80).mean(), w_mass.between(100, 120).mean()
    assert below > 3 * above
    assert peak(mass.get_group("H")) < 25
    assert peak(mass.get_group("Z")) < 25


def test_visible_masses_peak_below_the_resonances(events: pd.DataFrame) -> None:
    mass = events.groupby("Process")["DER_mass_vis"]
    assert 68 < peak(mass.get_group("H")) < 85
    assert 50 < peak(mass.get_group("Z")) < 65


def test_collinear_mass_peaks_at_the_resonances_where_it_is_defined(events: pd.DataFrame) -> None:
    defined = events[COLLINEAR_MASS] != -999.0
    undefined = (~defined).groupby(events["Process"]).mean()
    assert undefined[["H", "Z"]].max() < 0.5
    assert undefined[["W", "T"]].min() > 0.7
    mass = events[defined].groupby("Process")[COLLINEAR_MASS]
    assert 110 < peak(mass.get_group("H"), 10.0) < 140
    assert 80 < peak(mass.get_group("Z"), 10.0) < 110
    assert mass.get_group("H").median() > 125
    assert mass.get_group("Z").median() > 91


def test_no_direction_is_preferred(events: pd.DataFrame) -> None:
    for name in [column for column in PRIMITIVE if column.endswith(("phi", "eta"))]:
        values = events.loc[events[name] != -999.0, name]
        positive = stats.binomtest(int((values > 0).sum()), int((values != 0).sum()))
        assert positive.pvalue > 0.001, name
        if name.endswith("phi"):
            counts, _ = np.histogram(values, np.linspace(-np.pi, np.pi, 33))
            assert stats.chisquare(counts).pvalue > 0.001, name


def test_pt_of_the_pair_is_small_only_without_jets(events: pd.DataFrame) -> None:
    small = events["DER_pt_h"] < 10
    share = small.groupby(events["PRI_jet_num"]).mean()
    assert share[0] > 10 * share[[1, 2, 3]].max() / 3
    assert share.is_monotonic_decreasing


def test_seeds_agree(events: pd.DataFrame, other_events: pd.DataFrame) -> None:
    pulls = []
    for name in (*DERIVED, *PRIMITIVE):
        for process in PROCESSES:
            parts = [
                part.loc[(part["Process"] == process) & (part[name] != -999.0), name]
                for part in (events, other_events)
            ]
            error = np.sqrt(sum(part.var() / len(part) for part in parts))
            pulls.append((parts[0].mean() - parts[1].mean()) / error)
    assert np.abs(pulls).max() < 4  # of 116
    assert np.mean(np.abs(pulls) < 1) == pytest.approx(0.68, abs=0.12)


# Nothing betrays the label


def test_neither_event_id_nor_order_betrays_the_label(events: pd.DataFrame) -> None:
    signal = (events["Label"] == "s").to_numpy()
    assert auc(signal, events["EventId"].to_numpy()) == pytest.approx(0.5, abs=0.01)
    # Nor the number's digits, nor runs of equal labels.
    order = pd.DataFrame({f"mod{n}": events["EventId"] % n for n in (2, 3, 10, 34, 100, 1000)})
    assert trees_auc(order, signal) == pytest.approx(0.5, abs=0.01)
    assert np.corrcoef(signal[1:], signal[:-1])[0, 1] == pytest.approx(0.0, abs=0.02)


def test_decimal_digits_do_not_betray_the_label(events: pd.DataFrame) -> None:
    signal = (events["Label"] == "s").to_numpy()
    digits = events[ALWAYS].mul(1000).round().astype("int64") % 10
    assert trees_auc(digits, signal) == pytest.approx(0.5, abs=0.01)
    assert auc(signal, digits.sum(axis=1)) == pytest.approx(0.5, abs=0.01)


def test_events_of_two_seeds_cannot_be_told_apart(
    events: pd.DataFrame, other_events: pd.DataFrame
) -> None:
    both = pd.concat([part[part["Process"] == "Z"] for part in (events, other_events)])
    seed = np.repeat([0, 1], len(both) // 2)
    order = np.random.default_rng(0).permutation(len(both))
    features = both[list(FEATURES)].iloc[order]
    assert trees_auc(features, seed[order]) == pytest.approx(0.5, abs=0.01)


def test_no_column_separates_alone(events: pd.DataFrame) -> None:
    signal = (events["Label"] == "s").to_numpy()
    for name in FEATURES:
        assert 0.2 < auc(signal, events[name].to_numpy()) < 0.8, name


@pytest.fixture(scope="module")
def separability(events: pd.DataFrame) -> dict[str, float]:
    part = events[:40_000]
    signal = (part["Label"] == "s").to_numpy()
    primitive = [name for name in FEATURES if name.startswith("PRI_")]
    return {
        "all": trees_auc(part[list(FEATURES)], signal),
        "weighted": trees_auc(part[list(FEATURES)], signal, part["Weight"].to_numpy()),
        "primitive": trees_auc(part[primitive], signal),
        "mass_vis": trees_auc(part[["DER_mass_vis"]], signal),
    }


def test_boosted_trees_separate_as_on_the_real_data(separability: dict[str, float]) -> None:
    assert 0.88 < separability["all"] < 0.92
    assert 0.90 < separability["weighted"] < 0.94
    assert 0.70 < separability["mass_vis"] < 0.76


def test_derived_columns_add_to_the_primitive_ones(separability: dict[str, float]) -> None:
    assert separability["all"] - separability["primitive"] > 0.05


# Levers


def test_better_resolution_separates_better(separability: dict[str, float]) -> None:
    sharp = simulate_toy_higgs(30_000, seed=1, tau_resolution=0.10, met_resolution=0.5).to_pandas()
    signal = (sharp["Label"] == "s").to_numpy()
    assert trees_auc(sharp[list(FEATURES)], signal) > separability["all"] + 0.02


def test_higher_tau_threshold_leaves_room_for_an_energy_scale() -> None:
    assert min(simulate_toy_higgs(2000, seed=1, tau_pt_min=22)["PRI_tau_pt"].to_pylist()) > 22


def test_shares_of_the_rows_can_be_chosen() -> None:
    made = simulate_toy_higgs(1000, seed=1, shares={"H": 0.5, "Z": 0.5}).to_pandas()
    assert dict(made["Process"].value_counts()) == {"H": 500, "Z": 500}
    assert made.loc[made["Process"] == "Z", "Weight"].sum() == pytest.approx(46_000.0)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"events": 0}, "events is 0; give a whole number from 1 up"),
        ({"events": 10}, "10 events leave none of process T; give at least 25"),
        ({"events": 12.5}, "events is 12.5"),
        ({"seed": -1}, "seed is -1; give a whole number from 0 up"),
        ({"tau_resolution": -0.1}, "tau_resolution is -0.1; give 0 to 0.5"),
        ({"met_resolution": float("nan")}, "met_resolution is nan"),
        ({"met_resolution": "1.2"}, "met_resolution is '1.2'; give a number"),
        ({"tau_pt_min": 10.0}, "tau_pt_min is 10.0; give 20 to 100"),
        ({"shares": {"H": 0.5, "Z": 0.4}}, "give fractions that sum to 1"),
        ({"workers": 0}, "workers is 0"),
    ],
)
def test_bad_arguments_are_named(arguments: dict[str, object], message: str) -> None:
    with pytest.raises(DataError, match=message):
        simulate_toy_higgs(**({"events": 100, "seed": 1} | arguments))


def test_unknown_process_is_named_with_what_there_is() -> None:
    with pytest.raises(UnknownNameError, match=r"'ttbar'.*there are H, T, W, Z"):
        toy_higgs_block("ttbar", 0, 1)
    with pytest.raises(UnknownNameError, match="'X'"):
        simulate_toy_higgs(100, shares={"X": 1.0})


def test_detector_is_checked_once_for_tables_and_blocks() -> None:
    with pytest.raises(DataError, match="recoil_smearing"):
        toy_higgs_block("H", 0, 1, Detector(recoil_smearing=-1.0))


# Another signal


def test_a_heavier_signal_makes_a_bump_where_it_is() -> None:
    table = simulate_toy_higgs(
        4000,
        seed=1,
        signal_share=0.1,
        signal_mass=300.0,
        signal_forward_jets=1.0,
        met_resolution=0.4,
        tau_resolution=0.08,
    )
    events = table.to_pandas()
    signal = events[events["Process"] == "H"]
    assert len(signal) == 400
    assert signal.loc[signal[COLLINEAR_MASS] > 0, COLLINEAR_MASS].median() == pytest.approx(
        320, abs=20
    )
    two = signal[signal["PRI_jet_num"] >= 2]
    assert (two["DER_prodeta_jet_jet"] < 0).mean() > 0.9
    shares = events["Process"].value_counts(normalize=True)
    assert shares["Z"] / shares["W"] == pytest.approx(39 / 23, rel=0.01)


@pytest.mark.parametrize(
    "bad",
    [
        {"signal_share": 0.0},
        {"signal_share": 1.0},
        {"signal_share": True},
        {"signal_share": 0.1, "shares": {"H": 1.0}},
        {"signal_mass": 30.0},
        {"signal_forward_jets": 1.5},
    ],
)
def test_a_signal_that_can_not_be_is_refused(bad: dict[str, Any]) -> None:
    with pytest.raises(DataError, match="toy-higgs: signal_"):
        simulate_toy_higgs(100, seed=1, **bad)
