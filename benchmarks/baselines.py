"""The table of baselines: every standard flow that suits on every task of a simulated suite.

    python benchmarks/baselines.py [--suite hep-toy] [--seeds 5] [--events N] [--spool FOLDER]
                                   [--out docs/baselines.md] [TASK…]

For each seed a task's events are simulated anew and every flow of its type is run on the suite's
split, with the same seed. Written is a page of Markdown with a table a task: mean score, the
test sample's uncertainty and the spread over seeds, the rank at each seed, how far a flow is ahead
of the next one at the seed where that is least, and which flows can't be told apart. A difference
is that of two runs on the same events, so that what they have in common cancels. With ``--spool``
an interrupted call goes on; with the names of tasks, only these are written. Takes some minutes a
task. Exit status 1 when the flow that is best on the average isn't first at every seed.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import hepml_tasks as hep
from hepml_tasks.evaluation.evaluate import in_order, pooled
from hepml_tasks.evaluation.evidence import Evidence, from_folder
from hepml_tasks.evaluation.paired import compare_runs
from hepml_tasks.flows import FLOWS
from hepml_tasks.metrics import get_metric, tied_groups
from hepml_tasks.running.task import Task, as_task, with_events
from hepml_tasks.spec import DatasetSpec, find_suite, find_task

ROOT = Path(__file__).resolve().parent.parent
SIGNIFICANT = 2.0
HEAD = """\
# Baselines

Every standard flow on the offline tasks of `{suite}`, {seeds} times: with other simulated events
and another seed each time. The page is written by

```sh
python benchmarks/baselines.py{options}
```

- **score**: the mean over the seeds ± the uncertainty of one run, which is that of its test sample;
  then the standard deviation over seeds.
- **ranks**: at each seed.
- **ahead**: of the next flow, in standard deviations of the difference of two runs on the same
  events, at the seed where that is least, and at how many seeds it is more than {significant:g}.
- **tied**: flows with a letter in common can't be told apart at the first seed (max-T, 5 % for all
  pairs together).
"""


@dataclass(frozen=True)
class Done:
    """A run, and what it scored."""

    evidence: Evidence
    value: float
    uncertainty: float


def main() -> int:
    """Write the page."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("tasks", nargs="*")
    parser.add_argument("--suite", default="hep-toy")
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--events", type=int, help="the largest number of events")
    parser.add_argument("--spool", type=Path)
    parser.add_argument("--out", type=Path, default=ROOT / "docs" / "baselines.md")
    given = parser.parse_args()
    options = "".join(
        f" --{name} {value}"
        for name, value, usual in (
            ("suite", given.suite, "hep-toy"),
            ("seeds", given.seeds, 5),
            ("events", given.events, None),
        )
        if value != usual
    )
    text = [
        HEAD.format(suite=given.suite, seeds=given.seeds, options=options, significant=SIGNIFICANT)
    ]
    stable = True
    with tempfile.TemporaryDirectory() as temporary:
        spool = given.spool or Path(temporary)
        for entry in find_suite(given.suite).tasks:
            if given.tasks and entry.task not in given.tasks:
                continue
            begun = time.monotonic()
            by_seed = [
                runs(seeded(entry.task, entry.split, seed, given.events), seed, spool)
                for seed in range(given.seeds)
            ]
            part, firm = table(entry.task, entry.split, by_seed)
            stable = stable and firm
            text.append(part)
            print(f"{entry.task}: {time.monotonic() - begun:.0f} s", file=sys.stderr, flush=True)
            # what is done is on the page, whatever happens next
            given.out.write_text("\n".join(text))
    return 0 if stable else 1


def seeded(name: str, split: str | None, seed: int, events: int | None) -> Task:
    """Return a task on events of another seed."""
    spec = find_task(name)
    simulator = spec.dataset.root.simulator
    if events is not None and simulator is not None:
        # no more than the task has: an event of tracks is many rows
        spec = with_events(spec, min(events, simulator.events))
    return as_task(replace(spec, dataset=_seeded(spec.dataset, seed)), split=split)


def _seeded(dataset: DatasetSpec, seed: int) -> DatasetSpec:
    if dataset.derived is not None:
        derived = replace(
            dataset.derived, source=_seeded(dataset.derived.source, seed), checksum=None
        )
        # how many events are left of it differs from seed to seed
        return replace(dataset, derived=derived, rows=None, content=None)
    simulator = dataset.simulator
    if simulator is None or simulator.seed is None:
        raise SystemExit(f"dataset {dataset.name} is not simulated here: it has no other seed")
    simulator = replace(simulator, seed=simulator.seed + seed)
    # where a row is a hit, each seed has a number of them of its own
    return replace(dataset, simulator=simulator, rows=None, content=None)


def runs(task: Task, seed: int, spool: Path) -> dict[str, Done]:
    """Run every standard flow that suits, and return what is known of it with its score."""
    found = {}
    for flow in FLOWS.values():
        if flow.suits(task.spec.type) and flow.is_available():
            run = hep.run(flow.build(), task, name=flow.name, seed=seed, spool=spool)
            score = run.scores[task.spec.metrics.primary]
            print(f"{task.name} seed {seed} {flow.name} {score.value:.4f}", file=sys.stderr)
            found[flow.name] = Done(from_folder(run.folder, task), score.value, score.uncertainty)
    return found


def table(name: str, split: str | None, by_seed: Sequence[dict[str, Done]]) -> tuple[str, bool]:
    """Return the table of a task, and whether the same flow is first at every seed."""
    spec = find_task(name)
    primary = spec.metrics.primary
    sign = 1 if get_metric(primary).higher_is_better else -1
    means = {f: statistics.fmean(s[f].value for s in by_seed) for f in by_seed[0]}
    order = sorted(means, key=lambda f: -sign * means[f])
    letters = _letters(primary, by_seed[0])
    events = len(next(iter(by_seed[0].values())).evidence.truth.y)
    lines = [
        f"\n## {spec.title}\n",
        f"`{name}`, split {split or spec.splits[0].name}, {events} events.\n",
        f"| flow | `{primary}` | over seeds | ranks | ahead | tied |",
        "|---|---|---|---|---|---|",
    ]
    for flow, worse in zip(order, [*order[1:], None], strict=True):
        error = statistics.fmean(s[flow].uncertainty for s in by_seed)
        values = [s[flow].value for s in by_seed]
        spread = statistics.stdev(values) if len(values) > 1 else 0.0
        ranks = ", ".join(str(_rank(s, flow, sign)) for s in by_seed)
        ahead = "" if worse is None else _ahead(primary, flow, worse, by_seed, sign)
        lines.append(
            f"| `{flow}` | {means[flow]:.4g} ± {error:.2g} | {spread:.2g} | {ranks} | {ahead}"
            f" | {letters[flow]} |"
        )
    firm = all(_rank(s, order[0], sign) == 1 for s in by_seed)
    return "\n".join(lines) + "\n", firm


def _rank(done: dict[str, Done], flow: str, sign: int) -> int:
    return 1 + sum(sign * d.value > sign * done[flow].value for d in done.values())


def _ahead(
    metric: str, first: str, second: str, by_seed: Sequence[dict[str, Done]], sign: int
) -> str:
    found = []
    for done in by_seed:
        c = compare_runs(metric, done[first].evidence, done[second].evidence)
        found.append(sign * c.difference / c.uncertainty if c.uncertainty else 0.0)
    clear = sum(deviations > SIGNIFICANT for deviations in found)
    return f"{min(found):.1f}, {clear} of {len(found)}"


def _letters(metric: str, done: dict[str, Done]) -> dict[str, str]:
    """Give each flow the letters of the groups whose members can't be told apart."""
    chosen = get_metric(metric)
    samples = {}
    for flow, d in done.items():
        e = d.evidence
        samples[flow] = pooled(in_order(e.predictions), e.truth, e.spec)
    arguments = {flow: s.arguments(chosen) for flow, s in samples.items()}
    shared = next(iter(arguments.values()))
    given = "y_pred" if "y_pred" in shared else "y_score"
    ties = tied_groups(
        chosen,
        shared["y_true"],
        {flow: a[given] for flow, a in arguments.items()},
        event_id=next(iter(samples.values())).event_id,
        replicas=200,
        **{k: v for k, v in shared.items() if k not in {"y_true", given}},
    )
    return {
        flow: "".join(chr(97 + i) for i, group in enumerate(ties.groups) if flow in group)
        for flow in done
    }


if __name__ == "__main__":
    sys.exit(main())
