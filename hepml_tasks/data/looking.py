"""What the columns of an unknown table seem to be: roles, types, undefined values, and why."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from hepml_tasks.data.columns import type_name

_FEW = 20
_SENTINELS = (-999.0, -9999.0, -99999.0, 999999.0, -25.0, -1.0)
"""What the field writes for "undefined", the clearest ones first."""

_CLEAR = 4
_TARGET = re.compile(r"(label|class|target|signal|is_?signal|y|truth|type)s?", re.IGNORECASE)
_WEIGHT = re.compile(r".*weights?|w|wgt|.*_wgt|wt", re.IGNORECASE)
_EVENT = re.compile(r"(event|evt)(_?(id|no|num|number))?|id|row_?id", re.IGNORECASE)
_RUN = re.compile(r"run(_?(no|num|number))?|lumi.*|luminosityblock|event.*|evt.*", re.IGNORECASE)
_SPLIT = re.compile(r".*(split|fold|partition|subset)|.*set|part", re.IGNORECASE)
_TRAIN = re.compile(r"t|tr|train(ing)?", re.IGNORECASE)
_SIGNAL = re.compile(r"s|sig(nal)?|1|1\.0|true|yes|g|gamma|distorted", re.IGNORECASE)


@dataclass(frozen=True)
class Seen:
    """A column as it was seen in the first rows of a file.

    Parameters
    ----------
    name : str
    type : str
        ``float``, ``integer``, ``text``, ``boolean`` or Arrow's own name.
    values : tuple of str
        All values in order, where they are few; empty otherwise.
    low, high : float, optional
        The range of numbers that are defined.
    undefined : float
        The share of undefined values, those that a sentinel marks among them.
    distinct : bool
        Whether no value is there twice.
    sentinel : float, optional
        A number that seems to stand for "undefined".
    """

    name: str
    type: str
    values: tuple[str, ...]
    low: float | None
    high: float | None
    undefined: float
    distinct: bool
    sentinel: float | None = None

    @property
    def is_number(self) -> bool:
        """Whether a model can take it."""
        return self.type in {"float", "integer"}


@dataclass(frozen=True)
class Guess:
    """What a column seems to be, and why."""

    name: str
    why: str


@dataclass(frozen=True)
class Guesses:
    """What the columns of a table seem to be.

    Parameters
    ----------
    columns : tuple of Seen
    target, weight, event_id, split : Guess, optional
        None where no column looks like it.
    left_out : tuple of Guess
        Columns that had better be no features.
    sentinel : float, optional
        The number that stands for "undefined".
    """

    columns: tuple[Seen, ...]
    target: Guess | None
    weight: Guess | None
    event_id: Guess | None
    split: Guess | None
    left_out: tuple[Guess, ...]
    sentinel: float | None

    @property
    def features(self) -> list[str]:
        """The columns that are left for a model."""
        roles = (self.target, self.weight, self.event_id, self.split)
        taken = {g.name for g in (*roles, *self.left_out) if g is not None}
        return [c.name for c in self.columns if c.name not in taken]

    def column(self, name: str) -> Seen:
        """Return a column by its name."""
        return next(c for c in self.columns if c.name == name)


def looks_like(name: str) -> str | None:
    """Say what a column seems to be that had better be no feature, by its name alone.

    Returns
    -------
    {"a weight", "an event's number"} or None
    """
    if _WEIGHT.fullmatch(name):
        return "a weight"
    return "an event's number" if _EVENT.fullmatch(name) else None


def look(table: pa.Table, *, target: str | None = None) -> Guesses:
    """Say what the columns of a table seem to be.

    Parameters
    ----------
    table : pyarrow.Table
        Rows enough to judge by.
    target : str, optional
        The column that is to be predicted, where somebody knows.
    """
    seen = [_seen(n, c) for n, c in zip(table.column_names, table.columns, strict=True)]
    sentinel = _common_sentinel(seen)
    weight = _first(seen, _WEIGHT, lambda c: c.is_number, "it is called so, and is a number")
    event = _first(
        seen,
        _EVENT,
        lambda c: c.type == "integer" and c.distinct,
        "it is called so, and no whole number is there twice",
    )
    goal = Guess(target, "as asked for") if target else _target(seen)
    taken = {g.name for g in (weight, event, goal) if g is not None}
    split = _first(
        [c for c in seen if c.name not in taken],
        _SPLIT,
        lambda c: 2 <= len(c.values) <= _FEW and c.undefined == 0,
        "it is called so, and has few values",
    )
    taken |= {split.name} if split else set()
    left_out = tuple(_left_out([c for c in seen if c.name not in taken], table, goal))
    return Guesses(tuple(seen), goal, weight, event, split, left_out, sentinel)


def train_values(values: Sequence[str]) -> tuple[list[str], list[str]]:
    """Divide the values of a split's column into those that train and the others."""
    train = [v for v in values if _TRAIN.fullmatch(v)]
    return train, [v for v in values if v not in train]


def signal_value(values: Sequence[str], counts: Mapping[str, int]) -> Guess:
    """Say which of two classes seems to be signal."""
    named = [v for v in values if _SIGNAL.fullmatch(v)]
    if len(named) == 1:
        return Guess(named[0], "signal is often called so")
    return Guess(min(values, key=lambda v: (counts.get(v, 0), v)), "the rarer class")


def _seen(name: str, column: pa.ChunkedArray) -> Seen:
    kind = type_name(column.type)
    rows = max(1, len(column))
    distinct = kind == "integer" and pc.count_distinct(column).as_py() == len(column)
    values: tuple[str, ...] = ()
    if kind in {"integer", "text", "boolean", "float"}:
        unique = pc.unique(column.drop_null())
        if len(unique) <= _FEW:
            values = tuple(str(v) for v in sorted(unique.cast(pa.string()).to_pylist()))
    low = high = sentinel = None
    undefined = column.null_count
    if kind in {"float", "integer"}:
        numbers = column.cast(pa.float64())
        if kind == "float":
            sentinel = _sentinel(numbers, len(values))
        if sentinel is not None:
            marked = pc.equal(numbers, sentinel)
            undefined += pc.sum(marked).as_py() or 0
            numbers = numbers.filter(pc.fill_null(pc.invert(marked), False))
        found = pc.min_max(numbers).as_py()
        low, high = found["min"], found["max"]
    return Seen(name, kind, values, low, high, undefined / rows, distinct, sentinel)


def _sentinel(numbers: pa.ChunkedArray, few: int) -> float | None:
    """Return a number that stands apart from all others and is there again and again."""
    for place, value in enumerate(_SENTINELS):
        count = pc.sum(pc.equal(numbers, value)).as_py() or 0
        if count < 2:
            continue
        if place < _CLEAR:
            return value
        others = numbers.filter(pc.fill_null(pc.not_equal(numbers, value), False))
        lowest = pc.min(others).as_py()
        # a charge of -1 is no sentinel, nor is the end of a range
        apart = lowest is not None and (lowest >= 0 or lowest - value > abs(value) / 2)
        if apart and count >= len(numbers) / 100 and not 0 < few <= 3:
            return value
    return None


def _common_sentinel(seen: Sequence[Seen]) -> float | None:
    found = [c.sentinel for c in seen if c.sentinel is not None]
    return max(found, key=found.count) if found else None


def _first(seen: Sequence[Seen], name: re.Pattern[str], fits: Any, why: str) -> Guess | None:
    return next((Guess(c.name, why) for c in seen if name.fullmatch(c.name) and fits(c)), None)


def _target(seen: Sequence[Seen]) -> Guess | None:
    def is_class(column: Seen) -> bool:
        return 2 <= len(column.values) <= _FEW and column.undefined == 0

    named = _first(seen, _TARGET, is_class, "it is called so, and has few values")
    if named is not None:
        return named
    for column in (seen[-1], seen[0]) if seen else ():
        # such as the `# label` of HEPMASS
        bare = re.sub(r"\W", "", column.name)
        of_classes = column.type == "text" or len(column.values) == 2 or _TARGET.fullmatch(bare)
        if is_class(column) and of_classes:
            where = "last" if column is seen[-1] else "first"
            return Guess(column.name, f"the {where} column, and it has few values")
    return None


def _left_out(seen: Sequence[Seen], table: pa.Table, target: Guess | None) -> Iterator[Guess]:
    for column in seen:
        if not column.is_number:
            yield Guess(column.name, f"{column.type}, and features are numbers")
        elif _WEIGHT.fullmatch(column.name):
            yield Guess(column.name, "another weight: it would tell the class")
        elif _RUN.fullmatch(column.name) or _EVENT.fullmatch(column.name):
            yield Guess(column.name, "numbers events or runs, which a simulation does by process")
        elif len(column.values) == 1 and not column.undefined:
            yield Guess(column.name, f"is {column.values[0]} in every event")
        elif target is not None and _tells(table, column, target.name):
            yield Guess(
                column.name, "each of its few values has one class alone: it tells the class"
            )


def _tells(table: pa.Table, column: Seen, target: str) -> bool:
    if not 2 <= len(column.values) <= _FEW or target not in table.column_names:
        return False
    pairs = table.select([column.name, target]).group_by([column.name, target]).aggregate([])
    classes = pc.count_distinct(table[target]).as_py()
    values = pc.count_distinct(table[column.name]).as_py()
    return 2 <= classes <= _FEW and bool(pairs.num_rows == values)
