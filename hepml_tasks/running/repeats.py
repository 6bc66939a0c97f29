"""Events that are there twice: within the data, and on both sides of a split."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from hepml_tasks.errors import HepmlError
from hepml_tasks.running.findings import Finding, Level, has_column
from hepml_tasks.running.task import rows_of
from hepml_tasks.spec import Official, SplitSpec, TaskSpec
from hepml_tasks.splits import Split


def check_event_ids(spec: TaskSpec, table: pa.Table) -> list[Finding]:
    """Check that every event has an id of its own."""
    name = spec.roles.event_id
    if name is None:
        return [Finding("event ids", "ok", "none: the row's number is the event's")]
    if not has_column(table, name):
        return []
    column = table[name]
    findings = []
    if column.null_count:
        findings.append(Finding("event ids", "error", f"undefined in {column.null_count} events"))
    unique = pc.count_distinct(column, mode="only_valid").as_py()
    if twice := len(column) - column.null_count - unique:
        findings.append(Finding("event ids", "error", f"{twice} events have the id of another"))
    return findings or [Finding("event ids", "ok", f"{unique}, each once")]


def _groups(spec: TaskSpec, table: pa.Table) -> npt.NDArray[np.int64] | None:
    """Give each event a number, so that those with the same features have the same number."""
    import pandas as pd

    names = [n for n in spec.roles.features_among(table.column_names) if has_column(table, n)]
    if not names:
        return None
    frame = table.select(names).to_pandas()
    hashes = pd.util.hash_pandas_object(frame, index=False).to_numpy()
    _, groups = np.unique(hashes, return_inverse=True)
    groups = groups.astype(np.int64)
    # only rows with the hash of another can be equal to one: those are compared value by value
    again = np.flatnonzero(np.bincount(groups)[groups] > 1)
    if len(again):
        exact = frame.iloc[again].groupby(names, dropna=False, sort=False).ngroup().to_numpy()
        groups[again] = len(frame) + exact
    return np.asarray(np.unique(groups, return_inverse=True)[1], dtype=np.int64)


def check_repeats(spec: TaskSpec, table: pa.Table) -> list[Finding]:
    """Look for events that are there twice, and for splits that they, or sizes, make unsound."""
    groups = _groups(spec, table)
    y = None
    if has_column(table, spec.roles.target) and not table[spec.roles.target].null_count:
        y = _targets(spec, table[spec.roles.target])
    findings = [] if groups is None else _duplicates(groups, y)
    return findings if y is None else [*findings, *_splits(spec, table, y, groups)]


def _targets(spec: TaskSpec, column: pa.ChunkedArray) -> npt.NDArray[Any] | None:
    if spec.kind.target == "class":
        return np.asarray(column.cast(pa.string()).to_pylist(), dtype=str)
    numeric = pa.types.is_floating(column.type) or pa.types.is_integer(column.type)
    return column.to_numpy() if numeric else None


def _duplicates(groups: npt.NDArray[np.int64], y: npt.NDArray[Any] | None) -> list[Finding]:
    copies = len(groups) - len(np.unique(groups))
    if not copies:
        return [Finding("duplicates", "ok", "no two events have the same features")]
    share = 100 * copies / len(groups)
    figure = f"{copies} events ({share:.2f} %) have the features of another"
    findings = [Finding("duplicates", "warning", figure)]
    if y is not None and y.dtype.kind == "U":
        pairs = np.unique(np.stack([groups, np.unique(y, return_inverse=True)[1]]), axis=1)
        torn = int((np.bincount(pairs[0]) > 1).sum())
        if torn:
            figure = f"{torn} sets of features are in several classes"
            findings.append(Finding("duplicates", "warning", figure))
    return findings


def _splits(
    spec: TaskSpec,
    table: pa.Table,
    y: npt.NDArray[Any],
    groups: npt.NDArray[np.int64] | None,
) -> Iterator[Finding]:
    for split in spec.splits:
        check = f"split {split.name}"
        marks = None
        if isinstance(split, Official):
            if not has_column(table, spec.roles.split):
                continue
            marks = table[spec.roles.split].to_numpy(zero_copy_only=False)
        try:
            folds = rows_of(split, y, marks, belonging(spec, table))
        except (HepmlError, ValueError) as error:
            yield Finding(check, "error", str(error))
            continue
        yield Finding(check, *_sizes(split, folds, y, marks, spec.roles.positive))
        if groups is not None:
            yield Finding(f"{check}, duplicates", *_shared(folds, groups))


def belonging(spec: TaskSpec, table: pa.Table) -> npt.NDArray[np.int64] | None:
    """Return which rows belong together by the spec, numbered from 0, or None."""
    name = spec.roles.group
    if name is None or not has_column(table, name) or table[name].null_count:
        return None
    values = table[name].to_numpy(zero_copy_only=False)
    return np.asarray(np.unique(values, return_inverse=True)[1], dtype=np.int64)


def _sizes(
    split: SplitSpec,
    folds: list[Split],
    y: npt.NDArray[Any],
    marks: npt.NDArray[Any] | None,
    positive: str | None,
) -> tuple[Level, str]:
    train = [len(f.train) for f in folds]
    test = [len(f.test) for f in folds]
    text = f"{_span(train)} train, {_span(test)} tested"
    if len(folds) > 1:
        text = f"{len(folds)} folds: {text}"
    level: Level = "ok"
    for fold in folds:
        for name, rows in (("train", fold.train), ("test", fold.test)):
            if y.dtype.kind == "U" and len(set(y[rows])) < 2:
                level, text = "error", f"{text}; fold {fold.fold}: one class alone in {name}"
    if isinstance(split, Official):
        values = np.asarray(marks).astype(str)
        for name, wanted in split.partitions.items():
            inside = np.isin(values[folds[0].test], list(wanted))
            if not inside.any():
                level = "error"
            text += f", {name} {int(inside.sum())}"
        unused = len(y) - len(folds[0].train) - len(folds[0].test)
        if unused:
            text += f", {unused} in neither"
        known = {*split.train, *split.test, *split.unused}
        if forgotten := sorted(set(values.tolist()) - known):
            level = "error"
            text += f"; no part has the rows marked {', '.join(forgotten[:5])}: name them as unused"
        if absent := sorted(known - set(values.tolist())):
            level, text = "error", f"{text}; no row is marked {', '.join(absent[:5])}"
        overlap = set(split.train) & set(split.test)
        if overlap:
            level, text = "error", f"{text}; {', '.join(sorted(overlap))} trains and is tested"
    if positive is None:
        return level, text
    shares = [float((y[f.test] == positive).mean()) for f in folds if len(f.test)]
    return level, f"{text}; {100 * min(shares):.2f} … {100 * max(shares):.2f} % signal in the test"


def _span(counts: list[int]) -> str:
    low, high = min(counts), max(counts)
    return str(low) if low == high else f"{low} … {high}"


def _shared(folds: list[Split], groups: npt.NDArray[np.int64]) -> tuple[Level, str]:
    """Count tested events whose features a training event of the same fold has too."""
    shared = sum(int(np.isin(groups[f.test], groups[f.train]).sum()) for f in folds)
    tested = sum(len(f.test) for f in folds)
    if not shared:
        return "ok", "no tested event has the features of one that trains"
    share = 100 * shared / tested
    return "warning", f"{shared} tested events ({share:.2f} %) have the features of one that trains"
