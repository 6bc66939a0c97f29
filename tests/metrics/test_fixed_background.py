from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import roc_curve

from hepml_tasks.errors import MetricError
from hepml_tasks.formats.tables import read_table
from hepml_tasks.metrics import efficiency_at_background, get_metric, score


def test_efficiency_is_interpolated_in_the_background_efficiency() -> None:
    y = np.array([1, 0, 1, 0])
    scores = np.array([0.9, 0.8, 0.7, 0.1])
    for share, expected in ((0.25, 0.5), (0.5, 1.0), (0.75, 1.0)):
        found = efficiency_at_background(y, scores, background_efficiency=share)
        assert found == pytest.approx(expected)
    # from (0, 0) straight to (1/2, 1)
    tied = np.array([0.5, 0.5, 0.5, 0.1])
    assert efficiency_at_background(y, tied, background_efficiency=0.25) == pytest.approx(0.5)


def test_all_signal_above_all_background_is_kept_at_any_working_point() -> None:
    assert efficiency_at_background([0, 1, 1], [0.1, 0.2, 0.3], background_efficiency=1e-3) == 1.0


def test_one_score_for_all_is_as_good_as_chance() -> None:
    y = [0, 1, 1, 0]
    assert efficiency_at_background(y, [1] * 4, background_efficiency=0.2) == pytest.approx(0.2)


def test_weights_count_in_both_classes() -> None:
    y, scores, weights = [1, 0, 1, 0], [4, 3, 2, 1], [3, 1, 1, 9]
    found = efficiency_at_background(y, scores, sample_weight=weights, background_efficiency=0.1)
    assert found == pytest.approx(1.0)
    found = efficiency_at_background(y, scores, sample_weight=weights, background_efficiency=0.05)
    assert found == pytest.approx(0.75)


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 2**32 - 1), st.sampled_from([0.01, 0.02, 0.05, 0.1, 0.2]), st.booleans())
def test_it_is_a_point_of_the_roc_curve(seed: int, share: float, ties: bool) -> None:
    rng = np.random.default_rng(seed)
    y = np.append([0, 1], rng.integers(0, 2, 400))
    scores = rng.normal(y, 1)
    scores = np.round(scores, 1) if ties else scores
    false, true, _ = roc_curve(y, scores, drop_intermediate=False)
    found = efficiency_at_background(y, scores, background_efficiency=share)
    # where the curve goes straight up at the working point, the upper end of it
    last = np.flatnonzero(false <= share * (1 + 1e-12))[-1]
    there = np.interp(share, false[last : last + 2], true[last : last + 2])
    assert found == pytest.approx(there, abs=1e-9)


def test_the_working_point_of_a_metric_is_fixed_by_its_name() -> None:
    rng = np.random.default_rng(3)
    y = rng.integers(0, 2, 4000)
    scores = rng.normal(y, 1)
    found = []
    for percent in (1, 2, 5, 10, 20):
        metric = get_metric(f"efficiency_at_background_{percent}")
        at = efficiency_at_background(y, scores, background_efficiency=percent / 100)
        assert metric(y, scores) == at
        found.append(score(metric, y, y_score=scores))
    assert [s.value for s in found] == sorted(s.value for s in found)
    assert all(0 < s.uncertainty < 0.05 for s in found)


@pytest.mark.parametrize("share", [0.0, 1.5, float("nan")])
def test_a_working_point_that_is_none_is_refused(share: float) -> None:
    with pytest.raises(MetricError, match="background_efficiency"):
        efficiency_at_background([0, 1], [0, 1], background_efficiency=share)


def test_the_real_gammas_kept_at_their_authors_working_points(real_data: Path) -> None:
    table = read_table(real_data / "magic" / "magic04_three_quarters.csv.gz")
    y = np.array(table["class"].to_pylist()) == "g"
    # an image that points to the source is a gamma's
    towards = -table["fAlpha"].to_numpy()
    false, true, _ = roc_curve(y, towards, drop_intermediate=False)
    for percent in (1, 2, 5, 10, 20):
        found = score(f"efficiency_at_background_{percent}", y, y_score=towards)
        # finely enough measured that a step of the curve is nothing
        assert found.value == pytest.approx(np.interp(percent / 100, false, true), abs=2e-3)
        assert found.value > 2.5 * percent / 100
        assert 0 < found.uncertainty < 0.02
