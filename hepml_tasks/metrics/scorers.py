"""Metrics as scikit-learn scorers, with weights through metadata routing."""

from __future__ import annotations

from typing import Any

from hepml_tasks.errors import MetricError
from hepml_tasks.metrics.registry import Metric, get_metric

_RESPONSES: dict[str, Any] = {
    "selection": "predict",
    "labels": "predict",
    "score": ("decision_function", "predict_proba"),
    "probability": "predict_proba",
    "regression": "predict",
    "quantile": "predict",
}


def make_scorer(metric: str | Metric, **options: Any) -> Any:
    """Make a scikit-learn scorer of a metric.

    The scorer asks for `sample_weight` where the metric is weighted, so that
    ``cross_validate(…, params={"sample_weight": w})`` passes physical weights to the score, and
    to the fit as the estimator asks for. Larger is better, as scikit-learn has it: the sign of a
    loss is turned.

    Parameters
    ----------
    metric : str or Metric
        Its name, or the metric itself.
    **options
        Further arguments of the metric, such as ``b_reg``.

    Returns
    -------
    callable
        ``scorer(estimator, X, y_true, sample_weight=…)``.

    Raises
    ------
    MetricError
        When the metric doesn't compare an estimator's output with labels or numbers.

    Notes
    -----
    Routing must be enabled where scores are computed:
    ``sklearn.set_config(enable_metadata_routing=True)``. The labels must be 0 and 1.
    """
    from sklearn import config_context
    from sklearn import metrics as sklearn_metrics

    chosen = get_metric(metric) if isinstance(metric, str) else metric
    if chosen.needs not in _RESPONSES:
        raise MetricError(
            f"metric {chosen.name!r} needs {chosen.needs}, which no scikit-learn estimator gives"
        )
    scorer = sklearn_metrics.make_scorer(
        chosen.function,
        response_method=_RESPONSES[chosen.needs],
        greater_is_better=chosen.higher_is_better,
        **{**chosen.options, **options},
    )
    if chosen.weighted:
        with config_context(enable_metadata_routing=True):
            scorer = scorer.set_score_request(sample_weight=True)
    return scorer
