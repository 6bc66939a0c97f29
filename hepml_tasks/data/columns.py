"""What the columns of a task's dataset are: their roles, and what spec and data say of them."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import pyarrow as pa
import pyarrow.compute as pc

from hepml_tasks.spec import NAMED_ROLES, Roles, TaskSpec


@dataclass(frozen=True)
class Column:
    """A column, as its dataset's card tells it.

    Parameters
    ----------
    name, role, type, unit, description : str
        Empty where nothing is known. The type is one of ``float``, ``integer``, ``text`` and
        ``boolean``.
    low, high : float, optional
        The range in the data or, without data, the declared one.
    undefined : int, optional
        The number of undefined values; None without data.
    values : tuple of str
        All values of a column of text, where they are few.
    """

    name: str
    role: str
    type: str
    unit: str
    description: str
    low: float | None = None
    high: float | None = None
    undefined: int | None = None
    values: tuple[str, ...] = ()


_FEW = 12


def roles_of(roles: Roles, columns: Iterable[str]) -> dict[str, str]:
    """Return the role of each column that has one.

    Parameters
    ----------
    roles : Roles
    columns : iterable of str
        All columns of the table.

    Returns
    -------
    dict of str to str
        ``feature``, or one of `NAMED_ROLES`, by column.
    """
    named = {getattr(roles, role): role for role in NAMED_ROLES}
    names = list(columns)
    features = set(roles.features_among(names))
    return {
        name: "feature" if name in features else named[name]
        for name in names
        if name in features or name in named
    }


def type_name(kind: pa.DataType) -> str:
    """Return ``float``, ``integer``, ``text`` or ``boolean``, or Arrow's own name of the type."""
    if pa.types.is_dictionary(kind):
        kind = kind.value_type
    if pa.types.is_floating(kind):
        return "float"
    if pa.types.is_integer(kind):
        return "integer"
    if pa.types.is_string(kind) or pa.types.is_large_string(kind):
        return "text"
    return "boolean" if pa.types.is_boolean(kind) else str(kind)


def describe_columns(spec: TaskSpec, table: pa.Table | None) -> list[Column]:
    """Bring together what the spec declares of the columns and what the data hold.

    Parameters
    ----------
    spec : TaskSpec
    table : pyarrow.Table, optional
        Without it, the columns are those that the spec names; patterns stay patterns.

    Returns
    -------
    list of Column
    """
    if table is None:
        return _declared(spec)
    roles = roles_of(spec.roles, table.column_names)
    columns = []
    for field, values in zip(table.schema, table.columns, strict=True):
        declared = spec.dataset.columns.get(field.name)
        kind = type_name(field.type)
        low, high = _range(values) if kind in {"float", "integer"} else (None, None)
        columns.append(
            Column(
                name=field.name,
                role=roles.get(field.name, ""),
                type=kind,
                unit=declared.unit if declared else "",
                description=declared.description if declared else "",
                low=low,
                high=high,
                undefined=values.null_count,
                values=_few_values(values) if kind == "text" else (),
            )
        )
    return columns


def _declared(spec: TaskSpec) -> list[Column]:
    roles, declared = spec.roles, spec.dataset.columns
    named = roles_of(roles, declared)
    for role in ("event_id", "group", "nuisance", "selected", "target", "weight", "split"):
        if name := getattr(roles, role):
            named[name] = role
    named |= dict.fromkeys(roles.features, "feature")
    columns = []
    for name in dict.fromkeys([*named, *declared]):
        known = declared.get(name)
        columns.append(
            Column(
                name=name,
                role=named.get(name, ""),
                type=(known.type if known else None) or "",
                unit=known.unit if known else "",
                description=known.description if known else "",
                low=known.min if known else None,
                high=known.max if known else None,
            )
        )
    return columns


def _range(values: pa.ChunkedArray) -> tuple[float | None, float | None]:
    found = pc.min_max(values).as_py()
    return found["min"], found["max"]


def _few_values(values: pa.ChunkedArray) -> tuple[str, ...]:
    found = sorted(v for v in pc.unique(values.cast(pa.string())).to_pylist() if v is not None)
    return tuple(found) if len(found) <= _FEW else ()
