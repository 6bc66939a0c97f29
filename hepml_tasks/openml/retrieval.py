"""Fetch a run from a server, with all that its scores are computed from. No key is needed."""

from __future__ import annotations

import hashlib
import json
import tempfile
from collections.abc import Iterator, Mapping
from functools import lru_cache
from pathlib import Path
from typing import Any

from hepml_tasks.errors import ChecksumError, RunError, ServerError
from hepml_tasks.evaluation.claims import UNCERTAINTY, VALUE, Claim, claims_of, fold_place
from hepml_tasks.evaluation.evaluate import Truth
from hepml_tasks.evaluation.evidence import Evidence
from hepml_tasks.evaluation.predictions import Predictions, read_predictions
from hepml_tasks.evaluation.truth import read_truth
from hepml_tasks.openml.beyond import describe_task
from hepml_tasks.openml.connection import Connection, as_list
from hepml_tasks.openml.details import ERROR_SUFFIX, lineage_tag, parse_details
from hepml_tasks.openml.tags import tags_of
from hepml_tasks.running.task import Task, load_task
from hepml_tasks.spec import EvaluationSpec, find_task, from_mapping, task_names, to_mapping
from hepml_tasks.splits import Split, is_curve, last_samples, read_split_file

# run_details has six digits of a value and three of its uncertainty
_DETAILS_RELATIVE = {VALUE: 6e-6, UNCERTAINTY: 6e-3}
# OpenML's own engine writes six decimals
_ENGINE_ABSOLUTE = 1e-6
_NO_METRICS = frozenset({"uuid", "key", "flow", "seed", "made", "seconds"})


def fetch_run(
    connection: Connection, run_id: int, *, spec: EvaluationSpec | None = None
) -> Evidence:
    """Fetch a run's predictions, its task's splits and dataset, and what is claimed of it.

    Parameters
    ----------
    connection : Connection
    run_id : int
    spec : EvaluationSpec, optional
        How its task is scored; by default what a server of this package keeps with the task. On
        another, the task of this package that the task's tag names.

    Returns
    -------
    Evidence
        On a server of this package the claims are the uploader's and the server's own scores; on
        another the evaluations that the run is listed with; on both those of `run_details`.

    Raises
    ------
    ServerError
        For a run that isn't there.
    RunError
        For a run without predictions, or a task whose way of scoring isn't known.
    """
    if connection.is_ours() and (found := _fetch_beyond(connection, run_id, spec)) is not None:
        return found
    run = connection.get(f"run/{run_id}")["oml:run"]
    task = connection.get(f"task/{run['oml:task_id']}")["oml:task"]
    chosen = _spec_of(connection, int(run["oml:task_id"])) if spec is None else spec
    files = files_of(run)
    if "predictions" not in files:
        raise RunError(f"{connection.root}: run {run_id} has no predictions")
    inputs = {i["@name"]: i for i in as_list(task["oml:input"])}
    dataset_id = int(inputs["source_data"]["oml:data_set"]["oml:data_set_id"])
    procedure = inputs["estimation_procedure"]["oml:estimation_procedure"]
    splits = _splits(connection, procedure["oml:data_splits_url"])
    curve, url = is_curve(splits), files["predictions"]
    return Evidence(
        name=f"run {run_id} of {connection.root}",
        predictions=_predictions(connection, run_id, url, chosen, curve=curve),
        splits=last_samples(splits),
        truth=_truth(connection, dataset_id, json.dumps(to_mapping(chosen), sort_keys=True)),
        spec=chosen,
        claims=tuple(_claims(connection, run_id, run)),
    )


def files_of(run: Mapping[str, Any]) -> dict[str, str]:
    """Return the addresses of a run's files by name, from OpenML's description of it."""
    output = run.get("oml:output_data") or {}
    return {f["oml:name"]: f["oml:url"] for f in as_list(output.get("oml:file"))}


def _fetch_beyond(
    connection: Connection, run_id: int, spec: EvaluationSpec | None
) -> Evidence | None:
    """Fetch a run on a task that OpenML can't carry; None where its task is another."""
    run = connection.get_json(f"run/{run_id}")
    task = describe_task(connection, int(run["task_id"]))
    if task["carried_by_openml"]:
        return None
    chosen = spec or from_mapping(task["spec"], EvaluationSpec, origin=f"spec of run {run_id}")
    if "predictions" not in run["files"]:
        raise RunError(f"{connection.root}: run {run_id} has no predictions")
    claims = (*_claims_of_uploader(run["claims"]), *claims_of(run, by="the server's scores"))
    text = json.dumps(to_mapping(chosen), sort_keys=True)
    return Evidence(
        name=f"run {run_id} of {connection.root}",
        predictions=_predictions(
            connection, run_id, run["files"]["predictions"], chosen, curve=False
        ),
        splits=_splits(connection, task["files"]["splits"]),
        truth=_truth_at(connection, task["files"]["truth"], text),
        spec=chosen,
        claims=(*claims, *_claims_in_details(run["details"])),
    )


@lru_cache(maxsize=1)
def _truth_at(connection: Connection, url: str, spec: str) -> Truth:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "truth.parquet"
        connection.download(url, path)
        return read_truth(path, from_mapping(json.loads(spec), EvaluationSpec, origin="spec"))


def _spec_of(connection: Connection, task_id: int) -> EvaluationSpec:
    if not connection.is_ours():
        tagged = _tagged_task(connection, task_id)
        if tagged is not None:
            return tagged.evaluation_spec()
        raise RunError(
            f"{connection.root} doesn't say how task {task_id} is scored: name the task, or its"
            " file, with --task"
        )
    try:
        data = connection.get_json(f"task/{task_id}/spec")
    except ServerError as error:
        raise RunError(f"{error}; name the task, or its file, with --task") from error
    return from_mapping(data, EvaluationSpec, origin=f"spec of task {task_id}")


def _tagged_task(connection: Connection, task_id: int) -> Task | None:
    """Find the task of this package that a foreign server's task says to be, by its tag."""
    tags = tags_of(connection, "task", task_id)
    for name in task_names():
        for split in find_task(name).splits:
            if lineage_tag(name, split.name) in tags:
                return load_task(name, split=split.name)
    return None


def _predictions(
    connection: Connection, run_id: int, url: str, spec: EvaluationSpec, *, curve: bool
) -> Predictions:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / f"predictions of run {run_id}{_ending(url)}"
        connection.download(url, path)
        return read_predictions(path, spec, curve=curve)


# Several runs are usually of one task: what belongs to the task is fetched once.
@lru_cache(maxsize=2)
def _splits(connection: Connection, url: str) -> tuple[Split, ...]:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / f"splits{_ending(url)}"
        connection.download(url, path)
        return tuple(read_split_file(path))


def _ending(url: str) -> str:
    return ".parquet" if url.endswith(".parquet") else ".arff"


@lru_cache(maxsize=1)
def _truth(connection: Connection, dataset_id: int, spec: str) -> Truth:
    described = connection.get(f"data/{dataset_id}")["oml:data_set_description"]
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / f"dataset {dataset_id}.arff"
        connection.download(described["oml:url"], path)
        recorded = described.get("oml:md5_checksum")
        with path.open("rb") as file:
            found = hashlib.file_digest(file, lambda: hashlib.md5(usedforsecurity=False))
        if recorded and found.hexdigest() != recorded:
            raise ChecksumError(
                f"{connection.root}: dataset {dataset_id} has md5 {found.hexdigest()}, and"
                f" {recorded} by its description; the file was changed or cut"
            )
        return read_truth(path, from_mapping(json.loads(spec), EvaluationSpec, origin="spec"))


def _claims(connection: Connection, run_id: int, run: Mapping[str, Any]) -> Iterator[Claim]:
    if connection.is_ours():
        report = connection.get_json(f"run/{run_id}")
        yield from _claims_of_uploader(report["claims"])
        yield from claims_of(report, by="the server's scores")
    else:
        yield from _claims_of_engine((run.get("oml:output_data") or {}).get("oml:evaluation"))
    yield from _claims_in_details(run.get("oml:run_details"))


def _claims_of_uploader(claims: list[Mapping[str, Any]]) -> Iterator[Claim]:
    for claim in claims:
        if "sample" in claim:  # of a learning curve's inner samples
            continue
        place = _place(claim["repeat"], claim["fold"])
        yield Claim(claim["measure"], place, _float(claim["value"]), "the uploader's claims")


def _claims_of_engine(evaluations: Any) -> Iterator[Claim]:
    for entry in as_list(evaluations):
        value = _float(entry.get("oml:value"))
        if value is not None and "@sample" not in entry:
            place = _place(entry.get("@repeat"), entry.get("@fold"))
            name = entry["oml:name"]
            yield Claim(name, place, value, "the run's evaluations", absolute=_ENGINE_ABSOLUTE)


def _claims_in_details(text: str | None) -> Iterator[Claim]:
    details = parse_details(text)
    if "uuid" not in details:  # another program's
        return
    for name, figure in details.items():
        metric, place = name, VALUE
        if name.endswith(ERROR_SUFFIX) and name.removesuffix(ERROR_SUFFIX) in details:
            metric, place = name.removesuffix(ERROR_SUFFIX), UNCERTAINTY
        value = _float(figure)
        if metric not in _NO_METRICS and value is not None:
            relative = _DETAILS_RELATIVE[place]
            yield Claim(metric, place, value, "run_details", relative=relative)


def _place(repeat: Any, fold: Any) -> str:
    return VALUE if fold is None else fold_place(int(repeat or 0), int(fold))


def _float(text: Any) -> float | None:
    try:
        return None if text is None else float(text)
    except ValueError:
        return None
