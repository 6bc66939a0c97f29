"""Histogram gradient boosting of a number, which takes undefined values as they are."""

from __future__ import annotations

from sklearn.ensemble import HistGradientBoostingRegressor


def build() -> HistGradientBoostingRegressor:
    """Return the flow, with the settings of the classifier of the same kind."""
    return HistGradientBoostingRegressor(
        max_iter=150, learning_rate=0.06, max_leaf_nodes=16, max_bins=63, early_stopping=False
    )
