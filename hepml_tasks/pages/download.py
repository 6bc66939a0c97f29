"""A leaderboard as CSV and as JSON, at full precision."""

from __future__ import annotations

import csv
import io
import json
from typing import Any

from hepml_tasks.pages.board import ranked, unranked
from hepml_tasks.pages.model import Cell, Site, TaskBoard, plain_json
from hepml_tasks.pages.numbers import full

_RUN_COLUMNS = (
    "rank", "run_id", "flow_id", "flow", "flow_full_name", "uploader", "uploaded", "status",
    "reason", "group",
)  # fmt: skip
_CELL_COLUMNS = (
    "", "_uncertainty", "_interval_low", "_interval_high", "_method", "_fold_spread", "_n",
    "_n_eff",
)  # fmt: skip


def board_csv(board: TaskBoard, site: Site) -> str:
    """Write a task's table as CSV: a line per run, best first, then those without rank.

    Every number reads back as the same double. What isn't known is empty. Text that a spreadsheet
    would take for a formula gets an apostrophe in front, as spreadsheets themselves write it.

    Parameters
    ----------
    board : TaskBoard
    site : Site
        For the reasons of runs without rank.

    Returns
    -------
    str
        RFC 4180, lines ended by CR LF, with a header; for each measure eight columns, the first
        of which has the measure's name.
    """
    names = [measure.name for measure in board.measures]
    out = io.StringIO()
    writer = csv.writer(out)
    writer.writerow([*_RUN_COLUMNS, *(name + end for name in names for end in _CELL_COLUMNS)])
    for row in _rows(board, site):
        cells: dict[str, Cell] = row["cells"]
        writer.writerow(
            [
                *(_text(row[column]) for column in _RUN_COLUMNS),
                *(field for name in names for field in _fields(cells.get(name))),
            ]
        )
    return out.getvalue()


def board_json(board: TaskBoard, site: Site) -> str:
    """Write a task's table as JSON: the fields of `TaskBoard`, each row with rank and reason.

    Infinities and NaN are written as `plain_json` does.
    """
    data = {
        "site": site.title,
        "generated": site.generated,
        **plain_json(board),
        "rows": plain_json(_rows(board, site)),
    }
    return json.dumps(data, indent=1, ensure_ascii=False, allow_nan=False) + "\n"


def _rows(board: TaskBoard, site: Site) -> list[dict[str, Any]]:
    by_id = {row.run_id: row for row in board.rows}
    flows = {run.run_id: run.flow_id for run in site.runs}
    rows: list[dict[str, Any]] = [
        {"rank": place.rank, **vars(place.row), "reason": None} for place in ranked(board)
    ]
    for run in unranked(board, site.runs):
        row = by_id.get(run.run_id)
        rows.append(
            {
                "rank": None,
                **vars(run),
                "flow_id": row.flow_id if row else flows[run.run_id],
                "cells": row.cells if row else {},
                "group": row.group if row else None,
            }
        )
    return rows


def _fields(cell: Cell | None) -> list[str]:
    if cell is None:
        return [""] * len(_CELL_COLUMNS)
    low, high = cell.interval or (None, None)
    return [
        full(cell.value),
        full(cell.uncertainty),
        full(low),
        full(high),
        _text(cell.method),
        full(cell.fold_spread),
        "" if cell.n is None else str(cell.n),
        full(cell.n_eff),
    ]


def _text(value: object) -> str:
    text = "" if value is None else str(value)
    return f"'{text}" if isinstance(value, str) and text.startswith(tuple("=+-@\t\r")) else text
