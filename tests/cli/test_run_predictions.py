from __future__ import annotations

import json
from pathlib import Path

import pytest
from pyarrow import csv

from hepml_tasks.running.folder import RunFolder


@pytest.fixture
def made(finished_run: Path, tmp_path: Path) -> Path:
    path = tmp_path / "scores.csv"
    csv.write_csv(RunFolder(finished_run).predictions.drop(["truth"]), path)
    return path


def test_a_file_of_predictions_becomes_a_run(hepml, made, finished_run, tmp_path):
    text = tmp_path / "about.txt"
    text.write_text("A network of another framework.")
    told = hepml(
        "run", "toy-higgs", "--events", 1000, "--predictions", made, "--flow-name", "net",
        "--describe", text, "--spool", tmp_path / "spool", "--json",
    )  # fmt: skip
    assert told.returncode == 0, told.stderr
    answer = json.loads(told.stdout)
    assert answer["scores"] == RunFolder(finished_run).scores["scores"]
    folder = RunFolder(Path(answer["folder"]))
    assert folder.description["flow"]["about"] == text.read_text()


@pytest.mark.parametrize(
    ("arguments", "problem"),
    [
        ([], "--flow, or a file with --predictions"),
        (["--flow", "logistic", "--predictions", "FILE"], "--flow, or a file"),
        (["--predictions", "FILE"], "needs --flow-name and --describe"),
    ],
)
def test_half_a_command_is_told_what_it_lacks(hepml, made, arguments, problem):
    given = [made if a == "FILE" else a for a in arguments]
    told = hepml("run", "toy-higgs", "--events", 1000, *given)
    assert told.returncode == 2
    assert problem in told.stderr
