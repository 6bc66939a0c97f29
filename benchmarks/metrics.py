"""Time the metrics against scikit-learn's unweighted ``roc_auc_score`` in the same run.

One thread; ratios count, not times. Exit status 1 when a ratio misses its goal.

    python benchmarks/metrics.py [--quick]
"""

from __future__ import annotations

import argparse
import math
import os
import sys
import time
import tracemalloc
from collections.abc import Callable

for _name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ[_name] = "1"

import numpy as np  # noqa: E402 - the threads are read at import
from sklearn.metrics import roc_auc_score  # noqa: E402 - the threads are read at import

from hepml_tasks.metrics import (  # noqa: E402 - the threads are read at import
    agreement_ks,
    ams_maximum,
    correlation_cvm,
    frechet_physics_distance,
    kernel_physics_distance,
    roc_auc,
    score,
    trackml_score,
)

MILLION = 1_000_000


def best(function: Callable[[], object], repeats: int = 5) -> float:
    """Give the shortest processor time of several, in seconds: the one least disturbed."""
    times = []
    for _ in range(repeats):
        start = time.process_time()
        function()
        times.append(time.process_time() - start)
    return min(times)


def peak(function: Callable[[], object]) -> int:
    """Give the largest memory allocated while a function runs, in bytes."""
    tracemalloc.start()
    function()
    largest = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    return largest


class Report:
    """Rows of a table, and whether one missed its goal."""

    def __init__(self) -> None:
        self.missed: list[str] = []

    def row(self, what: str, measured: float, goal: float | None, unit: str, note: str) -> None:
        """Print a row and remember a miss."""
        good = goal is None or measured <= goal
        self.missed += [] if good else [what]
        wanted = "" if goal is None else f"goal {goal:<5g} {'ok' if good else 'MISSED'}"
        print(f"{what:44} {measured:8.3f} {unit:14} {wanted:17} {note}", flush=True)


def events(n: int, seed: int = 0) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Draw labels, scores and weights of either sign."""
    rng = np.random.default_rng(seed)
    y = rng.integers(0, 2, n)
    w = rng.exponential(size=n) * np.where(rng.random(n) < 0.05, -1.0, 1.0)
    return y, rng.normal(y, 1.0), w


def ratios(report: Report) -> None:
    """Time single values."""
    y, s, w = events(MILLION)
    rng = np.random.default_rng(1)
    unit = best(lambda: roc_auc_score(y, s))
    print(f"unit: scikit-learn's roc_auc_score on 1e6 scores, {unit * 1e3:.0f} ms")

    def row(what: str, function: Callable[[], object], goal: float) -> None:
        seconds = best(function)
        report.row(what, seconds / unit, goal, "units", f"{seconds * 1e3:.0f} ms")

    row("signed weighted AUC, 1e6", lambda: roc_auc(y, s, sample_weight=w), 0.8)
    row("AMS maximum, 1e6", lambda: ams_maximum(y, s, sample_weight=w), 0.5)
    particle = rng.integers(1, 2**60, 100_000)[rng.integers(0, 100_000, MILLION)]
    track = np.where(
        rng.random(MILLION) < 0.8,
        np.unique(particle, return_inverse=True)[1],
        rng.integers(0, 100_000, MILLION),
    )
    row(
        "TrackML score, 1e6 hits",
        lambda: trackml_score(track, particle, sample_weight=np.abs(w)),
        0.5,
    )
    few, mass = s[:100_000], rng.exponential(size=100_000)
    row("correlation test, 1e5", lambda: correlation_cvm(few, mass), 0.15)
    row("weighted KS, 2 x 5e5", lambda: agreement_ks(y, s, sample_weight=w), 0.5)


def bootstrap(report: Report) -> None:
    """Time three metrics with their uncertainties, as a run is evaluated."""
    y, s, w = events(MILLION)
    unit = best(lambda: roc_auc_score(y, s), 3)
    y, s, w = (column[:550_000] for column in (y, s, w))
    selected = (s > 1).astype(int)

    def together() -> None:
        for name in ("ams", "roc_auc", "background_rejection_50"):
            score(
                name,
                y,
                y_pred=selected,
                y_score=s,
                sample_weight=w,
                class_sums=(692.0, 411_000.0),
                replicas=200,
            )

    seconds = best(together, 2)
    report.row(
        "AMS, AUC, rejection, 200 replicas, 550,000",
        seconds / unit,
        25,
        "units",
        f"{seconds:.1f} s",
    )


def growth(report: Report) -> None:
    """Compare 1e7 events with 1e6."""
    small, large = events(MILLION), events(10 * MILLION)
    expected = 10 * math.log(10 * MILLION) / math.log(MILLION)
    for what, function in (("AUC", roc_auc), ("AMS maximum", ams_maximum)):
        few = many = math.inf
        # in turns, so that a disturbance from outside doesn't hit one size alone
        for _ in range(4):
            few = min(few, best(lambda f=function: f(*small[:2], sample_weight=small[2]), 3))
            many = min(many, best(lambda f=function: f(*large[:2], sample_weight=large[2]), 1))
        report.row(f"{what}, 1e6 to 1e7", many / few / expected, 1.6, "of n log n", f"{many:.2f} s")


def memory(report: Report) -> None:
    """Compare the peak of memory with the input arrays."""
    y, s, w = events(MILLION)
    size = y.nbytes + s.nbytes + w.nbytes
    for what, function in (
        ("AUC", lambda: roc_auc(y, s, sample_weight=w)),
        ("AMS maximum", lambda: ams_maximum(y, s, sample_weight=w)),
        ("KS", lambda: agreement_ks(y, s, sample_weight=w)),
        (
            "AUC with 8 replicas",
            lambda: score("roc_auc", y, y_score=s, sample_weight=w, replicas=8),
        ),
    ):
        report.row(f"peak memory, {what}", peak(function) / size, 6, "of the input", "")
    rng = np.random.default_rng(0)
    particle = rng.integers(1, 100_000, MILLION)
    track, hit_weight = rng.permutation(particle), np.abs(w)
    size = particle.nbytes + track.nbytes + hit_weight.nbytes
    largest = peak(lambda: trackml_score(track, particle, sample_weight=hit_weight))
    report.row("peak memory, TrackML score", largest / size, 6, "of the input", "")
    few, mass = s[:100_000], rng.random(100_000)
    largest = peak(lambda: correlation_cvm(few, mass))
    report.row(
        "peak memory, correlation test", largest / (few.nbytes + mass.nbytes), 6, "of the input", ""
    )


def distances(report: Report) -> None:
    """Time the distances of generated samples, whose peers have no ratio to keep."""
    rng = np.random.default_rng(1)
    x, y = rng.normal(0, 1, (50_000, 36)), rng.normal(0.02, 1.02, (50_000, 36))
    unit = best(lambda: roc_auc_score(*events(MILLION)[:2]), 2)
    for what, function in (
        ("FPD, 50k x 36", frechet_physics_distance),
        ("KPD, 50k x 36", kernel_physics_distance),
    ):
        seconds = best(lambda f=function: f(x, y), 1)
        report.row(what, seconds / unit, None, "units", f"{seconds:.1f} s")


def main() -> int:
    """Measure everything and say whether all goals are met."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--quick", action="store_true", help="single values only")
    quick = parser.parse_args().quick
    report = Report()
    ratios(report)
    if not quick:
        for part in (bootstrap, growth, memory, distances):
            part(report)
    if report.missed:
        print(f"missed: {', '.join(report.missed)}")
    return 1 if report.missed else 0


if __name__ == "__main__":
    sys.exit(main())
