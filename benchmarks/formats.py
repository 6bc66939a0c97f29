"""ARFF read and written here against liac-arff, which the stock client uses, in the same run.

A table of 250,000 × 33 is written and read by both, and by each of our formats. Ours are the best
of several. Exit status 1 when reading or writing ARFF is less than 10 times as fast as liac-arff,
or when the two don't read the same values.

    python benchmarks/formats.py [--rows 250000] [--times 3]
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import arff as liac
import numpy as np
import pyarrow as pa

from hepml_tasks.formats.arff import read_arff, write_arff
from hepml_tasks.formats.stream import stream_of
from hepml_tasks.formats.tables import read_table, write_table

GOAL = 10.0
COLUMNS = 31
ENDINGS = (".arff", ".csv", ".csv.gz", ".parquet", ".root", ".h5")


def make_table(rows: int) -> pa.Table:
    """Return random numbers, one in ten undefined, with an event id and a class."""
    rng = np.random.default_rng(0)
    columns: dict[str, Any] = {"EventId": np.arange(rows)}
    for i in range(COLUMNS):
        values = rng.normal(50, 20, rows)
        columns[f"x{i}"] = pa.array(values, mask=rng.random(rows) < 0.1)
    columns["Label"] = np.where(rng.random(rows) < 0.34, "s", "b")
    return pa.table(columns)


def timed(work: Callable[[], Any], times: int = 1) -> tuple[float, Any]:
    """Return the shortest time of some work, and its result."""
    best, result = float("inf"), None
    for _ in range(times):
        start = time.perf_counter()
        result = work()
        best = min(best, time.perf_counter() - start)
    return best, result


def by_liac(path: Path) -> dict[str, Any]:
    """Read as the stock client does."""
    with path.open() as file:
        found: dict[str, Any] = liac.load(file)
    return found


def write_by_liac(content: dict[str, Any], path: Path) -> None:
    """Write as the stock client does."""
    with path.open("w") as file:
        liac.dump(content, file)


def same(table: pa.Table, theirs: dict[str, Any]) -> bool:
    """Tell whether liac-arff read the values that are in a table."""
    rows = zip(*(c.to_pylist() for c in table.columns), strict=True)
    return all(tuple(a) == b for a, b in zip(theirs["data"], rows, strict=True))


def main() -> None:
    """Measure everything."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--rows", type=int, default=250_000)
    parser.add_argument("--times", type=int, default=3)
    arguments = parser.parse_args()
    table, times = make_table(arguments.rows), arguments.times
    print(f"{table.num_rows} by {table.num_columns}, {pa.cpu_count()} threads")
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        path, theirs = folder / "ours.arff", folder / "theirs.arff"
        write, _ = timed(lambda: write_arff(table, path, relation="t"), times)
        read, file = timed(lambda: read_arff(path), times)
        liac_read, content = timed(lambda: by_liac(path))
        liac_write, _ = timed(lambda: write_by_liac(content, theirs))
        equal = same(file.table, content) and same(table, content)
        equal = equal and read_arff(theirs).table.to_pydict() == file.table.to_pydict()
        good = equal
        for what, seconds, slow in (("read", read, liac_read), ("write", write, liac_write)):
            enough = slow / seconds >= GOAL
            good = good and enough
            verdict = "ok" if enough else f"MISSED, goal {GOAL:g}"
            print(
                f"ARFF {what:6} ours {seconds:6.2f} s  liac-arff {slow:6.2f} s"
                f"  {slow / seconds:5.1f} times as fast  {verdict}"
            )
        print("both read the same values" if equal else "the values DIFFER")
        print(f"\n{'by open_table, write_table':28}{'write s':>9}{'read s':>9}{'MB':>9}")
        for ending in ENDINGS:
            path = folder / f"t{ending}"
            write, _ = timed(lambda p=path: write_table(stream_of(table), p))
            read, _ = timed(lambda p=path: read_table(p))
            print(f"{ending:28}{write:9.2f}{read:9.2f}{path.stat().st_size / 1e6:9.0f}")
    sys.exit(0 if good else 1)


if __name__ == "__main__":
    main()
