"""XGBoost's gradient-boosted trees, which take undefined values as they are."""

from __future__ import annotations

from hepml_tasks.errors import MissingExtraError
from hepml_tasks.flows.weighted import WeightedClassifier


def build() -> WeightedClassifier:
    """Return the flow.

    Raises
    ------
    MissingExtraError
        If no `xgboost` module is installed.
    """
    try:
        from xgboost import XGBClassifier
    except ImportError as error:
        raise MissingExtraError(
            "flow xgboost needs its extra: pip install 'hepml_tasks[xgboost]'"
        ) from error
    return WeightedClassifier(
        XGBClassifier(
            n_estimators=150, learning_rate=0.08, max_depth=5, subsample=0.8, tree_method="hist"
        )
    )
