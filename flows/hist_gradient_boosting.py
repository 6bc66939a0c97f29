"""scikit-learn's histogram gradient boosting, which takes undefined values as they are."""

from __future__ import annotations

from sklearn.ensemble import HistGradientBoostingClassifier

from hepml_tasks.flows.weighted import WeightedClassifier


def build() -> WeightedClassifier:
    """Return the flow."""
    # scikit-learn 1.9 finds the edges of weighted bins one by one: with 63 of them a fit takes a
    # quarter of the time that it takes with 255, and separates as well
    return WeightedClassifier(
        HistGradientBoostingClassifier(
            max_iter=150, learning_rate=0.06, max_leaf_nodes=16, max_bins=63, early_stopping=False
        )
    )
