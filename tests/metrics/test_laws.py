"""The laws that every registered metric obeys; a new metric is tested without a line added here."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hepml_tasks.errors import MetricError
from hepml_tasks.metrics import all_metrics, laws
from hepml_tasks.metrics.registry import LAWS, Metric

METRICS = all_metrics()
every_metric = pytest.mark.parametrize("metric", METRICS.values(), ids=METRICS)
seeds = st.integers(0, 2**32 - 1)
quick = settings(max_examples=8, deadline=None, derandomize=True)


def under(law: str) -> pytest.MarkDecorator:
    """Parametrise over the metrics that a law applies to."""
    assert law in LAWS
    return pytest.mark.parametrize(
        "metric",
        [pytest.param(m, id=m.name) for m in METRICS.values() if law not in m.exempt],
    )


@every_metric
def test_an_exemption_names_a_law_and_has_a_reason(metric: Metric) -> None:
    assert set(metric.exempt) <= set(LAWS)
    assert all(len(reason.split()) > 3 for reason in metric.exempt.values())


@every_metric
def test_a_metric_tells_what_it_is_and_stays_in_its_range(metric: Metric) -> None:
    laws.check_facts(metric)


def test_every_law_but_coverage_has_a_check() -> None:
    assert set(laws.CHECKS) == set(LAWS) - {"coverage"}


@under("permutation")
@quick
@given(seed=seeds)
def test_permuting_events_changes_nothing(metric: Metric, seed: int) -> None:
    laws.permutation(metric, seed)


@under("duplication")
@quick
@given(seed=seeds)
def test_an_event_twice_equals_the_event_with_twice_the_weight(metric: Metric, seed: int) -> None:
    laws.duplication(metric, seed)


@under("weight_scaling")
@quick
@given(seed=seeds)
def test_a_common_factor_on_the_weights_acts_as_declared(metric: Metric, seed: int) -> None:
    laws.weight_scaling(metric, seed)


@under("monotone")
@quick
@given(seed=seeds)
def test_a_monotone_map_of_the_scores_leaves_rank_metrics_alone(metric: Metric, seed: int) -> None:
    laws.monotone(metric, seed)


@under("cancelling_pair")
@quick
@given(seed=seeds)
def test_a_cancelling_pair_of_weights_changes_nothing(metric: Metric, seed: int) -> None:
    laws.cancelling_pair(metric, seed)


@under("bad_input")
@pytest.mark.parametrize("check", laws.CHECKS["bad_input"], ids=lambda check: check.__name__)
def test_bad_input_names_its_argument_and_extreme_input_is_counted(
    metric: Metric, check: laws.Check
) -> None:
    check(metric, 0)


@under("same_seed")
def test_the_same_seed_gives_the_same_uncertainty(metric: Metric) -> None:
    laws.same_seed(metric, 0)


def _metric(function: Any, **facts: Any) -> Metric:
    return Metric("x", "X", function, "selection", "a test", **facts)


def test_a_metric_that_breaks_a_law_is_found_out() -> None:
    def first(y_true: Any, y_pred: Any, *, sample_weight: Any = None) -> float:
        return float(sample_weight[0])

    with pytest.raises(AssertionError, match="events in another order"):
        laws.check_law("permutation", _metric(first))
    with pytest.raises(AssertionError, match="all weights times"):
        laws.check_law("weight_scaling", _metric(first))
    with pytest.raises(AssertionError, match="raise a MetricError"):
        laws.check_law("bad_input", _metric(first))

    def mute(y_true: Any, y_pred: Any, *, sample_weight: Any = None) -> float:
        raise MetricError("something is wrong")

    with pytest.raises(AssertionError, match="name y_pred"):
        laws.check_law("bad_input", _metric(mute))
    assert "permutation" not in laws.laws_of(_metric(first, exempt={"permutation": "it is first"}))


@pytest.mark.slow
@under("coverage")
def test_the_interval_covers_the_truth_at_its_level(metric: Metric) -> None:
    path = Path(__file__).parents[2] / "benchmarks" / "coverage.py"
    spec = importlib.util.spec_from_file_location("hepml_coverage", path)
    assert spec is not None
    assert spec.loader is not None
    campaign = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(campaign)
    # a rough look: 100 repeats have a deviation of 4.7 %; benchmarks/coverage.py takes 2,000
    covered, _, _ = campaign.measure(metric.name, 100)
    assert 0.54 <= covered <= 0.82
