"""Logistic regression that knows one calibration."""

from __future__ import annotations

from hepml_tasks.flows import logistic
from hepml_tasks.flows.nuisance import NuisanceClassifier


def build() -> NuisanceClassifier:
    """Return the flow, for a tau energy scale in column tes."""
    return NuisanceClassifier(logistic.build(), column="tes", use="ignore")
