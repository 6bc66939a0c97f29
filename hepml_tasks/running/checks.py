"""A task's data against its spec: every finding, each with its figure."""

from __future__ import annotations

import fnmatch
import math
from collections.abc import Iterator
from dataclasses import replace

import pyarrow as pa
import pyarrow.compute as pc

from hepml_tasks.data.checksum import table_sha256
from hepml_tasks.data.columns import type_name
from hepml_tasks.data.looking import looks_like
from hepml_tasks.data.table import load_table
from hepml_tasks.errors import nearest
from hepml_tasks.running.balance import check_classes, check_weights
from hepml_tasks.running.findings import Finding, count_true, has_column
from hepml_tasks.running.repeats import check_event_ids, check_repeats
from hepml_tasks.spec import ColumnSpec, TaskSpec

_NUMBERS = {"float", "integer"}
_SENTINELS = (-999.0, -9999.0, -99999.0, 999999.0)
"""Numbers that files of the field write for "undefined"."""


def check_data(spec: TaskSpec, *, progress: bool = False) -> list[Finding]:
    """Load a task's data and compare them with all that its spec says.

    Parameters
    ----------
    spec : TaskSpec
    progress : bool
        Show downloads on a terminal.

    Returns
    -------
    list of Finding
        All of them, whatever the first ones say.

    Raises
    ------
    DataError
        If the data can't be had at all.
    """
    # a wrong number of events is a finding beside others, and no reason to stop
    table = load_table(replace(spec.dataset, rows=None), progress=progress)
    return check_table(spec, table)


def check_table(spec: TaskSpec, table: pa.Table) -> list[Finding]:
    """Compare a table with all that a spec says of it.

    Parameters
    ----------
    spec : TaskSpec
    table : pyarrow.Table
        With null where a value is undefined.
    """
    shape = [
        *_rows(spec, table),
        *_content(spec, table),
        *_columns(spec, table),
        *_types(spec, table),
    ]
    if not table.num_rows:
        return shape
    return [
        *shape,
        *_values(spec, table),
        *_undefined(spec, table),
        *check_classes(spec, table),
        *check_weights(spec, table),
        *check_event_ids(spec, table),
        *check_repeats(spec, table),
    ]


def _judged(check: str, problems: list[tuple[str, str]], fine: str) -> list[Finding]:
    """Return a finding a problem, which has a column and a text, or one that all is well."""
    return [Finding(check, "error", told, column) for column, told in problems] or [
        Finding(check, "ok", fine)
    ]


def _rows(spec: TaskSpec, table: pa.Table) -> list[Finding]:
    said = spec.dataset.rows
    if said is not None and said != table.num_rows:
        return [Finding("events", "error", f"{table.num_rows} where the spec says {said}")]
    if not table.num_rows:
        return [Finding("events", "error", "0")]
    return [Finding("events", "ok", str(table.num_rows))]


def _content(spec: TaskSpec, table: pa.Table) -> list[Finding]:
    wanted = spec.dataset.content
    if wanted is None:
        return []
    found = f"sha256:{table_sha256(table)}"
    if found != wanted:
        told = f"{found} where the spec says {wanted}: these are not the data that were checked"
        return [Finding("content", "error", told)]
    return [Finding("content", "ok", "as it was when somebody checked it")]


def _columns(spec: TaskSpec, table: pa.Table) -> list[Finding]:
    names = table.column_names
    problems = [
        (n, f"{n!r} is there {names.count(n)} times")
        for n in dict.fromkeys(names)
        if names.count(n) > 1
    ]
    wanted = {**dict.fromkeys(spec.dataset.columns, "declared"), **spec.roles.named()}
    problems += [
        (name, f"no {name!r} ({role}){nearest(name, names)}")
        for name, role in wanted.items()
        if name not in names
    ]
    features = spec.roles.features_among(names)
    problems += [
        (pattern, f"none like {pattern!r} (features){nearest(pattern, names)}")
        for pattern in spec.roles.features
        if any(c in pattern for c in "*?[") and not fnmatch.filter(features, pattern)
    ]
    found = _judged("columns", problems, f"{len(names)}, {len(features)} of them features")
    for name in features:
        if (what := looks_like(name)) is not None:
            told = f"{name!r} is a feature and is called like {what}"
            found.append(Finding("columns", "warning", told, name))
    return found


def _present(spec: TaskSpec, table: pa.Table) -> Iterator[tuple[str, ColumnSpec]]:
    """Go through the declared columns that are there exactly once."""
    for name, declared in spec.dataset.columns.items():
        if has_column(table, name):
            yield name, declared


def _numeric_roles(spec: TaskSpec, table: pa.Table) -> dict[str, str]:
    """Return the columns that have to be numbers, by name with their role."""
    roles = dict.fromkeys(spec.roles.features_among(table.column_names), "feature")
    for role in ("weight", "event_id"):
        name = getattr(spec.roles, role)
        if name in table.column_names:
            roles[name] = role
    return {name: r for name, r in roles.items() if has_column(table, name)}


def _types(spec: TaskSpec, table: pa.Table) -> list[Finding]:
    found = {f.name: type_name(f.type) for f in table.schema}
    problems = []
    for name, role in _numeric_roles(spec, table).items():
        wanted = {"integer"} if role == "event_id" else _NUMBERS
        if found[name] not in wanted:
            kind = "a whole number" if role == "event_id" else "a number"
            told = f"{name} ({role.replace('_', ' ')}) is {found[name]}, not {kind}"
            problems.append((name, told))
    for name, declared in _present(spec, table):
        # a column of whole numbers is read as integers whatever it stands for
        fits = {declared.type, "integer"} if declared.type == "float" else {declared.type}
        if declared.type is not None and found[name] not in fits:
            told = f"{name} is {found[name]} where the spec says {declared.type}"
            problems.append((name, told))
    kinds = [f"{list(found.values()).count(k)} {k}" for k in dict.fromkeys(found.values())]
    return _judged("types", list(dict.fromkeys(problems)), ", ".join(kinds))


def _values(spec: TaskSpec, table: pa.Table) -> list[Finding]:
    problems, checked = [], 0
    for name in _numeric_roles(spec, table):
        column = table[name]
        if type_name(column.type) == "float":
            bad = count_true(pc.invert(pc.is_finite(column)))
            if bad:
                problems.append((name, f"{name}: {bad} NaN or infinite"))
    for name, declared in _present(spec, table):
        column = table[name]
        if (declared.min is None and declared.max is None) or (
            type_name(column.type) not in _NUMBERS
        ):
            continue
        checked += 1
        values = column.cast(pa.float64(), safe=False)
        low = -math.inf if declared.min is None else declared.min
        high = math.inf if declared.max is None else declared.max
        out = count_true(pc.or_(pc.less(values, low), pc.greater(values, high)))
        if out:
            seen = pc.min_max(values).as_py()
            found = f"{seen['min']:g} … {seen['max']:g}"
            told = f"{name}: {out} outside {low:g} … {high:g} (found {found})"
            problems.append((name, told))
    return _judged("values", problems, f"all finite, {checked} declared ranges kept")


def _undefined(spec: TaskSpec, table: pa.Table) -> list[Finding]:
    findings = []
    for name, declared in _present(spec, table):
        if not declared.undefined and table[name].null_count:
            count = table[name].null_count
            told = f"{name}: {count}, where the spec allows none"
            findings.append(Finding("undefined", "error", told, name))
    features = [n for n in spec.roles.features_among(table.column_names) if has_column(table, n)]
    for name in features:
        column = table[name]
        if type_name(column.type) not in _NUMBERS:
            continue
        if column.null_count == table.num_rows:
            findings.append(Finding("undefined", "error", f"{name}: in every event", name))
        findings += _sentinels(name, column, spec.dataset.undefined)
    counts = {n: table[n].null_count for n in features if table[n].null_count}
    if counts:
        share = 100 * max(counts.values()) / table.num_rows
        figure = f"{len(counts)} of {len(features)} features, in up to {share:.1f} % of the events"
    else:
        figure = "none in the features"
    return findings or [Finding("undefined", "ok", figure)]


def _sentinels(name: str, column: pa.ChunkedArray, undefined: float | None) -> list[Finding]:
    """Look for numbers that stand for "undefined" and are read as numbers all the same."""
    values = column.cast(pa.float64())
    suspects = dict.fromkeys([*_SENTINELS, *([] if undefined is None else [undefined])])
    findings = []
    for suspect in suspects:
        count = count_true(pc.equal(values, suspect))
        if count > 1:
            told = f"{name}: {count} times {suspect:g}, as a number"
            findings.append(Finding("undefined", "warning", told, name))
    return findings
