"""Scores from predictions and the truth: one function for client, server and command line."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from hepml_tasks.errors import RunError
from hepml_tasks.evaluation.predictions import Predictions
from hepml_tasks.metrics import Metric, Score, get_metric, score
from hepml_tasks.spec import EvaluationSpec

Labels = npt.NDArray[np.str_]
Floats = npt.NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Truth:
    """What is true of each event of a dataset, by its row.

    Parameters
    ----------
    y : ndarray of str, shape (n_events,)
    weight : ndarray of float64, optional
    event_id : ndarray of int64
    partition : ndarray of str, optional
        The value of the column that names the partitions.
    """

    y: Labels
    weight: Floats | None
    event_id: npt.NDArray[np.int64]
    partition: Labels | None = None


@dataclass(frozen=True)
class FoldScore:
    """A metric's value on one fold, at full luminosity."""

    repeat: int
    fold: int
    value: float


@dataclass(frozen=True)
class Evaluation:
    """All scores of a run.

    Parameters
    ----------
    scores : mapping of str to Score
        Of the pooled out-of-fold predictions, with the uncertainty of the test sample.
    folds : mapping of str to tuple of FoldScore
        Each fold by itself: their spread is another number than the uncertainty.
    partitions : mapping of str to mapping of str to Score
        The scores on each named part of the test rows.
    n_rows : int
        Predictions that were scored.
    """

    scores: Mapping[str, Score]
    folds: Mapping[str, tuple[FoldScore, ...]]
    partitions: Mapping[str, Mapping[str, Score]]
    n_rows: int

    def to_json(self) -> dict[str, Any]:
        """Return plain data for `json.dumps`."""
        return {
            "scores": {m: s.as_dict() for m, s in self.scores.items()},
            "folds": {
                m: [{"repeat": f.repeat, "fold": f.fold, "value": f.value} for f in folds]
                for m, folds in self.folds.items()
            },
            "partitions": {
                p: {m: s.as_dict() for m, s in scores.items()}
                for p, scores in self.partitions.items()
            },
            "n_rows": self.n_rows,
        }


def evaluate(
    predictions: Predictions,
    truth: Truth,
    spec: EvaluationSpec,
    *,
    replicas: int = 200,
    seed: int = 0,
) -> Evaluation:
    """Compute all of a task's metrics from a run's predictions.

    Parameters
    ----------
    predictions : Predictions
    truth : Truth
    spec : EvaluationSpec
    replicas : int
        Of the bootstrap.
    seed : int
        Of the bootstrap; with the event ids it fixes every replica, so that the scores of two
        runs on the same events can be compared replica by replica.

    Returns
    -------
    Evaluation

    Raises
    ------
    RunError
        For a row that the dataset hasn't.
    MetricError
        For predictions that a metric can't be computed from.
    """
    beyond = predictions.row[(predictions.row < 0) | (predictions.row >= len(truth.y))]
    if len(beyond):
        raise RunError(f"row {beyond[0]} is predicted, but the dataset has {len(truth.y)} rows")
    metrics = [get_metric(name) for name in spec.metrics]
    repeats = len(np.unique(predictions.repeat))
    pooled = _Sample(predictions, truth, spec, slice(None), share=1 / repeats)
    return Evaluation(
        scores={m.name: pooled.score(m, replicas=replicas, seed=seed) for m in metrics},
        folds={m.name: _by_fold(m, predictions, truth, spec) for m in metrics},
        partitions=_by_partition(metrics, predictions, truth, spec, replicas=replicas, seed=seed),
        n_rows=len(predictions.row),
    )


class _Sample:
    """The predictions of some test events, with what is true of them."""

    def __init__(
        self,
        predictions: Predictions,
        truth: Truth,
        spec: EvaluationSpec,
        where: Any,
        *,
        share: float = 1.0,
    ) -> None:
        row = predictions.row[where]
        labels = truth.y[row]
        self.y_true = (labels == spec.positive).astype(np.int64)
        self.y_pred = (predictions.predicted[where] == spec.positive).astype(np.int64)
        self.y_score = predictions.score[where]
        weight = np.ones(len(row)) if truth.weight is None else truth.weight[row]
        self.weight = weight * share
        self.event_id = truth.event_id[row]
        self.class_sums = _signal_and_background(spec)

    def arguments(self, metric: Metric) -> dict[str, Any]:
        given: dict[str, Any] = {"y_true": self.y_true}
        if metric.needs in {"selection", "labels"}:
            given["y_pred"] = self.y_pred
        else:
            given["y_score"] = self.y_score
        if metric.weighted:
            given["sample_weight"] = self.weight
            given["class_sums"] = self.class_sums
        return given

    def score(self, metric: Metric, *, replicas: int, seed: int) -> Score:
        return score(
            metric,
            **self.arguments(metric),
            event_id=self.event_id,
            replicas=replicas,
            seed=seed,
        )


def _signal_and_background(spec: EvaluationSpec) -> tuple[float, float] | None:
    if spec.class_sums is None:
        return None
    background = sum(v for c, v in spec.class_sums.items() if c != spec.positive)
    return spec.class_sums[spec.positive], background


def _by_fold(
    metric: Metric, predictions: Predictions, truth: Truth, spec: EvaluationSpec
) -> tuple[FoldScore, ...]:
    folds = []
    keys = np.unique(np.column_stack([predictions.repeat, predictions.fold]), axis=0)
    for repeat, fold in keys:
        where = (predictions.repeat == repeat) & (predictions.fold == fold)
        sample = _Sample(predictions, truth, spec, where)
        value = sample.score(metric, replicas=0, seed=0).value
        folds.append(FoldScore(int(repeat), int(fold), value))
    return tuple(folds)


def _by_partition(
    metrics: Sequence[Metric],
    predictions: Predictions,
    truth: Truth,
    spec: EvaluationSpec,
    *,
    replicas: int,
    seed: int,
) -> dict[str, dict[str, Score]]:
    if spec.partitions is None or truth.partition is None:
        return {}
    of_row = truth.partition[predictions.row]
    result = {}
    for name, values in spec.partitions.parts.items():
        where = np.isin(of_row, list(values))
        if where.any():
            sample = _Sample(predictions, truth, spec, where)
            result[name] = {m.name: sample.score(m, replicas=replicas, seed=seed) for m in metrics}
    return result
