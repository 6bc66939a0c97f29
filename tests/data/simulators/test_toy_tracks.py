"""toy-tracks: helices, resolutions and weights as they are said to be, the same everywhere."""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from hepml_tasks.data.checksum import table_sha256
from hepml_tasks.data.simulators import simulate
from hepml_tasks.data.simulators.toy_tracks import (
    LAYERS,
    Motion,
    Tracker,
    bending_radius,
    move_to,
    simulate_toy_tracks,
    toy_tracks_block,
)
from hepml_tasks.errors import DataError
from hepml_tasks.metrics import trackml_score


@pytest.fixture(scope="module")
def hits() -> pd.DataFrame:
    return simulate_toy_tracks(64, seed=5).to_pandas()


def score(frame: pd.DataFrame, track: np.ndarray) -> float:
    return trackml_score(track, frame.particle_id, sample_weight=frame.weight, event_id=frame.event)


def test_truth_scores_one_and_what_is_no_track_scores_nothing(hits):
    assert score(hits, hits.particle_id.to_numpy()) == pytest.approx(1, abs=1e-9)
    assert score(hits, np.zeros(len(hits), dtype=int)) == 0
    assert score(hits, np.arange(len(hits))) == 0
    chance = np.random.default_rng(0).integers(0, 100, len(hits))
    assert score(hits, chance) < 0.01


def test_weights_of_an_event_sum_to_one_and_noise_weighs_nothing(hits):
    assert hits.groupby("event").weight.sum().to_numpy() == pytest.approx(1, abs=1e-9)
    assert (hits.weight[hits.particle_id == 0] == 0).all()
    size = hits[hits.particle_id > 0].groupby(["event", "particle_id"]).weight.agg(["size", "sum"])
    assert (size["sum"][size["size"] < 4] == 0).all()
    assert (size["sum"][size["size"] >= 4] > 0).all()


def test_noise_and_spectra_are_those_of_the_design(hits):
    assert (hits.particle_id == 0).mean() == pytest.approx(0.15, abs=0.006)
    pt = np.hypot(hits.tpx, hits.tpy)
    weight = hits.weight / hits.weight.sum()
    assert weight[pt > 0.5].sum() == pytest.approx(0.67, abs=0.02)
    assert weight[pt > 1].sum() == pytest.approx(0.19, abs=0.02)
    made = [toy_tracks_block(block, 5, Tracker())[1] for block in range(4)]
    true = np.concatenate([np.hypot(m["px"], m["py"]) for m in made])
    assert np.median(true) == pytest.approx(0.54, abs=0.02)
    n_hits = np.concatenate([m["nhits"] for m in made])
    assert n_hits.mean() == pytest.approx(7.7, abs=0.15)
    assert (n_hits >= 4).mean() > 0.97


def test_a_helix_is_exact(hits):
    del hits
    rng = np.random.default_rng(1)
    n, zero = 2000, np.zeros(2000)
    start = Motion(
        zero,
        zero,
        rng.normal(0, 5, n),
        rng.uniform(-np.pi, np.pi, n),
        np.sinh(rng.uniform(-2, 2, n)),
        rng.uniform(0.4, 5, n),
        rng.choice([-1.0, 1.0], n),
    )
    radius = bending_radius(start.pt)
    state, length = start, zero
    for layer in LAYERS:
        state, step = move_to(state, layer.radius)
        length = length + step
        half = np.arcsin(layer.radius / (2 * radius))
        assert np.hypot(state.x, state.y) == pytest.approx(layer.radius, rel=1e-9)
        turn = np.angle(np.exp(1j * (np.arctan2(state.y, state.x) - start.phi)))
        assert turn == pytest.approx(-start.charge * half, abs=1e-9)
        assert state.z == pytest.approx(start.z + 2 * radius * half * start.slope, rel=1e-9)
        assert length == pytest.approx(2 * radius * half, rel=1e-9)
    # the circle through beam, middle and end gives the momentum back
    sides = np.hypot(state.x, state.y)
    back = sides / 2 / np.sin(length / 2 / radius)
    assert back * 0.3 * 2 / 1000 == pytest.approx(start.pt, rel=1e-6)


def test_a_particle_that_curls_up_before_a_layer_leaves_no_hit_there():
    one = np.ones(1)
    slow = Motion(0 * one, 0 * one, 0 * one, 0 * one, 0 * one, 0.1 * one, one)
    assert np.isfinite(move_to(slow, 172.0)[0].x).all()
    assert np.isnan(move_to(slow, 360.0)[0].x).all()


def test_hits_are_smeared_by_the_resolution_of_their_layer(hits):
    true = hits[hits.particle_id > 0]
    angle = np.arctan2(true.y, true.x) - np.arctan2(true.ty, true.tx)
    across = np.angle(np.exp(1j * angle)) * np.hypot(true.tx, true.ty)
    for layer in LAYERS:
        here = (true.volume_id == layer.volume) & (true.layer_id == layer.layer)
        assert (across[here] / layer.across).std() == pytest.approx(1, abs=0.05)
        assert ((true.z - true.tz)[here] / layer.along).std() == pytest.approx(1, abs=0.05)


def test_azimuth_is_flat_and_density_falls_outwards(hits):
    turn = np.histogram(np.arctan2(hits.y, hits.x), 16, (-np.pi, np.pi))[0]
    expected = turn.mean()
    # hits come in tracks of about eight, which spread over several bins when they bend
    assert ((turn - expected) ** 2 / expected).sum() < 8 * 16 * 2
    inner, outer = (
        (np.hypot(hits.x, hits.y).round() == r).sum() / (2 * np.pi * r * 2 * half)
        for r, half in ((32, 500), (1020, 1080))
    )
    assert inner / outer > 100


def test_scattering_can_be_switched_off():
    straight, bent = (simulate_toy_tracks(16, seed=3, scattering=s).to_pandas() for s in (0.0, 1.0))
    for frame, exact in ((straight, True), (bent, False)):
        true = frame[frame.particle_id > 0]
        pt = np.hypot(true.tpx, true.tpy)
        spread = pt.groupby([true.event, true.particle_id]).agg(np.ptp)
        assert (spread.max() < 1e-5) == exact


def test_hits_are_in_an_order_that_says_nothing_of_particles(hits):
    layers = hits[["event", "volume_id", "layer_id", "module_id"]]
    assert (layers.sort_values(list(layers.columns), kind="stable").index == layers.index).all()
    assert (hits.groupby("event").hit_id.agg(["min", "max", "size"]).eval("max == size")).all()
    same = hits[(hits.particle_id > 0) & (hits.volume_id == 8)]
    rank = same.groupby(["event", "volume_id", "layer_id"]).particle_id.rank()
    place = same.groupby(["event", "volume_id", "layer_id"]).cumcount()
    assert abs(np.corrcoef(rank, place)[0, 1]) < 0.05


def test_the_same_seed_gives_the_same_table_whatever_the_number_and_the_workers():
    whole = simulate_toy_tracks(40, seed=9)
    assert table_sha256(simulate_toy_tracks(40, seed=9, workers=3)) == table_sha256(whole)
    few = simulate_toy_tracks(17, seed=9)
    assert table_sha256(whole.slice(0, few.num_rows)) == table_sha256(few)
    assert table_sha256(simulate_toy_tracks(40, seed=10)) != table_sha256(whole)


CASES = {"toy-tracks": 20, "toy-higgs": 3000, "toy-higgs-mass": 2000}


@pytest.mark.parametrize("name", CASES)
def test_a_processor_without_vector_instructions_makes_the_same_table(name: str):
    code = (
        "from hepml_tasks.data.simulators import simulate;"
        "from hepml_tasks.data.checksum import table_sha256;"
        f"print(table_sha256(simulate({name!r}, events={CASES[name]}, seed=11)))"
    )
    found = np._core._multiarray_umath.__cpu_features__
    off = " ".join(n for n in np._core._multiarray_umath.__cpu_dispatch__ if found.get(n))
    environment = {**os.environ, "NPY_DISABLE_CPU_FEATURES": off}
    done = subprocess.run(
        [sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True
    )
    here = table_sha256(simulate(name, events=CASES[name], seed=11))
    assert off
    assert done.stdout.strip() == here


@pytest.mark.parametrize(
    "option", [{"particles": 3}, {"noise": 0.9}, {"efficiency": 2}, {"vertex_spread": -1}]
)
def test_an_option_that_makes_no_detector_is_refused(option):
    with pytest.raises(DataError, match="toy-tracks"):
        simulate_toy_tracks(2, seed=1, **option)


def test_without_inefficiency_and_noise_every_reachable_layer_has_a_hit():
    tracker = replace(Tracker(), efficiency=1.0, noise=0.0, secondaries=0.0, scattering=0.0)
    hits, particles = toy_tracks_block(0, 1, tracker)
    assert (hits["particle_id"] > 0).all()
    pt = np.hypot(particles["px"], particles["py"])
    central = np.abs(particles["pz"]) < 0.3 * pt
    fast = pt > 0.32
    assert (particles["nhits"][central & fast] == 10).all()
