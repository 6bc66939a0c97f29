"""A metric of one's own, from its first line to the scores of runs that are older than it."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
import requests

import hepml_tasks as hep
from hepml_tasks.flows import find_flow
from hepml_tasks.openml.connection import Connection
from hepml_tasks.openml.publication import publish_run, wait_for_evaluation
from hepml_tasks.server.process import start_server


def test_a_new_metric_says_what_to_do_with_it(hepml, tmp_path):
    done = hepml("new", "metric", "my_figure", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert "pip install --editable hepml-my-figure" in done.stdout
    assert (tmp_path / "hepml-my-figure" / "hepml_my_figure.py").is_file()
    again = hepml("new", "metric", "my_figure", cwd=tmp_path)
    assert again.returncode == 1
    assert "choose another with --out" in again.stderr


@pytest.mark.slow
def test_a_metric_of_another_package_scores_runs_that_are_older_than_it(
    hepml, small_task: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    task = hep.load_task(small_task)
    run = hep.run(find_flow("logistic").build(), task, name="logistic", spool=tmp_path / "spool")
    data = tmp_path / "server"
    with start_server(data) as server:
        connection = Connection(server.server, server.apikey)
        published = publish_run(connection, run.folder)
        before = wait_for_evaluation(connection, published.run_id)
    assert "my_figure" not in before["scores"]

    assert hepml("new", "metric", "my_figure", "--out", tmp_path / "package").returncode == 0
    site = tmp_path / "site"
    command = [sys.executable, "-m", "pip", "install", "--no-deps", "--no-build-isolation"]
    command += ["--no-index", "--target", str(site), str(tmp_path / "package")]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    monkeypatch.setenv("PYTHONPATH", str(site))

    listed = {m["name"]: m for m in json.loads(hepml("metrics", "--json", afresh=True).stdout)}
    assert listed["my_figure"]["title"] == "My figure"
    assert "balanced accuracy" in hepml("metrics", "show", "my_figure", afresh=True).stdout

    with start_server(data) as server:
        measures = requests.get(f"{server.server}/evaluationmeasure/list", timeout=60).text
        assert "<oml:measure>my_figure</oml:measure>" in measures
        key = tmp_path / "server" / "apikey"
        done = hepml(
            *("evaluate", "--all", "--server", server.pages, "--key-file", key, "--json"),
            afresh=True,
        )
        assert done.returncode == 0, done.stderr
        (told,) = json.loads(done.stdout)
        score = told["scores"].pop("my_figure")
        assert 0.5 < score["value"] < 1
        assert score["uncertainty"] > 0
        assert told["scores"] == before["scores"]
        page = requests.get(f"{server.pages}pages/task-{published.task_id}.html", timeout=60).text
        assert "My figure" in page
        assert f"{score['value']:.2f}" in page

        spool = run.folder.path.parent
        done = hepml("evaluate", "--all", "--spool", spool, afresh=True)
        assert done.returncode == 0, done.stderr
        assert "new: my_figure" in done.stdout
        assert run.folder.scores["scores"]["my_figure"] == score
        done = hepml("verify", run.folder.path, afresh=True)
        assert done.returncode == 0
        assert "my_figure" in done.stdout
