"""The mean: every event gets the same number, the floor that any other regression must beat."""

from __future__ import annotations

from sklearn.dummy import DummyRegressor


def build() -> DummyRegressor:
    """Return the flow: the weighted mean of the training events."""
    return DummyRegressor(strategy="mean")
