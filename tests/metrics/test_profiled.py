from __future__ import annotations

from typing import Any

import pytest

from hepml_tasks.errors import MetricError
from hepml_tasks.metrics import asimov_significance, profiled_significance

S, B, SIGMA = [5.0, 20.0, 12.0], [100.0, 60.0, 10.0], [10.0, 6.0, 2.0]
SCALE = ([110.0, 63.0, 10.5], [92.0, 58.0, 9.0])
TILT = ([95.0, 62.0, 11.0], [105.0, 58.0, 9.2])
OBSERVED = [108.0, 71.0, 19.0]

# pyhf 0.7.6 with scipy's optimiser at a tolerance of 1e-12, shapesys and histosys (code 4p)
CASES: list[tuple[dict[str, Any], float]] = [
    ({"background_uncertainty": SIGMA}, 3.275693689098978),
    ({"variations": [SCALE]}, 3.872242148121348),
    ({"background_uncertainty": SIGMA, "variations": [SCALE]}, 3.1163184218328928),
    ({"background_uncertainty": SIGMA, "variations": [SCALE, TILT]}, 2.9358290872570523),
    (
        {"background_uncertainty": SIGMA, "variations": [SCALE], "observed": OBSERVED},
        2.204864506594474,
    ),
    ({"observed": OBSERVED}, 2.9300378924225976),
]


@pytest.mark.parametrize(("given", "expected"), CASES)
def test_the_significance_is_that_of_pyhf(given: dict[str, Any], expected: float) -> None:
    assert profiled_significance(S, B, **given) == pytest.approx(expected, rel=1e-8)


@pytest.mark.parametrize("given", [given for given, _ in CASES])
@pytest.mark.filterwarnings("ignore")
def test_an_installed_pyhf_agrees(given: dict[str, Any]) -> None:
    pyhf = pytest.importorskip("pyhf")
    modifiers: list[dict[str, Any]] = []
    if "background_uncertainty" in given:
        modifiers.append({"name": "u", "type": "shapesys", "data": SIGMA})
    for k, (up, down) in enumerate(given.get("variations", ())):
        data = {"hi_data": up, "lo_data": down}
        modifiers.append({"name": f"a{k}", "type": "histosys", "data": data})
    strength = [{"name": "mu", "type": "normfactor", "data": None}]
    samples = [
        {"name": "s", "data": S, "modifiers": strength},
        {"name": "b", "data": B, "modifiers": modifiers},
    ]
    model = pyhf.Model({"channels": [{"name": "c", "samples": samples}]}, poi_name="mu")
    counts = given.get("observed", [s + b for s, b in zip(S, B, strict=True)])
    q0 = pyhf.infer.test_statistics.q0(
        0.0,
        counts + model.config.auxdata,
        model,
        model.config.suggested_init(),
        model.config.suggested_bounds(),
        model.config.suggested_fixed(),
    )
    assert profiled_significance(S, B, **given) == pytest.approx(float(q0) ** 0.5, rel=1e-4)


def test_one_bin_is_the_closed_form() -> None:
    assert profiled_significance([10], [50], background_uncertainty=[5]) == pytest.approx(
        1.1073662678860068, rel=1e-12
    )


def test_bins_without_uncertainty_add_in_quadrature() -> None:
    parts = [asimov_significance(s, b) ** 2 for s, b in zip(S, B, strict=True)]
    assert profiled_significance(S, B) ** 2 == pytest.approx(sum(parts))


def test_a_deficit_is_no_discovery() -> None:
    assert profiled_significance(S, B, observed=[80, 50, 7]) == 0


def test_signal_without_background_is_refused() -> None:
    with pytest.raises(MetricError, match="background is 0 in bin 1"):
        profiled_significance([1, 1], [5, 0])
    with pytest.raises(MetricError, match="variations has 2 values where 3 are needed"):
        profiled_significance(S, B, variations=[([1, 2], [3, 4])])
