"""Extremely randomised trees."""

from __future__ import annotations

from sklearn.ensemble import ExtraTreesClassifier
from sklearn.impute import SimpleImputer
from sklearn.pipeline import Pipeline

from hepml_tasks.flows.weighted import WeightedClassifier


def build() -> WeightedClassifier:
    """Return the flow: an undefined value becomes a number that no cut confuses with others."""
    return WeightedClassifier(
        Pipeline(
            [
                ("impute", SimpleImputer(strategy="constant", fill_value=-999.0)),
                ("classify", ExtraTreesClassifier(n_estimators=100, min_samples_leaf=5)),
            ]
        )
    )
