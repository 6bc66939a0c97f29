"""A window in a mass: a hunt for a bump that looks at nothing else."""

from __future__ import annotations

from hepml_tasks.flows.anomaly import AnomalyDetector
from hepml_tasks.flows.cwola import MassWindow


def build() -> AnomalyDetector:
    """Return the flow, for a resonance at a collinear mass of about 400 GeV."""
    return AnomalyDetector(MassWindow(column="DER_mass_col", low=340.0, high=480.0))
