"""Logistic regression on standardised columns."""

from __future__ import annotations

from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import StandardScaler

from hepml_tasks.flows.weighted import WeightedClassifier


def build() -> WeightedClassifier:
    """Return the flow: an undefined value becomes the median and a column that says so."""
    return WeightedClassifier(
        Pipeline(
            [
                ("impute", SimpleImputer(strategy="median", add_indicator=True)),
                ("scale", StandardScaler()),
                ("classify", LogisticRegression(max_iter=1000)),
            ]
        )
    )
