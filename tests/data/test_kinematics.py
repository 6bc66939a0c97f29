"""The derived columns against 18,000 published events, whose inputs are rounded to 0.001."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from hepml_tasks.data.kinematics import (
    COLLINEAR_MASS,
    DERIVED,
    PRIMITIVE,
    UNDEFINED,
    collinear_mass,
    derived_columns,
)
from hepml_tasks.errors import ColumnError

HALF = 0.0005  # half of the last published digit


@pytest.fixture(scope="module")
def higgsml(real_data: Path) -> pd.DataFrame:
    (file,) = (real_data / "higgsml").glob("*.csv.gz")
    return pd.read_csv(file)


@pytest.fixture(scope="module")
def primitive(higgsml: pd.DataFrame) -> dict[str, np.ndarray]:
    return {name: higgsml[name].to_numpy() for name in PRIMITIVE}


@pytest.fixture(scope="module")
def derived(primitive: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    return derived_columns(primitive)


def differences(
    higgsml: pd.DataFrame, derived: dict[str, np.ndarray], name: str
) -> tuple[np.ndarray, np.ndarray]:
    """Absolute and relative differences on defined rows."""
    published = higgsml[name].to_numpy()
    defined = published != UNDEFINED
    absolute = np.abs(derived[name] - published)[defined]
    return absolute, absolute / np.maximum(np.abs(published[defined]), 1e-12)


def event(**changes: float) -> dict[str, np.ndarray]:
    """One event with two jets."""
    values = {
        "PRI_tau_pt": 40.0,
        "PRI_tau_eta": 0.3,
        "PRI_tau_phi": 0.0,
        "PRI_lep_pt": 30.0,
        "PRI_lep_eta": -0.4,
        "PRI_lep_phi": 2.0,
        "PRI_met": 25.0,
        "PRI_met_phi": 1.0,
        "PRI_jet_num": 2,
        "PRI_jet_leading_pt": 60.0,
        "PRI_jet_leading_eta": 1.5,
        "PRI_jet_leading_phi": -2.0,
        "PRI_jet_subleading_pt": 40.0,
        "PRI_jet_subleading_eta": -1.5,
        "PRI_jet_subleading_phi": -1.0,
        "PRI_jet_all_pt": 100.0,
    }
    return {name: np.array([value]) for name, value in (values | changes).items()}


def test_every_derived_column_but_mmc_is_computed(higgsml: pd.DataFrame) -> None:
    in_file = [name for name in higgsml if name.startswith("DER_") and name != "DER_mass_MMC"]
    assert list(DERIVED) == in_file
    assert [*derived_columns(event())] == [*DERIVED, COLLINEAR_MASS]
    assert [name for name in higgsml if name.startswith("PRI_")] == list(PRIMITIVE)


@pytest.mark.parametrize("name", DERIVED)
def test_undefined_exactly_where_published(
    higgsml: pd.DataFrame, derived: dict[str, np.ndarray], name: str
) -> None:
    np.testing.assert_array_equal(derived[name] == UNDEFINED, higgsml[name] == UNDEFINED)
    assert np.isfinite(derived[name]).all()


@pytest.mark.parametrize(
    ("name", "tolerance", "fraction"),
    [
        ("DER_sum_pt", 0.0015, 1.0),
        ("DER_deltaeta_jet_jet", 0.0015, 1.0),
        ("DER_pt_ratio_lep_tau", 0.001, 1.0),
        ("DER_deltar_tau_lep", 0.002, 1.0),
        ("DER_prodeta_jet_jet", 0.004, 1.0),
        ("DER_lep_eta_centrality", 0.01, 1.0),
        ("DER_met_phi_centrality", 0.01, 0.997),
        ("DER_mass_transverse_met_lep", 0.01, 0.70),
        ("DER_mass_transverse_met_lep", 0.1, 0.99),
        ("DER_mass_transverse_met_lep", 0.3, 1.0),
        ("DER_pt_h", 0.01, 0.59),
        ("DER_pt_h", 0.1, 0.99),
        ("DER_pt_h", 0.3, 1.0),
        ("DER_pt_tot", 0.01, 0.45),
        ("DER_pt_tot", 0.1, 0.99),
        ("DER_pt_tot", 0.3, 1.0),
        ("DER_mass_vis", 0.1, 0.99),
    ],
)
def test_agrees_with_the_published_column(
    higgsml: pd.DataFrame,
    derived: dict[str, np.ndarray],
    name: str,
    tolerance: float,
    fraction: float,
) -> None:
    absolute, _ = differences(higgsml, derived, name)
    assert np.mean(absolute <= tolerance) >= fraction


@pytest.mark.parametrize(
    ("name", "tolerance", "fraction"),
    [
        ("DER_mass_vis", 0.01, 0.999),
        # The published one has jet masses, which are not in the file.
        ("DER_mass_jet_jet", 0.05, 0.92),
        ("DER_mass_jet_jet", 0.10, 0.97),
    ],
)
def test_massless_mass_agrees_relatively(
    higgsml: pd.DataFrame,
    derived: dict[str, np.ndarray],
    name: str,
    tolerance: float,
    fraction: float,
) -> None:
    _, relative = differences(higgsml, derived, name)
    assert np.mean(relative <= tolerance) >= fraction


def test_visible_mass_with_the_one_prong_tau_mass_comes_closer(
    higgsml: pd.DataFrame, primitive: dict[str, np.ndarray]
) -> None:
    massive = derived_columns(primitive, tau_mass=0.8)
    absolute, _ = differences(higgsml, massive, "DER_mass_vis")
    assert np.mean(absolute <= 0.01) >= 0.54
    assert np.mean(absolute <= 0.1) >= 0.998


def test_visible_mass_is_fully_explained_by_the_two_tau_masses(
    higgsml: pd.DataFrame, primitive: dict[str, np.ndarray]
) -> None:
    by_mass = [
        differences(higgsml, derived_columns(primitive, tau_mass=mass), "DER_mass_vis")[0]
        for mass in (0.8, 1.2)
    ]
    massless, _ = differences(higgsml, derived_columns(primitive), "DER_mass_vis")
    assert np.mean(np.minimum(*by_mass) <= 0.01) > 2 * np.mean(massless <= 0.01)


@pytest.mark.parametrize("name", sorted(set(DERIVED) - {"DER_mass_vis", "DER_mass_jet_jet"}))
def test_differs_by_no_more_than_the_rounding_of_its_inputs(
    higgsml: pd.DataFrame,
    primitive: dict[str, np.ndarray],
    derived: dict[str, np.ndarray],
    name: str,
) -> None:
    allowed = np.full(len(higgsml), HALF)
    for column in primitive.keys() - {"PRI_jet_num", "PRI_met_sumet"}:
        moved = [
            np.abs(
                derived_columns(primitive | {column: primitive[column] + step})[name]
                - derived[name]
            )
            for step in (HALF, -HALF)
        ]
        allowed += np.maximum(*moved)
    residual = np.abs(derived[name] - higgsml[name].to_numpy())
    assert np.mean(residual <= allowed + 1e-9) >= 0.9997


def test_fair_universe_columns_with_its_sentinel_and_uncapped_jets(real_data: Path) -> None:
    table = pd.read_parquet(real_data / "fair_universe" / "FAIR_Universe_HiggsML_data.parquet")
    renamed = {
        name.replace("_had", "_tau").replace("_n_jets", "_jet_num"): table[name].to_numpy()
        for name in table
    }
    ours = derived_columns(renamed, undefined=-25.0)
    for name in DERIVED:
        np.testing.assert_array_equal(ours[name] == -25.0, renamed[name] == -25.0, err_msg=name)
        np.testing.assert_allclose(ours[name], renamed[name], atol=0.01, rtol=0, err_msg=name)


def test_columns_of_absent_jets_are_never_read() -> None:
    absent = {
        "PRI_jet_subleading_pt": np.nan,
        "PRI_jet_subleading_eta": np.inf,
        "PRI_jet_subleading_phi": 1e300,
    }
    one_jet = derived_columns(event(PRI_jet_num=1, **absent))
    assert one_jet["DER_mass_jet_jet"][0] == UNDEFINED
    assert np.isfinite(one_jet["DER_pt_tot"][0])
    sentinel = dict.fromkeys(absent, -999.0)
    assert one_jet == derived_columns(event(PRI_jet_num=1, **sentinel))


def test_third_jet_enters_only_the_scalar_sum() -> None:
    two = derived_columns(event())
    three = derived_columns(event(PRI_jet_num=3, PRI_jet_all_pt=135.0))
    changed = [name for name in two if two[name][0] != three[name][0]]
    assert changed == ["DER_sum_pt"]


def test_centrality_is_zero_where_lepton_and_tau_are_collinear() -> None:
    columns = derived_columns(event(PRI_lep_phi=0.0))
    assert columns["DER_met_phi_centrality"][0] == 0
    assert columns[COLLINEAR_MASS][0] == UNDEFINED


@pytest.mark.parametrize(
    ("met_phi", "centrality"), [(1.0, np.sqrt(2)), (0.0, 1), (-2.1416, -1.414)]
)
def test_centrality_is_largest_between_lepton_and_tau(met_phi: float, centrality: float) -> None:
    columns = derived_columns(event(PRI_met_phi=met_phi))
    assert columns["DER_met_phi_centrality"][0] == pytest.approx(centrality, abs=1e-3)


@pytest.mark.parametrize(("lep_eta", "centrality"), [(0.7, 1.0), (0.6, 0.0)])
def test_eta_centrality_of_two_jets_at_one_eta_is_its_limit(
    lep_eta: float, centrality: float
) -> None:
    same = {"PRI_jet_leading_eta": 0.7, "PRI_jet_subleading_eta": 0.7, "PRI_lep_eta": lep_eta}
    assert derived_columns(event(**same))["DER_lep_eta_centrality"][0] == centrality


def test_collinear_mass_returns_the_mass_of_a_pair_with_collinear_neutrinos() -> None:
    # Taus of 100 and 60 GeV; the visible parts carry 0.4 and 0.5 of them.
    phi_t, phi_l = 0.3, 2.6
    met_x = 50 * np.cos(phi_t) + 36 * np.cos(phi_l)
    met_y = 50 * np.sin(phi_t) + 36 * np.sin(phi_l)
    pri = event(
        PRI_tau_pt=50.0,
        PRI_tau_phi=phi_t,
        PRI_lep_pt=24.0,
        PRI_lep_phi=phi_l,
        PRI_met=np.hypot(met_x, met_y),
        PRI_met_phi=np.arctan2(met_y, met_x),
    )
    expected = np.sqrt(2 * 100 * 60 * (np.cosh(0.7) - np.cos(phi_t - phi_l)))
    assert collinear_mass(pri)[0] == pytest.approx(expected, rel=1e-9)


def test_collinear_mass_is_undefined_where_the_missing_momentum_points_away() -> None:
    assert collinear_mass(event(PRI_met_phi=-2.0))[0] == UNDEFINED
    assert np.isnan(collinear_mass(event(PRI_met_phi=-2.0), undefined=np.nan)[0])


def test_missing_column_is_named_with_the_nearest_one() -> None:
    pri = event()
    pri["PRI_tau_Pt"] = pri.pop("PRI_tau_pt")
    with pytest.raises(ColumnError, match=r"'PRI_tau_pt'.*did you mean 'PRI_tau_Pt'"):
        derived_columns(pri)


def test_inputs_are_left_alone() -> None:
    pri = event(PRI_jet_num=0)
    before = {name: values.copy() for name, values in pri.items()}
    derived_columns(pri)
    assert pri == before


@given(
    turn=st.floats(-10, 10),
    angles=st.lists(st.floats(-3.1, 3.1), min_size=5, max_size=5),
)
def test_turning_the_whole_event_changes_nothing(turn: float, angles: list[float]) -> None:
    names = [name for name in event() if name.endswith("_phi")]
    still = dict(zip(names, angles, strict=True))
    turned = {name: (phi + turn + np.pi) % (2 * np.pi) - np.pi for name, phi in still.items()}
    # Where lepton and tau are collinear the two signs of the centrality meet.
    assume(abs(np.sin(still["PRI_tau_phi"] - still["PRI_lep_phi"])) > 1e-6)
    one, other = derived_columns(event(**still)), derived_columns(event(**turned))
    for name in DERIVED:
        assert one[name][0] == pytest.approx(other[name][0], abs=1e-4), name
