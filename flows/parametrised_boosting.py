"""Boosted trees that know all calibrations, and which one it is."""

from __future__ import annotations

from hepml_tasks.flows import hist_gradient_boosting
from hepml_tasks.flows.nuisance import NuisanceClassifier


def build() -> NuisanceClassifier:
    """Return the flow, for a tau energy scale in column tes."""
    return NuisanceClassifier(hist_gradient_boosting.build(), column="tes", use="feature")
