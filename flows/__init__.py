"""The standard flows that every task is measured with: one small module a family."""

from __future__ import annotations

import importlib
import importlib.util
from dataclasses import dataclass
from typing import Any

from hepml_tasks.errors import UnknownNameError
from hepml_tasks.spec import TaskType


@dataclass(frozen=True)
class Flow:
    """A standard flow.

    Parameters
    ----------
    name : str
        As people type it.
    title : str
    module : str
        The module of this package whose `build` makes its estimator.
    needs : str, optional
        The module that must be installed, and the extra that brings it.
    types : tuple of str
        The task types that it runs on.
    """

    name: str
    title: str
    module: str
    needs: str | None = None
    types: tuple[TaskType, ...] = ("binary-classification", "multiclass-classification")

    def suits(self, task_type: TaskType) -> bool:
        """Whether it runs on tasks of a type."""
        return task_type in self.types

    def build(self) -> Any:
        """Make the flow's estimator, unfitted."""
        return importlib.import_module(f"hepml_tasks.flows.{self.module}").build()

    def is_available(self) -> bool:
        """Whether what it needs is installed."""
        return self.needs is None or importlib.util.find_spec(self.needs) is not None


FLOWS = {
    flow.name: flow
    for flow in (
        Flow("prior", "prior of the classes, the floor", "prior"),
        Flow("logistic", "logistic regression", "logistic"),
        Flow("extra-trees", "extremely randomised trees", "extra_trees"),
        Flow("hist-gradient-boosting", "histogram gradient boosting", "hist_gradient_boosting"),
        Flow("xgboost", "XGBoost boosted trees", "xgboost", needs="xgboost"),
        Flow("mlp", "multilayer perceptron", "mlp"),
        Flow("mean", "mean of the target, the floor", "mean", types=("regression",)),
        Flow("ridge", "ridge regression", "ridge", types=("regression",)),
        Flow(
            "hist-gradient-boosting-regressor",
            "histogram gradient boosting of a number",
            "hist_gradient_boosting_regressor",
            types=("regression",),
        ),
        Flow(
            "mlp-regressor",
            "multilayer perceptron of a number",
            "mlp_regressor",
            types=("regression",),
        ),
        Flow("constant", "all events alike, the floor", "constant", types=("anomaly-detection",)),
        Flow(
            "reconstruction",
            "reconstruction error of a few principal components",
            "reconstruction",
            types=("anomaly-detection",),
        ),
        Flow(
            "isolation-forest",
            "isolation forest",
            "isolation_forest",
            types=("anomaly-detection",),
        ),
        Flow(
            "mass-window",
            "mass window of 340 to 480 GeV, and nothing else",
            "mass_window",
            types=("anomaly-detection",),
        ),
        Flow(
            "cwola",
            "CWoLa: mass window of 340 to 480 GeV against its side bands",
            "cwola",
            types=("anomaly-detection",),
        ),
        Flow(
            "azimuth-clusters",
            "hits of one direction, the floor of tracking",
            "azimuth",
            types=("tracking",),
        ),
        Flow(
            "helix-clusters",
            "DBSCAN in helix coordinates",
            "helix_clusters",
            types=("tracking",),
        ),
        Flow(
            "track-follower",
            "seeds of two hits, followed along helices",
            "track_following",
            types=("tracking",),
        ),
        Flow(
            "nominal-logistic",
            "logistic regression at the nominal energy scale",
            "nominal_logistic",
            types=("across-nuisance",),
        ),
        Flow(
            "nominal-boosting",
            "boosted trees at the nominal energy scale",
            "nominal_boosting",
            types=("across-nuisance",),
        ),
        Flow(
            "augmented-boosting",
            "boosted trees with events at all energy scales",
            "augmented_boosting",
            types=("across-nuisance",),
        ),
        Flow(
            "parametrised-boosting",
            "boosted trees with the energy scale as a feature",
            "parametrised_boosting",
            types=("across-nuisance",),
        ),
    )
}


def find_flow(name: str) -> Flow:
    """Find a standard flow by name.

    Raises
    ------
    UnknownNameError
        If there is none: the message suggests the nearest.
    """
    if name not in FLOWS:
        raise UnknownNameError("flow", name, FLOWS, remedy="`hepml flows` lists them")
    return FLOWS[name]


__all__ = ["FLOWS", "Flow", "find_flow"]
