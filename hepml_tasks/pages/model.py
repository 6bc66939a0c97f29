"""What the pages show: plain values, the same from a database and from JSON."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field, fields, is_dataclass
from typing import Any


@dataclass(frozen=True)
class Measure:
    """A column of a leaderboard.

    Parameters
    ----------
    name, title : str
        The metric's registered name and its name for people.
    higher_is_better : bool, optional
        None where neither is, as of a slope.
    primary : bool
        Whether rows are ranked by it.
    """

    name: str
    title: str
    higher_is_better: bool | None = True
    primary: bool = False


@dataclass(frozen=True)
class Cell:
    """A score as it is shown: never without its uncertainty and the method it comes from.

    Parameters
    ----------
    value : float
    uncertainty : float, optional
        Standard uncertainty, in the unit of `value`.
    interval : tuple of float, optional
        Lower and upper end of the 68 % interval.
    method : str
        How uncertainty and interval were found.
    fold_spread : float, optional
        Standard deviation of the values on single folds: another quantity than `uncertainty`.
    n, n_eff : int, float, optional
        Number of events, and the effective number that their weights leave.
    """

    value: float
    uncertainty: float | None = None
    interval: tuple[float, float] | None = None
    method: str = ""
    fold_spread: float | None = None
    n: int | None = None
    n_eff: float | None = None


@dataclass(frozen=True)
class Row:
    """A run on a leaderboard; `group` numbers the statistically tied groups from 1, if known."""

    run_id: int
    flow_id: int
    flow: str
    flow_full_name: str
    uploader: str
    uploaded: str
    status: str
    cells: Mapping[str, Cell] = field(default_factory=dict)
    group: int | None = None


@dataclass(frozen=True)
class TaskBoard:
    """A task and the runs on it, best first by the primary measure.

    `successor` is the id of the same task on a newer version of its dataset.
    """

    task_id: int
    name: str
    split: str
    title: str
    description: str
    dataset_id: int
    dataset: str
    rows_in_dataset: int
    measures: tuple[Measure, ...]
    rows: tuple[Row, ...]
    doi: str | None = None
    citation: str | None = None
    successor: int | None = None


@dataclass(frozen=True)
class FoldValue:
    """A measure on one fold of one repeat."""

    repeat: int
    fold: int
    value: float


@dataclass(frozen=True)
class RunDetail:
    """A run's own page.

    Parameters
    ----------
    error : str or None
        Why the run failed, in one line.
    cells : mapping of str to Cell
        What was recomputed from the predictions.
    claimed : mapping of str to float
        What the uploader said.
    differs : tuple of str
        The claimed measures that the recomputed values contradict.
    environment : mapping
        Versions, hardware, times … ; nested values are shown as JSON.
    files : mapping of str to str
        Name of each file and where it is, relative to the pages or an http(s) address; an
        empty address shows the name alone.
    elsewhere : bool
        Whether only the predictions were published: the run can't be made again.
    """

    run_id: int
    task_id: int
    flow_id: int
    flow: str
    flow_full_name: str
    uploader: str
    uploaded: str
    status: str
    error: str | None
    cells: Mapping[str, Cell]
    folds: Mapping[str, tuple[FoldValue, ...]]
    claimed: Mapping[str, float]
    differs: tuple[str, ...]
    parameters: Mapping[str, str]
    environment: Mapping[str, Any]
    files: Mapping[str, str]
    elsewhere: bool = False


@dataclass(frozen=True)
class SuiteIndex:
    """A suite and its tasks, in its own order."""

    suite_id: int
    name: str
    description: str
    task_ids: tuple[int, ...]


@dataclass(frozen=True)
class Site:
    """Everything that a set of pages shows."""

    title: str
    generated: str
    suites: tuple[SuiteIndex, ...]
    tasks: tuple[TaskBoard, ...]
    runs: tuple[RunDetail, ...]

    def to_json(self) -> dict[str, Any]:
        """Return plain lists and dictionaries for `json.dumps`, as `plain_json` makes them."""
        data: dict[str, Any] = plain_json(self)
        return data

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Site:
        """Rebuild what `to_json` made."""
        return cls(
            title=data["title"],
            generated=data["generated"],
            suites=tuple(
                SuiteIndex(**{**s, "task_ids": tuple(s["task_ids"])}) for s in data["suites"]
            ),
            tasks=tuple(_board(t) for t in data["tasks"]),
            runs=tuple(_run(r) for r in data["runs"]),
        )


def plain_json(value: Any) -> Any:
    """Turn values of this module into what strict JSON can carry.

    Parameters
    ----------
    value : dataclass, mapping, sequence or scalar
        Anything else becomes its `str`.

    Returns
    -------
    dict, list, str, int, float, bool or None
        Infinities and NaN, which JSON has no word for, become the strings that `float` reads.
    """
    if is_dataclass(value) and not isinstance(value, type):
        return {f.name: plain_json(getattr(value, f.name)) for f in fields(value)}
    if isinstance(value, Mapping):
        return {str(k): plain_json(v) for k, v in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [plain_json(v) for v in value]
    if isinstance(value, float) and not math.isfinite(value):
        return repr(float(value))
    if isinstance(value, float):
        return float(value)  # a NumPy double is a float, but writes itself differently
    if value is None or isinstance(value, str | int):
        return value
    return str(value)


def _float(value: float | str | None) -> float | None:
    return None if value is None else float(value)


def _cell(data: Mapping[str, Any]) -> Cell:
    low_high = data.get("interval")
    return Cell(
        **{
            **data,
            "value": float(data["value"]),
            "uncertainty": _float(data.get("uncertainty")),
            "interval": (float(low_high[0]), float(low_high[1])) if low_high else None,
            "fold_spread": _float(data.get("fold_spread")),
            "n_eff": _float(data.get("n_eff")),
        }
    )


def _cells(cells: Mapping[str, Mapping[str, Any]]) -> dict[str, Cell]:
    return {name: _cell(cell) for name, cell in cells.items()}


def _board(data: Mapping[str, Any]) -> TaskBoard:
    return TaskBoard(
        **{
            **data,
            "measures": tuple(Measure(**m) for m in data["measures"]),
            "rows": tuple(Row(**{**r, "cells": _cells(r["cells"])}) for r in data["rows"]),
        }
    )


def _run(data: Mapping[str, Any]) -> RunDetail:
    return RunDetail(
        **{
            **data,
            "cells": _cells(data["cells"]),
            "folds": {m: tuple(_fold(f) for f in folds) for m, folds in data["folds"].items()},
            "claimed": {name: float(value) for name, value in data["claimed"].items()},
            "differs": tuple(data["differs"]),
        }
    )


def _fold(data: Mapping[str, Any]) -> FoldValue:
    return FoldValue(**{**data, "value": float(data["value"])})
