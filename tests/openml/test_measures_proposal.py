"""The vectors of the proposal to OpenML are what the metrics say, and what the formulas say."""

from __future__ import annotations

import json
import re
from decimal import Decimal, getcontext
from pathlib import Path
from typing import Any

import pytest

from hepml_tasks.metrics import get_metric

PAGE = Path(__file__).resolve().parents[2] / "docs" / "openml-measures-proposal.md"


def vectors(measure: str) -> list[Any]:
    (block,) = re.findall(
        r"^```json\n(.*?)^```$", PAGE.read_text("utf-8"), re.DOTALL | re.MULTILINE
    )
    return [pytest.param(v, id=v["case"]) for v in json.loads(block) if v["measure"] == measure]


@pytest.mark.parametrize("vector", vectors("ams"))
def test_ams_is_that_of_the_metric_and_of_the_formula_in_fifty_digits(vector):
    weight = vector["weight"]
    value = get_metric("ams")(
        vector["class"], vector["selected"], sample_weight=weight, b_reg=vector["b_reg"]
    )
    assert value == pytest.approx(vector["value"], rel=1e-14)
    getcontext().prec = 50
    sums = {
        label: sum(
            (
                Decimal(w)
                for w, c, s in zip(weight, vector["class"], vector["selected"], strict=True)
                if s and c == label
            ),
            Decimal(0),
        )
        for label in (0, 1)
    }
    s, b = sums[1], sums[0] + Decimal(vector["b_reg"])
    exact = (2 * ((s + b) * (1 + s / b).ln() - s)).sqrt()
    assert float(exact) == pytest.approx(vector["value"], rel=1e-12)


@pytest.mark.parametrize("vector", vectors("background_rejection"))
def test_background_rejection_is_that_of_the_metric_and_of_a_plain_loop(vector):
    wanted, point = float(vector["value"]), vector["signal_efficiency"]
    events = list(zip(vector["class"], vector["score"], vector["weight"], strict=True))
    value = get_metric("background_rejection_50")(
        vector["class"],
        vector["score"],
        sample_weight=vector["weight"],
        signal_efficiency=point,
    )
    assert value == pytest.approx(wanted, rel=1e-14)

    def efficiency(label: int, threshold: float) -> float:
        total = sum(w for c, _, w in events if c == label)
        return sum(w for c, s, w in events if c == label and s >= threshold) / total

    before = (0.0, 0.0)
    for threshold in sorted({s for _, s, _ in events}, reverse=True):
        here = efficiency(1, threshold), efficiency(0, threshold)
        if here[0] >= point:
            share = (point - before[0]) / (here[0] - before[0])
            background = before[1] + share * (here[1] - before[1])
            assert (1 / background if background else float("inf")) == pytest.approx(wanted)
            return
        before = here
    pytest.fail("the working point was not reached")
