"""Two runs on the same events: their difference, with an interval."""

from __future__ import annotations

from hepml_tasks.errors import RunError
from hepml_tasks.evaluation.evaluate import in_order, obstacle, pooled
from hepml_tasks.evaluation.evidence import Evidence
from hepml_tasks.metrics import Comparison, compare, get_metric
from hepml_tasks.metrics.systematics import compare_across


def compare_runs(
    metric: str, first: Evidence, second: Evidence, *, replicas: int = 200, seed: int = 0
) -> Comparison:
    """Compare two runs of a task: what their test events have in common cancels.

    Parameters
    ----------
    metric : str
        A registered name.
    first, second : Evidence
        Runs of one task on one split.
    replicas, seed : int
        Of the bootstrap.

    Returns
    -------
    Comparison
        Of the pooled predictions, at full luminosity.

    Raises
    ------
    RunError
        For runs that don't predict the same events, or a metric that takes more than predictions.
    """
    chosen = get_metric(metric)
    if reason := obstacle(chosen, first.truth, first.spec):
        raise RunError(f"metric {metric!r} {reason}")
    one, two = (pooled(in_order(e.predictions), e.truth, e.spec) for e in (first, second))
    if one.event_id.tolist() != two.event_id.tolist() or first.spec != second.spec:
        raise RunError(f"{first.name} and {second.name} are not runs of one task on one split")
    if one.nuisance is not None:
        return compare_across(
            chosen, one.points(chosen), two.points(chosen), replicas=replicas, seed=seed
        )
    mine, theirs = one.arguments(chosen), two.arguments(chosen)
    given = "y_pred" if "y_pred" in mine else "y_score"
    values = {k: v for k, v in mine.items() if k not in {"y_true", given}}
    return compare(
        chosen,
        mine["y_true"],
        mine[given],
        theirs[given],
        event_id=one.event_id,
        replicas=replicas,
        seed=seed,
        **values,
    )
