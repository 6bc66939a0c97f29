"""Tasks on derived data, from the command line to a server."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest
import yaml

from hepml_tasks.spec import TaskSpec, find_task, read_task, to_mapping


def test_the_skewed_toy_runs_and_is_published(hepml, scratch_server, tmp_path):
    key = tmp_path / "key"
    key.write_text(scratch_server.apikey)
    done = hepml(
        *("run", "toy-higgs-skewed", "--events", "2000", "--flow", "logistic"),
        *("--server", scratch_server.server, "--key-file", key, "--spool", tmp_path, "--json"),
    )
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout)
    assert told["server"]["differs"] == []
    # relations between columns are not what a straight line sees
    assert 0.45 < told["server"]["scores"]["area_under_roc_curve"]["value"] < 0.6


@pytest.fixture
def skewed_18k(tmp_path, real_task_file):
    """Return the file of a skewed task on the 18,000 real events."""
    spec = find_task("higgsml-skewed-large")
    derived = spec.dataset.derived
    assert derived is not None
    parameters = {k: v for k, v in derived.parameters.items() if k != "events"}
    source = read_task(real_task_file).dataset
    derived = replace(derived, source=source, parameters=parameters)
    small: TaskSpec = replace(spec, dataset=replace(spec.dataset, derived=derived))
    path = tmp_path / "skewed-18k.yaml"
    path.write_text(yaml.safe_dump(to_mapping(small)))
    return path


@pytest.mark.slow
def test_real_events_are_skewed_told_apart_and_named_by_their_source(
    hepml, real_mirror, skewed_18k, tmp_path
):
    done = hepml(
        *("run", skewed_18k, "--split", "holdout", "--flow", "hist-gradient-boosting"),
        *("--spool", tmp_path / "spool", "--json"),
    )
    assert done.returncode == 0, done.stderr
    assert 0.75 < json.loads(done.stdout)["scores"]["area_under_roc_curve"]["value"] < 0.9
    (run,) = (tmp_path / "spool").glob("*/run.json")
    (name,) = json.loads(run.read_text())["data"]["files"]
    assert name.startswith("atlas-higgs-challenge-2014-v2")


def test_derived_tasks_are_listed_by_the_state_of_their_source(hepml):
    listed = {t["name"]: t["data"] for t in json.loads(hepml("tasks", "--json").stdout)}
    assert listed["toy-higgs-skewed"] == "simulated"
    assert listed["higgsml-skewed-small"] == "absent"
    shown = hepml("tasks", "show", "higgsml-skewed-small").stdout
    assert "unknown number of events, skew of higgsml 2 (cernopendata:328)" in shown
