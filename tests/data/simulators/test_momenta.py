"""Two-body decays conserve momentum and are isotropic at rest."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from hepml_tasks.data.simulators.momenta import Momentum, decay, visible, with_rapidity
from hepml_tasks.data.simulators.stream import Stream

SIZE = 50_000


def mass(momentum: Momentum) -> np.ndarray:
    squared = momentum.energy**2 - momentum.px**2 - momentum.py**2 - momentum.pz**2
    return np.sqrt(np.maximum(squared, 0.0))


@pytest.fixture
def parent() -> Momentum:
    stream = Stream(11, (1,), SIZE)
    return with_rapidity(
        stream.normal(0.0, 40.0),
        stream.normal(0.0, 40.0),
        stream.normal(0.0, 1.1),
        stream.uniform(60.0, 130.0),
    )


def test_parent_has_its_mass_and_rapidity(parent: Momentum) -> None:
    assert mass(parent).min() > 59.999
    rapidity = np.arctanh(parent.pz / parent.energy)
    assert rapidity.std() == pytest.approx(1.1, rel=0.02)


def test_daughters_are_massless_and_sum_to_the_parent(parent: Momentum) -> None:
    first, second = decay(parent, Stream(11, (2,), SIZE))
    for a, b, whole in zip(first, second, parent, strict=True):
        np.testing.assert_allclose(a + b, whole, atol=1e-9)
    for daughter in (first, second):
        assert (mass(daughter) < 1e-5 * daughter.energy + 1e-3).all()
        assert (daughter.energy > 0).all()


def test_energy_is_shared_uniformly_as_in_an_isotropic_decay(parent: Momentum) -> None:
    first, _ = decay(parent, Stream(11, (2,), SIZE))
    velocity = np.sqrt(1 - (mass(parent) / parent.energy) ** 2)
    cosine = (2 * first.energy / parent.energy - 1) / velocity
    assert stats.kstest(cosine, stats.uniform(-1, 2).cdf).pvalue > 0.001


def test_visible_form_returns_the_components(parent: Momentum) -> None:
    first, _ = decay(parent, Stream(11, (2,), SIZE))
    seen = visible(first)
    np.testing.assert_allclose(seen.px, first.px, atol=1e-9)
    np.testing.assert_allclose(seen.py, first.py, atol=1e-9)
    np.testing.assert_allclose(seen.pt * np.sinh(seen.eta), first.pz, rtol=1e-9, atol=1e-9)
