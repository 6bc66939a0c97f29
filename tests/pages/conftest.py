"""A site as a busy server has it: finished, failed and waiting runs, and people who try things."""

from __future__ import annotations

import math

import pytest

from hepml_tasks.pages.model import (
    Cell,
    FoldValue,
    Measure,
    Row,
    RunDetail,
    Site,
    SuiteIndex,
    TaskBoard,
)

HOSTILE = "<script>alert('x')</script>\"><img src=x onerror=alert(1)>{{ 7 * 7 }}"

AMS = Measure("ams", "AMS", primary=True)
AUC = Measure("roc_auc", "ROC AUC")
ACCURACY = Measure("predictive_accuracy", "Accuracy")
BOOTSTRAP = "Poisson bootstrap, 200 replicas"


def cell(value: float, uncertainty: float, spread: float | None = None) -> Cell:
    return Cell(
        value=value,
        uncertainty=uncertainty,
        interval=(value - 0.97 * uncertainty, value + 1.04 * uncertainty),
        method=BOOTSTRAP,
        fold_spread=spread,
        n=18000,
        n_eff=15321.625,
    )


def row(
    run_id: int, flow: str, cells: dict[str, Cell], *, status: str = "done", **more: int
) -> Row:
    return Row(
        run_id=run_id,
        flow_id=100 + run_id,
        flow=flow,
        flow_full_name=f"hepml_tasks.flows.{flow}(1)",
        uploader="bot",
        uploaded="2026-03-01T12:00:00Z",
        status=status,
        cells=cells,
        **more,
    )


def run_of(row: Row, task_id: int, *, error: str | None = None, folds: int = 5) -> RunDetail:
    names = row.cells if row.status == "done" else {}
    return RunDetail(
        run_id=row.run_id,
        task_id=task_id,
        flow_id=row.flow_id,
        flow=row.flow,
        flow_full_name=row.flow_full_name,
        uploader=row.uploader,
        uploaded=row.uploaded,
        status=row.status,
        error=error,
        cells=row.cells,
        folds={
            name: tuple(
                FoldValue(
                    repeat, fold, row.cells[name].value * (1 + 0.04 * math.sin(7 * fold + repeat))
                )
                for repeat in range(2)
                for fold in range(folds)
            )
            for name in names
        },
        claimed={name: row.cells[name].value for name in names},
        differs=(),
        parameters={"balance": "classes", "n_estimators": "400", "learning_rate": "0.05"},
        environment={
            "python": "3.11.9",
            "packages": {"numpy": "2.4.6", "scikit-learn": "1.7.2"},
            "cpu": "8 x AMD EPYC 7543",
            "seconds": 81.25,
        },
        files={
            "predictions.arff": "../data/predictions.arff",
            "description.xml": "https://example.org/description.xml",
        },
    )


@pytest.fixture(scope="session")
def site() -> Site:
    higgs_rows = (
        row(1, "boosted trees, weighted", {"ams": cell(2.7812345678901234, 0.1234, 0.37),
            "roc_auc": cell(0.90934, 0.0024, 0.0041),
            "predictive_accuracy": cell(0.712, 0.0033)}, group=1),
        row(2, "xgboost", {"ams": cell(2.8123, 0.131, 0.29),
            "roc_auc": cell(0.9112, 0.0023, 0.0052),
            "predictive_accuracy": cell(0.731, 0.0032)}, group=1),
        row(3, "multilayer perceptron with standardised features and early stopping",
            {"ams": cell(2.31, 0.11, 0.41), "roc_auc": cell(0.884, 0.0029, 0.006),
             "predictive_accuracy": cell(0.694, 0.0034)}, group=2),
        row(4, "logistic regression", {"ams": cell(1.62, 0.072, 0.18),
            "roc_auc": cell(0.8162, 0.0035, 0.0071)}, group=3),
        row(5, HOSTILE, {"ams": cell(1.02, 0.061, 0.11), "roc_auc": cell(0.71, 0.0044)}, group=4),
        row(6, "constant", {"ams": Cell(0.6311, method="exact"),
            "roc_auc": Cell(0.5, 0.0, (0.5, 0.5), "exact")}, group=5),
        row(7, "decision tree", {}, status="failed"),
        row(8, "=HYPERLINK(\"http://evil.example\")", {}, status="pending"),
        row(9, "random forest", {}, status="running"),
    )  # fmt: skip
    toy_rows = (
        row(21, "xgboost", {"fpd": cell(0.002449779, 3.45e-5), "kpd": cell(6.4113e-5, 1.3285e-5)}),
        row(22, "boosted trees, weighted", {"fpd": cell(0.00391, 4.1e-5),
            "kpd": cell(math.nan, 1e-5)}),
    )  # fmt: skip
    higgs = TaskBoard(
        task_id=3,
        name="higgsml",
        split="cv-10",
        title="Higgs boson to two tau leptons",
        description="Select events in which a Higgs boson decays to two tau leptons.\n\n"
        "The score is the approximate median significance (AMS) with b_r = 10, with class sums "
        f"renormalised to the full luminosity. {HOSTILE}",
        dataset_id=12,
        dataset="higgsml-2014",
        rows_in_dataset=818238,
        measures=(AMS, AUC, ACCURACY),
        rows=higgs_rows,
        doi="10.7483/OPENDATA.ATLAS.ZBP2.M5T8",
        citation="ATLAS collaboration (2014). Dataset from the ATLAS Higgs Boson Machine Learning "
        "Challenge 2014.",
    )
    showers = TaskBoard(
        task_id=7,
        name="toy-showers",
        split="holdout",
        title="Toy calorimeter showers",
        description="Toy data made by the project's own simulator; not a physics result.",
        dataset_id=13,
        dataset="toy-showers",
        rows_in_dataset=50000,
        measures=(
            Measure("fpd", "FPD", higher_is_better=False, primary=True),
            Measure("kpd", "KPD", higher_is_better=False),
        ),
        rows=toy_rows,
    )
    empty = TaskBoard(
        task_id=8,
        name="quiet",
        split="cv-5",
        title="A task that nobody has run",
        description="",
        dataset_id=14,
        dataset="quiet",
        rows_in_dataset=10,
        measures=(AMS,),
        rows=(),
    )
    runs = [
        run_of(
            r, 3, error="predictions.arff has 12 of 18000 rows; upload all of them"
            if r.status == "failed" else None,
        )
        for r in higgs_rows
    ]  # fmt: skip
    second = vars(runs[1])
    runs[1] = RunDetail(
        **{
            **second,
            "claimed": {"ams": 3.1, "roc_auc": 0.9112, "brier": 0.1},
            "differs": ("ams",),
            "files": {**second["files"], "trap": "javascript:alert(1)", HOSTILE: ""},
            "parameters": {HOSTILE: HOSTILE},
        }
    )
    return Site(
        title="HEP ML leaderboards",
        generated="2026-03-02 09:30 UTC",
        suites=(
            SuiteIndex(1, "hep-2026-openml", "Supervised tasks that OpenML can carry.", (3, 8)),
            SuiteIndex(2, "hep-2026", "All tasks, including generation and tracking.", (3, 7, 99)),
        ),
        tasks=(higgs, showers, empty),
        runs=(*runs, *(run_of(r, 7, folds=1) for r in toy_rows)),
    )
