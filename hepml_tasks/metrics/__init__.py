"""Physics metrics as pure functions on arrays, with an uncertainty on every number.

Functions take ``(y_true, y_pred or y_score, *, sample_weight=None, …)`` like scikit-learn's;
`y_true` is 1 for signal and 0 for background. :func:`score` gives any of them with its
uncertainty, and :func:`get_metric` and :func:`all_metrics` say what there is.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from hepml_tasks.metrics.comparison import (
        Comparison as Comparison,
    )
    from hepml_tasks.metrics.comparison import (
        Ties as Ties,
    )
    from hepml_tasks.metrics.comparison import (
        compare as compare,
    )
    from hepml_tasks.metrics.comparison import (
        tied_groups as tied_groups,
    )
    from hepml_tasks.metrics.fixed_background import (
        efficiency_at_background as efficiency_at_background,
    )
    from hepml_tasks.metrics.flavour import (
        agreement_ks as agreement_ks,
    )
    from hepml_tasks.metrics.flavour import (
        correlation_cvm as correlation_cvm,
    )
    from hepml_tasks.metrics.flavour import (
        truncated_auc as truncated_auc,
    )
    from hepml_tasks.metrics.generation import (
        frechet_physics_distance as frechet_physics_distance,
    )
    from hepml_tasks.metrics.generation import (
        kernel_physics_distance as kernel_physics_distance,
    )
    from hepml_tasks.metrics.generation import (
        wasserstein as wasserstein,
    )
    from hepml_tasks.metrics.improvement import (
        sic as sic,
    )
    from hepml_tasks.metrics.improvement import (
        sic_maximum as sic_maximum,
    )
    from hepml_tasks.metrics.intervals import (
        interval_score as interval_score,
    )
    from hepml_tasks.metrics.probability import (
        brier_score as brier_score,
    )
    from hepml_tasks.metrics.probability import (
        calibration_error as calibration_error,
    )
    from hepml_tasks.metrics.probability import (
        log_loss as log_loss,
    )
    from hepml_tasks.metrics.profiled import (
        profiled_significance as profiled_significance,
    )
    from hepml_tasks.metrics.ranking import (
        area_under_roc_curve as area_under_roc_curve,
    )
    from hepml_tasks.metrics.ranking import (
        background_rejection as background_rejection,
    )
    from hepml_tasks.metrics.ranking import (
        roc_auc as roc_auc,
    )
    from hepml_tasks.metrics.registry import (
        Metric as Metric,
    )
    from hepml_tasks.metrics.registry import (
        all_metrics as all_metrics,
    )
    from hepml_tasks.metrics.registry import (
        get_metric as get_metric,
    )
    from hepml_tasks.metrics.registry import (
        register as register,
    )
    from hepml_tasks.metrics.regression import (
        energy_linearity as energy_linearity,
    )
    from hepml_tasks.metrics.regression import (
        energy_resolution as energy_resolution,
    )
    from hepml_tasks.metrics.regression import (
        interval_coverage as interval_coverage,
    )
    from hepml_tasks.metrics.regression import (
        pinball_loss as pinball_loss,
    )
    from hepml_tasks.metrics.resampling import (
        poisson_weights as poisson_weights,
    )
    from hepml_tasks.metrics.scorers import (
        make_scorer as make_scorer,
    )
    from hepml_tasks.metrics.scoring import (
        Score as Score,
    )
    from hepml_tasks.metrics.scoring import (
        score as score,
    )
    from hepml_tasks.metrics.selection import (
        background_efficiency as background_efficiency,
    )
    from hepml_tasks.metrics.selection import (
        predictive_accuracy as predictive_accuracy,
    )
    from hepml_tasks.metrics.selection import (
        purity as purity,
    )
    from hepml_tasks.metrics.selection import (
        signal_efficiency as signal_efficiency,
    )
    from hepml_tasks.metrics.showers import (
        classifier_auc as classifier_auc,
    )
    from hepml_tasks.metrics.showers import (
        classifier_jsd as classifier_jsd,
    )
    from hepml_tasks.metrics.showers import (
        separation_power as separation_power,
    )
    from hepml_tasks.metrics.significance import (
        ams as ams,
    )
    from hepml_tasks.metrics.significance import (
        ams_maximum as ams_maximum,
    )
    from hepml_tasks.metrics.significance import (
        asimov_significance as asimov_significance,
    )
    from hepml_tasks.metrics.significance import (
        best_threshold as best_threshold,
    )
    from hepml_tasks.metrics.systematics import (
        Systematics as Systematics,
    )
    from hepml_tasks.metrics.systematics import (
        across_nuisance as across_nuisance,
    )
    from hepml_tasks.metrics.systematics import (
        split_by_nuisance as split_by_nuisance,
    )
    from hepml_tasks.metrics.tracking import (
        trackml_score as trackml_score,
    )

# importing the package must stay cheap, so a name is fetched from its module when it is used
_MODULES = {
    "comparison": ("Comparison", "Ties", "compare", "tied_groups"),
    "fixed_background": ("efficiency_at_background",),
    "flavour": ("agreement_ks", "correlation_cvm", "truncated_auc"),
    "generation": ("frechet_physics_distance", "kernel_physics_distance", "wasserstein"),
    "improvement": ("sic", "sic_maximum"),
    "intervals": ("interval_score",),
    "probability": ("brier_score", "calibration_error", "log_loss"),
    "profiled": ("profiled_significance",),
    "ranking": ("area_under_roc_curve", "background_rejection", "roc_auc"),
    "registry": ("Metric", "all_metrics", "get_metric", "register"),
    "regression": ("energy_linearity", "energy_resolution", "interval_coverage", "pinball_loss"),
    "resampling": ("poisson_weights",),
    "scorers": ("make_scorer",),
    "scoring": ("Score", "score"),
    "selection": ("background_efficiency", "predictive_accuracy", "purity", "signal_efficiency"),
    "showers": ("classifier_auc", "classifier_jsd", "separation_power"),
    "significance": ("ams", "ams_maximum", "asimov_significance", "best_threshold"),
    "systematics": ("Systematics", "across_nuisance", "split_by_nuisance"),
    "tracking": ("trackml_score",),
}
_HOME = {name: module for module, names in _MODULES.items() for name in names}

__all__ = sorted(_HOME)  # noqa: PLE0605 - made from the table above


def __getattr__(name: str) -> Any:
    if name in _HOME:
        return getattr(importlib.import_module(f"{__name__}.{_HOME[name]}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return __all__
