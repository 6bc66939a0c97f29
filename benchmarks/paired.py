"""Compare flows on the real HiggsML events: paired differences against unpaired errors.

Each pair of flows is run on the same folds of 18,000 events. The uncertainty of a difference over
common bootstrap replicas is divided by what the two runs' own uncertainties would give. Exit
status 1 when a paired one isn't smaller.

    python benchmarks/paired.py [--flows hist-gradient-boosting,extra-trees,logistic]

The events are found where ``HEPML_TEST_DATA`` says, or at ``../shared/data``.
"""

from __future__ import annotations

import argparse
import itertools
import os
import sys
import tempfile
from pathlib import Path

import hepml_tasks as hep
from hepml_tasks.evaluation.evidence import Evidence, from_folder
from hepml_tasks.evaluation.paired import compare_runs
from hepml_tasks.flows import find_flow

ROOT = Path(__file__).resolve().parent.parent
FLOWS = ("hist-gradient-boosting", "logistic")
METRICS = ("ams", "roc_auc", "background_rejection_50")
GOAL = 1.0


def runs(split: str, flows: tuple[str, ...], folder: Path) -> dict[str, Evidence]:
    """Run the flows."""
    task = hep.load_task(ROOT / "tests" / "tasks" / "higgsml-18k.yaml", split=split)
    print(f"{task.name}: {len(task.events)} real events, {len(task.splits)} folds", flush=True)
    found = {}
    for name in flows:
        run = hep.run(find_flow(name).build(), task, name=name, spool=folder)
        found[name] = from_folder(run.folder, task)
    return found


def report(found: dict[str, Evidence]) -> list[str]:
    """Print a row for each pair and metric; return what missed its goal."""
    missed = []
    print(f"{'metric':24}{'first':24}{'second':14}{'difference':>18}  {'interval':22}ratio")
    for metric in METRICS:
        for first, second in itertools.combinations(found, 2):
            c = compare_runs(metric, found[first], found[second])
            ratio = c.uncertainty / c.unpaired
            low, high = c.interval
            good = ratio < GOAL
            missed += [] if good else [f"{metric}: {first}, {second}"]
            print(
                f"{metric:24}{first:24}{second:14}{c.difference:9.4f} ± {c.uncertainty:6.4f}"
                f"  {f'{low:.4f} to {high:.4f}':22}{ratio:5.2f} {'ok' if good else 'MISSED'}",
                flush=True,
            )
    return missed


def main() -> None:
    """Run everything."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--split", default="10-fold", help="10-fold or holdout")
    parser.add_argument("--flows", default=",".join(FLOWS), help="names with commas")
    arguments = parser.parse_args()
    data = Path(os.environ.get("HEPML_TEST_DATA", ROOT.parent / "shared" / "data"))
    os.environ["HEPML_MIRRORS"] = str(data / "higgsml")
    with tempfile.TemporaryDirectory() as folder:
        os.environ["HEPML_CACHE"] = str(Path(folder) / "cache")
        missed = report(
            runs(arguments.split, tuple(arguments.flows.split(",")), Path(folder) / "spool")
        )
    print("\nratio: uncertainty of the paired difference over that of the two runs by themselves")
    if missed:
        print(f"MISSED: {'; '.join(missed)}")
        sys.exit(1)


if __name__ == "__main__":
    main()
