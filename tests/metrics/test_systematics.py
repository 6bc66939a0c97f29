from __future__ import annotations

import numpy as np
import pytest

from hepml_tasks.errors import MetricError
from hepml_tasks.metrics import across_nuisance, roc_auc, split_by_nuisance


def shifted(shift: float, n: int = 1500) -> dict[str, np.ndarray]:
    rng = np.random.default_rng(0)
    y = rng.integers(0, 2, n)
    return {
        "y_true": y,
        "y_score": rng.normal((1.0 + 0.2 * shift) * y, 1),
        "event_id": np.arange(n),
    }


def test_worst_case_spread_and_slope_are_those_of_the_points() -> None:
    points = {shift: shifted(shift) for shift in (1.0, -1.0, 0.0)}
    result = across_nuisance("roc_auc", points)
    values = {z: roc_auc(p["y_true"], p["y_score"]) for z, p in points.items()}
    assert list(result.scores) == [-1.0, 0.0, 1.0]
    assert (result.worst, result.worst_at) == (values[-1.0], -1.0)
    assert result.spread == pytest.approx(values[1.0] - values[-1.0])
    assert result.slope == pytest.approx((values[1.0] - values[-1.0]) / 2)


def test_common_events_make_the_slope_more_certain_than_the_points() -> None:
    result = across_nuisance("roc_auc", {z: shifted(z) for z in (-1.0, 0.0, 1.0)})
    independent = result.scores[0.0].uncertainty / np.sqrt(2)
    assert result.slope_uncertainty < 0.5 * independent
    assert result.slope > 5 * result.slope_uncertainty


def test_spread_and_slope_come_with_the_deviation_of_common_replicas() -> None:
    points = {z: shifted(z) for z in (-1.0, 0.0, 1.0)}
    result = across_nuisance("roc_auc", points)
    told = result.worst_score.as_dict()
    assert (told["spread"]["value"], told["slope"]["value"]) == (result.spread, result.slope)
    # the values fall on a line but for the sampling: the spread is the slope over two units
    deviations = [told[effect]["uncertainty"] for effect in ("spread", "slope")]
    assert deviations[0] == pytest.approx(2 * deviations[1], rel=0.05)
    without = across_nuisance("roc_auc", points, replicas=0).worst_score.as_dict()
    assert without["slope"] == {"value": result.slope, "uncertainty": None, "method": "none"}


def test_the_worst_of_a_loss_is_its_largest() -> None:
    y = [0, 1]
    points = {0.0: {"y_true": y, "y_score": [0.1, 0.9]}, 1.0: {"y_true": y, "y_score": [0.4, 0.6]}}
    assert across_nuisance("log_loss", points, replicas=0).worst_at == 1.0


def test_columns_are_split_by_the_value_of_the_nuisance() -> None:
    points = split_by_nuisance([0, 1, 0], y_true=[1, 0, 0], y_score=[3, 4, 5], event_id=None)
    assert {z: {k: list(np.asarray(v)) for k, v in p.items()} for z, p in points.items()} == {
        0.0: {"y_true": [1, 0], "y_score": [3, 5]},
        1.0: {"y_true": [0], "y_score": [4]},
    }


def test_the_faulty_point_is_named() -> None:
    good = shifted(0.0)
    with pytest.raises(MetricError, match=r"points\[1\]: y_true has no signal"):
        across_nuisance("roc_auc", {0.0: good, 1.0: {**good, "y_true": np.zeros(1500)}})
    with pytest.raises(MetricError, match="points has 1 values"):
        across_nuisance("roc_auc", {0.0: good})
