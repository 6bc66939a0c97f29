"""What people read on OpenML about a dataset, a suite and a study.

A task has no text of its own there: what is to be said of it stands with its dataset and its suite.
"""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass

from hepml_tasks.metrics import get_metric
from hepml_tasks.metrics.registry import Metric
from hepml_tasks.openml.documents import ascii_text
from hepml_tasks.spec import Official, SplitSpec, SuiteSpec, TaskSpec

LONGEST_SUITE_TEXT = 4096
"""Characters that production keeps of a study's description."""


@dataclass(frozen=True)
class Successor:
    """The newer version of a dataset.

    Parameters
    ----------
    version : str
        The publisher's label.
    dataset_id : int
    address : str
        Its page.
    """

    version: str
    dataset_id: int
    address: str


def dataset_text(spec: TaskSpec, *, report: str | None = None) -> str:
    """Describe a dataset: what it is, the task on it, how it is scored, and where.

    Parameters
    ----------
    spec : TaskSpec
    report : str, optional
        Address of the page with the leaderboard; the spec's own by default.

    Returns
    -------
    str
        ASCII, with an empty line between paragraphs.
    """
    dataset = spec.dataset
    parts = [dataset.description, spec.about.physicist, spec.about.ml, spec.caveat]
    parts += [merit_text(spec), *_official_text(spec)]
    if dataset.doi:
        parts.append(f"DOI: https://doi.org/{dataset.doi}")
    if address := report or spec.report:
        parts.append(f"Report and leaderboard: {address}")
    return ascii_text("\n\n".join(parts))


def merit_text(spec: TaskSpec) -> str:
    """Say by what runs are ranked, and how anybody computes it from a run's predictions."""
    metric = get_metric(spec.metrics.primary)
    also = [f"{get_metric(n).title} ({n})" for n in spec.metrics.names[1:]]
    better = "higher" if metric.higher_is_better else "lower"
    text = [f"Figure of merit: {metric.title} ({metric.name}), {better} is better."]
    text.append(_computed(metric))
    if metric.weighted and spec.roles.weight:
        text.append(f"Events count with their weight, column {spec.roles.weight}.")
    if metric.luminosity and spec.class_sums:
        sums = ", ".join(f"{label}: {total:.12g}" for label, total in spec.class_sums.items())
        text.append(f"The weights of each class are scaled to its sum at full luminosity ({sums}).")
    if metric.needs == "selection":
        text.append(
            f"The prediction is the selection: events predicted as {spec.roles.positive} are"
            " selected, at the threshold of the flow; accuracy then means little."
        )
    text.append(
        "It is computed from a run's predictions and the dataset alone; hepml_tasks does it from"
        " the id of the run, and keeps the value with its uncertainty in run_details."
    )
    if also:
        text.append(f"Also computed: {', '.join(also)}.")
    return ascii_text(" ".join(text))


def _official_text(spec: TaskSpec) -> list[str]:
    return [
        f"The official split {split.name} is by column {spec.roles.split}: rows with"
        f" {' or '.join(split.train)} train, rows with {' or '.join(split.test)} are tested. A task"
        " here whose procedure is cross-validation or a hold-out of the server's own is not that"
        " split."
        for split in spec.splits
        if isinstance(split, Official)
    ]


def _computed(metric: Metric) -> str:
    told = re.sub(r":\w+:`([^`]*)`", r"\1", metric.summary)
    words = [told if told.endswith(".") else f"{told}."]
    if formula := re.search(r"\.\. math::[ \t]*(\S.*)", metric.documentation):
        words.append(f"In LaTeX: {formula[1].strip()}.")
    if options := metric.keywords():
        chosen = ", ".join(f"{name}={value:g}" for name, value in options.items() if _is_set(value))
        words += [f"With {chosen}."] if chosen else []
    words.append(f"Defined in: {metric.source.rstrip('.')}.")
    return " ".join(words)


def _is_set(value: object) -> bool:
    return isinstance(value, int | float) and math.isfinite(value)


def split_text(split: SplitSpec, procedure: str, *, exact: bool) -> str:
    """Say which rows train and are tested.

    Parameters
    ----------
    split : KFold, HoldOut or Official
    procedure : str
        What the server calls its own.
    exact : bool
        Whether the server has the rows of the split itself.
    """
    if exact:
        return f"split {split.name}"
    official = "official " if isinstance(split, Official) else ""
    return f"{procedure}, which is not the {official}split {split.name}"


def suite_text(suite: SuiteSpec, tasks: Sequence[tuple[TaskSpec, str]]) -> str:
    """Describe a suite: what it is, and each task's figure of merit, split and DOI.

    Parameters
    ----------
    suite : SuiteSpec
    tasks : sequence of (TaskSpec, str)
        Each with what `split_text` says.

    Returns
    -------
    str
        ASCII of at most `LONGEST_SUITE_TEXT` characters: where all does not fit, the tasks'
        lines are shorter, and then fewer.
    """
    head = [suite.description]
    if suite.report:
        head.append(f"Report and leaderboards: {suite.report}")
    if not tasks:
        return ascii_text("\n\n".join(head))
    for depth in (2, 1, 0):
        lines = [_line(spec, split, depth=depth) for spec, split in tasks]
        text = ascii_text("\n\n".join([*head, "\n".join(lines)]))
        if len(text) <= LONGEST_SUITE_TEXT:
            return text
    return ascii_text("\n\n".join([*head, f"{len(tasks)} tasks."]))


def _line(spec: TaskSpec, split: str, *, depth: int) -> str:
    metric = get_metric(spec.metrics.primary)
    text = f"- {spec.name}: {split}; figure of merit {metric.name}"
    if depth == 0:
        return text
    better = "higher" if metric.higher_is_better else "lower"
    doi = f"; DOI https://doi.org/{spec.dataset.doi}" if spec.dataset.doi else ""
    report = f"; leaderboard {spec.report}" if spec.report else ""
    computed = f". {_computed(metric)}" if depth == 2 else ""
    return f"{text} ({metric.title}, {better} is better){doi}{report}{computed}"


def superseded_text(text: str, newer: Successor) -> str:
    """Put a notice of a newer version above a description; it is there once however often."""
    notice = (
        f"Superseded by version {newer.version}, dataset {newer.dataset_id}: {newer.address}"
        " (scores of different versions are not comparable)."
    )
    kept = re.sub(r"\ASuperseded by version [^\n]*\n+", "", text)
    return f"{ascii_text(notice)}\n\n{kept}"
