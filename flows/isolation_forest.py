"""Isolation forest: what random cuts soon leave alone is abnormal."""

from __future__ import annotations

from sklearn.ensemble import IsolationForest
from sklearn.impute import SimpleImputer
from sklearn.pipeline import Pipeline

from hepml_tasks.flows.anomaly import AnomalyDetector


def build() -> AnomalyDetector:
    """Return the flow: an undefined value becomes the median."""
    return AnomalyDetector(
        Pipeline(
            [("impute", SimpleImputer(strategy="median")), ("isolate", IsolationForest())],
        )
    )
