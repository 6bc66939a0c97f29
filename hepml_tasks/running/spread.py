"""The spread of a score over folds: shown beside its uncertainty, never mixed with it."""

from __future__ import annotations

import statistics
from collections.abc import Sequence


def fold_spread(values: Sequence[float | None]) -> float | None:
    """Return the sample standard deviation of a metric over folds.

    Parameters
    ----------
    values : sequence of float or None
        One a fold; None where the metric has no value there.

    Returns
    -------
    float or None
        None for fewer than two values.
    """
    known = [v for v in values if v is not None]
    return statistics.stdev(known) if len(known) > 1 else None
