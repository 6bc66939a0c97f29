"""Downloads have every run and every digit."""

from __future__ import annotations

import csv
import io
import json
from typing import Any

from hepml_tasks.pages.download import board_csv, board_json
from hepml_tasks.pages.model import Cell, Site


def read(text: str) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(text, newline="")))


def test_csv_numbers_read_back_as_the_same_doubles(site: Site) -> None:
    rows = {int(r["run_id"]): r for r in read(board_csv(site.tasks[0], site))}
    for row in site.tasks[0].rows:
        for name, cell in row.cells.items():
            line = rows[row.run_id]
            assert float(line[name]) == cell.value
            if cell.uncertainty is not None:
                assert float(line[f"{name}_uncertainty"]) == cell.uncertainty
            if cell.interval is not None:
                ends = float(line[f"{name}_interval_low"]), float(line[f"{name}_interval_high"])
                assert ends == cell.interval
            if cell.fold_spread is not None:
                assert float(line[f"{name}_fold_spread"]) == cell.fold_spread
            assert line[f"{name}_method"] == cell.method


def test_csv_is_ordered_by_rank_and_ends_with_the_runs_that_have_none(site: Site) -> None:
    rows = read(board_csv(site.tasks[0], site))
    assert [r["rank"] for r in rows] == ["1", "2", "3", "4", "5", "6", "", "", ""]
    assert [r["status"] for r in rows[6:]] == ["failed", "pending", "running"]
    assert rows[6]["reason"] == "predictions.arff has 12 of 18000 rows; upload all of them"


def test_text_that_a_spreadsheet_would_run_is_marked_as_text(site: Site) -> None:
    rows = read(board_csv(site.tasks[0], site))
    assert rows[7]["flow"] == '\'=HYPERLINK("http://evil.example")'


def test_json_has_the_board_with_ranks_and_reasons(site: Site) -> None:
    data: dict[str, Any] = json.loads(board_json(site.tasks[0], site))
    assert data["task_id"] == 3
    assert data["generated"] == site.generated
    best, last = data["rows"][0], data["rows"][-1]
    assert (best["rank"], best["flow"], best["group"]) == (1, "xgboost", 1)
    cell = best["cells"]["ams"]
    assert (
        Cell(**{**cell, "interval": tuple(cell["interval"])}) == site.tasks[0].rows[1].cells["ams"]
    )
    assert (last["rank"], last["status"], last["cells"]) == (None, "running", {})
    assert data["rows"][7]["flow"] == '=HYPERLINK("http://evil.example")'


def test_json_writes_what_is_not_a_number_in_words(site: Site) -> None:
    data = json.loads(board_json(site.tasks[1], site), parse_constant=lambda word: 1 / 0)
    assert data["rows"][1]["cells"]["kpd"]["value"] == "nan"


def test_a_task_without_runs_has_a_header_alone(site: Site) -> None:
    assert read(board_csv(site.tasks[2], site)) == []
    assert board_csv(site.tasks[2], site).startswith("rank,run_id,")
