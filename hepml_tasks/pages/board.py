"""The order of a leaderboard: who is ranked, by what, and who is not and why."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from hepml_tasks.pages.model import Cell, Measure, Row, RunDetail, Site, TaskBoard

DONE = "done"


@dataclass(frozen=True)
class Ranked:
    """A run at its place.

    Parameters
    ----------
    rank : int
        From 1; runs of exactly the same value share a rank, and the next rank counts them all.
    row : Row
    cell : Cell
        The primary measure of the run.
    """

    rank: int
    row: Row
    cell: Cell


@dataclass(frozen=True)
class Unranked:
    """A run without a place, and why."""

    run_id: int
    flow: str
    flow_full_name: str
    uploader: str
    uploaded: str
    status: str
    reason: str


def primary(board: TaskBoard) -> Measure | None:
    """Return the measure that ranks the rows: the one marked so, else the first."""
    marked = [m for m in board.measures if m.primary]
    return next(iter([*marked, *board.measures]), None)


def ranked(board: TaskBoard) -> tuple[Ranked, ...]:
    """Rank the finished runs by the primary measure, best first.

    Runs of one value keep the order in which they came. Not ranked: whatever isn't done, and
    runs whose primary measure is missing or not a number.
    """
    measure = primary(board)
    if measure is None:
        return ()
    sign = -1.0 if measure.higher_is_better else 1.0
    scored = [
        (row, row.cells[measure.name])
        for row in board.rows
        if row.status == DONE
        and measure.name in row.cells
        and not math.isnan(row.cells[measure.name].value)
    ]
    scored.sort(key=lambda pair: sign * pair[1].value)
    places: list[Ranked] = []
    for position, (row, cell) in enumerate(scored, start=1):
        same = places and places[-1].cell.value == cell.value
        places.append(Ranked(places[-1].rank if same else position, row, cell))
    return tuple(places)


def unranked(board: TaskBoard, runs: Sequence[RunDetail] = ()) -> tuple[Unranked, ...]:
    """List the runs of a task that have no rank, in the order of their numbers.

    Parameters
    ----------
    board : TaskBoard
    runs : sequence of RunDetail
        Where the reasons are; runs of this task that the board leaves out are listed as well.
    """
    details = {run.run_id: run for run in runs if run.task_id == board.task_id}
    places = {place.row.run_id for place in ranked(board)}
    listed: dict[int, Row | RunDetail] = {row.run_id: row for row in board.rows}
    for run_id, run in details.items():
        listed.setdefault(run_id, run)
    return tuple(
        Unranked(
            run_id=run_id,
            flow=run.flow,
            flow_full_name=run.flow_full_name,
            uploader=run.uploader,
            uploaded=run.uploaded,
            status=run.status,
            reason=_reason(run.status, details.get(run_id), primary(board)),
        )
        for run_id, run in sorted(listed.items())
        if run_id not in places
    )


def _reason(status: str, detail: RunDetail | None, measure: Measure | None) -> str:
    if detail is not None and detail.error:
        return detail.error
    if status == DONE:
        return f"no value of {measure.title}" if measure else "the task has no measure"
    if status == "failed":
        return "no reason was recorded"
    return {"pending": "waits for its evaluation", "running": "is being evaluated"}.get(status, "")


def tied_with_best(places: Sequence[Ranked]) -> int:
    """Count the further runs in the statistically tied group of the best run."""
    if not places or places[0].row.group is None:
        return 0
    return sum(place.row.group == places[0].row.group for place in places[1:])


@dataclass(frozen=True)
class TaskSummary:
    """A task as one line of a list."""

    board: TaskBoard
    measure: Measure | None
    best: Ranked | None
    tied: int
    done: int
    waiting: int
    failed: int


def summary(board: TaskBoard, site: Site) -> TaskSummary:
    """Sum a task up: its best run, how many are tied with it, and how many runs there are."""
    places = ranked(board)
    others = unranked(board, site.runs)
    failed = sum(run.status == "failed" for run in others)
    return TaskSummary(
        board=board,
        measure=primary(board),
        best=places[0] if places else None,
        tied=tied_with_best(places),
        done=len(places),
        waiting=len(others) - failed,
        failed=failed,
    )


def flow_matrix(boards: Sequence[TaskBoard]) -> tuple[tuple[str, tuple[Ranked | None, ...]], ...]:
    """Put every flow beside every task, for a suite.

    Returns
    -------
    tuple of (flow, places)
        The best run of the flow on each task, in the order of `boards`, None where it has none.
        Flows with more tasks come first, then by name; flows are told apart by their full name.
    """
    best: dict[str, list[Ranked | None]] = {}
    names: dict[str, str] = {}
    for column, board in enumerate(boards):
        for place in ranked(board):
            key = place.row.flow_full_name or place.row.flow
            names.setdefault(key, place.row.flow)
            cells = best.setdefault(key, [None] * len(boards))
            if cells[column] is None:
                cells[column] = place
    order = sorted(best, key=lambda key: (best[key].count(None), names[key], key))
    return tuple((names[key], tuple(best[key])) for key in order)
