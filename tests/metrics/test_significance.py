from __future__ import annotations

import math

import numpy as np
import pytest

from hepml_tasks.errors import MetricError
from hepml_tasks.metrics import ams, ams_maximum, asimov_significance, best_threshold, get_metric


@pytest.mark.parametrize(
    ("s", "b", "expected"),
    [
        (10, 100, 0.9395373741960071),
        (100, 1000, 3.0966917066098105),
        (350, 8000, 3.882702125227576),
    ],
)
def test_ams_has_its_reference_values(s: float, b: float, expected: float) -> None:
    assert ams([1, 0], [1, 1], sample_weight=[s, b]) == pytest.approx(expected, rel=1e-12)


@pytest.mark.parametrize(
    ("s", "b", "sigma", "expected"),
    [
        (10, 100, 0, 0.9839916447569484),
        (10, 50, 5, 1.1073662678860068),
        (10, 100, 10, 0.6901960632965309),
        (50, 100, 10, 3.1729728607954435),
        (5, 1, 0.5, 2.7637239405443075),
    ],
)
def test_asimov_significance_has_its_reference_values(
    s: float, b: float, sigma: float, expected: float
) -> None:
    assert asimov_significance(s, b, sigma_b=sigma) == pytest.approx(expected, rel=1e-12)


def test_selecting_everything_with_the_challenge_normalisation_gives_its_published_score() -> None:
    # "Selecting all events gives 1.0791": HiggsML documentation
    sums = [691.988607712, 410999.847322]
    assert ams([1, 0], [1, 1], sample_weight=sums) == pytest.approx(1.0791, abs=5e-5)


@pytest.mark.parametrize("x", [1e-9, 1e-6, 1e-3, 0.0999999, 0.1000001, 1.0, 30.0])
def test_a_vanishing_sigma_joins_the_known_background(x: float) -> None:
    known = asimov_significance(x * 100, 100)
    for sigma in (1e-300, 1e-160, 1e-30, 1e-12, 1e-8):
        assert asimov_significance(x * 100, 100, sigma_b=sigma) == pytest.approx(known, rel=1e-12)


def test_small_signals_have_the_gaussian_limit() -> None:
    for sigma in (0.0, 3.0, 100.0, 1e6):
        expected = 1e-5 / math.sqrt(100 + sigma**2)
        assert asimov_significance(1e-5, 100, sigma_b=sigma) == pytest.approx(expected, rel=1e-6)


@pytest.mark.parametrize("sigma", [0.0, 1e-300, 1.0, 1e300])
@pytest.mark.parametrize("b", [1e-300, 1.0, 1e300])
@pytest.mark.parametrize("s", [1e-300, 1.0, 1e300])
def test_extreme_counts_give_a_number(s: float, b: float, sigma: float) -> None:
    z = asimov_significance(s, b, sigma_b=sigma)
    assert math.isfinite(z)
    assert 0 <= z <= asimov_significance(s, b) * (1 + 1e-9)


@pytest.mark.parametrize(
    ("s", "b", "sigma"),
    [(1e200, 1e-200, 0.0), (1e200, 1e-200, 1e-100), (1e10, 1e-300, 1e-5), (1e-200, 1e100, 1e50)],
)
def test_extreme_counts_agree_with_arithmetic_of_many_digits(
    s: float, b: float, sigma: float
) -> None:
    from decimal import Decimal, localcontext

    with localcontext() as context:
        context.prec = 900
        ds, db, v = Decimal(s), Decimal(b), Decimal(sigma) ** 2
        n = ds + db
        if v:
            first = n * (n * (db + v) / (db * db + n * v)).ln()
            second = db * db / v * (1 + v * ds / (db * (db + v))).ln()
            expected = float((2 * (first - second)).sqrt())
        else:
            expected = float((2 * (n * (n / db).ln() - ds)).sqrt())
    assert asimov_significance(s, b, sigma_b=sigma) == pytest.approx(expected, rel=1e-9)


def test_no_background_has_its_limits() -> None:
    assert asimov_significance(5, 0) == math.inf
    assert asimov_significance(5, 0, sigma_b=1) == 0
    assert asimov_significance(0, 0) == 0


def test_arrays_give_arrays() -> None:
    z = asimov_significance(np.array([10.0, 50.0]), 100.0, sigma_b=10.0)
    assert z == pytest.approx([0.6901960632965309, 3.1729728607954435])


@pytest.mark.parametrize("name", ["s", "b", "sigma_b"])
@pytest.mark.parametrize("bad", [-1.0, math.nan, math.inf])
def test_a_count_that_is_none_names_itself(name: str, bad: float) -> None:
    given = {"s": 1.0, "b": 1.0, "sigma_b": 1.0, name: bad}
    with pytest.raises(MetricError, match=f"^{name} is"):
        asimov_significance(given["s"], given["b"], sigma_b=given["sigma_b"])


def test_the_selection_form_sums_the_selected_events() -> None:
    value = get_metric("asimov_significance")(
        [1, 0, 0], [1, 1, 0], sample_weight=[10, 50, 7], sigma_b=5
    )
    assert value == pytest.approx(1.1073662678860068)


def scan(y: np.ndarray, s: np.ndarray, w: np.ndarray, b_reg: float = 10.0) -> dict[float, float]:
    return {float(t): ams(y, s >= t, sample_weight=w, b_reg=b_reg) for t in np.unique(s)}


@pytest.mark.parametrize("b_reg", [0.0, 10.0])
@pytest.mark.parametrize("negative", [False, True])
@pytest.mark.parametrize("decimals", [1, 9])
def test_the_maximum_is_that_of_a_loop_over_thresholds(
    b_reg: float, negative: bool, decimals: int
) -> None:
    rng = np.random.default_rng(3)
    y = rng.integers(0, 2, 300)
    s = np.round(rng.normal(y, 1), decimals)
    w = rng.exponential(3.0, 300) * np.where(negative & (rng.random(300) < 0.2), -1, 1)
    by_threshold = scan(y, s, w, b_reg)
    best = max(by_threshold.values())
    assert ams_maximum(y, s, sample_weight=w, b_reg=b_reg) == pytest.approx(best, rel=1e-12)
    threshold = best_threshold(y, s, sample_weight=w, b_reg=b_reg)
    assert by_threshold[threshold] == pytest.approx(best, rel=1e-12)


def test_the_threshold_follows_the_class_sums() -> None:
    rng = np.random.default_rng(4)
    y = rng.integers(0, 2, 500)
    s = rng.normal(y, 1)
    few, many = (best_threshold(y, s, class_sums=(100, b)) for b in (1e2, 1e6))
    assert few < many


def test_equal_scores_leave_one_threshold() -> None:
    assert best_threshold([0, 1, 0, 1], [0.5] * 4) == 0.5


def test_a_negative_background_counts_as_zero() -> None:
    y, selection, w = [1, 0, 0], [1, 1, 0], [4.0, -30.0, 100.0]
    assert ams(y, selection, sample_weight=w) == ams(y, selection, sample_weight=[4.0, 0.0, 100.0])
