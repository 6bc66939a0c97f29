"""Classes and weights of data: how many, how much, and whether that is what the spec says."""

from __future__ import annotations

import math

import pyarrow as pa
import pyarrow.compute as pc

from hepml_tasks.data.classes import ClassCount, count_classes
from hepml_tasks.data.columns import type_name
from hepml_tasks.errors import nearest
from hepml_tasks.running.findings import Finding, Level, count_true, has_column
from hepml_tasks.spec import TaskSpec


def check_classes(spec: TaskSpec, table: pa.Table) -> list[Finding]:
    """Check that there are the classes of the task's type, and tell how rare the rarest one is.

    Of a regression, that every event has a number.
    """
    roles = spec.roles
    if not has_column(table, roles.target):
        return []
    if spec.kind.target != "class":
        return [_numbers(roles.target, table, whole=spec.kind.target == "id")]
    findings = []
    column = table[roles.target].cast(pa.string())
    if column.null_count and spec.private is None:
        findings.append(
            Finding("classes", "error", f"{roles.target} undefined in {column.null_count} events")
        )
    counted = pc.value_counts(column.drop_null()).to_pylist()
    counts = {c["values"]: c["counts"] for c in counted}
    if roles.positive is not None and roles.positive not in counts:
        findings.append(
            Finding(
                "classes",
                "error",
                f"no event is {roles.positive!r}{nearest(roles.positive, counts)}",
            )
        )
    several = spec.kind.several
    if len(counts) < 3 if several else len(counts) != 2:
        shown, wanted = ", ".join(sorted(counts)[:6]), "3 or more" if several else "2"
        findings.append(
            Finding("classes", "error", f"{len(counts)} where there have to be {wanted}: {shown}")
        )
    if findings:
        return findings
    total = sum(counts.values())
    shares = [f"{c} {n} ({100 * n / total:.1f} %)" for c, n in sorted(counts.items())]
    rare = min(counts.values()) / total
    level: Level = "warning" if rare < 0.01 else "ok"
    told = ", ".join(shares)
    if column.null_count:
        told += f"; withheld in {column.null_count} events"
    return [Finding("classes", level, told)]


def _numbers(target: str, table: pa.Table, *, whole: bool) -> Finding:
    column = table[target]
    kinds = {"integer"} if whole else {"float", "integer"}
    if type_name(column.type) not in kinds:
        wanted = "a whole number" if whole else "a number"
        return Finding("target", "error", f"{target} is {type_name(column.type)}, not {wanted}")
    # ids may have more digits than a float64
    numbers = column if whole else column.cast(pa.float64())
    bad = table.num_rows - count_true(pc.is_finite(numbers))
    if bad:
        return Finding("target", "error", f"{target}: undefined or infinite in {bad} events")
    if whole:
        return Finding("target", "ok", f"{pc.count_distinct(column).as_py()} ids")
    seen = pc.min_max(column).as_py()
    return Finding("target", "ok", f"{seen['min']:.6g} … {seen['max']:.6g}")


def check_weights(spec: TaskSpec, table: pa.Table) -> list[Finding]:
    """Check each weight, and the sums of weights against those at full luminosity."""
    name = spec.roles.weight
    if name is None:
        return [Finding("weights", "ok", "none: every event counts 1")]
    if not has_column(table, name) or type_name(table[name].type) not in {"float", "integer"}:
        return []
    column = table[name].cast(pa.float64())
    findings = []
    if column.null_count and spec.private is None:
        findings.append(Finding("weights", "error", f"undefined in {column.null_count} events"))
    if negative := count_true(pc.less(column, 0.0)):
        share = 100 * negative / table.num_rows
        figure = f"negative in {negative} events ({share:.2f} %), as some generators make them"
        findings.append(Finding("weights", "warning", figure))
    if zero := count_true(pc.equal(column, 0.0)):
        findings.append(Finding("weights", "warning", f"0 in {zero} events"))
    if not findings:
        seen = pc.min_max(column).as_py()
        findings.append(Finding("weights", "ok", f"{seen['min']:.6g} … {seen['max']:.6g}"))
    if has_column(table, spec.roles.target) and spec.kind.target == "class":
        findings += _class_sums(spec, count_classes(spec, table))
    return findings


def _class_sums(spec: TaskSpec, counts: list[ClassCount]) -> list[Finding]:
    if spec.class_sums is None:
        sums = ", ".join(f"{c.label} {c.weights:.10g}" for c in counts)
        return [Finding("class sums", "ok", f"of the file: {sums}")]
    labels = {c.label for c in counts}
    problems = [
        f"the spec has no sum for class {c.label!r}{nearest(c.label, spec.class_sums)}"
        for c in counts
        if c.expected is None
    ]
    problems += [
        f"the spec has a sum for {label!r}, and no event is of that class"
        for label in spec.class_sums
        if label not in labels
    ]
    problems += [
        f"{c.label}: the sum of weights is {c.weights:.6g}, not above 0"
        for c in counts
        if not c.weights > 0
    ]
    problems += [
        f"{label}: {expected:g} in the spec, not above 0"
        for label, expected in spec.class_sums.items()
        if not expected > 0
    ]
    if problems:
        return [Finding("class sums", "error", p) for p in problems]
    return [_compare_sums(counts)]


def _compare_sums(counts: list[ClassCount]) -> Finding:
    """Compare each class's sum with that at full luminosity.

    A part of a larger dataset has the same share of each class, but for the chance of which events
    it got: 3 standard deviations of the weighted counts are allowed.
    """
    shares = {c.label: c.weights / (c.expected or math.nan) for c in counts}
    told = ", ".join(f"{c.label} {c.weights:.10g} of {c.expected:.10g}" for c in counts)
    if all(abs(share - 1) < 1e-6 for share in shares.values()):
        return Finding("class sums", "ok", f"as the spec says: {told}")
    mean = sum(shares.values()) / len(shares)
    allowed = 1e-6 + 3 * math.sqrt(sum(c.squares / c.weights**2 for c in counts))
    spread = (max(shares.values()) - min(shares.values())) / mean
    if spread <= allowed:
        return Finding("class sums", "ok", f"{100 * mean:.4g} % of the spec's: {told}")
    parts = ", ".join(f"{label} {100 * share:.4g} %" for label, share in shares.items())
    return Finding("class sums", "warning", f"not the same share of each class, {parts}: {told}")
