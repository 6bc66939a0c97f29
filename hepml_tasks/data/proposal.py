"""A first task file for a table that nobody has described: YAML, with comments that say why."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import yaml

from hepml_tasks.data.checksum import checksum_of
from hepml_tasks.data.fetch import fetch_file
from hepml_tasks.data.looking import Guesses, look, signal_value, train_values
from hepml_tasks.data.sources import locate
from hepml_tasks.data.sources.choice import only
from hepml_tasks.data.sources.record import Record
from hepml_tasks.errors import ColumnError, DataError, FormatError, OutputError, nearest
from hepml_tasks.formats.atomic import write_atomically
from hepml_tasks.formats.tables import FORMATS, format_of, open_table
from hepml_tasks.spec import FileSpec, TableSpec

LEFT = "FILL IN"
"""How a text begins that only the dataset's author can write."""

_LOOKED_AT = 200_000
_PAD = 2
_CLASSES = 20


@dataclass(frozen=True)
class Proposal:
    """A task file that is proposed.

    Parameters
    ----------
    path : Path
        Where it was written.
    rows : int
    guesses : Guesses
    left : tuple of str
        What nobody but the author can know.
    """

    path: Path
    rows: int
    guesses: Guesses
    left: tuple[str, ...]


def propose(
    address: str,
    *,
    out: Path | None = None,
    name: str | None = None,
    target: str | None = None,
    file: str | None = None,
    table: TableSpec | None = None,
    progress: bool = False,
) -> Proposal:
    """Look at a file or a record, and write a task file for it.

    Parameters
    ----------
    address : str
        A path, a DOI, or another address of `hepml_tasks.data.sources`.
    out : Path, optional
        The file to write; ``NAME.yaml`` in this folder by default. It is never overwritten.
    name : str, optional
        The task's; made of the file's by default.
    target : str, optional
        The column that is to be predicted.
    file : str, optional
        Which of a record's files has the table, where it has several.
    table : TableSpec, optional
        How the table is taken out of it.
    progress : bool
        Show downloads on a terminal.

    Raises
    ------
    DataError
        If the file can't be had or read, or the record has several tables.
    ColumnError
        If there is no column `target`.
    OutputError
        If the file to write is there already.
    """
    record, published, path = _find(address, file, progress)
    name = name or _name_of(published.name)
    out = Path(f"{name}.yaml") if out is None else out
    if out.exists():
        raise OutputError(
            f"{out}: is there already, and is not overwritten; name another with --out"
        )
    how, found, rows, notes = _open(path, table or TableSpec())
    if target is not None and target not in found.column_names:
        raise ColumnError(
            f"{path}: has no column {target!r}{nearest(target, found.column_names)}; name the"
            " column that is to be predicted"
        )
    guesses = look(found, target=target)
    text = _Text(name, record, published, path, how, found, rows, guesses, notes)
    write_atomically(out, text.render().encode())
    return Proposal(out, rows, guesses, tuple(text.left))


def _find(address: str, file: str | None, progress: bool) -> tuple[Record, FileSpec, Path]:
    record = locate(address)
    if file is not None:
        record = only(record, file)
    tables = [f for f in record.files if f.name.lower().endswith(tuple(FORMATS))]
    if not tables:
        names = ", ".join(f.name for f in record.files[:8])
        raise DataError(
            f"{record.address}: none of its files is a table ({names}); a table ends in"
            f" {', '.join(FORMATS)}"
        )
    if len(tables) > 1:
        names = ", ".join(f.name for f in tables[:8])
        raise DataError(f"{record.address}: has {len(tables)} tables ({names}); choose by --file")
    (published,) = tables
    if Path(address).is_file():
        path = Path(address).absolute()
        size = path.stat().st_size
        published = replace(
            published, checksum=checksum_of(path, "sha256"), size=size, urls=(str(path),)
        )
        return record, published, path
    return record, published, fetch_file(published, dataset=record.dataset, progress=progress)


def _name_of(file: str) -> str:
    ending = next(e for e in FORMATS if file.lower().endswith(e))
    name = re.sub(r"[^a-z0-9]+", "-", file[: -len(ending)].lower()).strip("-")
    return name or "my-task"


def _open(path: Path, table: TableSpec) -> tuple[TableSpec, pa.Table, int, list[str]]:
    """Read the first rows of a file, with rules that it turns out to need."""
    notes = []
    if names := _missing_names(path, table):
        table = replace(table, names=names)
        notes.append("the file has no line of names: give the columns theirs, here and below")
    try:
        found, rows = _first_rows(path, table)
    except FormatError as error:
        if "--pad" not in str(error) or table.flatten or table.pad is not None:
            raise
        table = replace(table, pad=_PAD)
        found, rows = _first_rows(path, table)
        notes.append(
            f"lists of any length become {_PAD} columns each; `flatten: true` gives each element a"
            " row instead"
        )
    if not rows:
        raise DataError(f"{path}: has no rows; a dataset has some")
    return table, found, rows, notes


def _missing_names(path: Path, table: TableSpec) -> tuple[str, ...]:
    """Return names for the columns of a file whose first line has a number in it."""
    _, format_ = format_of(path)
    if not format_.nameless or table.names:
        return ()
    from hepml_tasks.formats.tabular_csv import first_row

    row = first_row(path, table, **format_.options)
    if not any(re.fullmatch(r"[-+]?(\d+\.?\d*|\.\d+)([eE][-+]?\d+)?|nan", n) for n in row):
        return ()
    return tuple(f"column_{i + 1}" for i in range(len(row)))


def _first_rows(path: Path, table: TableSpec) -> tuple[pa.Table, int]:
    kept: list[pa.RecordBatch] = []
    rows = 0
    with open_table(path, table) as stream:
        for batch in stream.batches:
            if rows < _LOOKED_AT:
                kept.append(batch)
            rows += batch.num_rows
        return pa.Table.from_batches(kept, stream.schema), rows


class _Text:
    """The lines of a proposed file."""

    def __init__(
        self,
        name: str,
        record: Record,
        file: FileSpec,
        path: Path,
        table: TableSpec,
        found: pa.Table,
        rows: int,
        guesses: Guesses,
        notes: list[str],
    ) -> None:
        self.name, self.record, self.file, self.path = name, record, file, path
        self.table, self.found, self.rows = table, found, rows
        self.guesses, self.notes = guesses, notes
        self.left: list[str] = []

    def render(self) -> str:
        parts = (self.head, self.dataset, self.columns, self.roles, self.splits, self.metrics)
        return "\n".join(line for part in parts for line in part()) + "\n"

    def fill_in(self, what: str) -> str:
        self.left.append(what)
        return _quoted(f"{LEFT}: {what}")

    @property
    def kind(self) -> str:
        target = self.guesses.target
        if target is None:
            return "binary-classification"
        column = self.guesses.column(target.name)
        few = 2 <= len(column.values) <= _CLASSES
        if not few or (column.type == "float" and len(column.values) > 2):
            return "regression"
        return f"{'binary' if len(column.values) == 2 else 'multiclass'}-classification"

    def head(self) -> Iterator[str]:
        looked = min(self.rows, self.found.num_rows)
        yield f"# Proposed by `hepml new dataset` from the first {looked} of {self.rows} rows."
        yield "# Every guess says why. Say here where each fact comes from; then:"
        yield "#   hepml tasks check THIS-FILE"
        yield f"name: {self.name}"
        yield f"title: {self.fill_in('a title')}"
        yield f"type: {self.kind}"
        yield "about:"
        yield f"  physicist: {self.fill_in('what is looked for, in what, and what counts')}"
        yield f"  ml: {self.fill_in('rows, columns, weights, classes, and what is special')}"
        yield "caveat: A benchmark, not for physics results."

    def dataset(self) -> Iterator[str]:
        record, file = self.record, self.file
        yield "dataset:"
        yield f"  name: {self.name}"
        yield f"  version: {_quoted(record.version or '1', text=True)}"
        told = _quoted(record.title) if record.doi else self.fill_in("what the events are")
        yield f"  description: {told}"
        if record.licence is None:
            self.left.append("the licence")
            yield "  # nobody may be sure to be allowed to use the data without one"
        yield f"  licence: {_quoted(record.licence or 'unknown')}"
        creators = list(record.creators) or [f"{LEFT}: who made them"]
        if not record.creators:
            self.left.append("who made them")
        yield f"  creators: [{', '.join(map(_quoted, creators))}]"
        cited = record.citation if record.creators else ""
        yield f"  citation: {_quoted(cited) if cited else self.fill_in('how to cite them')}"
        if record.doi:
            yield f"  doi: {record.doi}"
            yield f"  source: {_quoted(record.address)}"
        if record.published:
            yield f"  published: {_quoted(record.published, text=True)}"
        yield "  files:"
        yield f"    - name: {_quoted(file.name)}"
        if file.size:
            yield f"      size: {file.size}"
        yield f"      checksum: {file.checksum or 'unknown'}"
        if not record.doi:
            yield "      # where it is on this machine: give the address where others find it"
        yield f"      urls: [{', '.join(map(_quoted, file.urls))}]"
        yield from self.taken()
        yield f"  rows: {self.rows}"
        yield from self.undefined()

    def taken(self) -> Iterator[str]:
        given = {k: v for k, v in vars(self.table).items() if v and not k.startswith("_")}
        if not given:
            return
        yield "  table:"
        for note in self.notes:
            yield f"    # {note}"
        for key, value in given.items():
            plain = list(value) if isinstance(value, tuple) else value
            text = yaml.safe_dump({key: plain}, default_flow_style=None, width=90, sort_keys=False)
            yield from (f"    {line}" for line in text.rstrip().splitlines())

    def undefined(self) -> Iterator[str]:
        sentinel = self.guesses.sentinel
        if sentinel is None:
            return
        found = [c.name for c in self.guesses.columns if c.sentinel == sentinel]
        yield f"  # {sentinel:g} stands apart and is there often, in {', '.join(found[:4])}"
        yield f"  undefined: {float(sentinel)}"

    def columns(self) -> Iterator[str]:
        yield "  # add descriptions and units; the ranges are what was seen"
        yield "  columns:"
        for column in self.guesses.columns:
            kind = column.type if column.type in {"float", "integer", "text", "boolean"} else None
            facts = [] if kind is None else [f"type: {kind}"]
            other = column.sentinel not in {None, self.guesses.sentinel}
            if not column.undefined or other:
                facts.append("undefined: false")
            seen = self.seen(column.name)
            yield f"    {_quoted(column.name)}: {{{', '.join(facts)}}}{seen and '  # '}{seen}"

    def seen(self, name: str) -> str:
        column = self.guesses.column(name)
        told = []
        if column.low is not None and column.high is not None:
            told.append(f"{column.low:.6g} … {column.high:.6g}")
        elif column.values:
            told.append(", ".join(column.values[:6]))
        if column.undefined:
            told.append(f"undefined in {100 * column.undefined:.1f} %")
        if column.sentinel not in {None, self.guesses.sentinel}:
            told.append(f"{column.sentinel:g} may mean undefined too, and one number alone can")
        return "; ".join(told)

    def roles(self) -> Iterator[str]:
        guesses = self.guesses
        yield "roles:"
        if guesses.target is None:
            self.left.append("roles.target, the column that is to be predicted")
            yield "  # no column looks like what is to be predicted: name it"
            yield "  # target: "
        else:
            yield f"  # {guesses.target.why}"
            yield f"  target: {_quoted(guesses.target.name)}"
            yield from self.positive(guesses.target.name)
        for role in ("weight", "event_id", "split"):
            guess = getattr(guesses, role)
            if guess is not None:
                yield f"  # {guess.why}"
                yield f"  {role}: {_quoted(guess.name)}"
        for guess in guesses.left_out:
            yield f"  # no feature: {guess.name} ({guess.why})"
        if not guesses.features:
            self.left.append("roles.features, the columns that a model may see")
            yield "  # no column is left: name those that a model may see"
            yield "  features: []"
            return
        yield "  features:"
        yield from (f"    - {_quoted(name)}" for name in guesses.features)

    def positive(self, target: str) -> Iterator[str]:
        if self.kind != "binary-classification":
            return
        labels = self.found[target].cast(pa.string())
        counts = {c["values"]: c["counts"] for c in pc.value_counts(labels).to_pylist()}
        guess = signal_value(self.guesses.column(target).values, counts)
        yield f"  # {guess.why}; exchange it if the other class is signal"
        yield f"  positive: {_quoted(guess.name, text=True)}"

    def splits(self) -> Iterator[str]:
        split = self.guesses.split
        yield "splits:"
        if split is not None:
            train, test = train_values(self.guesses.column(split.name).values)
            if train and test:
                marks = ", ".join(_quoted(v, text=True) for v in train)
                others = ", ".join(_quoted(v, text=True) for v in test)
                yield f"  # by {split.name}: what is called for training trains, the rest is"
                yield "  # tested; values that take no part belong to `unused`"
                yield f"  - {{name: official, kind: official, train: [{marks}], test: [{others}]}}"
        yield "  - {name: 5-fold, kind: kfold, folds: 5, seed: 0}"
        yield "  - {name: holdout, kind: holdout, fraction: 0.33, seed: 0}"

    def metrics(self) -> Iterator[str]:
        yield "# `hepml metrics` lists all; the first one ranks"
        yield "metrics:"
        if self.kind == "regression":
            yield "  primary: root_mean_squared_error"
            yield "  also: [mean_absolute_error]"
        elif self.kind == "multiclass-classification":
            yield "  primary: balanced_accuracy"
            yield "  also: [predictive_accuracy]"
        else:
            area = "area_under_roc_curve" if self.guesses.weight is None else "roc_auc"
            yield f"  primary: {area}"
            yield "  also: [background_rejection_50, log_loss]"


def _quoted(value: Any, *, text: bool = False) -> str:
    """Write a value as YAML does on one line; text is quoted if asked for."""
    style = '"' if text else None
    line = yaml.safe_dump(str(value), default_style=style, width=10**6, allow_unicode=True)
    return line.removesuffix("\n").removesuffix("\n...").strip()
