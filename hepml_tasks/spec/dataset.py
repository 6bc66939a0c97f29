"""What a dataset is: where it comes from, how its table is made, and what its columns mean.

Validation is pydantic's; the rules that relate fields to each other stand at the classes they
belong to.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import field
from typing import Annotated, Literal

from pydantic import BeforeValidator, ConfigDict, Field, JsonValue
from pydantic.dataclasses import dataclass

_STRICT = ConfigDict(extra="forbid")
UNKNOWN = "unknown"
"""What a file says where a fact was looked for and not found: a warning, and never a guess."""

_CHECKSUM = r"^(md5:[0-9a-f]{32}|sha256:[0-9a-f]{64}|adler32:[0-9a-f]{8})$"
_Checksum = Annotated[
    Annotated[str, Field(pattern=_CHECKSUM)] | None,
    BeforeValidator(lambda told: None if told == UNKNOWN else told),
]
_Range = Annotated[tuple[int, ...], Field(min_length=2, max_length=2)]


@dataclass(frozen=True, kw_only=True, config=_STRICT)
class FileSpec:
    """A file of a dataset, as its archive publishes it.

    Parameters
    ----------
    name : str
        The file's name, without folders.
    checksum : str, optional
        ``md5:…``, ``sha256:…`` or ``adler32:…``. Where the archive publishes none it is left out
        or ``unknown``: the first download's is recorded in the cache, and the data are told to be
        unverified.
    size : int, optional
        Bytes.
    urls : tuple of str
        Where it can be had, tried in order after the mirrors.
    part : str, optional
        What `PartsSpec` calls its rows, where several files are one table.
    """

    name: str = Field(pattern=r"^[A-Za-z0-9_][A-Za-z0-9_.+\-]*$")
    checksum: _Checksum = None
    size: int | None = Field(default=None, gt=0)
    urls: tuple[str, ...] = ()
    part: str | None = Field(default=None, min_length=1)


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
class NuisanceSpec:
    """A parameter of a function whose true value nobody knows: the table is made at several values.

    Parameters
    ----------
    name : str
        The column that says at which value a row was made.
    parameter : str
        The function's parameter.
    values : tuple of float
        Two or more.
    nominal : float
        The one that is believed.
    train : tuple of float
        Those at which a flow may be trained; all by default.
    """

    name: str = Field(min_length=1)
    parameter: str = Field(min_length=1)
    values: tuple[float, ...] = Field(min_length=2)
    nominal: float
    train: tuple[float, ...] = ()

    def __post_init__(self) -> None:
        if len(set(self.values)) < len(self.values):
            raise ValueError("values: a value is there twice; keep one of them")
        for value in (self.nominal, *self.train):
            if value not in self.values:
                raise ValueError(
                    f"{value:g} is not among the values {', '.join(f'{v:g}' for v in self.values)}"
                )

    @property
    def trained(self) -> tuple[float, ...]:
        """The values at which a flow may be trained."""
        return self.train or self.values


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
    nuisance : NuisanceSpec, optional
        A parameter with several values: the tables of all of them, one below the other.
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
    nuisance: NuisanceSpec | None = None
    checksum: str | None = Field(default=None, pattern=r"^sha256:[0-9a-f]{64}$")
    relation: Literal["IsDerivedFrom", "IsVariantFormOf"] = "IsDerivedFrom"

    def __post_init__(self) -> None:
        if self.nuisance is not None and self.nuisance.parameter in self.parameters:
            raise ValueError(
                f"parameters: {self.nuisance.parameter} is the nuisance, which has values of its"
                " own; remove it here"
            )


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
            raise ValueError(f"min {self.min:g} is above max {self.max:g}; exchange them")
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
    names : tuple of str
        The names of all columns of a CSV file that has no line with them.
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
    names: tuple[str, ...] = ()
    columns: Mapping[str, str] = field(default_factory=dict)
    selection: str | None = Field(default=None, min_length=1)
    flatten: bool = False
    pad: int | None = Field(default=None, ge=1, le=10_000)

    def __post_init__(self) -> None:
        if self.flatten and self.pad is not None:
            raise ValueError("give either flatten or pad, not both")
        if twice := [n for i, n in enumerate(self.names) if n in self.names[:i]]:
            raise ValueError(f"names: {twice[0]!r} is there twice; each column has its own")


@dataclass(frozen=True, kw_only=True, config=_STRICT)
class PartsSpec:
    """A column that says which part of a dataset a row is from, for an official split.

    Parameters
    ----------
    column : str
        Its name; no column of the files.
    rows : mapping of str to (int, int)
        The parts of one file: the number of the first row, from 0, and of the one after the last.
        Together they have every row once. Of several files, which are put one below the other in
        the order of `DatasetSpec.files`, each is a part, and named by its own ``part``.
    join : tuple of str
        Columns by which files of the same ``part`` are put side by side, such as the hits of a
        collision event and what is true of them: each row has exactly one partner. The parts'
        names become whole numbers where all of them are.
    """

    column: str = Field(min_length=1)
    rows: Mapping[str, _Range] = field(default_factory=dict)
    join: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        end = 0
        for name, (first, after) in sorted(self.rows.items(), key=lambda part: part[1]):
            if not first < after:
                raise ValueError(f"rows: {name} has no row: {first} is not before {after}")
            if first < end:
                raise ValueError(f"rows: {name} begins at {first}, in a part that ends at {end}")
            if first > end:
                raise ValueError(f"rows: {end} to {first - 1} are in no part; name one for them")
            end = after

    @property
    def end(self) -> int | None:
        """The number of rows that the parts of one file have; None for several files."""
        return max((after for _, after in self.rows.values()), default=None)


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
        At most 64 characters; ``unknown`` where the publisher names none.
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
    content : str, optional
        The checksum of the table's content, ``sha256:…``, by whoever has loaded and checked it:
        `hepml tasks check` prints it, and compares it from then on.
    undefined : float, optional
        The number that stands for "undefined" in the file and becomes a null.
    columns : mapping of str to ColumnSpec
        What is declared of columns, by name; any of them may be left out.
    table : TableSpec, optional
        How the table is taken out of the file, where it isn't the whole of a plain table.
    parts : PartsSpec, optional
        A further column that says which file, or which rows of it, an event is from.
    arff : FileSpec, optional
        The same table as plain ARFF in the archive, for servers that link to it by its address.
    openml : ExistingSpec or "unknown", optional
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
    content: str | None = Field(default=None, pattern=r"^sha256:[0-9a-f]{64}$")
    undefined: float | None = None
    columns: Mapping[str, ColumnSpec] = field(default_factory=dict)
    table: TableSpec | None = None
    parts: PartsSpec | None = None
    arff: FileSpec | None = None
    openml: ExistingSpec | Literal["unknown"] | None = None

    def __post_init__(self) -> None:
        if self.table is not None and not self.files:
            raise ValueError("table: says how a file is read, and there is none: remove it")
        if [bool(self.files), bool(self.simulator), bool(self.derived)].count(True) != 1:
            raise ValueError("give either files or a simulator or derived, exactly one of them")
        if self.derived is not None and self.undefined is not None:
            raise ValueError("undefined: belongs to the source of a derived dataset, not to it")
        self._check_parts()

    def _check_parts(self) -> None:
        parts = self.parts
        if parts is None:
            if len(self.files) > 1:
                raise ValueError(
                    "files: several are one table with parts, which names a column for the file"
                )
            return
        if not self.files:
            raise ValueError("parts: says what rows of files are, and there are none: remove it")
        if bool(parts.rows) == (len(self.files) > 1):
            raise ValueError("parts: give rows for one file, and none for several files")
        if parts.join and not all(file.part for file in self.files):
            raise ValueError("parts: join needs the part of each file; say it beside its name")
        if parts.end not in {None, self.rows} and self.rows is not None:
            raise ValueError(f"parts: rows ends at {parts.end}, and there are {self.rows} rows")

    @property
    def existing(self) -> ExistingSpec | None:
        """The same dataset on an OpenML server, where that is known."""
        return self.openml if isinstance(self.openml, ExistingSpec) else None

    @property
    def checked(self) -> str | None:
        """The checksum of the content that somebody has loaded and checked, if anybody has."""
        return self.content or (None if self.derived is None else self.derived.checksum)

    @property
    def root(self) -> DatasetSpec:
        """The dataset that this one is derived from in the end; itself where it isn't."""
        return self if self.derived is None else self.derived.source.root
