from __future__ import annotations

import json
import math

import numpy as np
import pytest
from sklearn.base import BaseEstimator
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import StandardScaler

from hepml_tasks.errors import FlowError
from hepml_tasks.flows import FLOWS
from hepml_tasks.flows.description import describe, fingerprint, rebuild, seeded


def plain(value):
    """Parameters without what compares unequal to itself."""
    return json.loads(json.dumps(describe(value)).replace("NaN", '"nan"'))


@pytest.mark.parametrize("name", FLOWS)
def test_every_standard_flow_survives_json(name: str):
    flow = seeded(FLOWS[name].build(), 3)
    back = rebuild(json.loads(json.dumps(describe(flow))))
    assert type(back) is type(flow)
    assert plain(back) == plain(flow)


def test_a_fingerprint_is_the_same_for_other_seeds_and_another_for_other_parameters():
    one = LogisticRegression()
    assert fingerprint(describe(seeded(one, 1))) == fingerprint(describe(seeded(one, 2)))
    assert fingerprint(describe(one)) != fingerprint(describe(LogisticRegression(C=2.0)))


def test_only_open_seeds_are_set():
    pipeline = Pipeline([("scale", StandardScaler()), ("fit", LogisticRegression(random_state=7))])
    assert seeded(pipeline, 1).get_params()["fit__random_state"] == 7
    assert seeded(LogisticRegression(), 1).random_state == 1


class Own(BaseEstimator):
    def __init__(self, x=(1, math.nan, None)):
        self.x = x


def test_an_estimator_of_ones_own_carries_the_checksum_of_its_source():
    described = describe(Own(x=(np.float64(2.5), math.inf, None)))
    assert len(described["source_sha256"]) == 64
    assert described["parameters"]["x"] == {"tuple": [2.5, {"float": "inf"}, None]}


def test_a_parameter_that_is_no_data_is_named():
    with pytest.raises(FlowError, match="parameter Own.x is a function"):
        describe(Own(x=lambda: 0))


def test_what_is_no_estimator_is_refused():
    with pytest.raises(FlowError, match="is no scikit-learn estimator"):
        describe(LogisticRegression)


@pytest.mark.parametrize(
    ("path", "problem"),
    [
        ("os.path.join", "is no scikit-learn estimator|is not from"),
        ("subprocess.Popen", "is no scikit-learn estimator|is not from"),
        ("this.Antigravity", "is not from sklearn"),
        ("sklearn.linear_model._logistic.Logistic", "can't be imported"),
    ],
)
def test_only_estimators_are_rebuilt_and_only_from_trusted_packages(path: str, problem: str):
    with pytest.raises(FlowError, match=problem):
        rebuild({"class": path, "parameters": {}})


def test_a_parameter_of_another_version_is_named():
    described = {
        "class": "sklearn.linear_model._logistic.LogisticRegression",
        "parameters": {"q": 1},
    }
    with pytest.raises(FlowError, match="'q'"):
        rebuild(described)
