"""The pages' contents, read from the database."""

from __future__ import annotations

import json
import math
import statistics
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from hepml_tasks.openml.details import parse_details
from hepml_tasks.openml.versions import SUPERSEDED
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
from hepml_tasks.server.archive import files_of
from hepml_tasks.server.context import Services
from hepml_tasks.server.database import Dataset, Flow, Parameter, Run, Setting, Study, Task, now
from hepml_tasks.server.evaluations import report
from hepml_tasks.server.evaluator import default_spec
from hepml_tasks.server.forms import user_name
from hepml_tasks.server.hidden import PRIVATE, revealed_tasks
from hepml_tasks.server.studies import members_of
from hepml_tasks.server.tagging import tags_of
from hepml_tasks.server.tasks import rows_of

TITLE = "hepml_tasks"
_AT = ", "
"""Between a measure and the part of the test events that it is of, or the value of a nuisance."""

_EFFECTS = {"spread": False, "slope": None}
"""What a score across a nuisance tells beside the worst value, and whether more of it is better."""

_PRIVATE_PART = f"{_AT}private part"
"""Ends a measure's name where its value is of withheld labels and was revealed."""
_LARGEST_ENVIRONMENT = 1_000_000


def build_site(session: Session, services: Services) -> Site:
    """Read everything that the pages show."""
    revealed = revealed_tasks(session)
    details = {
        run.id: _detail(session, services, run, revealed=run.task_id in revealed)
        for run in session.scalars(select(Run).order_by(Run.id))
    }
    by_task: dict[int, list[RunDetail]] = {}
    for detail in details.values():
        by_task.setdefault(detail.task_id, []).append(detail)
    tasks = session.scalars(select(Task).order_by(Task.id))
    return Site(
        title=TITLE,
        generated=now().isoformat(sep=" ") + " UTC",
        suites=tuple(_suites(session)),
        tasks=tuple(
            _board(session, task, by_task.get(task.id, []), revealed=task.id in revealed)
            for task in tasks
        ),
        runs=tuple(details.values()),
    )


def _suites(session: Session) -> Iterable[SuiteIndex]:
    for study in session.scalars(select(Study).where(Study.entity == "task").order_by(Study.id)):
        yield SuiteIndex(
            study.id, study.name, study.description, tuple(members_of(session, study.id))
        )


def _board(session: Session, task: Task, runs: Sequence[RunDetail], *, revealed: bool) -> TaskBoard:
    dataset = session.get_one(Dataset, task.dataset_id)
    spec = json.loads(task.spec) if task.spec else default_spec(session, task, dataset)
    # a metric of another package is computed beside those of the task
    names = dict.fromkeys([*spec["metrics"], *(name for run in runs for name in run.cells)])
    primary = spec.get("primary")
    if revealed and primary:
        primary += _PRIVATE_PART
        names = {primary: None, **names}
    measures = tuple(_measures(names, primary, spec.get("nuisance")))
    return TaskBoard(
        task_id=task.id,
        name=str(spec.get("task") or dataset.name),
        split=str(spec.get("split") or ""),
        title=str(spec.get("title") or dataset.name),
        description=str(spec.get("description") or dataset.fields["description"]),
        dataset_id=dataset.id,
        dataset=dataset.name,
        rows_in_dataset=rows_of(session, dataset.id) if task.rows is None else task.rows,
        measures=measures,
        rows=tuple(_row(run) for run in _ranked(runs, measures)),
        doi=spec.get("doi"),
        citation=spec.get("citation"),
        successor=_successor(session, task),
    )


def _successor(session: Session, task: Task) -> int | None:
    """Give the task on a newer version of the dataset that this one's tags point to."""
    for tag in tags_of(session, "task", task.id):
        number = tag.removeprefix(SUPERSEDED)
        if number != tag and number.isdecimal() and len(number) < 10:
            return int(number) if session.get(Task, int(number)) is not None else None
    return None


def _measures(names: Iterable[str], primary: str | None, nuisance: str | None) -> Iterable[Measure]:
    from hepml_tasks.metrics import all_metrics

    known = all_metrics()
    for name in names:
        base, comma, at = name.partition(_AT)
        metric = known.get(base)
        part = f"{_AT}worst over {nuisance}" if nuisance and not comma else comma + at
        better = metric.higher_is_better if metric else True
        effects = {_over(word, nuisance): more for word, more in _EFFECTS.items() if nuisance}
        yield Measure(
            name=name,
            title=f"{metric.title}{part}" if metric else name,
            higher_is_better=effects.get(at, better),
            primary=name == primary,
        )


def _over(effect: str, nuisance: str | None) -> str:
    return f"{effect} over {nuisance}"


def _across(
    merit: str,
    nuisance: str,
    scores: Mapping[str, Mapping[str, Any]],
    partitions: Mapping[str, Mapping[str, Mapping[str, Any]]],
) -> dict[str, Mapping[str, Any]]:
    """Give the figure of merit at each value of a nuisance, its spread and its slope."""
    told = {f"{merit}{_AT}{at}": s[merit] for at, s in partitions.items()}
    # of a run that was scored by an earlier version there are none
    effects = {word: scores.get(merit, {}).get(word) for word in _EFFECTS}
    return told | {
        f"{merit}{_AT}{_over(word, nuisance)}": effect for word, effect in effects.items() if effect
    }


def _ranked(runs: Sequence[RunDetail], measures: Sequence[Measure]) -> list[RunDetail]:
    primary = next((m for m in measures if m.primary), measures[0] if measures else None)

    def key(run: RunDetail) -> tuple[bool, float, int]:
        cell = run.cells.get(primary.name) if primary else None
        if cell is None or primary is None:
            return True, 0.0, run.run_id
        return False, -cell.value if primary.higher_is_better else cell.value, run.run_id

    return sorted(runs, key=key)


def _row(run: RunDetail) -> Row:
    return Row(
        run_id=run.run_id,
        flow_id=run.flow_id,
        flow=run.flow,
        flow_full_name=run.flow_full_name,
        uploader=run.uploader,
        uploaded=run.uploaded,
        status=run.status,
        cells=run.cells,
    )


def _detail(session: Session, services: Services, run: Run, *, revealed: bool) -> RunDetail:
    flow = session.get_one(Flow, run.flow_id)
    found = report(session, run)
    files = files_of(session, run.id)
    private = found["partitions"].get(PRIVATE, {}) if revealed else {}
    scores = {**found["scores"], **{f"{m}{_PRIVATE_PART}": s for m, s in private.items()}}
    spec = json.loads(session.get_one(Task, run.task_id).spec or "{}")
    if spec.get("nuisance"):
        scores |= _across(spec["primary"], spec["nuisance"], scores, found["partitions"])
    return RunDetail(
        run_id=run.id,
        task_id=run.task_id,
        flow_id=run.flow_id,
        flow=_short_name(run, flow),
        flow_full_name=flow.full_name,
        uploader=user_name(session, run.uploader_id),
        uploaded=run.uploaded.isoformat(sep=" "),
        status=run.state,
        error=run.error or run.error_message,
        cells=dict(_cells(scores, found["folds"])),
        folds={
            measure: tuple(
                FoldValue(f["repeat"], f["fold"], value)
                for f in folds
                if (value := _float(f["value"])) is not None
            )
            for measure, folds in found["folds"].items()
        },
        claimed=found["claimed"],
        differs=tuple(found["differs"]),
        parameters=_parameters(session, run),
        environment=_environment(services, dict(files)),
        files={field: f"../data/download/{file.id}/{file.name}" for field, file in files},
        elsewhere=parse_details(run.run_details).get("made") == "elsewhere",
    )


def _short_name(run: Run, flow: Flow) -> str:
    """Give a flow's name for people: the one that the run's details tell, else its own."""
    told = parse_details(run.run_details).get("flow")
    return told or flow.fields.get("custom_name") or flow.name


def _cells(
    scores: Mapping[str, Mapping[str, Any]], folds: Mapping[str, Sequence[Mapping[str, Any]]]
) -> Iterable[tuple[str, Cell]]:
    for measure, score in scores.items():
        value = _float(score.get("value"))
        if value is None:
            continue
        ends = [_float(end) for end in score.get("interval") or ()]
        low, high = ends if len(ends) == 2 else (None, None)
        values = [_float(fold["value"]) for fold in folds.get(measure, ())]
        finite = [v for v in values if v is not None and math.isfinite(v)]
        yield (
            measure,
            Cell(
                value=value,
                uncertainty=_float(score.get("uncertainty")),
                interval=None if low is None or high is None else (low, high),
                method=score.get("method") or "",
                fold_spread=statistics.stdev(finite) if len(finite) > 1 else None,
                n=score.get("n"),
                n_eff=_float(score.get("n_eff")),
            ),
        )


def _float(value: float | str | None) -> float | None:
    """Read a number as it is stored; NaN, which says nothing, is `None`."""
    number = math.nan if value is None else float(value)
    return None if math.isnan(number) else number


def _parameters(session: Session, run: Run) -> dict[str, str]:
    rows = session.execute(
        select(Parameter.flow_id, Parameter.name, Flow.name, Setting.value)
        .join(Parameter, Parameter.id == Setting.parameter_id)
        .join(Flow, Flow.id == Parameter.flow_id)
        .where(Setting.setup_id == run.setup_id)
        .order_by(Parameter.id)
    )
    return {
        name if owner == run.flow_id else f"{flow}.{name}": value or ""
        for owner, name, flow, value in rows
    }


def _environment(services: Services, files: Mapping[str, Any]) -> dict[str, Any]:
    """Read the record of where a run was made, if one came with it."""
    file = files.get("environment")
    if file is None or file.size > _LARGEST_ENVIRONMENT:
        return {}
    try:
        found = json.loads(services.files.path(file).read_bytes())
    except (OSError, ValueError, RecursionError):
        return {}
    return found if isinstance(found, dict) else {}
