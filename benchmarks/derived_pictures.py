"""Pictures of the shifted and the skewed events, feature by feature.

Usage: ``python benchmarks/derived_pictures.py [FOLDER]`` (default: derived-pictures). The real
events are those of HEPML_TEST_DATA, or else of ``../shared/data`` beside the repository; without
them only the toy is drawn. Takes some seconds.

For each skewed task, and for a tau energy scale of 0.9 and 1.1, an SVG with a panel a column: the
distributions one over the other, and the area under the ROC curve of the column by itself. Beside
them, in print, what boosted trees make of all columns together, and of what must not tell: last
digits, and differences of derived columns from their formulas.
"""

from __future__ import annotations

import argparse
import os
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.metrics import roc_auc_score

from hepml_tasks.data.derived import derive
from hepml_tasks.data.derived.carried import floats_of, primitive_of
from hepml_tasks.data.kinematics import DERIVED, PRIMITIVE, derived_columns
from hepml_tasks.data.table import load_table
from hepml_tasks.spec import DatasetSpec, find_task, read_task

Floats = NDArray[np.float64]
ROOT = Path(__file__).resolve().parents[1]
FEATURES = (*DERIVED, *PRIMITIVE)
COLOURS = ("#57606a", "#1f6feb", "#d1590a")
PANEL, GAP, COLUMNS, BINS = (250, 130), 26, 5, 50
HEAD = 30


def main() -> None:
    """Draw all pictures and print one line for each skewed task."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("folder", nargs="?", type=Path, default=Path("derived-pictures"))
    folder = parser.parse_args().folder
    folder.mkdir(parents=True, exist_ok=True)
    data = Path(os.environ.get("HEPML_TEST_DATA", ROOT.parent / "shared" / "data"))
    sources = {"toy-higgs": find_task("toy-higgs").dataset}
    if (data / "higgsml").is_dir():
        os.environ["HEPML_MIRRORS"] = str(data / "higgsml")
        sources["higgsml"] = read_task(ROOT / "tests" / "tasks" / "higgsml-18k.yaml").dataset
    for name in ("higgsml-skewed-small", "higgsml-skewed-large", "toy-higgs-skewed"):
        dataset = find_task(name).dataset
        assert dataset.derived is not None
        root = dataset.derived.source.name
        if root in sources:
            show_skewed(folder, name, skewed(dataset, sources[root]))
    for name, source in sources.items():
        show_shifted(folder, name, load_table(source))


def skewed(dataset: DatasetSpec, source: DatasetSpec) -> pa.Table:
    """Make a skewed task's table of the events that are at hand."""
    derived = dataset.derived
    assert derived is not None
    parameters = {k: v for k, v in derived.parameters.items() if k != "events"}
    derived = replace(derived, source=source, parameters=parameters, checksum=None)
    return load_table(replace(dataset, derived=derived, rows=None))


def show_skewed(folder: Path, name: str, table: pa.Table) -> None:
    """Draw the two halves; print how well they are told apart."""
    label = np.array(table["Skewed"].to_pylist()) == "distorted"
    columns = {c: floats_of(table, c) for c in FEATURES}
    halves = {
        title: {c: v[side] for c, v in columns.items()}
        for title, side in (("undistorted", ~label), ("distorted", label))
    }
    write(folder / f"{name}.svg", f"{name}, {len(label)} events", halves)
    formulas = derived_columns(primitive_of(table), undefined=np.nan)
    values = np.column_stack(list(columns.values()))
    alone = {c: area(v, label) for c, v in columns.items()}
    best = max(alone, key=lambda c: alone[c])
    rest = np.column_stack([columns[c] - formulas[c] for c in DERIVED])
    digits = np.round(np.abs(values) * 1000) % 100
    print(
        f"{name}: {len(label)} events, {100 * label.mean():.1f} % distorted; area under the ROC"
        f" curve {trees(values, label):.3f} by all columns, {alone[best]:.3f} by the best one"
        f" ({best}), {trees(digits, label):.3f} by last digits, {trees(rest, label):.3f} by"
        " differences from the formulas"
    )


def show_shifted(folder: Path, name: str, table: pa.Table) -> None:
    """Draw the selected events of three scales."""
    samples = {}
    for scale in (1.0, 0.9, 1.1):
        shifted = derive("tau-energy-scale", table, seed=1, scale=scale)
        chosen = shifted.filter(shifted["Selected"])
        samples[f"scale {scale:g}, {chosen.num_rows}"] = {c: floats_of(chosen, c) for c in FEATURES}
    write(folder / f"{name}-tes.svg", f"{name}, tau energy scale, selected events", samples)


def area(values: Floats, label: NDArray[np.bool_]) -> float:
    """Area under the ROC curve of a column, either way round."""
    defined = ~np.isnan(values)
    found = float(roc_auc_score(label[defined], values[defined]))
    return max(found, 1 - found)


def trees(values: Floats, label: NDArray[np.bool_]) -> float:
    """Area under the ROC curve of boosted trees, trained on two thirds, on the last one."""
    end = 2 * len(label) // 3
    fitted = HistGradientBoostingClassifier(
        max_iter=120, max_leaf_nodes=16, learning_rate=0.1, random_state=0
    ).fit(values[:end], label[:end])
    return float(roc_auc_score(label[end:], fitted.predict_proba(values[end:])[:, 1]))


def write(path: Path, title: str, samples: Mapping[str, Mapping[str, Floats]]) -> None:
    """Write a grid of histograms."""
    rows = -(-len(FEATURES) // COLUMNS)
    width = COLUMNS * (PANEL[0] + GAP) + GAP
    height = HEAD + rows * (PANEL[1] + 2 * GAP)
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{height}"'
        f' viewBox="0 0 {width} {height}" font-family="sans-serif" font-size="11">',
        f'<rect width="{width}" height="{height}" fill="white"/>',
        f'<text x="{GAP}" y="20" font-size="14">{title}</text>',
    ]
    for number, name in enumerate(samples):
        left = 480 + 180 * number
        parts.append(
            f'<text x="{left}" y="20" font-size="14" fill="{COLOURS[number]}">{name}</text>'
        )
    for number, column in enumerate(FEATURES):
        left = GAP + number % COLUMNS * (PANEL[0] + GAP)
        top = HEAD + GAP + number // COLUMNS * (PANEL[1] + 2 * GAP)
        parts += panel(column, [sample[column] for sample in samples.values()], left, top)
    path.write_text("\n".join([*parts, "</svg>"]) + "\n")
    print(f"wrote {path}")


def panel(column: str, samples: list[Floats], left: float, top: float) -> list[str]:
    """Draw the distributions of one column, each of area 1."""
    samples = [values[~np.isnan(values)] for values in samples]
    low, high = np.quantile(np.concatenate(samples), [0.001, 0.995])
    edges = np.linspace(low, max(high, low + 0.001), BINS + 1)
    counts = [np.histogram(values, edges)[0] / len(values) for values in samples]
    highest = max(count.max() for count in counts)
    one, other = samples[0], samples[-1]
    label = np.repeat([False, True], [len(one), len(other)])
    alone = area(np.concatenate([one, other]), label)
    grey = COLOURS[0]
    bottom = top + PANEL[1]
    parts = [
        f'<text x="{left}" y="{top - 5}">{column} ({alone:.3f})</text>',
        f'<path d="M{left},{top}V{bottom}H{left + PANEL[0]}" fill="none" stroke="{grey}"/>',
        f'<text x="{left}" y="{bottom + 13}" fill="{grey}">{edges[0]:.4g}</text>',
        f'<text x="{left + PANEL[0]}" y="{bottom + 13}" fill="{grey}" text-anchor="end">'
        f"{edges[-1]:.4g}</text>",
    ]
    step = PANEL[0] / BINS
    for colour, count in zip(COLOURS, counts, strict=False):
        heights = bottom - 0.95 * PANEL[1] * count / highest
        line = "".join(f"V{y:.1f}h{step:.2f}" for y in heights)
        parts.append(
            f'<path d="M{left},{bottom}{line}" fill="none" stroke="{colour}" stroke-width="1.3"/>'
        )
    return parts


if __name__ == "__main__":
    main()
