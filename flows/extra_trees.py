"""Extremely randomised trees, which take undefined values as they are."""

from __future__ import annotations

from sklearn.ensemble import ExtraTreesClassifier

from hepml_tasks.flows.weighted import WeightedClassifier


def build() -> WeightedClassifier:
    """Return the flow."""
    return WeightedClassifier(ExtraTreesClassifier(n_estimators=100, min_samples_leaf=5))
