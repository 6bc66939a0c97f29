"""Read a cached task: our load against a bare Parquet read, and liac-arff on the same table.

A table of 250,000 × 33 is published as a file, loaded once so that the cache has it, then read.
Each figure is the best of several, taken in turns. Exit status 1 when reading the cached table
takes more than 1.5 times a bare read of the same content.

    python benchmarks/cache.py [--rows 250000] [--no-arff]
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from pyarrow import parquet

from hepml_tasks import settings
from hepml_tasks.data.events import load_events
from hepml_tasks.data.table import load_table
from hepml_tasks.spec import read_task

ROOT = Path(__file__).resolve().parent.parent
GOAL = 1.5
COLUMNS = 30


def make_table(rows: int) -> pa.Table:
    """Return random numbers with undefined values, a weight, an event id and a class."""
    rng = np.random.default_rng(0)
    columns: dict[str, Any] = {"EventId": np.arange(rows)}
    for i in range(COLUMNS):
        values = np.round(rng.normal(50, 20, rows), 3)
        if i % 3 == 0:
            values[rng.random(rows) < 0.3] = -999.0
        columns[f"x{i}"] = values
    columns["Weight"] = rng.exponential(1, rows)
    columns["Label"] = np.where(rng.random(rows) < 0.34, "s", "b")
    return pa.table(columns)


def make_task(folder: Path, table: pa.Table) -> Path:
    """Write the table as a file, and a task on it."""
    parquet.write_table(table, folder / "data.parquet")
    path = folder / "cached.yaml"
    path.write_text(
        f"""\
name: cached
title: Cached
type: binary-classification
about: {{physicist: none, ml: none}}
caveat: Random numbers.
dataset:
  name: cached
  version: "1"
  description: Random numbers.
  licence: CC0
  creators: []
  citation: ""
  files: [{{name: data.parquet, urls: ["{folder / "data.parquet"}"]}}]
  rows: {table.num_rows}
  undefined: -999.0
roles: {{target: Label, positive: s, weight: Weight, event_id: EventId, features: ["x*"]}}
splits: [{{name: holdout, kind: holdout}}]
metrics: {{primary: roc_auc}}
"""
    )
    return path


def best(*work: Callable[[], object], times: int) -> list[float]:
    """Return the shortest time of each piece of work, all of them taken in turns."""
    found = [float("inf")] * len(work)
    for _ in range(times):
        for i, run in enumerate(work):
            start = time.perf_counter()
            run()
            found[i] = min(found[i], time.perf_counter() - start)
    return found


def read_by_liac_arff(path: Path) -> object:
    """Read ARFF as the stock client does."""
    import arff

    with path.open() as file:
        return arff.load(file)


def main() -> None:
    """Measure everything."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--rows", type=int, default=250_000)
    parser.add_argument("--no-arff", action="store_true", help="leave liac-arff out")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        os.environ["HEPML_CACHE"] = str(folder / "cache")
        spec = read_task(make_task(folder, make_table(arguments.rows)))
        table = load_table(spec.dataset)
        (kept,) = (settings.cache_dir() / "tables").glob("*.parquet")
        bare, frame, ours, events, features = best(
            lambda: parquet.read_table(kept),
            lambda: parquet.read_table(kept).to_pandas(),
            lambda: load_table(spec.dataset),
            lambda: load_events(spec),
            lambda: load_events(spec).frame(),
            times=9,
        )
        print(f"{table.num_rows} by {table.num_columns}, {kept.stat().st_size / 1e6:.0f} MB kept")
        print(f"{'what':42}{'seconds':>9}  ratio to the bare read")
        print(f"{'bare Parquet read':42}{bare:9.3f}")
        good = ours / bare <= GOAL
        verdict = "ok" if good else f"MISSED, goal {GOAL}"
        print(f"{'cached table (load_table)':42}{ours:9.3f}  {ours / bare:.2f} {verdict}")
        print(f"{'  and its roles checked (load_events)':42}{events:9.3f}  {events / bare:.2f}")
        print(f"{'  and the features as a frame':42}{features:9.3f}  {features / bare:.2f}")
        print(f"{'bare Parquet read and to_pandas':42}{frame:9.3f}  {frame / bare:.2f}")
        if not arguments.no_arff:
            from hepml_tasks.formats.arff import write_arff

            path = folder / "data.arff"
            write_arff(table, path, relation="cached")
            (arff,) = best(lambda: read_by_liac_arff(path), times=1)
            print(f"{'the same table by liac-arff':42}{arff:9.3f}  {arff / bare:.1f}")
            print(f"ours is {arff / ours:.0f} times as fast as liac-arff")
    sys.exit(0 if good else 1)


if __name__ == "__main__":
    main()
