"""How stable the ranking of the standard flows on toy tasks is, over five seeds.

Usage: ``python benchmarks/toy_ranking.py TASK…`` (such as toy-higgs-anomaly). For each seed the
task's events are simulated anew and every standard flow of the task's type is run on the default
split, with the same seed. Printed is a Markdown table: each flow's mean score, its rank at each
seed, and how many standard deviations it is ahead of the next flow, at the seed where that is
least. A difference is that of two runs on the same events, so what they have in common cancels.
Takes some minutes a task.
"""

from __future__ import annotations

import sys
import tempfile
from dataclasses import replace
from pathlib import Path

import hepml_tasks as hep
from hepml_tasks.evaluation.evidence import Evidence, from_folder
from hepml_tasks.evaluation.paired import compare_runs
from hepml_tasks.flows import FLOWS
from hepml_tasks.metrics import get_metric
from hepml_tasks.running.task import Task, as_task
from hepml_tasks.spec import DatasetSpec, find_task

SEEDS = 5


def main() -> None:
    """Print a table for each task that is named."""
    for name in sys.argv[1:]:
        with tempfile.TemporaryDirectory() as spool:
            show(name, [runs(seeded(name, seed), seed, Path(spool)) for seed in range(SEEDS)])


def seeded(name: str, seed: int) -> Task:
    """Return a task on events of another seed."""
    spec = find_task(name)
    return as_task(replace(spec, dataset=_seeded(spec.dataset, seed)))


def _seeded(dataset: DatasetSpec, seed: int) -> DatasetSpec:
    if dataset.derived is not None:
        source = _seeded(dataset.derived.source, seed)
        return replace(dataset, derived=replace(dataset.derived, source=source, checksum=None))
    simulator = dataset.simulator
    assert simulator is not None
    assert simulator.seed is not None
    return replace(dataset, simulator=replace(simulator, seed=simulator.seed + seed))


def runs(task: Task, seed: int, spool: Path) -> dict[str, tuple[Evidence, float]]:
    """Run every standard flow that suits, and return what is known of it with its score."""
    found = {}
    for flow in FLOWS.values():
        if flow.suits(task.spec.type) and flow.is_available():
            run = hep.run(flow.build(), task, name=flow.name, seed=seed, spool=spool)
            score = run.scores[task.spec.metrics.primary]
            print(f"{task.name} seed {seed} {flow.name} {score.value:.4f}", file=sys.stderr)
            found[flow.name] = (from_folder(run.folder, task), score.value)
    return found


def show(name: str, by_seed: list[dict[str, tuple[Evidence, float]]]) -> None:
    """Print the table of a task."""
    primary = find_task(name).metrics.primary
    sign = 1 if get_metric(primary).higher_is_better else -1
    means = {f: sum(s[f][1] for s in by_seed) / len(by_seed) for f in by_seed[0]}
    order = sorted(means, key=lambda f: -sign * means[f])
    print(f"\n| flow | `{primary}`, mean | at each seed | ranks | ahead of the next, deviations |")
    print("|---|---|---|---|---|")
    for flow, worse in zip(order, [*order[1:], None], strict=True):
        values = ", ".join(f"{s[flow][1]:.3g}" for s in by_seed)
        ranks = ", ".join(
            str(1 + sum(sign * v > sign * s[flow][1] for _, v in s.values())) for s in by_seed
        )
        ahead = ""
        if worse is not None:
            ahead = f"{min(sign * _ahead(primary, s[flow][0], s[worse][0]) for s in by_seed):.1f}"
        print(f"| `{flow}` | {means[flow]:.3g} | {values} | {ranks} | {ahead} |")


def _ahead(metric: str, first: Evidence, second: Evidence) -> float:
    difference = compare_runs(metric, first, second)
    return difference.difference / difference.uncertainty


if __name__ == "__main__":
    main()
