"""The list of evaluations, and what the server found about one run."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from fastapi import APIRouter, Response
from sqlalchemy import select
from sqlalchemy.orm import Session

from hepml_tasks.pages.model import plain_json
from hepml_tasks.server.archive import RUN_FILTERS, conditions_on_runs
from hepml_tasks.server.context import Server, answer
from hepml_tasks.server.database import Dataset, Evaluation, Flow, Run, Task
from hepml_tasks.server.errors import Refused
from hepml_tasks.server.filters import Codes, parse_filters
from hepml_tasks.server.xml import Node, node, optional

router = APIRouter()

_ENGINE = 1


@router.get("/evaluation/list")
@router.get("/evaluation/list/{path:path}")
def list_evaluations(server: Server, path: str = "") -> Response:
    """List a measure's values, one a run; with `per_fold`, their values in every fold."""
    filters = parse_filters(
        path,
        {*RUN_FILTERS, "function", "sort_order", "per_fold"} - {"task_type"},
        Codes(illegal=544, value=541, offset=545, limit=546),
    )
    if not filters:
        raise Refused(540)
    order, per_fold = filters.text("sort_order"), filters.text("per_fold")
    if order not in {None, "asc", "desc"}:
        raise Refused(549)
    if per_fold not in {None, "true", "false"}:
        raise Refused(547)
    with server.database.read() as session:
        statement = (
            select(Evaluation, Run, Flow, Dataset)
            .join(Run, Run.id == Evaluation.run_id)
            .join(Flow, Flow.id == Run.flow_id)
            .join(Task, Task.id == Run.task_id)
            .join(Dataset, Dataset.id == Task.dataset_id)
            .where(Evaluation.fold.is_(None), Evaluation.value.is_not(None))
            .where(*conditions_on_runs(session, filters, study_code=555))
        )
        if (measure := filters.text("function")) is not None:
            statement = statement.where(Evaluation.measure == measure)
        if order is not None:
            value = Evaluation.value
            statement = statement.order_by(value.desc() if order == "desc" else value.asc())
        statement = statement.order_by(Evaluation.run_id, Evaluation.id)
        rows = session.execute(filters.page(statement)).all()
        if not rows:
            raise Refused(542)
        folds = (
            _folds(session, [evaluation for evaluation, *_ in rows]) if per_fold == "true" else None
        )
    return answer(
        node(
            "evaluations",
            (
                _evaluation(
                    evaluation,
                    run,
                    flow,
                    dataset,
                    None if folds is None else folds[run.id, evaluation.measure],
                )
                for evaluation, run, flow, dataset in rows
            ),
        )
    )


def _folds(
    session: Session, evaluations: Iterable[Evaluation]
) -> Mapping[tuple[int, str], list[float | None]]:
    wanted = {(e.run_id, e.measure): list[float | None]() for e in evaluations}
    rows = session.scalars(
        select(Evaluation)
        .where(
            Evaluation.run_id.in_({run_id for run_id, _ in wanted}),
            Evaluation.measure.in_({measure for _, measure in wanted}),
            Evaluation.fold.is_not(None),
        )
        .order_by(Evaluation.repeat, Evaluation.fold)
    )
    for row in rows:
        if (row.run_id, row.measure) in wanted:
            wanted[row.run_id, row.measure].append(row.value)
    return wanted


def _evaluation(
    evaluation: Evaluation,
    run: Run,
    flow: Flow,
    dataset: Dataset,
    folds: Sequence[float | None] | None,
) -> Node:
    values: dict[str, str | int] = {
        "run_id": run.id,
        "uploader": run.uploader_id,
        "task_id": run.task_id,
        "setup_id": run.setup_id,
        "flow_id": flow.id,
        "flow_name": flow.full_name,
        "data_id": dataset.id,
        "data_name": dataset.name,
        "evaluation_engine_id": _ENGINE,
        "function": evaluation.measure,
        "upload_time": run.uploaded.isoformat(sep=" "),
    }
    return node(
        "evaluation",
        (node(name, value) for name, value in values.items()),
        # With per_fold production gives the folds' values instead of the one over all.
        optional("value", evaluation.value if folds is None else None),
        optional("values", None if folds is None else json.dumps(folds)),
    )


def report(session: Session, run: Run) -> dict[str, Any]:
    """Give all that the server found about a run, for people and programs of this project.

    Returns
    -------
    dict
        `scores` by measure with uncertainties, `folds` by measure, `partitions` with scores of
        their own, what the uploader `claimed` of each measure, the single `claims`, and the
        measures in which they `differs`.
        Infinities are the strings that `float` reads.
    """
    scores: dict[str, dict[str, Any]] = {}
    folds: dict[str, list[dict[str, Any]]] = {}
    found = session.scalars(
        select(Evaluation).where(Evaluation.run_id == run.id).order_by(Evaluation.id)
    )
    for evaluation in found:
        if evaluation.fold is None:
            scores[evaluation.measure] = evaluation.detail
        else:
            folds.setdefault(evaluation.measure, []).append(
                {
                    "repeat": evaluation.repeat,
                    "fold": evaluation.fold,
                    "value": evaluation.value,
                }
            )
    return {
        "scores": scores,
        "folds": plain_json(folds),
        "partitions": run.partitions,
        "claimed": claimed(run.claims),
        "claims": plain_json(run.claims),
        "differs": run.differs,
    }


def claimed(claims: Iterable[Mapping[str, Any]]) -> dict[str, float]:
    """Give the value that an uploader claims for each measure: over all, else the folds' mean."""
    overall: dict[str, float] = {}
    folds: dict[str, list[float]] = {}
    for claim in claims:
        if claim["value"] is None or "sample" in claim:
            continue
        if claim["fold"] is None:
            overall[claim["measure"]] = claim["value"]
        else:
            folds.setdefault(claim["measure"], []).append(claim["value"])
    means = {name: sum(values) / len(values) for name, values in folds.items()}
    return means | overall
