"""A site survives the way through JSON."""

from __future__ import annotations

import json
import math
from types import MappingProxyType

import numpy as np

from hepml_tasks.pages.model import Cell, Site, plain_json


def test_a_site_comes_back_from_strict_json(site: Site) -> None:
    text = json.dumps(site.to_json(), allow_nan=False)
    again = Site.from_json(json.loads(text))
    assert again.to_json() == site.to_json()
    assert again.tasks[0] == site.tasks[0]
    assert again.runs[0] == site.runs[0]


def test_a_score_that_is_not_a_number_comes_back_as_such(site: Site) -> None:
    again = Site.from_json(json.loads(json.dumps(site.to_json(), allow_nan=False)))
    assert math.isnan(again.tasks[1].rows[1].cells["kpd"].value)


def test_intervals_come_back_as_pairs_of_numbers(site: Site) -> None:
    again = Site.from_json(site.to_json())
    assert (
        again.tasks[0].rows[0].cells["ams"].interval == site.tasks[0].rows[0].cells["ams"].interval
    )


def test_numbers_of_numpy_and_mappings_of_any_kind_become_plain_ones() -> None:
    data = plain_json(MappingProxyType({"cell": Cell(np.float64(0.1), interval=(-math.inf, 1.0))}))
    assert data["cell"]["value"].__class__ is float
    assert data["cell"]["interval"] == ["-inf", 1.0]
