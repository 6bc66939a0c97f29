"""The bot against its peers, measured in one run. A table, and the goals missed.

    python benchmarks/bot.py [runner] [client] [arff] [workers] [small] [--times 5] [--quick]

runner    10 folds of 250,000 × 30, a logistic regression: from the task in the cache to predictions
          and description in the run folder, against a loop of scikit-learn over the same folds
          (split, fit and predict) on the same cores: at most 1.10 times
client    one hold-out of it against `run_model_on_task` of the stock client: at most 1/15; and the
          10 folds beside it
arff      the predictions of the client's run as ARFF: from @RELATION on the bytes of the client's,
          at least 5 times as fast
workers   40 equal jobs: two bots, a shard each, have at least 1.8 times the throughput of one
small     what a bot adds to the fits of a job of 1,000 rows: under 0.2 s

What is apart from the goals, the start of the interpreter, imports, scores with their bootstrap
and the ARFF, has lines of its own. Measurements alternate, and their medians are compared. The
client's dataset is in its cache. --quick takes few events and no goal: it shows that all runs.
Exit status 1 when a goal is missed.
"""

from __future__ import annotations

import argparse
import contextlib
import hashlib
import logging
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from pyarrow import parquet

PARTS = ("runner", "client", "arff", "workers", "small")
TASK = """
name: benchmark-bot
title: Thirty columns for a benchmark
type: binary-classification
about: {physicist: Random numbers., ml: Random numbers.}
caveat: Not for physics results.
dataset:
  name: benchmark-bot
  version: "1"
  description: Random numbers, one in ten undefined in eleven columns.
  licence: CC0
  creators: [hepml_tasks]
  citation: none
  published: "2026"
  files: [{name: NAME, size: SIZE, checksum: "sha256:CHECKSUM"}]
roles: {target: Label, positive: s, features: [x*]}
splits:
  - {name: 10-fold, kind: kfold, folds: 10, seed: 0}
  - {name: holdout, kind: holdout, fraction: 0.33, seed: 0}
metrics: {primary: roc_auc, also: [signal_efficiency]}
"""
SUITE = """
name: benchmark-bot
title: One task
description: For a benchmark.
tasks: [{task: toy-higgs, split: 4-fold}]
"""


@dataclass
class Results:
    """What was measured, and the goals that were missed."""

    quick: bool
    missed: list[str] = field(default_factory=list)

    def note(self, text: str) -> None:
        """Tell a figure without a goal."""
        print(f"  {text}", flush=True)

    def goal(self, what: str, value: float, limit: float, *, at_least: bool = False) -> None:
        """Tell a figure, and whether it keeps its goal."""
        good = value >= limit if at_least else value <= limit
        verdict = f"goal {'≥' if at_least else '≤'} {limit:g}"
        if not self.quick:
            verdict += ": kept" if good else ": MISSED"
            if not good:
                self.missed.append(what)
        self.note(f"{what}: {value:.3g} ({verdict})")

    def must(self, what: str, good: bool) -> None:
        """Tell what has to hold whatever the size."""
        if not good:
            self.missed.append(what)
        self.note(f"{what}: {'yes' if good else 'NO'}")


def seconds(work: Callable[[], Any]) -> float:
    """Return how long some work takes."""
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


def in_turn(times: int, *works: Callable[[], Any]) -> list[float]:
    """Return the median time of each work; they alternate, so that a slow minute hits all."""
    taken = [[seconds(work) for work in works] for _ in range(times)]
    return [statistics.median(column) for column in zip(*taken, strict=True)]


def make_task(folder: Path, rows: int) -> Path:
    """Write a table as an archive would have it, and the task file for it."""
    rng = np.random.default_rng(0)
    label = rng.random(rows) < 0.34
    columns: dict[str, Any] = {}
    for i in range(30):
        values = np.round(rng.normal(50, 20, rows) + (i < 8) * 8 * label, 3)
        mask = rng.random(rows) < 0.1 if i % 3 == 0 or i == 29 else None
        columns[f"x{i}"] = pa.array(values, mask=mask)
    columns["Label"] = np.where(label, "s", "b")
    path = folder / "benchmark.parquet"
    parquet.write_table(pa.table(columns), path)
    content = path.read_bytes()
    text = TASK.replace("NAME", path.name).replace("SIZE", str(len(content)))
    task = folder / "benchmark-bot.yaml"
    task.write_text(text.replace("CHECKSUM", hashlib.sha256(content).hexdigest()))
    os.environ["HEPML_MIRRORS"] = str(folder)
    return task


def model() -> Any:
    """Return a bare scikit-learn pipeline."""
    from sklearn.impute import SimpleImputer
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    return make_pipeline(SimpleImputer(), StandardScaler(), LogisticRegression())


def fit_and_predict(X: Any, y: Any, train: Any, test: Any) -> tuple[Any, Any]:
    """Do what every runner has to do for a fold."""
    fitted = model().fit(X.iloc[train], y[train])
    tested = X.iloc[test]
    return fitted.predict(tested), fitted.predict_proba(tested)


def bare_loop(X: Any, y: Any, processes: int) -> list[tuple[Any, Any]]:
    """Split, fit and predict with scikit-learn, and joblib's processes where there are several."""
    import joblib
    from sklearn.model_selection import StratifiedKFold

    folds = StratifiedKFold(10, shuffle=True, random_state=0).split(X, y)
    if processes == 1:
        return [fit_and_predict(X, y, *fold) for fold in folds]
    done: list[tuple[Any, Any]] = joblib.Parallel(n_jobs=processes)(
        joblib.delayed(fit_and_predict)(X, y, *fold) for fold in folds
    )
    return done


def our_run(task: Path, split: str, spool: Path, processes: int) -> Any:
    """Run it from the cached task to predictions and description in the run folder."""
    import hepml_tasks as hep
    from hepml_tasks.running.run import execute

    shutil.rmtree(spool, ignore_errors=True)
    loaded = hep.load_task(task, split=split)
    return execute(loaded, "logistic-bare", model(), spool=spool, n_jobs=processes)


def runner(task: Path, folder: Path, results: Results, times: int) -> None:
    """Compare the runner with a bare loop on equal cores."""
    import hepml_tasks as hep

    start = [sys.executable, "-c"]
    for what, code in (
        ("start of the interpreter", "pass"),
        ("with imports of the loop", "import joblib, pandas, sklearn.pipeline"),
        ("with imports of the runner", "import pandas, hepml_tasks.running.run, sklearn.pipeline"),
    ):
        (took,) = in_turn(times, lambda code=code: subprocess.run([*start, code], check=True))
        results.note(f"apart: {what}: {took:.2f} s")
    loaded = hep.load_task(task)
    X, y, _ = loaded.data()
    spool = folder / "spool"
    for processes in (1, 2):
        # both have warm processes: their start is the interpreter's
        bare_loop(X.iloc[:2000], y[:2000], processes)
        our_run(task, "10-fold", spool, processes)
        bare, ours = in_turn(
            times,
            lambda n=processes: bare_loop(X, y, n),
            lambda n=processes: our_run(task, "10-fold", spool, n),
        )
        name = "one process" if processes == 1 else f"{processes} processes"
        results.note(f"10 folds in {name}: bare loop {bare:.2f} s, runner {ours:.2f} s")
        results.goal(f"runner / bare loop, {name}", ours / bare, 1.10)
    done = our_run(task, "10-fold", spool, 2)
    wanted = np.concatenate([scores[:, 1] for _, scores in bare_loop(X, y, 2)])
    got = done.predictions["confidence.s"].to_numpy()
    results.must(
        "the same predictions as the bare loop's, bit for bit", np.array_equal(wanted, got)
    )

    from hepml_tasks.evaluation.runs import score_run
    from hepml_tasks.openml.predictions import render_predictions

    scored, rendered = in_turn(
        times, lambda: score_run(done, loaded), lambda: render_predictions(done)
    )
    results.note(f"apart: scores with their bootstrap {scored:.2f} s, ARFF {rendered:.2f} s")


@dataclass(frozen=True)
class Peer:
    """The stock client, pointed at a server of this package that has the tasks."""

    openml: Any
    tasks: dict[str, int]

    def run(self, split: str) -> Any:
        """Run it as users of the client do."""
        task = self.openml.tasks.get_task(self.tasks[split])
        return self.openml.runs.run_model_on_task(
            model(), task, avoid_duplicate_runs=False, upload_flow=False
        )


@contextlib.contextmanager
def stock_client(task: Path, folder: Path) -> Iterator[Peer]:
    """Start a server, publish runs of ours so that it has the tasks, and fill the cache."""
    import openml

    from hepml_tasks.evaluation.runs import score_run
    from hepml_tasks.openml.connection import Connection
    from hepml_tasks.openml.publication import publish_run
    from hepml_tasks.running.task import load_task
    from hepml_tasks.server.process import start_server

    logging.getLogger("openml").setLevel(logging.ERROR)
    with start_server(folder / "server") as server:
        connection = Connection(server.server, server.apikey)
        tasks = {}
        for split in ("holdout", "10-fold"):
            done = our_run(task, split, folder / split, 2)
            score_run(done, load_task(task, split=split))
            tasks[split] = publish_run(connection, done).task_id
        openml.config.server, openml.config.apikey = server.server, server.apikey
        openml.config.set_root_cache_directory(folder / "openml")
        for number in tasks.values():
            theirs = openml.tasks.get_task(number)
            theirs.download_split()
        openml.datasets.get_dataset(theirs.dataset_id, download_data=True).get_data()
        yield Peer(openml, tasks)


def client(task: Path, folder: Path, results: Results, times: int, peer: Peer) -> None:
    """Compare the runner with the stock client's."""
    spool = folder / "spool"
    for split in ("holdout", "10-fold"):
        theirs, ours = in_turn(
            min(times, 3) if split == "holdout" else 1,
            lambda split=split: peer.run(split),
            lambda split=split: our_run(task, split, spool, 2),
        )
        results.note(f"{split}: run_model_on_task {theirs:.2f} s, runner {ours:.2f} s")
        what = f"run_model_on_task / runner, {split}"
        if split == "holdout":
            results.goal(what, theirs / ours, 15, at_least=True)
        else:
            results.note(f"{what}: {theirs / ours:.3g}")


def arff(task: Path, folder: Path, results: Results, times: int, peer: Peer) -> None:
    """Compare the predictions file with the one that the stock client writes of the same run."""
    import arff as liac

    from hepml_tasks.openml.predictions import render_predictions

    run = peer.run("10-fold")
    done = our_run(task, "10-fold", folder / "spool", 2)
    content = run._generate_arff_dict()
    names = [name for name, _ in content["attributes"]]
    columns = dict(zip(names, zip(*content["data"], strict=True), strict=True))
    del columns["sample"]
    columns["row"] = columns.pop("row_id")
    columns["truth"] = columns.pop("correct")
    kept = {name: done.predictions[name] for name in done.predictions.column_names}
    table = pa.table({n: pa.array(columns[n], kept[n].type) for n in kept})
    # the client fits with all cores' threads and a process of ours with its share: sums differ
    apart = np.abs(np.subtract(done.predictions["confidence.s"], table["confidence.s"])).max()
    parquet.write_table(table, done.path / "predictions.parquet")
    theirs, ours = in_turn(
        times,
        lambda: liac.dumps(run._generate_arff_dict()),
        lambda: render_predictions(done, run.task_id),
    )
    results.note(f"ARFF of {table.num_rows} predictions: client {theirs:.2f} s, here {ours:.2f} s")
    results.goal("client / here, writing ARFF", theirs / ours, 5, at_least=True)
    one = liac.dumps(content).encode()
    two = render_predictions(done, run.task_id)
    equal = one[one.index(b"@RELATION") :] == two[two.index(b"@RELATION") :]
    results.must("the client's bytes from @RELATION on", equal)
    results.note(f"apart: the runner's own scores are the client's but for {apart:.1g}")


def workers(folder: Path, results: Results, jobs: int, events: int) -> None:
    """Compare two bots with one on equal jobs, a seed each."""
    suite = folder / "suite.yaml"
    suite.write_text(SUITE)

    def bots(shards: list[str], spool: Path) -> float:
        hepml = Path(sys.executable).parent / "hepml"
        command = [str(hepml), "bot", "run", "--suite", str(suite)]
        command += ["--flows", "logistic", "--n-jobs", "1", "--events", str(events)]
        command += ["--seeds", ",".join(map(str, range(jobs))), "--spool", str(spool), "--json"]
        # a core each, whatever a library takes for granted
        environment = os.environ | {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}

        def all_of_them() -> None:
            running = [
                subprocess.Popen([*command, *s.split()], env=environment, stdout=subprocess.DEVNULL)
                for s in shards
            ]
            for process in running:
                if process.wait():
                    raise SystemExit(f"a bot ended with {process.returncode}")

        taken = seconds(all_of_them)
        finished = len(list(spool.glob("*/scores.json")))
        if finished != jobs:
            raise SystemExit(f"{finished} of {jobs} jobs are finished")
        return taken

    bots([""], folder / "warm")
    one = bots([""], folder / "one")
    two = bots(["--shard 1/2", "--shard 2/2"], folder / "two")
    results.note(f"{jobs} jobs of {events} events: one bot {one:.1f} s, two bots {two:.1f} s")
    results.goal("one bot / two bots", one / two, 1.8, at_least=True)


def small(folder: Path, results: Results, times: int) -> None:
    """Take the fits and predictions from the time of small jobs: the rest is the bot's."""
    import hepml_tasks as hep
    from hepml_tasks.bot.log import Event, Log
    from hepml_tasks.bot.plan import plan
    from hepml_tasks.bot.worker import Limits, work
    from hepml_tasks.flows import find_flow

    task = hep.load_task("toy-higgs", events=1000)
    for processes in (1, 2):
        spool = folder / "small" / str(processes)
        jobs = plan([task], [find_flow("logistic")], spool=spool, seeds=range(4 * times + 2))
        ends: list[float] = []

        def ended(event: Event, ends: list[float] = ends) -> None:
            if event["event"] == "run_done":
                ends.append(time.perf_counter())

        work(jobs, spool=spool, limits=Limits(n_jobs=processes), log=Log([ended]))
        # the first jobs start the processes and fill the caches: they are not measured
        measured = len(jobs) - processes
        took = (ends[-1] - ends[processes - 1]) / measured
        fits = statistics.fmean(job.folder.seconds for job in jobs[processes:]) / processes
        where = f"{processes} process{'es' if processes > 1 else ''}"
        results.note(f"{where}: {took:.3f} s a job, {fits:.3f} s of it fits and predictions")
        results.goal(
            f"s that a bot adds to a job of 1,000 rows, scores with it, {where}", took - fits, 0.2
        )


def main() -> None:
    """Measure what is asked for."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("parts", nargs="*", choices=[[], *PARTS], metavar="part")
    parser.add_argument("--rows", type=int)
    parser.add_argument("--times", type=int)
    parser.add_argument("--quick", action="store_true", help="few events, no goals")
    arguments = parser.parse_args()
    parts = arguments.parts or list(PARTS)
    rows = arguments.rows or (3000 if arguments.quick else 250_000)
    times = arguments.times or (1 if arguments.quick else 5)
    results = Results(quick=arguments.quick)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for variable in ("CACHE", "SPOOL", "STATE"):
            os.environ[f"HEPML_{variable}"] = str(folder / variable.lower())
        os.environ["XDG_CONFIG_HOME"] = str(folder / "config")
        task = make_task(folder, rows)
        print(f"{rows} by 30, {os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}")
        if "runner" in parts:
            print("runner")
            runner(task, folder, results, times)
        if {"client", "arff"} & set(parts):
            with stock_client(task, folder) as peer:
                if "client" in parts:
                    print("client")
                    client(task, folder, results, times, peer)
                if "arff" in parts:
                    print("arff")
                    arff(task, folder, results, times, peer)
        if "workers" in parts:
            print("workers")
            quick = arguments.quick
            workers(folder, results, 4 if quick else 40, 1000 if quick else 20_000)
        if "small" in parts:
            print("small")
            small(folder, results, times)
    print(f"\nmissed: {', '.join(results.missed)}" if results.missed else "\nno goal missed")
    sys.exit(1 if results.missed else 0)


if __name__ == "__main__":
    warnings.simplefilter("ignore")
    main()
