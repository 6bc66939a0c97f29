from __future__ import annotations

import json
import math

import numpy as np
import pytest

from hepml_tasks.errors import MetricError, UnknownNameError
from hepml_tasks.metrics import (
    Score,
    ams,
    ams_maximum,
    brier_score,
    get_metric,
    purity,
    roc_auc,
    score,
)
from hepml_tasks.metrics.scoring import prepare

SUMS = (691.988607712, 410999.847322)


def sample(n: int = 2000, seed: int = 0) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    y = rng.integers(0, 2, n)
    return y, rng.normal(y, 1), rng.exponential(size=n)


def rescaled(y: np.ndarray, w: np.ndarray) -> np.ndarray:
    return w * np.where(y == 1, SUMS[0] / w[y == 1].sum(), SUMS[1] / w[y == 0].sum())


def test_a_score_carries_numbers_of_events() -> None:
    y, s, w = sample()
    result = score("roc_auc", y, y_score=s, sample_weight=w)
    assert result.value == roc_auc(y, s, sample_weight=w)
    assert result.n == 2000
    assert result.n_eff == pytest.approx(w.sum() ** 2 / (w**2).sum())
    assert result.method == "poisson-bootstrap-200, test sample only, seed 0"
    assert result.interval[0] < result.value < result.interval[1]


def test_class_sums_rescale_the_classes_of_the_value() -> None:
    y, s, w = sample()
    selected = s > 1.5
    full = rescaled(y, w)
    for name, expected in (
        ("ams", ams(y, selected, sample_weight=full)),
        ("ams_maximum", ams_maximum(y, s, sample_weight=full)),
        ("purity", purity(y, selected, sample_weight=full)),
    ):
        result = score(name, y, y_pred=selected, y_score=s, sample_weight=w, class_sums=SUMS)
        assert result.value == pytest.approx(expected, rel=1e-12)
    p = 1 / (1 + np.exp(-s))
    result = score("brier_score", y, y_score=p, sample_weight=w, class_sums=SUMS)
    assert result.value == pytest.approx(brier_score(y, p, sample_weight=full))


def test_class_sums_are_kept_in_every_replica() -> None:
    # everything is selected: with fixed sums nothing can fluctuate
    y, _, w = sample(300)
    everything = np.ones(300)
    fixed = score("ams", y, y_pred=everything, sample_weight=w, class_sums=SUMS)
    assert fixed.uncertainty == pytest.approx(0, abs=1e-8)
    units = np.arange(300) // 2
    clustered = score("ams", y, y_pred=everything, sample_weight=w, class_sums=SUMS, event_id=units)
    assert "poisson" in clustered.method
    assert clustered.uncertainty == pytest.approx(0, abs=1e-8)
    flat = score("ams_maximum", y, y_score=np.zeros(300), sample_weight=w, class_sums=SUMS)
    assert flat.uncertainty == pytest.approx(0, abs=1e-8)
    assert score("ams", y, y_pred=everything, sample_weight=w).uncertainty > 0.01


@pytest.mark.parametrize("class_sums", [None, SUMS])
@pytest.mark.parametrize("name", ["ams", "purity", "signal_efficiency", "asimov_significance"])
def test_squared_weights_and_bootstrap_agree(name: str, class_sums: object) -> None:
    y, s, w = sample(5000)
    options = {"y_pred": s > 1, "sample_weight": w, "class_sums": class_sums}
    summed = prepare(get_metric(name), y, **options).deviation()
    # the same rows as units of two: all pairs are independent of one another
    units = np.append(np.arange(4999), 0)
    replicas = score(name, y, event_id=units, replicas=1500, **options)
    assert replicas.method.startswith("poisson-bootstrap")
    assert summed == pytest.approx(replicas.uncertainty, rel=0.1)


def test_ratios_of_sums_propagate_squared_weights_and_significances_take_the_bootstrap() -> None:
    y, s, w = sample(500)
    methods = {
        name: score(name, y, y_pred=s > 1, sample_weight=w).method.partition(" ")[0]
        for name in ("signal_efficiency", "background_efficiency", "purity", "ams")
    }
    assert methods.pop("ams").startswith("poisson-bootstrap-200")
    assert set(methods.values()) == {"sum"}


def test_rows_of_one_event_are_resampled_together() -> None:
    y, s, _ = sample(400)
    once = score("roc_auc", y, y_score=s, replicas=500)
    copies = score(
        "roc_auc",
        np.tile(y, 4),
        y_score=np.tile(s, 4),
        event_id=np.tile(np.arange(400), 4),
        replicas=500,
    )
    assert copies.value == pytest.approx(once.value)
    assert copies.uncertainty == pytest.approx(once.uncertainty)


def test_the_order_of_the_rows_does_not_matter() -> None:
    y, s, w = sample(500)
    order = np.random.default_rng(1).permutation(500)
    ids = np.arange(500) + 10**6
    first = score("ams_maximum", y, y_score=s, sample_weight=w, event_id=ids)
    second = score(
        "ams_maximum", y[order], y_score=s[order], sample_weight=w[order], event_id=ids[order]
    )
    assert second.value == pytest.approx(first.value, rel=1e-12)
    assert second.interval == pytest.approx(first.interval, rel=1e-12)


def test_equal_inputs_give_bit_equal_scores() -> None:
    y, s, w = sample(3000)
    first, second = (score("roc_auc", y, y_score=s, sample_weight=w) for _ in range(2))
    assert first == second


def test_replicas_without_a_class_are_left_out_and_counted() -> None:
    y, s = [1] + [0] * 50, np.arange(51)
    result = score("roc_auc", y, y_score=s)
    assert "replicas without a value left out" in result.method


def test_no_replicas_give_the_value_alone() -> None:
    y, s, _ = sample(100)
    result = score("roc_auc", y, y_score=s, replicas=0)
    assert result.value == roc_auc(y, s)
    assert math.isnan(result.uncertainty)
    assert result.method == "none asked for"


def test_a_score_is_plain_json() -> None:
    result = Score(1.5, math.nan, (-math.inf, 2.0), "a test", 3, 2.5)
    assert json.loads(json.dumps(result.as_dict(), allow_nan=False)) == {
        "value": 1.5,
        "uncertainty": None,
        "interval": [None, 2.0],
        "method": "a test",
        "n": 3,
        "n_eff": 2.5,
    }


def test_unweighted_measures_of_openml_ignore_weights() -> None:
    y, s, w = sample(200)
    for name in ("area_under_roc_curve", "predictive_accuracy"):
        options = {"y_pred": (s > 0).astype(int), "y_score": s, "class_sums": SUMS}
        assert score(name, y, **options, sample_weight=w) == score(name, y, **options)


def test_errors_name_what_is_missing_or_wrong() -> None:
    with pytest.raises(MetricError, match="y_score is missing; metric 'roc_auc' needs it"):
        score("roc_auc", [0, 1], y_pred=[0, 1])
    with pytest.raises(MetricError, match="class_sums"):
        score("ams", [0, 1], y_pred=[0, 1], class_sums=(1.0, -1.0))
    with pytest.raises(MetricError, match="class_sums"):
        score("ams", [0, 1], y_pred=[0, 1], class_sums=(1.0,))
    with pytest.raises(MetricError, match="event_id"):
        score("ams", [0, 1], y_pred=[0, 1], event_id=[1])
    with pytest.raises(UnknownNameError):
        score("no_such", [0, 1], y_pred=[0, 1])
