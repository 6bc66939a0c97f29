"""Prediction across a nuisance on a server: registered, published, scored, shown."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import hepml_tasks as hep
from hepml_tasks.flows import find_flow
from hepml_tasks.openml.connection import Connection
from hepml_tasks.openml.publication import publish_run, wait_for_evaluation
from hepml_tasks.pages.model import Site
from hepml_tasks.pages.numbers import full
from hepml_tasks.pages.render import write_pages
from hepml_tasks.server.process import ServerProcess


@pytest.mark.filterwarnings("ignore:unclosed file:ResourceWarning")
def test_a_run_is_scored_at_every_value_and_ranked_by_the_worst(
    server: ServerProcess, tmp_path: Path
) -> None:
    to = Connection(server.server, server.apikey)
    task = hep.load_task("toy-higgs-tes", events=1000)
    run = hep.run(find_flow("nominal-logistic").build(), task, spool=tmp_path, n_jobs=1)
    published = publish_run(to, run.folder)
    state = wait_for_evaluation(to, published.run_id)
    assert state["scores"] == run.folder.scores["scores"]
    assert state["partitions"] == run.folder.scores["partitions"]
    assert state["differs"] == []
    primary = task.spec.metrics.primary
    at = {k: v[primary]["value"] for k, v in state["partitions"].items()}
    assert list(at) == [f"tes = {v:g}" for v in (0.9, 0.95, 1.0, 1.05, 1.1)]
    assert state["scores"][primary]["value"] == min(at.values())

    site = Site.from_json(to.get_json("site.json"))
    (board,) = [b for b in site.tasks if b.task_id == published.task_id]
    (merit,) = [m for m in board.measures if m.primary]
    assert merit.title.endswith(", worst over tes")
    (row,) = board.rows
    spread, slope = (row.cells[f"{primary}, {effect} over tes"] for effect in ("spread", "slope"))
    assert {n: c.value for n, c in row.cells.items() if n.startswith(f"{primary}, tes")} == {
        f"{primary}, {k}": v for k, v in at.items()
    }
    assert spread.value == max(at.values()) - min(at.values())
    values = [float(k.removeprefix("tes = ")) for k in at]
    assert slope.value == pytest.approx(np.polyfit(values, list(at.values()), 1)[0])
    assert all(
        c.uncertainty and "common poisson-bootstrap-200" in c.method for c in (spread, slope)
    )
    directions = {m.name: m.higher_is_better for m in board.measures}
    assert directions[f"{primary}, spread over tes"] is False
    assert directions[f"{primary}, slope over tes"] is None
    write_pages(site, tmp_path / "pages")
    for name in (f"task-{board.task_id}.html", f"run-{published.run_id}.html"):
        page = (tmp_path / "pages" / name).read_text()
        for part in ("tes = 0.95", "spread over tes", "slope over tes"):
            assert f"{merit.title.removesuffix(', worst over tes')}, {part}" in page
        for cell in (spread, slope):
            assert f'title="{full(cell.value)}' in page
