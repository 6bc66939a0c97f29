from __future__ import annotations

import csv
import gzip
from pathlib import Path

import numpy as np
import pytest

from hepml_tasks.errors import MetricError
from hepml_tasks.metrics import compare, roc_auc, tied_groups


def runs(seed: int = 0, n: int = 2000) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    y = rng.integers(0, 2, n)
    s = rng.normal(1.2 * y, 1)
    return y, s, s + rng.normal(0, 0.4, n)


def test_the_paired_difference_is_known_better_than_the_unpaired_one() -> None:
    y, first, second = runs()
    result = compare("roc_auc", y, first, second)
    assert result.difference == pytest.approx(roc_auc(y, first) - roc_auc(y, second))
    assert result.uncertainty < 0.5 * result.unpaired
    assert result.interval[0] < result.difference < result.interval[1]
    assert result.better == "first"


def test_equal_runs_differ_by_exactly_nothing() -> None:
    y, first, _ = runs()
    result = compare("ams_maximum", y, first, first)
    assert (result.difference, result.uncertainty, result.better) == (0, 0, None)


def test_the_smaller_loss_is_better() -> None:
    y, first, second = runs()
    p, q = (1 / (1 + np.exp(-2 * (s - 0.6))) for s in (first, second - 2))
    assert compare("log_loss", y, p, q).better == "first"


def test_the_pairing_follows_the_event_ids() -> None:
    y, first, second = runs(n=500)
    ids = np.arange(500)
    order = np.random.default_rng(0).permutation(500)
    result = compare("roc_auc", y, first, second, event_id=ids)
    other = compare("roc_auc", y[order], first[order], second[order], event_id=ids[order])
    assert other.uncertainty == pytest.approx(result.uncertainty, rel=1e-9)


def test_runs_are_grouped_by_what_can_be_told_apart() -> None:
    y, best, _ = runs(n=4000)
    rng = np.random.default_rng(1)
    scores = {
        "good": best,
        "good too": best + rng.normal(0, 0.02, 4000),
        "noise": rng.normal(size=4000),
        "noise too": rng.normal(size=4000),
    }
    ties = tied_groups("roc_auc", y, scores, replicas=400)
    assert [set(group) for group in ties.groups] == [{"good", "good too"}, {"noise", "noise too"}]
    assert set(ties.best) == {"good", "good too"}
    assert ties.order[0] in ties.best
    assert ties.values["good"] == roc_auc(y, best)
    assert ties.p_values["good", "noise"] < 0.05 < ties.p_values["good", "good too"]


def test_a_run_may_stand_between_two_groups() -> None:
    from hepml_tasks.metrics.comparison import _groups

    assert _groups(("a", "b", "c"), [("a", "c")]) == (("a", "b"), ("b", "c"))
    assert _groups(("a", "b", "c"), []) == (("a", "b", "c"),)
    assert _groups(("a", "b"), [("a", "b")]) == (("a",), ("b",))


def test_one_run_is_a_group_of_its_own() -> None:
    y, first, _ = runs(n=200)
    assert tied_groups("roc_auc", y, {"only": first}, replicas=50).groups == (("only",),)


def test_equal_runs_are_told_apart_as_rarely_as_stated() -> None:
    wrong = 0
    for seed in range(60):
        rng = np.random.default_rng(seed)
        y = rng.integers(0, 2, 200)
        equal = {str(k): y + rng.normal(0, 1.5, 200) for k in range(4)}
        wrong += len(tied_groups("roc_auc", y, equal, replicas=200, seed=seed).groups) > 1
    assert wrong <= 9


def test_the_faulty_run_is_named() -> None:
    with pytest.raises(MetricError, match="run 'bad': y_score has 1 values that aren't finite"):
        tied_groups("roc_auc", [0, 1], {"good": [0, 1], "bad": [0, np.nan]})
    with pytest.raises(MetricError, match="published procedure"):
        compare("kernel_physics_distance", [0, 1], [0, 1], [0, 1])


def test_two_flows_on_real_events_differ_by_less_than_their_own_uncertainties(
    real_data: Path,
) -> None:
    from sklearn.ensemble import HistGradientBoostingClassifier
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    path = real_data / "higgsml" / "atlas-higgs-challenge-2014-v2.first18000.csv.gz"
    with gzip.open(path, "rt") as file:
        rows = list(csv.DictReader(file))
    features = [name for name in rows[0] if name.startswith(("DER_", "PRI_"))]
    X = np.array([[float(row[name]) for name in features] for row in rows])
    y = np.array([row["Label"] == "s" for row in rows]).astype(int)
    w = np.array([float(row["Weight"]) for row in rows])
    ids = np.array([int(row["EventId"]) for row in rows])
    train = np.arange(len(y)) % 2 == 0
    flows = (
        HistGradientBoostingClassifier(max_iter=40, random_state=0),
        make_pipeline(StandardScaler(), LogisticRegression(max_iter=300)),
    )
    trees, line = (flow.fit(X[train], y[train]).predict_proba(X[~train])[:, 1] for flow in flows)
    result = compare(
        "roc_auc", y[~train], trees, line, sample_weight=w[~train], event_id=ids[~train]
    )
    assert result.better == "first"
    assert result.uncertainty < result.unpaired
