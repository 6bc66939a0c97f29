"""What was claimed of a run, compared with what its predictions give."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, Literal

from hepml_tasks.errors import DataError, MetricError, RunError
from hepml_tasks.evaluation.evaluate import obstacle
from hepml_tasks.metrics import all_metrics

if TYPE_CHECKING:
    from hepml_tasks.evaluation.evidence import Evidence

RELATIVE, ABSOLUTE = 1e-6, 1e-9
"""A claim was computed, and often written as text, by another machine: last digits may differ."""

VALUE, UNCERTAINTY, LOW, HIGH = "value", "uncertainty", "interval low", "interval high"
_BY_METHOD = (UNCERTAINTY, LOW, HIGH)

State = Literal["verified", "differs", "can't tell"]


@dataclass(frozen=True)
class Claim:
    """A number that somebody gave for a run.

    Parameters
    ----------
    metric : str
    place : str
        What of the metric: ``value``, ``uncertainty``, ``interval low``, ``interval high``,
        ``repeat 0, fold 3``, or one of the first four with a partition's name before it.
    value : float or None
        None says that there is none.
    by : str
        Where it stands, such as ``scores.json``.
    method : str, optional
        How an uncertainty was made.
    relative, absolute : float
        By how much it may differ from what is recomputed, for the digits that were written.
    """

    metric: str
    place: str
    value: float | None
    by: str
    method: str | None = None
    relative: float = RELATIVE
    absolute: float = ABSOLUTE


@dataclass(frozen=True)
class Difference:
    """A claim that the predictions contradict.

    Parameters
    ----------
    metric, place, by : str
        As of the claim.
    claimed, recomputed : float or None
    """

    metric: str
    place: str
    by: str
    claimed: float | None
    recomputed: float | None

    def __str__(self) -> str:
        """Say which, where and by how much."""
        what = self.metric if self.place == VALUE else f"{self.metric} ({self.place})"
        line = f"{what}: {_text(self.claimed)} in {self.by}, recomputed {_text(self.recomputed)}"
        if self.claimed is None or self.recomputed is None:
            return line
        gap = self.claimed - self.recomputed
        if not math.isfinite(gap):
            return line
        return f"{line}: {abs(gap):.4g} too {'high' if gap > 0 else 'low'}"


@dataclass(frozen=True)
class Verdict:
    """What can be said of a run's claims.

    Parameters
    ----------
    state : str
        ``verified``, ``differs`` or ``can't tell``.
    checked : tuple of str
        Metrics with a claim that was compared and holds.
    differences : tuple of Difference
    unchecked : mapping of str to str
        Claimed metrics with something that could not be compared, each with the reason.
    reason : str
        Why it can't be told.
    """

    state: State
    checked: tuple[str, ...] = ()
    differences: tuple[Difference, ...] = ()
    unchecked: Mapping[str, str] | None = None
    reason: str = ""

    def to_json(self) -> dict[str, Any]:
        """Return plain data for `json.dumps`."""
        return {
            "state": self.state,
            "checked": list(self.checked),
            "differences": [asdict(d) for d in self.differences],
            "unchecked": dict(self.unchecked or {}),
            "reason": self.reason,
        }


def agree(
    claimed: float | None,
    found: float | None,
    *,
    relative: float = RELATIVE,
    absolute: float = ABSOLUTE,
) -> bool:
    """Say whether a claim is what was found, up to the digits that text may have cost."""
    if claimed is None or found is None:
        return claimed is found
    return math.isclose(claimed, found, rel_tol=relative, abs_tol=absolute)


def claims_of(scores: Mapping[str, Any], *, by: str) -> tuple[Claim, ...]:
    """Take every number of a scores.json for a claim.

    Parameters
    ----------
    scores : mapping
        As `Evaluation.to_json` gives it.
    by : str
        Where it stands.

    Raises
    ------
    RunError
        If it isn't such a mapping.
    """
    try:
        return tuple(_numbers(scores, by))
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise RunError(f"{by}: no scores as this package writes them ({error!r})") from error


def _numbers(scores: Mapping[str, Any], by: str) -> Iterator[Claim]:
    parts = {"": scores["scores"], **{f"{k} ": v for k, v in scores["partitions"].items()}}
    for part, by_metric in parts.items():
        for metric, score in by_metric.items():
            low, high = score["interval"]
            values = (score["value"], score["uncertainty"], low, high)
            for place, value in zip((VALUE, *_BY_METHOD), values, strict=True):
                method = None if place == VALUE else str(score["method"])
                yield Claim(metric, part + place, _number(value), by, method)
    for metric, folds in scores["folds"].items():
        for fold in folds:
            place = fold_place(fold["repeat"], fold["fold"])
            yield Claim(metric, place, _number(fold["value"]), by)


def fold_place(repeat: int, fold: int) -> str:
    """Return how a claim calls a fold."""
    return f"repeat {repeat}, fold {fold}"


def verify(evidence: Evidence) -> Verdict:
    """Recompute what was claimed of a run, and compare.

    Parameters
    ----------
    evidence : Evidence

    Returns
    -------
    Verdict
        ``verified`` where every claim that can be compared holds and none of a metric of the task
        had to be left out.
    """
    if not evidence.claims:
        return Verdict("can't tell", reason="nothing is claimed of it")
    try:
        found = _recompute(evidence, evidence.spec.metrics)
    except (RunError, DataError, MetricError) as error:
        return Verdict("can't tell", reason=str(error))
    unchecked: dict[str, str] = {}
    for name in dict.fromkeys(c.metric for c in evidence.claims):
        if name in evidence.spec.metrics:
            continue
        metric = all_metrics().get(name)
        reason = (
            "is not known here"
            if metric is None
            else obstacle(metric, evidence.truth, evidence.spec)
        )
        try:
            if reason is None:
                found |= _recompute(evidence, [name])
        except MetricError as error:
            reason = str(error)
        if reason is not None:
            unchecked[name] = reason
    return _compare(evidence, found, unchecked)


def _recompute(evidence: Evidence, metrics: Iterable[str]) -> dict[tuple[str, str], Claim]:
    scores = evidence.evaluate(list(metrics)).to_json()
    return {(c.metric, c.place): c for c in claims_of(scores, by="recomputed")}


def _compare(
    evidence: Evidence, found: Mapping[tuple[str, str], Claim], unchecked: dict[str, str]
) -> Verdict:
    checked: dict[str, None] = {}
    differences = []
    for claim in evidence.claims:
        ours = found.get((claim.metric, claim.place))
        if ours is None:
            unchecked.setdefault(claim.metric, f"the task has no {claim.place}")
        elif claim.method not in {None, ours.method}:
            unchecked.setdefault(claim.metric, f"its {claim.place} was made by {claim.method!r}")
        elif agree(claim.value, ours.value, relative=claim.relative, absolute=claim.absolute):
            checked[claim.metric] = None
        else:
            differences.append(
                Difference(claim.metric, claim.place, claim.by, claim.value, ours.value)
            )
    wrong = {d.metric for d in differences}
    right = tuple(m for m in checked if m not in wrong)
    if differences:
        return Verdict("differs", right, tuple(differences), unchecked)
    open_ = [m for m in evidence.spec.metrics if m in unchecked and m not in checked]
    if not right or open_:
        names = open_ or list(unchecked)
        reason = "; ".join(f"{m}: {unchecked[m]}" for m in names)
        return Verdict("can't tell", right, (), unchecked, reason)
    return Verdict("verified", right, (), unchecked)


def _number(value: Any) -> float | None:
    return None if value is None else float(value)


def _text(value: float | None) -> str:
    return "none" if value is None else f"{value:.7g}"
