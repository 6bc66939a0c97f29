"""What a task is: a dataset, the roles of its columns, its splits and its metrics.

The values are read from one YAML file a task and never change afterwards. Validation is
pydantic's; the rules that relate fields to each other stand at the classes they belong to.
"""

from __future__ import annotations

import fnmatch
from collections.abc import Mapping, Sequence
from dataclasses import field
from typing import Annotated, Literal

from pydantic import ConfigDict, Field
from pydantic.dataclasses import dataclass

from hepml_tasks.spec.dataset import DatasetSpec
from hepml_tasks.spec.kinds import TaskKind, TaskType, kind_of
from hepml_tasks.spec.private import PrivateSpec

_STRICT = ConfigDict(extra="forbid")
_ADDRESS = r"^https?://[^\s/]+\S*$"


NAMED_ROLES = ("target", "weight", "event_id", "split", "group", "nuisance", "selected")
"""The roles that one column has, which is no feature; of two roles the later one is told."""


@dataclass(frozen=True, kw_only=True, config=_STRICT)
class Roles:
    """What each column is. Only features reach a model.

    Parameters
    ----------
    target : str
        The column with the class, with the number that a regression predicts, or with the id of
        the particle that left a hit.
    positive : str, optional
        The class that is signal, of two.
    features : tuple of str
        Column names or patterns such as ``PRI_*``.
    exclude : tuple of str
        Columns that the patterns would take but that are no features.
    weight, event_id, split : str, optional
        The physical weight, the event's number, and the official split's column.
    group : str, optional
        The column that says which rows belong together, such as the collision event of a hit: no
        split tears a group apart.
    nuisance : str, optional
        The column with the value of the nuisance. A flow sees it beside the features.
    selected : str, optional
        The column that says whether an event is there at that value: one that isn't is not
        selected, whatever a flow says.
    """

    target: str
    features: tuple[str, ...] = Field(min_length=1)
    positive: str | None = None
    exclude: tuple[str, ...] = ()
    weight: str | None = None
    event_id: str | None = None
    split: str | None = None
    group: str | None = None
    nuisance: str | None = None
    selected: str | None = None

    def __post_init__(self) -> None:
        roles = {r: getattr(self, r) for r in NAMED_ROLES}
        barred = [f"{c!r} is the {r}" for r, c in roles.items() if c in self.features]
        if barred:
            raise ValueError(
                f"features: {' and '.join(barred)} and can't be a feature; take it out"
            )

    def features_among(self, columns: Sequence[str]) -> tuple[str, ...]:
        """Return the columns that are features, in the table's order.

        Parameters
        ----------
        columns : sequence of str
            All columns of the table.
        """
        barred = {*(getattr(self, role) for role in NAMED_ROLES), *self.exclude}
        return tuple(
            c
            for c in columns
            if c not in barred and any(fnmatch.fnmatchcase(c, p) for p in self.features)
        )

    @property
    def columns_of_events(self) -> tuple[str, ...]:
        """What is known of each event beside its predictions, by the names that metrics use."""
        return () if self.group is None else ("event_id",)

    def named(self) -> dict[str, str]:
        """Return the columns that must exist by name, by their role."""
        roles = {role: getattr(self, role) for role in NAMED_ROLES}
        plain = {c: "features" for c in self.features if not any(s in c for s in "*?[")}
        return {c: r for r, c in roles.items() if c is not None} | plain


@dataclass(frozen=True, kw_only=True, config=_STRICT)
class KFold:
    """K-fold cross-validation, stratified where there are classes, or by whole groups."""

    kind: Literal["kfold"]
    name: str
    folds: int = Field(default=10, ge=2)
    seed: int = Field(default=0, ge=0)


@dataclass(frozen=True, kw_only=True, config=_STRICT)
class HoldOut:
    """A share of events (or whole groups) held back for the test, with classes in equal shares."""

    kind: Literal["holdout"]
    name: str
    fraction: float = Field(default=0.33, gt=0, lt=1)
    seed: int = Field(default=0, ge=0)


@dataclass(frozen=True, kw_only=True, config=_STRICT)
class Official:
    """The split that the publisher marked in a column.

    Parameters
    ----------
    train, test : tuple of str
        The column's values for training and for the test; other rows take no part.
    unused : tuple of str
        The values of those other rows, so that one that was forgotten is noticed.
    partitions : mapping of str to tuple of str
        Named parts of the test rows, such as public and private: one fit gives a score for each.
    """

    kind: Literal["official"]
    name: str
    train: tuple[str, ...] = Field(min_length=1)
    test: tuple[str, ...] = Field(min_length=1)
    unused: tuple[str, ...] = ()
    partitions: Mapping[str, tuple[str, ...]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        named = [*self.train, *self.test, *self.unused]
        if twice := sorted({v for v in named if named.count(v) > 1}):
            raise ValueError(
                f"{', '.join(twice)} is named twice among train, test and unused; keep one"
            )
        for name, values in self.partitions.items():
            if other := [v for v in values if v not in self.test]:
                raise ValueError(f"partitions: {name} has {', '.join(other)}, which is not in test")


@dataclass(frozen=True, kw_only=True, config=_STRICT)
class AllTested:
    """All events are tested and none trains, for flows that need no training."""

    kind: Literal["all-tested"]
    name: str


SplitSpec = Annotated[KFold | HoldOut | Official | AllTested, Field(discriminator="kind")]


@dataclass(frozen=True, kw_only=True, config=_STRICT)
class Metrics:
    """The figures of merit: one primary, by which runs are ranked, and others beside it."""

    primary: str
    also: tuple[str, ...] = ()

    @property
    def names(self) -> tuple[str, ...]:
        """All metrics, the primary one first."""
        return (self.primary, *(m for m in self.also if m != self.primary))


@dataclass(frozen=True, kw_only=True, config=_STRICT)
class Reference:
    """A published score, quoted with its source and never as one of ours."""

    method: str
    metric: str
    value: float
    source: str
    note: str = ""


@dataclass(frozen=True, kw_only=True, config=_STRICT)
class About:
    """What the task is, told to each of its readers."""

    physicist: str
    ml: str


@dataclass(frozen=True, kw_only=True, config=_STRICT)
class TaskSpec:
    """A task: everything that a run of it needs to know, as its file says.

    Parameters
    ----------
    name : str
    title : str
    about : About
    caveat : str
        The sentence that says that this is not for physics results.
    type : str
        As of `TaskType`: two classes, of which one is signal; more than two; a number; two classes
        again, of which a flow sees no label at training; tracks.
    dataset : DatasetSpec
    roles : Roles
    splits : tuple of KFold, HoldOut, Official or AllTested
        The first is the default.
    metrics : Metrics
    class_sums : mapping of str to float, optional
        Each class's sum of weights at full luminosity, to which every subset is renormalised;
        the sums over the whole file by default.
    references : tuple of Reference
    report : str, optional
        The address of the page with the task's leaderboard.
    private : PrivateSpec, optional
        That the labels of the test events are withheld. With a simulator without a seed it is
        what a server makes such a task from; with a file it is the task as its server hands it
        out.
    """

    name: str = Field(pattern=r"^[a-z0-9][a-z0-9\-]*$")
    title: str
    about: About
    caveat: str
    type: TaskType
    dataset: DatasetSpec
    roles: Roles
    splits: tuple[SplitSpec, ...] = Field(min_length=1)
    metrics: Metrics
    class_sums: Mapping[str, float] | None = None
    references: tuple[Reference, ...] = ()
    report: str | None = Field(default=None, pattern=_ADDRESS)
    private: PrivateSpec | None = None

    def __post_init__(self) -> None:
        names = [s.name for s in self.splits]
        if len(set(names)) < len(names):
            raise ValueError(
                f"splits: two splits have the same name among {', '.join(names)}; rename one"
            )
        if any(isinstance(s, Official) for s in self.splits) and self.roles.split is None:
            raise ValueError(
                "splits: an official split needs roles.split, the column that marks it"
            )
        self._check_seed()
        positive = self.roles.positive
        if (positive is not None) != self.kind.signal:
            missing = "names the signal class of two" if positive is None else "has no meaning"
            raise ValueError(f"roles: positive {missing} in a task of type {self.type}")
        self._check_groups()
        if self.private is not None:
            self._check_private()
        if self.class_sums is None:
            return
        if self.kind.target != "class":
            raise ValueError(f"class_sums: a task of type {self.type} has no classes")
        if positive is not None and positive not in self.class_sums:
            raise ValueError(f"class_sums: the signal class {positive!r} is missing")

    @property
    def kind(self) -> TaskKind:
        """What follows from the type."""
        return kind_of(self.type)

    def _check_groups(self) -> None:
        if self.kind.grouped and self.roles.group is None:
            raise ValueError(
                f"roles: a task of type {self.type} needs group, the column that says which rows"
                " belong together"
            )
        self._check_nuisance()
        if self.kind.trains and any(isinstance(s, AllTested) for s in self.splits):
            raise ValueError(f"splits: a task of type {self.type} needs events that train")

    def _check_nuisance(self) -> None:
        derived = self.dataset.derived
        nuisance = None if derived is None else derived.nuisance
        if not self.kind.across:
            if self.roles.nuisance is not None or self.roles.selected is not None:
                raise ValueError(
                    f"roles: nuisance and selected have no meaning in a task of type {self.type}"
                )
            return
        if nuisance is None or self.roles.nuisance != nuisance.name:
            raise ValueError(
                f"roles: a task of type {self.type} needs nuisance, the column that"
                " dataset.derived.nuisance names"
            )

    def _check_seed(self) -> None:
        simulator = self.dataset.simulator
        if self.private is None and simulator is not None and simulator.seed is None:
            raise ValueError("dataset.simulator.seed: this field is required")

    def _check_private(self) -> None:
        if self.kind.target != "class" or self.kind.across:
            raise ValueError("private: labels are withheld of classifications only")
        if self.class_sums is None:
            # made from all events they would tell what the withheld ones weigh
            raise ValueError("class_sums: a task with withheld labels needs them")
        if self.dataset.simulator is None:
            if not all(isinstance(s, Official) for s in self.splits):
                raise ValueError("splits: withheld labels need the official split of their server")
            return
        if self.dataset.simulator.seed is not None:
            raise ValueError(
                "dataset.simulator.seed: labels that a file's reader can simulate are not"
                " withheld; leave the seed out, the server draws its own"
            )
        if len(self.splits) != 1 or not isinstance(self.splits[0], HoldOut):
            raise ValueError(
                "splits: a task with withheld labels has one, of kind holdout, whose fraction of"
                " the events is tested"
            )


@dataclass(frozen=True, kw_only=True, config=_STRICT)
class SuiteTask:
    """A task of a suite, on one of its splits (the first by default).

    Parameters
    ----------
    task : str
        Its name, or its file's path.
    split : str, optional
    events : int, optional
        The largest number of events: of more, a part is taken that is always the same.
    """

    task: str
    split: str | None = None
    events: int | None = Field(default=None, ge=100)


@dataclass(frozen=True, kw_only=True, config=_STRICT)
class SuiteSpec:
    """A suite: tasks that are run and read together; `report` is the address of its page."""

    name: str = Field(pattern=r"^[a-z0-9][a-z0-9\-]*$")
    title: str
    description: str
    tasks: tuple[SuiteTask, ...] = Field(min_length=1)
    report: str | None = Field(default=None, pattern=_ADDRESS)
