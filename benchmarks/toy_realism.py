"""How far toy-higgs is from the real HiggsML events, and whether it ranks classifiers as they do.

Usage: ``python benchmarks/toy_realism.py [--seed N] [--folds K]``. The real events are those of
HEPML_TEST_DATA, or else of ``../shared/data`` beside the repository. Takes some minutes.

1. Boosted trees are trained to tell toy events from as many real ones, class by class, on the
   columns that both have; no weights, ids, MMC or collinear mass. 0.5 would be a perfect toy.
2. Medians of every column on both sides, by class, over the events in which it is defined.
3. Six classifiers are cross-validated on both sides and ranked by weighted AUC.

The toy is made in the composition of the real sample; processes of real background events are read
off their weights, which take a few values for Z (those that repeat) and one for top pairs.
"""

from __future__ import annotations

import argparse
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy import stats
from sklearn.base import ClassifierMixin
from sklearn.dummy import DummyClassifier
from sklearn.ensemble import ExtraTreesClassifier, HistGradientBoostingClassifier
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import roc_auc_score
from sklearn.model_selection import StratifiedKFold
from sklearn.neural_network import MLPClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from hepml_tasks.data.kinematics import DERIVED, PRIMITIVE
from hepml_tasks.data.simulators import simulate

COLUMNS = [*DERIVED, *PRIMITIVE]
TOP_WEIGHT = 0.226870
CLASSES = {"signal": "H", "background": "ZWT", "Z": "Z", "W": "W", "T": "T"}
Floats = NDArray[np.float64]


def main() -> None:
    """Print the three comparisons."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seed", type=int, default=1, help="of the toy (default 1)")
    parser.add_argument("--folds", type=int, default=5, help="of cross-validation (default 5)")
    options = parser.parse_args()

    real = read_real()
    shares = {name: float((real["Process"] == name).mean()) for name in "HZWT"}
    matched = read_toy(len(real), options.seed, shares)
    default = read_toy(len(real), options.seed, None)
    print(f"real: {len(real)} events, {composition(real)}")
    print(f"toy:  {len(matched)} events, same composition, seed {options.seed}\n")
    print_separation(real, matched, options.folds)
    print_medians(real, matched)
    print_ranking({"real": real, "toy": matched, "toy default": default}, options.folds)


def read_real() -> pd.DataFrame:
    """Read the real events, with a decoded column Process."""
    beside = Path(__file__).resolve().parents[2] / "shared" / "data"
    folder = Path(os.environ.get("HEPML_TEST_DATA", beside)) / "higgsml"
    files = sorted(folder.glob("*.csv.gz"))
    if not files:
        raise SystemExit(f"no real events in {folder}; set HEPML_TEST_DATA to the data's folder")
    table = pd.read_csv(files[0])
    background = table["Label"] == "b"
    repeats = table.groupby("Weight")["Weight"].transform("size")
    table["Process"] = np.select(
        [~background, np.isclose(table["Weight"], TOP_WEIGHT, atol=1e-6), repeats > 5],
        ["H", "T", "Z"],
        "W",
    )
    return table.replace(-999.0, np.nan)


def read_toy(events: int, seed: int, shares: dict[str, float] | None) -> pd.DataFrame:
    """Simulate as many toy events."""
    table = simulate("toy-higgs", events=events, seed=seed, shares=shares)
    frame: pd.DataFrame = table.to_pandas().replace(-999.0, np.nan)
    return frame


def composition(table: pd.DataFrame) -> str:
    """Say the shares of the processes."""
    shares = table["Process"].value_counts(normalize=True)
    return ", ".join(f"{name} {100 * shares[name]:.1f} %" for name in "HZWT")


def of_class(table: pd.DataFrame, name: str) -> pd.DataFrame:
    """Keep the events of a class."""
    return table[table["Process"].isin(list(CLASSES[name]))]


def out_of_fold(
    make: Callable[[], ClassifierMixin], features: Floats, label: NDArray[Any], folds: int
) -> Floats:
    """Score every event by a classifier that has not seen it."""
    score = np.zeros(len(label))
    splits = StratifiedKFold(folds, shuffle=True, random_state=0)
    for train, test in splits.split(features, label):
        fitted: Any = make()
        fitted.fit(features[train], label[train])
        score[test] = fitted.predict_proba(features[test])[:, 1]
    return score


def auc_with_error(label: NDArray[Any], score: Floats) -> tuple[float, float]:
    """AUC and its standard error from the placement values (DeLong et al., 1988)."""
    positive, negative = score[label == 1], score[label == 0]
    ranks = stats.rankdata(np.concatenate([positive, negative]))
    above = (ranks[: len(positive)] - stats.rankdata(positive)) / len(negative)
    below = 1 - (ranks[len(positive) :] - stats.rankdata(negative)) / len(positive)
    variance = above.var(ddof=1) / len(positive) + below.var(ddof=1) / len(negative)
    return float(above.mean()), float(np.sqrt(variance))


def weighted_auc_with_error(
    label: NDArray[Any], score: Floats, weight: Floats, replicas: int = 100
) -> tuple[float, float]:
    """Weighted AUC and its bootstrap standard error."""
    random = np.random.default_rng(0)
    values = [
        roc_auc_score(label, score, sample_weight=weight * random.poisson(1.0, len(label)))
        for _ in range(replicas)
    ]
    return float(roc_auc_score(label, score, sample_weight=weight)), float(np.std(values))


def trees() -> HistGradientBoostingClassifier:
    """Boosted trees of the separation test."""
    return HistGradientBoostingClassifier(
        max_iter=200, max_leaf_nodes=16, learning_rate=0.06, random_state=0
    )


def print_separation(real: pd.DataFrame, toy: pd.DataFrame, folds: int) -> None:
    """Print how well toy and real events can be told apart."""
    print("1. AUC of boosted trees, toy against real (0.5: alike), and the most telling columns")
    print(f"{'class':11s} {'real':>6s} {'all':>15s} {'DER only':>15s} {'PRI only':>15s}  columns")
    for name in CLASSES:
        sides = [of_class(table, name) for table in (real, toy)]
        label = np.repeat([0, 1], [len(side) for side in sides])
        both = pd.concat(sides)
        cells = []
        for columns in (COLUMNS, list(DERIVED), list(PRIMITIVE)):
            score = out_of_fold(trees, both[columns].to_numpy(), label, folds)
            value, error = auc_with_error(label, score)
            cells.append(f"{value:7.3f} ± {error:.3f}")
        alone = {}
        for column in COLUMNS:
            defined = both[column].notna().to_numpy()
            value = roc_auc_score(label[defined], both[column].to_numpy()[defined])
            alone[column] = max(value, 1 - value)
        telling = sorted(alone, key=lambda column: -alone[column])[:3]
        named = ", ".join(f"{column[4:]} {alone[column]:.2f}" for column in telling)
        print(f"{name:11s} {len(sides[0]):6d} {' '.join(cells)}  {named}", flush=True)
    print()


def print_medians(real: pd.DataFrame, toy: pd.DataFrame) -> None:
    """Print medians of both sides."""
    print("2. Medians where defined, real / toy")
    print(f"{'column':27s}" + "".join(f"{name:>18s}" for name in CLASSES))
    for column in COLUMNS:
        cells = []
        for name in CLASSES:
            pair = [of_class(table, name)[column].median() for table in (real, toy)]
            cells.append(f"{pair[0]:9.2f} /{pair[1]:7.2f}")
        print(f"{column:27s}" + "".join(cells))
    print()


def classifiers() -> dict[str, Callable[[], ClassifierMixin]]:
    """Make the six classifiers, with imputation where they can't do without."""

    def filled(model: ClassifierMixin) -> ClassifierMixin:
        return make_pipeline(SimpleImputer(strategy="median"), StandardScaler(), model)

    made: dict[str, Callable[[], ClassifierMixin]] = {
        "prior": lambda: DummyClassifier(strategy="prior"),
        "logistic regression": lambda: filled(LogisticRegression(max_iter=1000)),
        "extra trees": lambda: filled(
            ExtraTreesClassifier(200, min_samples_leaf=3, n_jobs=2, random_state=0)
        ),
        "HistGradientBoosting": trees,
        "MLP": lambda: filled(
            MLPClassifier((64, 64), early_stopping=True, alpha=1e-3, random_state=0)
        ),
    }
    try:
        from xgboost import XGBClassifier
    except ImportError:
        print("(xgboost is not installed: left out)")
    else:
        made["XGBoost"] = lambda: XGBClassifier(
            n_estimators=200, max_depth=4, learning_rate=0.08, n_jobs=2, random_state=0
        )
    return made


def print_ranking(tables: dict[str, pd.DataFrame], folds: int) -> None:
    """Print the classifiers' weighted AUC on every table, and how the rankings agree."""
    print("3. Weighted AUC of signal against background, unweighted training")
    print(f"{'':22s}" + "".join(f"{name:>20s}" for name in tables))
    found: dict[str, list[tuple[float, float]]] = {}
    for name, make in classifiers().items():
        found[name] = []
        for table in tables.values():
            label = (table["Label"] == "s").to_numpy().astype(int)
            score = out_of_fold(make, table[COLUMNS].to_numpy(), label, folds)
            found[name].append(weighted_auc_with_error(label, score, table["Weight"].to_numpy()))
        cells = "".join(f"{value:12.4f} ± {error:.4f}" for value, error in found[name])
        print(f"{name:22s}{cells}", flush=True)
    values = np.array([[value for value, _ in row] for row in found.values()])
    for place, name in enumerate(tables):
        if place:
            spearman = stats.spearmanr(values[:, 0], values[:, place]).statistic
            kendall = stats.kendalltau(values[:, 0], values[:, place]).statistic
            print(f"real and {name}: Spearman {spearman:.2f}, Kendall {kendall:.2f}")


if __name__ == "__main__":
    main()
