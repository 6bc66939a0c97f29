"""The prior: every event gets the same score, the floor that any other flow must beat."""

from __future__ import annotations

from sklearn.dummy import DummyClassifier

from hepml_tasks.flows.weighted import WeightedClassifier


def build() -> WeightedClassifier:
    """Return the flow; it selects all events or none."""
    return WeightedClassifier(DummyClassifier(strategy="prior"))
