"""How well the derived columns of real events are recomputed from their primitive ones.

Usage: ``python benchmarks/der_agreement.py``. The real events are those of HEPML_TEST_DATA, or else
of ``../shared/data`` beside the repository. Takes some seconds.

For every column of HiggsML, in percent of the rows in which it is defined: how many agree within
0.001, 0.01, 0.1 and 1 %, how many would if the formula were exact (in brackets: the formula against
itself, its inputs jittered by half of their last digit), and how many agree as far as the rounding
of their inputs lets them. Then whether the same rows are undefined, and how the columns of the FAIR
Universe sample agree, which were computed from what is in the file.
"""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from hepml_tasks.data.kinematics import DERIVED, PRIMITIVE, UNDEFINED, derived_columns

Floats = NDArray[np.float64]
HALF = 0.0005
LIMITS = (0.001, 0.01, 0.1)


def main() -> None:
    """Print both tables."""
    beside = Path(__file__).resolve().parents[2] / "shared" / "data"
    folder = Path(os.environ.get("HEPML_TEST_DATA", beside))
    print_higgsml(folder)
    print_fair_universe(folder)


def print_higgsml(folder: Path) -> None:
    """Print the table of the rounded file."""
    files = sorted((folder / "higgsml").glob("*.csv.gz"))
    if not files:
        raise SystemExit(f"no real events in {folder}; set HEPML_TEST_DATA to the data's folder")
    table = pd.read_csv(files[0])
    pri = {name: table[name].to_numpy() for name in PRIMITIVE}
    ours, best, allowed = derived_columns(pri), jittered(pri), rounding(pri)
    print(f"HiggsML, {len(table)} events: agreement in % (attainable)\n")
    print(
        f"{'column':28s} {'rows':>6s} {'<= 0.001':>14s} {'<= 0.01':>14s} {'<= 0.1':>14s}"
        f" {'<= 1 %':>14s} {'rounding':>8s} {'undefined':>9s} {'p99':>7s} {'largest':>8s}"
    )
    for name in DERIVED:
        file = table[name].to_numpy()
        defined = file != UNDEFINED
        off = np.abs(ours[name] - file)[defined]
        attainable = np.abs(np.round(best[name], 3) - ours[name])[defined]
        size = np.abs(file[defined])
        limits: list[float | Floats] = [limit + 1e-9 for limit in LIMITS]
        limits.append(np.maximum(0.01 * size, HALF))
        cells = [
            f"{100 * np.mean(off <= limit):6.2f} ({100 * np.mean(attainable <= limit):5.1f})"
            for limit in limits
        ]
        within = 100 * np.mean(off <= allowed[name][defined] + 1e-9)
        same = 100 * np.mean((ours[name] == UNDEFINED) == ~defined)
        print(
            f"{name:28s} {defined.sum():6d} {' '.join(f'{c:>14s}' for c in cells)}"
            f" {within:8.2f} {same:9.2f} {np.quantile(off, 0.99):7.3f} {off.max():8.3f}"
        )
    print()


def jittered(pri: dict[str, Floats]) -> dict[str, Floats]:
    """Compute the columns from inputs moved within their last digit."""
    random = np.random.default_rng(0)
    moved = {
        name: values + random.uniform(-HALF, HALF, len(values)) if name != "PRI_jet_num" else values
        for name, values in pri.items()
    }
    return derived_columns(moved)


def rounding(pri: dict[str, Floats]) -> dict[str, Floats]:
    """Sum up what half of the last digit of every input makes, and of the column itself."""
    nominal = derived_columns(pri)
    total = {name: np.full(len(pri["PRI_tau_pt"]), HALF) for name in DERIVED}
    for column in pri.keys() - {"PRI_jet_num", "PRI_met_sumet"}:
        sides = [derived_columns({**pri, column: pri[column] + step}) for step in (HALF, -HALF)]
        for name in DERIVED:
            total[name] += np.maximum(*(np.abs(side[name] - nominal[name]) for side in sides))
    return total


def print_fair_universe(folder: Path) -> None:
    """Print the table of the unrounded sample."""
    file = folder / "fair_universe" / "FAIR_Universe_HiggsML_data.parquet"
    if not file.is_file():
        print(f"no FAIR Universe sample in {folder}")
        return
    table = pd.read_parquet(file)
    named = {
        name.replace("_had", "_tau").replace("_n_jets", "_jet_num"): table[name].to_numpy()
        for name in table
    }
    ours = derived_columns(named, undefined=-25.0)
    print(f"FAIR Universe, {len(table)} events: agreement in %\n")
    print(
        f"{'column':28s} {'rows':>6s} {'<= 0.001':>9s} {'<= 0.01':>9s} {'undefined':>9s}"
        f" {'largest':>8s}"
    )
    for name in DERIVED:
        defined = named[name] != -25.0
        off = np.abs(ours[name] - named[name])[defined]
        same = 100 * np.mean((ours[name] == -25.0) == ~defined)
        shares = " ".join(f"{100 * np.mean(off <= limit):9.2f}" for limit in LIMITS[:2])
        print(f"{name:28s} {defined.sum():6d} {shares} {same:9.2f} {off.max():8.4f}")


if __name__ == "__main__":
    main()
