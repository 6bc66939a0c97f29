"""A task ready to run: its spec, one of its splits, and its events once they are asked for."""

from __future__ import annotations

import os
from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

from hepml_tasks.data.events import Events, load_events, take_apart
from hepml_tasks.errors import SpecError, UnknownNameError
from hepml_tasks.metrics import get_metric
from hepml_tasks.running.folder import RunFolder
from hepml_tasks.spec import (
    AllTested,
    DatasetSpec,
    EvaluationSpec,
    HoldOut,
    KFold,
    Official,
    Partitions,
    SplitSpec,
    TaskSpec,
    find_task,
    from_mapping,
)
from hepml_tasks.splits import (
    Split,
    by_column,
    check_whole,
    of_groups,
    plain_holdout,
    plain_kfold,
    splits_sha256,
    stratified_holdout,
    stratified_kfold,
)

if TYPE_CHECKING:
    import numpy.typing as npt
    import pandas as pd
    import pyarrow as pa


@dataclass(frozen=True, eq=False)
class Task:
    """A task on one of its splits.

    Parameters
    ----------
    spec : TaskSpec
    split : KFold, HoldOut, Official or AllTested
    progress : bool
        Show downloads on a terminal.
    """

    spec: TaskSpec
    split: SplitSpec
    progress: bool = False

    @property
    def name(self) -> str:
        """The task's name and its split's, such as ``toy-higgs/4-fold``."""
        return f"{self.spec.name}/{self.split.name}"

    @cached_property
    def events(self) -> Events:
        """The events, loaded and checked on first use."""
        return load_events(self.spec, progress=self.progress)

    def data(self) -> tuple[pd.DataFrame, npt.NDArray[Any], npt.NDArray[np.float64]]:
        """Return the features, labels and physical weights of all events.

        Returns
        -------
        X : DataFrame of shape (n_events, n_features)
            NaN where a value is undefined; no weight, event id or split column among them.
        y : ndarray of str, of float64 for a regression, or of int64 for particle ids
            Empty for test events whose labels only a server knows.
        w : ndarray of float64
            Ones where the data have no weights, NaN where they are withheld.
        """
        events = self.events
        weight = np.ones(len(events)) if events.weight is None else events.weight
        return events.frame(), events.y, weight

    @cached_property
    def splits(self) -> list[Split]:
        """The rows that train and are tested, a fold each."""
        column = self.spec.roles.split
        marks = None if column is None else self.events.table[column]
        splits = rows_of(
            self.split,
            self.events.y,
            None if marks is None else marks.to_numpy(zero_copy_only=False),
            self.events.group,
        )
        derived, across = self.spec.dataset.derived, self.events.across
        if across is None or derived is None or derived.nuisance is None:
            return splits
        allowed = np.isin(across.value, derived.nuisance.trained)
        return [replace(s, train=s.train[allowed[s.train]]) for s in splits]

    def evaluation_spec(self) -> EvaluationSpec:
        """Return what an evaluator needs to know, the class sums made explicit."""
        spec, partitions = self.spec, None
        if isinstance(self.split, Official) and self.split.partitions:
            assert spec.roles.split is not None  # noqa: S101 - the spec's own rule
            partitions = Partitions(column=spec.roles.split, parts=self.split.partitions)
        return EvaluationSpec(
            task=spec.name,
            split=self.split.name,
            title=spec.title,
            description=f"{spec.about.physicist}\n\n{spec.about.ml}\n\n{spec.caveat}",
            target=spec.roles.target,
            positive=spec.roles.positive,
            weight=spec.roles.weight,
            event_id=spec.roles.event_id,
            group=spec.roles.group,
            nuisance=spec.roles.nuisance,
            selected=spec.roles.selected,
            type=spec.type,
            class_sums=dict(self.events.class_sums) or None,
            metrics=spec.metrics.names,
            primary=spec.metrics.primary,
            partitions=partitions,
            doi=spec.dataset.doi,
            citation=spec.dataset.citation,
            data_sha256=self.events.sha256,
            splits_sha256=splits_sha256(self.splits),
        )


def rows_of(
    split: SplitSpec,
    y: npt.NDArray[Any],
    marks: npt.NDArray[Any] | None,
    group: npt.NDArray[np.int64] | None = None,
) -> list[Split]:
    """Return the rows that train and are tested in each fold of a split.

    Parameters
    ----------
    split : KFold, HoldOut, Official or AllTested
    y : ndarray of shape (n_events,)
        The class of each event as text, or its number.
    marks : ndarray of shape (n_events,), optional
        What the split's column says of each event; an official split needs it.
    group : ndarray of int64, shape (n_events,), optional
        Which rows belong together, by numbers from 0: they stay so.
    """
    if isinstance(split, AllTested):
        return [Split(0, 0, np.empty(0, dtype=np.int64), np.arange(len(y), dtype=np.int64))]
    if isinstance(split, Official):
        assert marks is not None  # noqa: S101 - the spec's own rule
        train, test = by_column(marks, split.train, split.test)
        if group is not None:
            check_whole(group, train, test)
        return [Split(0, 0, train, test)]
    if group is not None:
        parts = of_groups(group, _shuffled(split, np.arange(group.max() + 1)))
    else:
        parts = _shuffled(split, y)
    return [Split(0, fold, *rows) for fold, rows in enumerate(parts)]


def _shuffled(
    split: KFold | HoldOut, y: npt.NDArray[Any]
) -> list[tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]]:
    """Split rows by chance, with classes in equal shares."""
    numbers = np.issubdtype(y.dtype, np.number)
    if isinstance(split, KFold):
        if numbers:
            return plain_kfold(len(y), split.folds, split.seed)
        return stratified_kfold(y, split.folds, split.seed)
    if numbers:
        return [plain_holdout(len(y), split.fraction, split.seed)]
    return [stratified_holdout(y, split.fraction, split.seed)]


def load_task(
    name_or_path: str | os.PathLike[str],
    *,
    split: str | None = None,
    events: int | None = None,
    progress: bool = False,
) -> Task:
    """Load a task by name, or from a file of one's own.

    Parameters
    ----------
    name_or_path : str or path-like
        A name that `hepml tasks` lists, or the path of a ``.yaml`` file.
    split : str, optional
        The name of one of its splits; its first by default.
    events : int, optional
        For a simulated dataset, or one derived from it, another number of simulated events.
    progress : bool
        Show downloads on a terminal.

    Returns
    -------
    Task

    Examples
    --------
    >>> task = load_task("toy-higgs", split="holdout")
    >>> task.name
    'toy-higgs/holdout'
    """
    return as_task(find_task(name_or_path), split=split, events=events, progress=progress)


def as_task(
    spec: TaskSpec,
    *,
    split: str | None = None,
    events: int | None = None,
    progress: bool = False,
) -> Task:
    """Choose a split of a spec, as `load_task` does."""
    for metric in spec.metrics.names:
        # what can't be computed is told before hours of fits and not after
        _check_metric(spec, metric)
    if events is not None:
        spec = with_events(spec, events)
    if split is None:
        return Task(spec, spec.splits[0], progress)
    by_name: dict[str, Any] = {s.name: s for s in spec.splits}
    if split not in by_name:
        raise UnknownNameError(f"split of task {spec.name}", split, by_name)
    return Task(spec, by_name[split], progress)


def _check_metric(spec: TaskSpec, name: str) -> None:
    reason = get_metric(name).unmet(
        spec.kind.metrics, spec.roles.columns_of_events, f"a task of type {spec.type}"
    )
    if reason is not None:
        raise SpecError(f"task {spec.name}: metric {name!r} {reason}")


def with_table(spec: TaskSpec, table: pa.Table) -> Task:
    """Return a task on events that are at hand, instead of those that its dataset names."""
    task = as_task(spec)
    vars(task)["events"] = take_apart(table, spec)
    return task


def task_of(folder: RunFolder) -> Task:
    """Return the task of a run folder, from the spec that the folder keeps."""
    record = folder.description["task"]
    spec = from_mapping(record["spec"], TaskSpec, origin=str(folder.path / "run.json"))
    return as_task(spec, split=record["split"])


def with_events(spec: TaskSpec, events: int) -> TaskSpec:
    """Return the spec of a simulated task, or a derived one, with another number of events.

    Raises
    ------
    SpecError
        If the dataset isn't simulated.
    """
    if spec.dataset.root.simulator is None:
        raise SpecError(f"task {spec.name} has a published dataset: its number of events is fixed")
    return replace(spec, dataset=_with_events(spec.dataset, events))


def _with_events(dataset: DatasetSpec, events: int) -> DatasetSpec:
    if dataset.derived is not None:
        # how many are left of them, and what they are, is for the derivation to say
        source = _with_events(dataset.derived.source, events)
        derived = replace(dataset.derived, source=source, checksum=None)
        return replace(dataset, derived=derived, rows=None, content=None)
    simulator = dataset.simulator
    assert simulator is not None  # noqa: S101 - the caller has looked
    # of a simulator whose rows are hits nobody knows how many there will be
    rows = events if dataset.rows == simulator.events else None
    simulator = replace(simulator, events=events)
    return replace(dataset, simulator=simulator, rows=rows, content=None)
