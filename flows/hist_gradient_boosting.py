"""scikit-learn's histogram gradient boosting, which takes undefined values as they are."""

from __future__ import annotations

from sklearn.ensemble import HistGradientBoostingClassifier

from hepml_tasks.flows.weighted import WeightedClassifier


def build() -> WeightedClassifier:
    """Return the flow."""
    return WeightedClassifier(
        HistGradientBoostingClassifier(
            max_iter=150, learning_rate=0.06, max_leaf_nodes=16, early_stopping=False
        )
    )
