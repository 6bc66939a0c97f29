"""The evaluation measures and estimation procedures that this server knows."""

from __future__ import annotations

import functools
from dataclasses import dataclass

from fastapi import APIRouter, Response

from hepml_tasks.server.context import answer
from hepml_tasks.server.xml import node, optional

router = APIRouter()

# As production lists them, its spelling included.
PRODUCTION_MEASURES = (
    "area_under_roc_curve",
    "average_cost",
    "binominal_test",
    "build_cpu_time",
    "build_memory",
    "c_index",
    "chi-squared",
    "class_complexity",
    "class_complexity_gain",
    "confusion_matrix",
    "correlation_coefficient",
    "cortana_quality",
    "coverage",
    "f_measure",
    "information_gain",
    "jaccard",
    "kappa",
    "kb_relative_information_score",
    "kohavi_wolpert_bias_squared",
    "kohavi_wolpert_error",
    "kohavi_wolpert_sigma_squared",
    "kohavi_wolpert_variance",
    "kononenko_bratko_information_score",
    "matthews_correlation_coefficient",
    "mean_absolute_error",
    "mean_class_complexity",
    "mean_class_complexity_gain",
    "mean_f_measure",
    "mean_kononenko_bratko_information_score",
    "mean_precision",
    "mean_prior_absolute_error",
    "mean_prior_class_complexity",
    "mean_recall",
    "mean_weighted_area_under_roc_curve",
    "mean_weighted_f_measure",
    "mean_weighted_precision",
    "weighted_recall",
    "number_of_instances",
    "os_information",
    "positives",
    "precision",
    "predictive_accuracy",
    "prior_class_complexity",
    "prior_entropy",
    "probability",
    "quality",
    "ram_hours",
    "recall",
    "relative_absolute_error",
    "root_mean_prior_squared_error",
    "root_mean_squared_error",
    "root_relative_squared_error",
    "run_cpu_time",
    "run_memory",
    "run_virtual_memory",
    "scimark_benchmark",
    "single_point_area_under_roc_curve",
    "total_cost",
    "unclassified_instance_count",
    "usercpu_time_millis",
    "usercpu_time_millis_testing",
    "usercpu_time_millis_training",
    "webb_bias",
    "webb_error",
    "webb_variance",
    "joint_entropy",
    "pattern_team_auroc10",
    "wall_clock_time_millis",
    "wall_clock_time_millis_training",
    "wall_clock_time_millis_testing",
    "unweighted_recall",
)


CLASSIFICATION, REGRESSION, LEARNING_CURVE, CLUSTERING = 1, 2, 3, 5
TYPES = {
    CLASSIFICATION: "Supervised Classification",
    REGRESSION: "Supervised Regression",
    LEARNING_CURVE: "Learning Curve",
    CLUSTERING: "Clustering",
}
"""The types of task that the client can make, with production's numbers and names."""


@dataclass(frozen=True)
class Procedure:
    """How a task's rows are split.

    Parameters
    ----------
    id, task_type : int
    name : str
    kind : str
        OpenML's `type` of the procedure.
    repeats, folds, percentage : int, optional
    stratified : bool, optional
    """

    id: int
    task_type: int
    name: str
    kind: str
    repeats: int | None = None
    folds: int | None = None
    percentage: int | None = None
    stratified: bool | None = None


_CV, _CUSTOM = "crossvalidation", "customholdout"

# Ids and numbers are production's own, so that a task keeps its procedure on either server. A
# "customholdout" takes the splits that are uploaded with the task.
PROCEDURES = {
    procedure.id: procedure
    for procedure in (
        Procedure(1, 1, "10-fold Crossvalidation", _CV, repeats=1, folds=10, stratified=True),
        Procedure(
            2,
            1,
            "5 times 2-fold Crossvalidation",
            _CV,
            repeats=5,
            folds=2,
            stratified=True,
        ),
        Procedure(
            3,
            1,
            "10 times 10-fold Crossvalidation",
            _CV,
            repeats=10,
            folds=10,
            stratified=True,
        ),
        Procedure(4, 1, "Leave one out", "leaveoneout", repeats=1, stratified=False),
        Procedure(5, 1, "10% Holdout set", "holdout", repeats=1, percentage=33, stratified=True),
        Procedure(6, 1, "33% Holdout set", "holdout", repeats=1, percentage=33, stratified=True),
        Procedure(
            7,
            2,
            "10-fold Crossvalidation",
            _CV,
            repeats=1,
            folds=10,
            stratified=False,
        ),
        Procedure(
            8,
            2,
            "5 times 2-fold Crossvalidation",
            _CV,
            repeats=5,
            folds=2,
            stratified=False,
        ),
        Procedure(
            9,
            2,
            "10 times 10-fold Crossvalidation",
            _CV,
            repeats=10,
            folds=10,
            stratified=False,
        ),
        Procedure(10, 2, "Leave one out", "leaveoneout", repeats=1, stratified=False),
        Procedure(11, 2, "10% Holdout set", "holdout", repeats=1, percentage=33, stratified=False),
        Procedure(12, 2, "33% Holdout set", "holdout", repeats=1, percentage=33, stratified=False),
        Procedure(13, 3, "10-fold Learning Curve", _CV, repeats=1, folds=10, stratified=True),
        Procedure(
            14, 3, "10 times 10-fold Learning Curve", _CV, repeats=10, folds=10, stratified=True
        ),
        Procedure(16, 1, "Custom Holdout", _CUSTOM, repeats=1, folds=1, stratified=False),
        Procedure(17, 5, "50 times Clustering", "testontrainingdata", repeats=50),
        Procedure(
            23,
            1,
            "100 times 10-fold Crossvalidation",
            _CV,
            repeats=100,
            folds=10,
            stratified=True,
        ),
        Procedure(
            24,
            2,
            "Custom 10-fold Crossvalidation",
            _CUSTOM,
            repeats=1,
            folds=10,
            stratified=False,
        ),
        Procedure(25, 1, "4-fold Crossvalidation", _CV, repeats=1, folds=4, stratified=True),
        Procedure(26, 1, "Test on Training Data", "testontrainingdata"),
        Procedure(27, 2, "Test on Training Data", "testontrainingdata"),
        Procedure(
            28, 1, "20% Holdout (Ordered)", "holdout_ordered", repeats=1, folds=1, percentage=20
        ),
    )
}


@functools.cache
def known_measures() -> tuple[str, ...]:
    """Give production's measures and after them those of this package."""
    from hepml_tasks.metrics import all_metrics

    own = (name for name in all_metrics() if name not in PRODUCTION_MEASURES)
    return (*PRODUCTION_MEASURES, *own)


@router.get("/evaluationmeasure/list")
def list_measures() -> Response:
    """Answer ``evaluationmeasure/list``."""
    measures = node("measures", (node("measure", name) for name in known_measures()))
    return answer(node("evaluation_measures", measures))


@router.get("/estimationprocedure/list")
def list_procedures() -> Response:
    """Answer ``estimationprocedure/list``."""
    return answer(
        node(
            "estimationprocedures",
            (
                node(
                    "estimationprocedure",
                    node("id", procedure.id),
                    node("ttid", procedure.task_type),
                    node("name", procedure.name),
                    node("type", procedure.kind),
                    optional("repeats", procedure.repeats),
                    optional("folds", procedure.folds),
                    optional("percentage", procedure.percentage),
                    optional("stratified_sampling", flag(procedure.stratified)),
                )
                for procedure in PROCEDURES.values()
            ),
        )
    )


def flag(value: bool | None) -> str | None:
    """Write a truth value as OpenML does."""
    return None if value is None else str(value).lower()
