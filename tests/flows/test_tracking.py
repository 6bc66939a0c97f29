"""Flows that find tracks: on helices that are known, on the toy, on the real event."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from sklearn.linear_model import LogisticRegression, Ridge

import hepml_tasks as hep
from hepml_tasks.errors import RunError, SpecError
from hepml_tasks.flows import find_flow
from hepml_tasks.flows.description import describe, fingerprint, rebuild
from hepml_tasks.flows.helix import Arc, Surface, length_to, moved, through
from hepml_tasks.running.task import Task, as_task

NAMES = ("azimuth-clusters", "helix-clusters", "track-follower")


@pytest.fixture(scope="module")
def task() -> Task:
    return hep.load_task("toy-tracks", events=8, split="all")


def test_each_better_flow_is_ahead_of_the_next_by_far(task: Task, tmp_path: Path):
    scores = [
        hep.run(find_flow(n).build(), task, name=n, spool=tmp_path, n_jobs=1).scores for n in NAMES
    ]
    floor, clusters, follower = (s["trackml_score"] for s in scores)
    assert floor.value < 0.05
    assert floor.value + 0.3 < clusters.value < follower.value
    assert follower.value > 0.85
    assert follower.uncertainty < 0.03


def test_the_real_event_is_found_by_more_than_half(
    real_data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setenv("HEPML_MIRRORS", str(real_data / "trackml"))
    run = hep.run(
        find_flow("track-follower").build(), hep.load_task("trackml"), spool=tmp_path, n_jobs=1
    )
    score = run.scores["trackml_score"]
    assert score.value > 0.5
    # one event tells nothing of how much events differ
    assert np.isnan(score.uncertainty)
    assert score.method == "none: one resampling unit has no spread"
    assert run.predictions["prediction"].type == "int64"


@pytest.mark.parametrize("name", NAMES)
def test_a_flow_is_described_and_rebuilt(name: str):
    flow = find_flow(name).build()
    described = describe(flow)
    assert fingerprint(describe(rebuild(described))) == fingerprint(described)


@pytest.mark.parametrize("name", NAMES)
def test_an_event_with_few_hits_is_no_trouble(name: str):
    columns = ["x", "y", "z", "volume_id", "layer_id", "module_id"]
    one = pd.DataFrame([[32.0, 0.0, 1.0, 8.0, 2.0, 0.0]], columns=columns)
    flow = find_flow(name).build()
    assert flow.fit(one.iloc[[]], np.empty(0)).predict(one).shape == (1,)
    two = pd.concat([one, one], ignore_index=True)
    assert flow.predict(two).shape == (2,)


def test_an_arc_through_three_points_leads_to_where_the_circle_goes():
    rng = np.random.default_rng(0)
    n = 500
    radius, turn = rng.uniform(300, 3000, n), rng.choice([-1.0, 1.0], n)
    start = rng.uniform(-np.pi, np.pi, n)

    def on_circle(length: np.ndarray) -> np.ndarray:
        half = turn * length / radius / 2
        chord = 2 * radius * np.abs(np.sin(half))
        return np.stack([chord * np.cos(start + half), chord * np.sin(start + half)])

    first, second, third = (on_circle(np.full(n, s)) for s in (30.0, 70.0, 110.0))
    direction, curvature = through(first, second, third)
    assert curvature == pytest.approx(turn / radius, rel=1e-6)
    zero = np.zeros(n)
    arc = Arc(third[0], third[1], zero, direction, curvature, zero + 0.5)
    there = moved(arc, zero + 60.0)
    assert np.stack([there.x, there.y]) == pytest.approx(on_circle(zero + 170.0), abs=1e-6)
    cylinder = Surface(disc=False, place=200.0, low=-1e3, high=1e3, rows=np.arange(1))
    reached = moved(arc, length_to(arc, cylinder))
    assert np.hypot(reached.x, reached.y) == pytest.approx(200.0, abs=1e-6)
    disc = Surface(disc=True, place=40.0, low=0.0, high=1e3, rows=np.arange(1))
    assert moved(arc, length_to(arc, disc)).z == pytest.approx(40.0)


def test_a_classifier_and_a_regressor_are_refused(task: Task, tmp_path: Path):
    for model in (LogisticRegression(), Ridge()):
        with pytest.raises(RunError, match="asks which rows belong together"):
            hep.run(model, task, spool=tmp_path, n_jobs=1)


def test_a_metric_that_tracks_have_no_columns_for_is_refused(task: Task):
    from dataclasses import replace

    metrics = replace(task.spec.metrics, primary="roc_auc")
    with pytest.raises(SpecError, match="'roc_auc' needs score, which predictions of a task of"):
        as_task(replace(task.spec, metrics=metrics))
