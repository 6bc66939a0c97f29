from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import wasserstein_distance

from hepml_tasks.errors import MetricError
from hepml_tasks.metrics import (
    frechet_physics_distance,
    get_metric,
    kernel_physics_distance,
    score,
    wasserstein,
)


def test_wasserstein_equals_that_of_scipy() -> None:
    rng = np.random.default_rng(0)
    y, x, w = rng.integers(0, 2, 500), np.round(rng.normal(size=(500, 3)), 1), rng.random(500)
    real = y == 1
    expected = [wasserstein_distance(c[real], c[~real], w[real], w[~real]) for c in x.T]
    assert wasserstein(y, x, sample_weight=w) == pytest.approx(np.mean(expected), rel=1e-10)


def test_a_shift_gives_the_shift() -> None:
    x = np.random.default_rng(0).normal(size=400)
    y = np.repeat([0, 1], 400)
    assert wasserstein(y, np.concatenate([x, x + 0.25])) == pytest.approx(0.25)


def test_negative_weights_are_refused_with_their_reason() -> None:
    with pytest.raises(MetricError, match="W1 moves weight"):
        wasserstein([0, 1, 1], [0, 1, 1], sample_weight=[1, 2, -1])


def reference_samples() -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(1)
    return rng.normal(0, 1, (50_000, 36)), rng.normal(0.02, 1.02, (50_000, 36))


@pytest.mark.slow
def test_kernel_distance_has_its_reference_value() -> None:
    value, error = kernel_physics_distance(*reference_samples())
    assert value == pytest.approx(6.4113e-5, rel=1e-4)
    assert error == pytest.approx(1.3285e-5, rel=1e-4)


@pytest.mark.campaign
def test_frechet_distance_has_its_reference_value() -> None:
    value, error = frechet_physics_distance(*reference_samples())
    assert value == pytest.approx(0.002449779, rel=1e-6)
    assert error == pytest.approx(3.45e-5, rel=2e-3)


def test_kernel_distance_of_a_small_sample_is_its_definition() -> None:
    rng = np.random.default_rng(3)
    x, y = rng.normal(size=(60, 3)), rng.normal(0.3, 1, (50, 3))
    value, _ = kernel_physics_distance(x, y, batches=1, batch_size=700, seed=5)
    draw = np.random.default_rng(5)
    scale = np.abs(x).max(axis=0)
    a = (x / scale)[draw.choice(60, size=700)]
    b = (y / scale)[draw.choice(50, size=700)]
    aa, bb, ab = ((p @ q.T / 3 + 1) ** 4 for p, q in ((a, a), (b, b), (a, b)))
    pairs = 700 * 699
    expected = (aa.sum() - np.trace(aa) + bb.sum() - np.trace(bb)) / pairs - 2 * ab.mean()
    assert value == pytest.approx(expected, rel=1e-9)


def test_equal_samples_lie_near_zero_and_a_shift_at_its_square() -> None:
    x = np.random.default_rng(0).normal(size=(4000, 2))
    options = {"min_samples": 1000, "max_samples": 4000, "batches": 10}
    near, _ = frechet_physics_distance(x, x, **options)
    far, _ = frechet_physics_distance(x, x + 0.5, **options)
    # features are scaled by the largest value of the real sample
    expected = float(np.sum(np.square(0.5 / np.abs(x).max(axis=0))))
    assert near < 0.01 * expected
    assert far == pytest.approx(expected, rel=0.05)


def test_the_published_procedure_is_named_in_the_score() -> None:
    rng = np.random.default_rng(0)
    y, x = np.repeat([0, 1], 100), rng.normal(size=(200, 2))
    for name in ("frechet_physics_distance", "kernel_physics_distance"):
        result = score(name, y, y_score=x, **get_metric(name).test_options)
        assert result.method.startswith("published procedure")


def test_features_of_other_width_are_refused() -> None:
    with pytest.raises(MetricError, match="generated has 3 columns where 2 are needed"):
        kernel_physics_distance(np.ones((5, 2)), np.ones((5, 3)))
