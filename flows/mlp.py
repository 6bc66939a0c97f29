"""A small neural network on standardised columns."""

from __future__ import annotations

from sklearn.impute import SimpleImputer
from sklearn.neural_network import MLPClassifier
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
                (
                    "classify",
                    MLPClassifier(
                        hidden_layer_sizes=[64, 32],
                        alpha=1e-3,
                        batch_size=256,
                        early_stopping=True,
                        n_iter_no_change=4,
                        max_iter=40,
                    ),
                ),
            ]
        )
    )
