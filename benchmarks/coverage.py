"""Measure how often the intervals of all metrics hold the truth, on simulated repeats.

Each metric is computed on many independent samples of a known world, and its truth on a sample so
large that it counts as infinite. A metric that claims 68 % must reach 65 to 71 %; for the others
(those that declare an exemption from the law of coverage) the figure is printed. The paired
difference and the family-wise error of tied groups are measured too. Exit status 1 on a miss.

    python benchmarks/coverage.py [--repeats 2000] [--jobs 2] [METRIC …]
"""

from __future__ import annotations

import argparse
import concurrent.futures
import os
import sys
import time
from collections.abc import Callable
from typing import Any

# a process per core is enough
for _name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS"):
    os.environ.setdefault(_name, "1")

import numpy as np  # noqa: E402 - the threads are read at import

from hepml_tasks.metrics import (  # noqa: E402 - the threads are read at import
    all_metrics,
    compare,
    get_metric,
    score,
    tied_groups,
)

LOW, HIGH = 0.65, 0.71
TRUTH_EVENTS = 1_000_000
World = Callable[[np.random.Generator, int], dict[str, Any]]


def _weights(rng: np.random.Generator, n: int) -> np.ndarray:
    """Weights as next-to-leading-order simulation has them: unequal, some of them negative."""
    return rng.gamma(4.0, 0.25, n) * np.where(rng.random(n) < 0.05, -1.0, 1.0)


def scores(rng: np.random.Generator, n: int) -> dict[str, Any]:
    y = (rng.random(n) < 0.4).astype(int)
    s = rng.normal(1.2 * y, 1.0)
    return {
        "y_true": y,
        "y_score": s,
        "y_pred": (s > 1.0).astype(int),
        "sample_weight": _weights(rng, n),
    }


def positive_scores(rng: np.random.Generator, n: int) -> dict[str, Any]:
    return {**scores(rng, n), "sample_weight": rng.gamma(4.0, 0.25, n)}


def masses(rng: np.random.Generator, n: int) -> dict[str, Any]:
    n *= 2
    mass = rng.exponential(size=n)
    y = (rng.random(n) < 0.2).astype(int)
    return {"y_true": y, "y_score": rng.normal(0.3 * mass, 1.0), "mass": mass}


def probabilities(rng: np.random.Generator, n: int) -> dict[str, Any]:
    world = scores(rng, n)
    # a little too sure of itself
    logit = 1.5 * (1.2 * world["y_score"] - 0.72) - 0.4
    return {**world, "y_score": 1 / (1 + np.exp(-logit))}


def tracks(rng: np.random.Generator, n: int) -> dict[str, Any]:
    events, hits = n // 10, 40
    event = np.repeat(np.arange(events), hits)
    particle = np.tile(np.repeat(np.arange(8), 5), events)
    quality = np.repeat(rng.beta(8, 2, events), hits)
    track = np.where(rng.random(event.size) < quality, particle, rng.integers(0, 8, event.size))
    return {
        "y_true": particle,
        "y_pred": track,
        "event_id": event,
        "sample_weight": rng.random(event.size),
    }


def energies(rng: np.random.Generator, n: int) -> dict[str, Any]:
    truth = rng.uniform(10, 100, n)
    measured = truth * rng.normal(0.98, 0.8 / np.sqrt(truth))
    return {"y_true": truth, "y_pred": measured, "sample_weight": _weights(rng, n)}


def intervals(rng: np.random.Generator, n: int) -> dict[str, Any]:
    truth = rng.uniform(0.5, 2.0, n)
    middle = rng.normal(truth, 0.3)
    return {
        "y_true": truth,
        "y_pred": np.column_stack([middle - 0.3, middle + 0.3]),
        "sample_weight": _weights(rng, n),
    }


def samples(rng: np.random.Generator, n: int) -> dict[str, Any]:
    y = (rng.random(n) < 0.5).astype(int)
    return {
        "y_true": y,
        "y_score": rng.normal(0.2 * y[:, np.newaxis], 1.0, (n, 2)),
        "sample_weight": rng.gamma(4.0, 0.25, n),
    }


WORLDS: dict[str, World] = {
    "selection": scores,
    "labels": scores,
    "score": scores,
    "probability": probabilities,
    "tracks": tracks,
    "regression": energies,
    "quantile": energies,
    "interval": intervals,
    "samples": samples,
}


def world_of(name: str) -> World:
    """Choose the world in which a metric is measured."""
    if "mass" in get_metric(name).columns:
        return masses
    if "cancelling_pair" in get_metric(name).exempt and get_metric(name).needs == "score":
        return positive_scores
    return WORLDS[get_metric(name).needs]


def options_of(name: str) -> dict[str, Any]:
    """Class sums of a fixed luminosity, and small batches for published procedures."""
    metric = get_metric(name)
    result: dict[str, Any] = dict(metric.test_options) if metric.estimate else {}
    if metric.luminosity:
        result["class_sums"] = (100.0, 1000.0)
    if name == "asimov_significance":
        result["sigma_b"] = 10.0
    return result


def truth_of(name: str) -> float:
    """Compute a metric on a sample that counts as infinite."""
    rng = np.random.default_rng(12345)
    metric = get_metric(name)
    size = 20_000 if metric.estimate else TRUTH_EVENTS
    world = world_of(name)(rng, size)
    options = options_of(name)
    if name == "frechet_physics_distance":
        options |= {"min_samples": 5_000, "max_samples": 20_000}
    if name == "kernel_physics_distance":
        options |= {"batch_size": 5_000, "batches": 20}
    return score(name, **world, **options, replicas=0).value


def events_of(name: str) -> int:
    """Choose the sample size: a rejection needs some tens of background events that pass."""
    return 5000 if name.startswith(("background_rejection", "sic")) else 1000


def measure(name: str, repeats: int) -> tuple[float, float, float]:
    """Give the coverage, the mean bias and the mean uncertainty over the true deviation."""
    n = events_of(name)
    truth = truth_of(name)
    inside, values, errors = 0, [], []
    for repeat in range(repeats):
        rng = np.random.default_rng([7, repeat])
        got = score(name, **world_of(name)(rng, n), **options_of(name), seed=repeat)
        low, high = got.interval
        inside += low <= truth <= high
        values.append(got.value)
        errors.append(got.uncertainty)
    spread = float(np.std(values))
    bias = (float(np.mean(values)) - truth) / spread if spread > 0 else 0.0
    return inside / repeats, bias, float(np.mean(errors)) / spread if spread > 0 else 0.0


def measure_difference(repeats: int, n: int = 1000) -> float:
    """Give the coverage of the paired difference of two correlated classifiers' AUC."""

    def both(rng: np.random.Generator, size: int) -> tuple[Any, Any, Any, Any]:
        world = scores(rng, size)
        first, second = world["y_score"], world["y_score"] + rng.normal(0, 0.5, size)
        return world["y_true"], first, second, world["sample_weight"]

    y, first, second, w = both(np.random.default_rng(54321), TRUTH_EVENTS)
    auc = get_metric("roc_auc")
    truth = auc(y, first, sample_weight=w) - auc(y, second, sample_weight=w)
    inside = 0
    for repeat in range(repeats):
        y, first, second, w = both(np.random.default_rng([8, repeat]), n)
        low, high = compare("roc_auc", y, first, second, sample_weight=w, seed=repeat).interval
        inside += low <= truth <= high
    return inside / repeats


def measure_family(repeats: int, n: int = 500, runs: int = 5) -> float:
    """Give how often equal classifiers are told apart at a family-wise error of 5 %."""
    wrong = 0
    for repeat in range(repeats):
        rng = np.random.default_rng([9, repeat])
        world = scores(rng, n)
        equal = {str(k): world["y_score"] + rng.normal(0, 1.0, n) for k in range(runs)}
        ties = tied_groups("roc_auc", world["y_true"], equal, replicas=500, seed=repeat)
        wrong += len(ties.groups) > 1
    return wrong / repeats


def main() -> int:
    """Measure, print a table and say whether all is well."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("metrics", nargs="*", metavar="METRIC")
    parser.add_argument("--repeats", type=int, default=2000)
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1)
    args = parser.parse_args()
    metrics = all_metrics()
    names = args.metrics or list(metrics)
    missed: list[str] = []
    start = time.perf_counter()
    print(f"{'metric':26} {'coverage':>8} {'bias/sd':>8} {'err/sd':>7}  verdict", flush=True)
    with concurrent.futures.ProcessPoolExecutor(args.jobs) as pool:
        jobs = {}
        for name in names:
            # published procedures are slow and claim nothing
            repeats = min(args.repeats, 200) if metrics[name].estimate else args.repeats
            jobs[name] = pool.submit(measure, name, repeats)
        if not args.metrics:
            difference = pool.submit(measure_difference, args.repeats)
            family = pool.submit(measure_family, args.repeats // 2)
        for name, job in jobs.items():
            covered, bias, ratio = job.result()
            reason = metrics[name].exempt.get("coverage")
            good = LOW <= covered <= HIGH
            verdict = f"exempt: {reason}" if reason else ("ok" if good else "MISSED")
            missed += [name] if not good and not reason else []
            print(f"{name:26} {covered:8.3f} {bias:8.2f} {ratio:7.2f}  {verdict}", flush=True)
        if not args.metrics:
            covered = difference.result()
            good = LOW <= covered <= HIGH
            missed += [] if good else ["paired difference"]
            print(f"{'paired difference':26} {covered:8.3f}{'':18}{'ok' if good else 'MISSED'}")
            error = family.result()
            # three deviations of the count itself above the level
            good = error <= 0.05 + 3 * (0.05 * 0.95 / max(1, args.repeats // 2)) ** 0.5
            missed += [] if good else ["family-wise error"]
            print(f"{'family-wise error, 5 %':26} {error:8.3f}{'':18}{'ok' if good else 'MISSED'}")
    print(f"{args.repeats} repeats a metric, {time.perf_counter() - start:.0f} s")
    if missed:
        print(f"missed: {', '.join(missed)}")
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main())
