from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

from hepml_tasks.flows import FLOWS
from hepml_tasks.spec import find_suite, find_task

from ..forks import start_server

RUNS = sum(
    flow.suits(find_task(entry.task).type)
    for entry in find_suite("hep-toy").tasks
    for flow in FLOWS.values()
)

BEST = """
import sys, openml
openml.config.server, openml.config.apikey = sys.argv[1], sys.argv[2]
openml.config.set_root_cache_directory(sys.argv[3])
suite = openml.study.get_suite("hep-toy")
scores = openml.evaluations.list_evaluations("ams", tasks=suite.tasks, output_format="dataframe")
best = scores.sort_values("value").iloc[-1]
run = openml.runs.get_run(int(best["run_id"]))
print(run.run_id, run.flow_name, run.evaluations["ams"])
"""


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    """Run the demo once, small, for the tests of this module."""
    folder = tmp_path_factory.mktemp("demo")
    command = [
        Path(sys.executable).parent / "hepml",
        "demo",
        "--dir",
        folder / "d",
        "--events",
        "500",
    ]
    first, second = (
        subprocess.run(command, capture_output=True, text=True, timeout=600, check=False)
        for _ in range(2)
    )
    assert first.returncode == 0, first.stderr
    assert second.returncode == 0, second.stderr
    return folder / "d", first.stdout, second.stdout


@pytest.mark.slow
def test_the_demo_ends_with_a_leaderboard_with_uncertainties(finished):
    state, printed, _ = finished
    assert f"plan     {RUNS} runs, {RUNS} left to do" in printed
    for flow in FLOWS:
        assert re.search(rf"^\d  {flow} +\d+(\.\d+)? ± ", printed, re.MULTILINE), printed
    assert f"hepml serve --data {state / 'server'} --port 8080" in printed
    assert (state / "pages" / "index.html").is_file()


@pytest.mark.slow
def test_a_second_demo_finds_nothing_left_to_run(finished):
    _, first, second = finished
    assert f"plan     {RUNS} runs, nothing left to run" in second

    def board(printed: str) -> list[str]:
        return [line for line in printed.splitlines() if re.match(r"\d  ", line)]

    assert len(board(first)) == RUNS
    assert board(second) == board(first)


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:unclosed file:ResourceWarning")
def test_a_script_that_knows_only_openml_finds_the_best_run(finished, tmp_path):
    state, printed, _ = finished
    with start_server(state / "server") as server:
        done = subprocess.run(
            [sys.executable, "-c", BEST, server.server, server.apikey, tmp_path],
            capture_output=True,
            text=True,
            check=True,
        )
    run_id, flow, value = done.stdout.splitlines()[-1].split()
    board = json.loads((state / "pages" / "task-1.json").read_text())
    (best,) = (row for row in board["rows"] if row["rank"] == 1)
    assert "hepml_tasks.flows.weighted.WeightedClassifier" in flow
    assert (int(run_id), float(value)) == (best["run_id"], best["cells"]["ams"]["value"])
    assert re.search(rf"^1  {best['flow']} ", printed, re.MULTILINE)


@pytest.mark.slow
def test_the_pages_hold_what_the_server_computed(finished):
    state, _, _ = finished
    text = (state / "pages" / "task-1.html").read_text()
    for flow in ("xgboost", "logistic", "prior"):
        assert flow in text
