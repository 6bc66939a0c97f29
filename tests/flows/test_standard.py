from __future__ import annotations

import sys

import pytest

from hepml_tasks.errors import MissingExtraError, UnknownNameError
from hepml_tasks.flows import FLOWS, find_flow


def test_the_families_are_there():
    classifiers = {"prior", "logistic", "extra-trees", "hist-gradient-boosting", "xgboost", "mlp"}
    regressors = {"mean", "ridge", "hist-gradient-boosting-regressor", "mlp-regressor"}
    for type_ in ("binary-classification", "multiclass-classification"):
        assert {f.name for f in FLOWS.values() if f.suits(type_)} == classifiers
    assert {f.name for f in FLOWS.values() if f.suits("regression")} == regressors
    detectors = {"constant", "reconstruction", "isolation-forest", "mass-window", "cwola"}
    assert {f.name for f in FLOWS.values() if f.suits("anomaly-detection")} == detectors
    trackers = {"azimuth-clusters", "helix-clusters", "track-follower"}
    assert {f.name for f in FLOWS.values() if f.suits("tracking")} == trackers


def test_an_unknown_flow_is_answered_with_the_nearest():
    with pytest.raises(
        UnknownNameError, match="no flow is called 'xgbost'; did you mean 'xgboost'"
    ):
        find_flow("xgbost")


def test_a_flow_whose_package_is_missing_names_the_extra(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setitem(sys.modules, "xgboost", None)
    with pytest.raises(MissingExtraError, match=r"pip install 'hepml_tasks\[xgboost\]'"):
        find_flow("xgboost").build()
