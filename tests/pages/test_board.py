"""Who is ranked, in which order, and what is said of the others."""

from __future__ import annotations

import math
from dataclasses import replace

from hepml_tasks.pages.board import flow_matrix, primary, ranked, summary, tied_with_best, unranked
from hepml_tasks.pages.model import Cell, Site


def test_runs_are_ranked_by_the_primary_measure_whatever_order_they_came_in(site: Site) -> None:
    assert [p.row.run_id for p in ranked(site.tasks[0])] == [2, 1, 3, 4, 5, 6]


def test_the_lowest_comes_first_where_lower_is_better(site: Site) -> None:
    places = ranked(site.tasks[1])
    assert [p.cell.value for p in places] == sorted(p.cell.value for p in places)


def test_equal_values_share_a_rank_and_the_next_one_counts_them(site: Site) -> None:
    board = site.tasks[0]
    values = {1: 2.0, 2: 3.0, 3: 2.0, 4: 1.0}
    rows = tuple(replace(r, cells={"ams": Cell(values[r.run_id])}) for r in board.rows[:4])
    assert [(p.rank, p.row.run_id) for p in ranked(replace(board, rows=rows))] == [
        (1, 2), (2, 1), (2, 3), (4, 4),
    ]  # fmt: skip


def test_a_run_without_a_number_has_no_rank_but_is_listed_with_the_reason(site: Site) -> None:
    board = site.tasks[0]
    rows = (replace(board.rows[0], cells={"ams": Cell(math.nan)}), board.rows[1])
    board = replace(board, rows=rows)
    assert [p.row.run_id for p in ranked(board)] == [2]
    assert [(r.run_id, r.reason) for r in unranked(board)] == [(1, "no value of AMS")]


def test_failed_and_waiting_runs_are_listed_with_their_reasons(site: Site) -> None:
    listed = {r.run_id: (r.status, r.reason) for r in unranked(site.tasks[0], site.runs)}
    assert listed == {
        7: ("failed", "predictions.arff has 12 of 18000 rows; upload all of them"),
        8: ("pending", "waits for its evaluation"),
        9: ("running", "is being evaluated"),
    }


def test_a_run_that_the_board_leaves_out_is_listed_all_the_same(site: Site) -> None:
    board = replace(site.tasks[0], rows=site.tasks[0].rows[:6])
    assert [r.run_id for r in unranked(board, site.runs)] == [7, 8, 9]


def test_the_first_measure_ranks_where_none_is_marked(site: Site) -> None:
    board = site.tasks[0]
    measures = tuple(replace(m, primary=False) for m in board.measures)
    assert primary(replace(board, measures=measures)) == measures[0]
    assert primary(replace(board, measures=())) is None
    assert ranked(replace(board, measures=())) == ()


def test_runs_tied_with_the_best_are_counted(site: Site) -> None:
    assert tied_with_best(ranked(site.tasks[0])) == 1
    assert tied_with_best(ranked(site.tasks[1])) == 0


def test_a_summary_counts_runs_by_what_became_of_them(site: Site) -> None:
    task = summary(site.tasks[0], site)
    assert (task.done, task.waiting, task.failed) == (6, 2, 1)


def test_a_suite_has_the_best_run_of_each_flow_on_each_task(site: Site) -> None:
    matrix = dict(flow_matrix(site.tasks))
    assert [place and place.row.run_id for place in matrix["xgboost"]] == [2, 21, None]
    assert list(matrix)[:2] == ["boosted trees, weighted", "xgboost"]
