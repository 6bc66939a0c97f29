"""What an evaluator needs to know of a task: the part of its spec that travels with it."""

from __future__ import annotations

from collections.abc import Mapping

from pydantic import ConfigDict
from pydantic.dataclasses import dataclass

from hepml_tasks.spec.kinds import TaskKind, TaskType, kind_of


@dataclass(frozen=True, kw_only=True, config=ConfigDict(extra="ignore"))
class Partitions:
    """Named parts of the test rows, by the values of a column of the dataset."""

    column: str
    parts: Mapping[str, tuple[str, ...]]


@dataclass(frozen=True, kw_only=True, config=ConfigDict(extra="ignore"))
class EvaluationSpec:
    """How runs on a task are scored, readable without the task's file.

    Parameters
    ----------
    task, split : str
        The task's name and its split's.
    target : str
        The column with the class, the number or the particle's id.
    positive : str, optional
        The class that is signal, of two.
    metrics : tuple of str
        Registered names.
    primary : str
        The metric by which runs are ranked.
    type : str
        As of `TaskSpec`.
    title, description : str
    weight, event_id, group : str, optional
        Columns of the dataset. Rows of a group, such as the hits of a collision event, are scored
        and resampled together.
    nuisance, selected : str, optional
        Columns with the value of the nuisance, and whether the event is there at that value.
    class_sums : mapping of str to float, optional
        Each class's sum of weights at full luminosity.
    partitions : Partitions, optional
    doi, citation : str, optional
    data_sha256, splits_sha256 : str, optional
        Checksums of the dataset's table and of the split's rows: with them, equal specs are the
        same task on the same events.
    """

    task: str
    split: str
    target: str
    metrics: tuple[str, ...]
    primary: str
    positive: str | None = None
    type: TaskType = "binary-classification"
    title: str = ""
    description: str = ""
    weight: str | None = None
    event_id: str | None = None
    group: str | None = None
    nuisance: str | None = None
    selected: str | None = None
    class_sums: Mapping[str, float] | None = None
    partitions: Partitions | None = None
    doi: str | None = None
    citation: str | None = None
    data_sha256: str | None = None
    splits_sha256: str | None = None

    @property
    def kind(self) -> TaskKind:
        """What follows from the type."""
        return kind_of(self.type)
