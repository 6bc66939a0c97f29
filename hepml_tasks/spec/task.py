"""What a task is: a dataset, the roles of its columns, its splits and its metrics.

The values are read from one YAML file a task and never change afterwards. Validation is
pydantic's; the rules that relate fields to each other stand at the classes they belong to.
"""

from __future__ import annotations

import fnmatch
from collections.abc import Mapping, Sequence
from dataclasses import field
from typing import Annotated, Literal

from pydantic import ConfigDict, Field, JsonValue
from pydantic.dataclasses import dataclass

from hepml_tasks.spec.evaluation import TaskType
from hepml_tasks.spec.private import PrivateSpec

_STRICT = ConfigDict(extra="forbid")
_ADDRESS = r"^https?://[^\s/]+\S*$"


@dataclass(frozen=True, kw_only=True, config=_STRICT)
class FileSpec:
    """A file of a dataset, as its archive publishes it.

    Parameters
    ----------
    name : str
        The file's name, without folders.
    checksum : str, optional
        ``md5:…``, ``sha256:…`` or ``adler32:…``. Where the archive publishes none, the first
        download's is recorded in the cache, and the data are told to be unverified.
    size : int, optional
        Bytes.
    urls : tuple of str
        Where it can be had, tried in order after the mirrors.
    """

    name: str = Field(pattern=r"^[A-Za-z0-9_][A-Za-z0-9_.+\-]*$")
    checksum: str | None = Field(
        default=None,
        pattern=r"^(md5:[0-9a-f]{32}|sha256:[0-9a-f]{64}|adler32:[0-9a-f]{8})$",
    )
    size: int | None = Field(default=None, gt=0)
    urls: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True, config=_STRICT)
class SimulatorSpec:
    """A dataset that a simulator of this project makes.

    Parameters
    ----------
    name : str
        The simulator's registered name.
    events : int
        Number of events, all processes together.
    seed : int, optional
        Not for a task with withheld labels: its server draws one that nobody else has.
    parameters : mapping
        Options of the simulator.
    """

    name: str
    events: int = Field(gt=0)
    seed: int | None = Field(default=None, ge=0)
    parameters: Mapping[str, float | int | str] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True, config=_STRICT)
class DerivedSpec:
    """A dataset that a function of this project makes of another one.

    Parameters
    ----------
    source : DatasetSpec
        The other one. In a file, the name of a task, or the path of its file, whose dataset it is.
    function : str
        The function's registered name.
    seed : int
    parameters : mapping
        Options of the function.
    checksum : str, optional
        Of the table's content, ``sha256:…``, compared when it is made. Without one the data are
        told to be unverified.
    relation : str
        What the dataset is to its source, in DataCite's words.
    """

    source: DatasetSpec
    function: str
    seed: int = Field(ge=0)
    parameters: Mapping[str, JsonValue] = field(default_factory=dict)
    checksum: str | None = Field(default=None, pattern=r"^sha256:[0-9a-f]{64}$")
    relation: Literal["IsDerivedFrom", "IsVariantFormOf"] = "IsDerivedFrom"


@dataclass(frozen=True, kw_only=True, config=_STRICT)
class ColumnSpec:
    """What is declared of a column: told in the dataset's card, and checked against the data.

    Parameters
    ----------
    description : str
    unit : str
        Such as ``GeV``; empty where there is none.
    type : {"float", "integer", "text", "boolean"}, optional
    min, max : float, optional
        The allowed range, both ends included.
    undefined : bool
        Whether values may be undefined.
    """

    description: str = ""
    unit: str = Field(default="", max_length=32)
    type: Literal["float", "integer", "text", "boolean"] | None = None
    min: float | None = Field(default=None, allow_inf_nan=False)
    max: float | None = Field(default=None, allow_inf_nan=False)
    undefined: bool = True

    def __post_init__(self) -> None:
        if self.min is not None and self.max is not None and self.min > self.max:
            raise ValueError(f"min {self.min:g} is above max {self.max:g}")
        if self.type in {"text", "boolean"} and (self.min is not None or self.max is not None):
            raise ValueError(f"a column of type {self.type} has no min and no max")


@dataclass(frozen=True, kw_only=True, config=_STRICT)
class TableSpec:
    """How the table is taken out of a file that holds more, or other, than a plain table.

    Parameters
    ----------
    tree : str, optional
        The TTree of a ROOT file; needed where it has several.
    member : str, optional
        The file in a zip archive, or the group or dataset in an HDF5 file.
    columns : mapping of str to str
        The columns by name, each an expression of the file's own, such as
        ``{"pt": "sqrt(px**2 + py**2)"}``; all columns of the file by default.
    selection : str, optional
        An expression that is true for the rows to keep.
    flatten : bool
        Give each element of the lists a row of its own, values beside them repeated.
    pad : int, optional
        Give lists that many columns, ``name_0``, ``name_1`` and on, null beyond their end.
    """

    tree: str | None = Field(default=None, min_length=1)
    member: str | None = Field(default=None, min_length=1)
    columns: Mapping[str, str] = field(default_factory=dict)
    selection: str | None = Field(default=None, min_length=1)
    flatten: bool = False
    pad: int | None = Field(default=None, ge=1, le=10_000)

    def __post_init__(self) -> None:
        if self.flatten and self.pad is not None:
            raise ValueError("give either flatten or pad, not both")


@dataclass(frozen=True, kw_only=True, config=_STRICT)
class ExistingSpec:
    """A dataset that an OpenML server has already: linked there, and not uploaded again.

    Parameters
    ----------
    id : int
        The dataset's number there.
    server : str
        ``openml.org``, ``test.openml.org``, or an address.
    md5 : str, optional
        The checksum that the server gives for its file.
    """

    id: int = Field(gt=0)
    server: str = "openml.org"
    md5: str | None = Field(default=None, pattern=r"^[0-9a-f]{32}$")


@dataclass(frozen=True, kw_only=True, config=_STRICT)
class DatasetSpec:
    """A public dataset: what it is called, where it comes from, how it may be used.

    Parameters
    ----------
    name : str
        As on OpenML: letters, digits and ``_-.(),``, at most 128.
    version : str
        The publisher's label of this version.
    description : str
    licence : str
        At most 64 characters.
    creators : tuple of str
    citation : str
        At most 1024 characters.
    doi : str, optional
    source : str, optional
        The archive's record, such as ``cernopendata:328``.
    collection_date : str, optional
    published : str, optional
        The date of publication: a year, or ``YYYY-MM``, or ``YYYY-MM-DD``.
    files : tuple of FileSpec
        The published files: or `simulator`, or `derived`, and no two of them.
    simulator : SimulatorSpec, optional
    derived : DerivedSpec, optional
    rows : int, optional
        The number of events, checked on load.
    undefined : float, optional
        The number that stands for "undefined" in the file and becomes a null.
    columns : mapping of str to ColumnSpec
        What is declared of columns, by name; any of them may be left out.
    table : TableSpec, optional
        How the table is taken out of the file, where it isn't the whole of a plain table.
    arff : FileSpec, optional
        The same table as plain ARFF in the archive, for servers that link to it by its address.
    openml : ExistingSpec, optional
        The same dataset on an OpenML server, where somebody has published it before.
    """

    name: str = Field(pattern=r"^[A-Za-z0-9_\-.(),]{1,128}$")
    version: str
    description: str
    licence: str = Field(max_length=64)
    creators: tuple[str, ...]
    citation: str = Field(max_length=1024)
    doi: str | None = Field(default=None, pattern=r"^10\.\d{4,9}/\S+$")
    source: str | None = None
    collection_date: str | None = None
    published: str | None = Field(default=None, pattern=r"^\d{4}(-\d{2}(-\d{2})?)?$")
    files: tuple[FileSpec, ...] = ()
    simulator: SimulatorSpec | None = None
    derived: DerivedSpec | None = None
    rows: int | None = Field(default=None, gt=0)
    undefined: float | None = None
    columns: Mapping[str, ColumnSpec] = field(default_factory=dict)
    table: TableSpec | None = None
    arff: FileSpec | None = None
    openml: ExistingSpec | None = None

    def __post_init__(self) -> None:
        if self.table is not None and not self.files:
            raise ValueError("table: says how a file is read, and there is none: remove it")
        if [bool(self.files), bool(self.simulator), bool(self.derived)].count(True) != 1:
            raise ValueError("give either files or a simulator or derived, exactly one of them")
        if self.derived is not None and self.undefined is not None:
            raise ValueError("undefined: belongs to the source of a derived dataset, not to it")
        if len(self.files) > 1:
            raise ValueError("a table is read from one file; several files are not supported yet")

    @property
    def root(self) -> DatasetSpec:
        """The dataset that this one is derived from in the end; itself where it isn't."""
        return self if self.derived is None else self.derived.source.root


@dataclass(frozen=True, kw_only=True, config=_STRICT)
class Roles:
    """What each column is. Only features reach a model.

    Parameters
    ----------
    target : str
        The column with the class, or with the number that a regression predicts.
    positive : str, optional
        The class that is signal, of two.
    features : tuple of str
        Column names or patterns such as ``PRI_*``.
    exclude : tuple of str
        Columns that the patterns would take but that are no features.
    weight, event_id, split : str, optional
        The physical weight, the event's number, and the official split's column.
    """

    target: str
    features: tuple[str, ...] = Field(min_length=1)
    positive: str | None = None
    exclude: tuple[str, ...] = ()
    weight: str | None = None
    event_id: str | None = None
    split: str | None = None

    def __post_init__(self) -> None:
        for role in ("target", "weight", "event_id", "split"):
            column = getattr(self, role)
            if column is not None and column in self.features:
                raise ValueError(f"features: {column!r} is the {role} and can't be a feature")

    def features_among(self, columns: Sequence[str]) -> tuple[str, ...]:
        """Return the columns that are features, in the table's order.

        Parameters
        ----------
        columns : sequence of str
            All columns of the table.
        """
        barred = {self.target, self.weight, self.event_id, self.split, *self.exclude}
        return tuple(
            c
            for c in columns
            if c not in barred and any(fnmatch.fnmatchcase(c, p) for p in self.features)
        )

    def named(self) -> dict[str, str]:
        """Return the columns that must exist by name, by their role."""
        roles = {"target": self.target, "weight": self.weight, "event_id": self.event_id}
        roles["split"] = self.split
        plain = {c: "features" for c in self.features if not any(s in c for s in "*?[")}
        return {c: r for r, c in roles.items() if c is not None} | plain


@dataclass(frozen=True, kw_only=True, config=_STRICT)
class KFold:
    """K-fold cross-validation, stratified where there are classes."""

    kind: Literal["kfold"]
    name: str
    folds: int = Field(default=10, ge=2)
    seed: int = Field(default=0, ge=0)


@dataclass(frozen=True, kw_only=True, config=_STRICT)
class HoldOut:
    """A share of the events held back for the test, stratified where there are classes."""

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
    partitions : mapping of str to tuple of str
        Named parts of the test rows, such as public and private: one fit gives a score for each.
    """

    kind: Literal["official"]
    name: str
    train: tuple[str, ...] = Field(min_length=1)
    test: tuple[str, ...] = Field(min_length=1)
    partitions: Mapping[str, tuple[str, ...]] = field(default_factory=dict)


SplitSpec = Annotated[KFold | HoldOut | Official, Field(discriminator="kind")]


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
    type : {"binary-classification", "multiclass-classification", "regression"}
        Two classes, of which one is signal; more than two; a number.
    dataset : DatasetSpec
    roles : Roles
    splits : tuple of KFold, HoldOut or Official
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
            raise ValueError(f"splits: two splits have the same name among {', '.join(names)}")
        if any(isinstance(s, Official) for s in self.splits) and self.roles.split is None:
            raise ValueError(
                "splits: an official split needs roles.split, the column that marks it"
            )
        self._check_seed()
        positive = self.roles.positive
        if (positive is not None) != (self.type == "binary-classification"):
            missing = "names the signal class of two" if positive is None else "has no meaning"
            raise ValueError(f"roles: positive {missing} in a task of type {self.type}")
        if self.private is not None:
            self._check_private()
        if self.class_sums is None:
            return
        if self.type == "regression":
            raise ValueError("class_sums: a regression has no classes")
        if positive is not None and positive not in self.class_sums:
            raise ValueError(f"class_sums: the signal class {positive!r} is missing")

    def _check_seed(self) -> None:
        simulator = self.dataset.simulator
        if self.private is None and simulator is not None and simulator.seed is None:
            raise ValueError("dataset.simulator.seed: this field is required")

    def _check_private(self) -> None:
        if self.type == "regression":
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
    """A task of a suite, on one of its splits (the first by default)."""

    task: str
    split: str | None = None


@dataclass(frozen=True, kw_only=True, config=_STRICT)
class SuiteSpec:
    """A suite: tasks that are run and read together; `report` is the address of its page."""

    name: str = Field(pattern=r"^[a-z0-9][a-z0-9\-]*$")
    title: str
    description: str
    tasks: tuple[SuiteTask, ...] = Field(min_length=1)
    report: str | None = Field(default=None, pattern=_ADDRESS)
