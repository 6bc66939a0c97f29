"""Scores from predictions and the truth: one function for client, server and command line."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt

from hepml_tasks.errors import MetricError, RunError
from hepml_tasks.evaluation.predictions import Predictions
from hepml_tasks.metrics import Metric, Score, all_metrics, get_metric, score
from hepml_tasks.metrics.systematics import across_nuisance, split_by_nuisance
from hepml_tasks.spec import EvaluationSpec

Labels = npt.NDArray[np.str_]
Floats = npt.NDArray[np.float64]

_PREDICTED = {"class": "a class", "number": "a number", "id": "an id"}
_FROM_SCORES = frozenset({"score", "probability"})
_TWO_CLASSES = frozenset({"selection", "score", "probability"})


@dataclass(frozen=True, eq=False)
class Truth:
    """What is true of each event of a dataset, by its row.

    Parameters
    ----------
    y : ndarray of str, of float64 for a regression, or of int64 for ids, shape (n_events,)
    weight : ndarray of float64, optional
    event_id : ndarray of int64
        What is resampled as one: the event, or the group of the row.
    partition : ndarray of str, optional
        The value of the column that names the partitions.
    nuisance : ndarray of float64, optional
        The value of the nuisance at which a row is.
    selected : ndarray of bool, optional
        Whether the event is there at that value.
    """

    y: npt.NDArray[Any]
    weight: Floats | None
    event_id: npt.NDArray[np.int64]
    partition: Labels | None = None
    nuisance: Floats | None = None
    selected: npt.NDArray[np.bool_] | None = None

    @cached_property
    def n_classes(self) -> int:
        """The number of classes; 0 where numbers or ids are predicted."""
        return 0 if np.issubdtype(self.y.dtype, np.number) else len(set(self.y.tolist()))


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
    left_out : mapping of str to str
        Metrics of other packages that could not be computed, each with the reason.
    """

    scores: Mapping[str, Score]
    folds: Mapping[str, tuple[FoldScore, ...]]
    partitions: Mapping[str, Mapping[str, Score]]
    n_rows: int
    left_out: Mapping[str, str] = field(default_factory=dict)

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
            **({"left_out": dict(self.left_out)} if self.left_out else {}),
        }


def evaluate(
    predictions: Predictions,
    truth: Truth,
    spec: EvaluationSpec,
    *,
    metrics: Sequence[str] | None = None,
    replicas: int = 200,
    seed: int = 0,
) -> Evaluation:
    """Compute all of a task's metrics from a run's predictions.

    Metrics that another package has registered are computed with the task's own, so that they
    are there for runs that are older than they are. One that fails is left out with its reason:
    it doesn't take the task's metrics with it.

    Parameters
    ----------
    predictions : Predictions
        In any order: equal predictions give equal scores to the last bit.
    truth : Truth
    spec : EvaluationSpec
    metrics : sequence of str, optional
        Names of what to compute instead.
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
    UnknownNameError
        For a metric that isn't registered.
    """
    beyond = predictions.row[(predictions.row < 0) | (predictions.row >= len(truth.y))]
    if len(beyond):
        raise RunError(f"row {beyond[0]} is predicted, but the dataset has {len(truth.y)} rows")
    samples = _Samples(in_order(predictions), truth, spec)
    done = {}
    for name in spec.metrics if metrics is None else metrics:
        if reason := obstacle(get_metric(name), truth, spec):
            raise MetricError(f"metric {name!r} {reason}")
        done[name] = samples.score(get_metric(name), replicas=replicas, seed=seed)
    left_out = {}
    for metric in () if metrics is not None else all_metrics().values():
        if not metric.is_added or metric.name in done or obstacle(metric, truth, spec):
            continue
        try:
            done[metric.name] = samples.score(metric, replicas=replicas, seed=seed)
        except Exception as error:
            # it is somebody else's code: whatever it raises says something of that metric alone
            line = (str(error).splitlines() or [""])[0]
            left_out[metric.name] = f"{type(error).__name__}: {line}"
    return Evaluation(
        scores={name: s.pooled for name, s in done.items()},
        folds={name: s.folds for name, s in done.items()},
        partitions={
            part: {name: s.partitions[part] for name, s in done.items()}
            for part in samples.partitions
        },
        n_rows=len(predictions.row),
        left_out=left_out,
    )


def obstacle(metric: Metric, truth: Truth, spec: EvaluationSpec) -> str | None:
    """Say why a metric can't be computed from a task's predictions, if it can't.

    Returns
    -------
    str or None
        The end of a sentence that begins with the metric's name.
    """
    if metric.needs in _TWO_CLASSES and truth.n_classes > 2:
        return f"is for two classes; the dataset has {truth.n_classes}"
    given = () if spec.group is None else ("event_id",)
    reason = metric.unmet(spec.kind.metrics, given, _PREDICTED[spec.kind.target])
    if reason is None or metric.needs not in spec.kind.metrics:
        return reason
    return f"{reason}; call hepml_tasks.metrics.score with it"


def in_order(predictions: Predictions) -> Predictions:
    """Sort by repeat, fold and row: sums depend on the order in their last bits."""
    order = np.lexsort((predictions.row, predictions.fold, predictions.repeat))
    if (order[1:] > order[:-1]).all():
        return predictions
    given = {f.name: getattr(predictions, f.name) for f in fields(predictions)}
    columns: dict[str, Any] = {k: None if v is None else v[order] for k, v in given.items()}
    return Predictions(**columns)


@dataclass(frozen=True)
class _Scores:
    """One metric: pooled, by fold, by partition."""

    pooled: Score
    folds: tuple[FoldScore, ...]
    partitions: Mapping[str, Score]


class _Samples:
    """All test events of a run, those of each fold and those of each partition."""

    def __init__(self, predictions: Predictions, truth: Truth, spec: EvaluationSpec) -> None:
        self.pooled = pooled(predictions, truth, spec)
        keys = np.unique(np.column_stack([predictions.repeat, predictions.fold]), axis=0)
        self.folds = {
            (int(r), int(f)): Sample(
                predictions, truth, spec, (predictions.repeat == r) & (predictions.fold == f)
            )
            for r, f in keys
        }
        self.partitions: dict[str, Sample] = {}
        if truth.nuisance is not None:
            at = truth.nuisance[predictions.row]
            for value in np.unique(at):
                part = Sample(predictions, truth, spec, at == value)
                part.nuisance = None
                self.partitions[f"{spec.nuisance} = {value:g}"] = part
        if spec.partitions is not None and truth.partition is not None:
            of_row = truth.partition[predictions.row]
            for name, values in spec.partitions.parts.items():
                where = np.isin(of_row, list(values))
                if where.any():
                    self.partitions[name] = Sample(predictions, truth, spec, where)

    def score(self, metric: Metric, *, replicas: int, seed: int) -> _Scores:
        return _Scores(
            self.pooled.score(metric, replicas=replicas, seed=seed),
            tuple(
                FoldScore(repeat, fold, sample.score(metric, replicas=0, seed=0).value)
                for (repeat, fold), sample in self.folds.items()
            ),
            {
                name: sample.score(metric, replicas=replicas, seed=seed)
                for name, sample in self.partitions.items()
            },
        )


class Sample:
    """The predictions of some test events, with what is true of them.

    Parameters
    ----------
    predictions : Predictions
    truth : Truth
    spec : EvaluationSpec
    where : slice or ndarray of bool
        Which of the predictions.
    share : float
        Factor on the weights.
    """

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
        labels, predicted = truth.y[row], predictions.predicted[where]
        self.y_true: npt.NDArray[Any] = labels
        self.y_pred: npt.NDArray[Any] = predicted
        if spec.positive is not None and truth.n_classes <= 2:
            self.y_true = (labels == spec.positive).astype(np.int64)
            self.y_pred = (predicted == spec.positive).astype(np.int64)
        self.y_score = None if predictions.score is None else predictions.score[where]
        weight = np.ones(len(row)) if truth.weight is None else truth.weight[row]
        self.weight = weight * share
        self.event_id = truth.event_id[row]
        self.nuisance = None if truth.nuisance is None else truth.nuisance[row]
        if truth.selected is not None:
            self._leave_out(~truth.selected[row])
        self.class_sums = _signal_and_background(spec)

    def _leave_out(self, absent: npt.NDArray[np.bool_]) -> None:
        """Let no event that isn't there be selected: what is said of it doesn't count."""
        self.y_pred = np.where(absent, 0, self.y_pred)
        if self.y_score is not None and len(self.y_score):
            lowest = min(0.0, float(self.y_score.min()))
            self.y_score = np.where(absent, lowest, self.y_score)

    def points(self, metric: Metric) -> dict[float, dict[str, Any]]:
        """Return what a metric is computed from at each value of the nuisance."""
        assert self.nuisance is not None  # noqa: S101 - asked of tasks that have one only
        given = {"event_id": self.event_id, **self.arguments(metric)}
        whole = {"class_sums": given.pop("class_sums")} if "class_sums" in given else {}
        parts = split_by_nuisance(self.nuisance, **given)
        return {value: {**part, **whole} for value, part in parts.items()}

    def arguments(self, metric: Metric) -> dict[str, Any]:
        """Return what a metric is computed from, as `hepml_tasks.metrics.score` takes it."""
        given: dict[str, Any] = {"y_true": self.y_true}
        if metric.needs in _FROM_SCORES:
            given["y_score"] = self.y_score
        else:
            given["y_pred"] = self.y_pred
        if metric.weighted:
            given["sample_weight"] = self.weight
            given["class_sums"] = self.class_sums
        return given

    def score(self, metric: Metric, *, replicas: int, seed: int) -> Score:
        """Compute a metric with its uncertainty; without one for no replicas.

        Across the values of a nuisance it is the worst one.
        """
        if self.nuisance is not None:
            return across_nuisance(
                metric, self.points(metric), replicas=replicas, seed=seed
            ).worst_score
        return score(
            metric,
            **self.arguments(metric),
            event_id=self.event_id,
            replicas=replicas,
            seed=seed,
        )


def pooled(predictions: Predictions, truth: Truth, spec: EvaluationSpec) -> Sample:
    """Return all predictions as one sample, in which every repeat has an equal share."""
    repeats = len(np.unique(predictions.repeat))
    return Sample(predictions, truth, spec, slice(None), share=1 / repeats)


def _signal_and_background(spec: EvaluationSpec) -> tuple[float, float] | None:
    if spec.class_sums is None or spec.positive is None:
        return None
    background = sum(v for c, v in spec.class_sums.items() if c != spec.positive)
    return spec.class_sums[spec.positive], background
