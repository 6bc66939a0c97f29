from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from hepml_tasks.errors import RunError
from hepml_tasks.evaluation.evidence import from_folder
from hepml_tasks.evaluation.paired import compare_runs


@pytest.fixture
def runs(run_folder, few_events):
    """Return a run, and another that is nearly the same."""
    one = from_folder(run_folder, few_events)
    p = one.predictions
    noise = np.random.default_rng(0).normal(0, 0.02, len(p.score))
    order = np.random.default_rng(1).permutation(len(p.score))
    other = replace(
        p,
        repeat=p.repeat[order],
        fold=p.fold[order],
        row=p.row[order],
        predicted=p.predicted[order],
        score=(p.score + noise)[order],
    )
    return one, replace(one, predictions=other)


def test_a_paired_difference_is_more_certain_than_two_runs_by_themselves(runs):
    one, two = runs
    result = compare_runs("roc_auc", one, two)
    assert result.first == one.evaluate().scores["roc_auc"].value
    assert result.second == two.evaluate().scores["roc_auc"].value
    assert result.difference == result.first - result.second
    assert result.interval[0] < result.difference < result.interval[1]
    assert result.uncertainty < 0.3 * result.unpaired


def test_a_selection_is_compared_with_itself_without_any_difference(runs):
    result = compare_runs("ams", *runs)
    assert (result.difference, result.uncertainty) == (0.0, 0.0)


def test_runs_on_other_events_are_refused(runs):
    one, two = runs
    p = two.predictions
    half = replace(two, predictions=replace(p, row=(p.row + 1) % len(p.row)))
    fewer = {k: getattr(p, k)[:-1] for k in ("repeat", "fold", "row", "predicted", "score")}
    for other in (half, replace(two, predictions=replace(p, **fewer))):
        with pytest.raises(RunError, match="are not runs of one task on one split"):
            compare_runs("roc_auc", one, other)
    with pytest.raises(RunError, match="needs mass"):
        compare_runs("correlation_cvm", one, two)
