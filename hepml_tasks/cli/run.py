"""`hepml run`: one flow on one task."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from hepml_tasks.cli import options

if TYPE_CHECKING:
    from hepml_tasks.api import Run
    from hepml_tasks.openml.connection import Connection
    from hepml_tasks.running.task import Task


@click.command()
@click.argument("task")
@click.option("--flow", help="One of `hepml flows`.")
@click.option(
    "--predictions",
    type=click.Path(dir_okay=False, path_type=Path),
    help="Instead of a flow: a table of predictions that another program made.",
)
@click.option("--flow-name", help="With --predictions: what made them is called.")
@click.option(
    "--describe", metavar="TEXT|FILE", help="With --predictions: how they were made, in words."
)
@click.option(
    "--flow-version", default="1", show_default=True, help="With --predictions: of what made them."
)
@options.split
@options.events
@options.seed
@options.n_jobs
@options.dask
@options.farm
@options.workers
@options.spool
@options.server
@options.key_file
@options.as_json
def run(
    task: str,
    flow: str | None,
    predictions: Path | None,
    flow_name: str | None,
    describe: str | None,
    flow_version: str,
    split: str | None,
    events: int | None,
    seed: int,
    n_jobs: int | None,
    dask: str | None,
    farm: str | None,
    workers: int,
    spool: Path | None,
    server: str | None,
    key_file: Path | None,
    as_json: bool,
) -> None:
    """Run FLOW on TASK (a name, or a .yaml file), score it, and publish it if a server is named.

    The run is a folder in the spool first. The same command again goes on where it stopped. TASK
    may also be one whose test labels only the server has: it is scored there.

    With --predictions nothing is fitted: the table (CSV, Parquet, ARFF, HDF5 or ROOT, with columns
    row, prediction, confidence.CLASS, and fold and repeat where the row doesn't tell them) is
    checked against the task's split, scored and kept as a run that can't be reproduced from here.

    Example: hepml run toy-higgs --flow xgboost --server http://127.0.0.1:8080

    Example: hepml run toy-higgs --predictions scores.csv --flow-name my-net --describe "A network"
    """
    if (flow is None) == (predictions is None):
        raise click.UsageError("name what to run with --flow, or a file with --predictions")
    options.refuse_limits(dask, farm, n_jobs=n_jobs)
    connection = options.connection(server, key_file)
    loaded = _load(task, connection, split=split, events=events, progress=not as_json)
    folder_of_runs = options.spool_folder(spool)
    if flow is not None:
        with options.cluster(dask, farm, workers) as cluster:
            client = None if cluster is None else cluster.client
            result = _fit(flow, loaded, seed, folder_of_runs, n_jobs, client)
    elif predictions is not None and flow_name is not None and describe is not None:
        result = _adopt(predictions, loaded, flow_name, describe, flow_version, folder_of_runs)
    else:
        raise click.UsageError("--predictions needs --flow-name and --describe")
    told, scores = _told(result, connection)
    if as_json:
        options.print_json(told)
        return
    if not scores["scores"]:
        click.echo(f"Its labels are withheld: the server scores it. Run folder: {told['folder']}")
        return
    options.print_scores(scores["scores"], scores["folds"])
    click.echo(f"\n± is one standard deviation of the test sample. Run folder: {told['folder']}")
    if "run_id" in told:
        how = "The server had it already, as" if told["was_there"] else "Published as"
        click.echo(f"{how} run {told['run_id']} of task {told['task_id']}.")


def _told(result: Run, connection: Connection | None) -> tuple[dict[str, Any], Mapping[str, Any]]:
    """Publish a run where there is a server: what is told of it, and the scores that count."""
    scores: Mapping[str, Any] = result.folder.scores
    told: dict[str, Any] = {"folder": str(result.folder.path), **scores}
    if connection is not None:
        from hepml_tasks.openml.publication import publish_run, wait_for_evaluation

        published = publish_run(connection, result.folder)
        told |= {"run_id": published.run_id, "task_id": published.task_id}
        told |= {"was_there": published.was_there}
        if connection.is_ours():
            state = wait_for_evaluation(connection, published.run_id)
            told |= {"server": {k: state[k] for k in ("scores", "folds", "differs")}}
            # of a task with withheld labels there are no others
            scores = scores if scores["scores"] else state
    return told, scores


def _fit(flow: str, task: Task, seed: int, spool: Path, n_jobs: int | None, dask: Any) -> Run:
    from hepml_tasks import api
    from hepml_tasks.flows import find_flow

    chosen = find_flow(flow)
    return api.run(
        chosen.build(),
        task,
        name=chosen.name,
        seed=seed,
        spool=spool,
        n_jobs=n_jobs,
        dask=dask,
        on_fold=options.fold_bar(f"{task.name} {flow}"),
    )


def _adopt(
    path: Path,
    task: Task,
    name: str,
    describe: str,
    version: str,
    spool: Path,
) -> Run:
    from hepml_tasks import api

    about = _text_of(describe)
    return api.run_from_predictions(
        path, task, name=name, about=about, version=version, spool=spool
    )


def _text_of(text: str) -> str:
    """Return a text, or that of the file that it names."""
    from hepml_tasks.errors import RunError

    path = Path(text)
    try:
        return path.read_text("utf-8") if len(text) < 255 and path.is_file() else text
    except (OSError, UnicodeDecodeError) as error:
        raise RunError(
            f"{path}: can't be read as text ({error}); describe with --describe"
        ) from error


def _load(
    name: str,
    connection: Connection | None,
    *,
    split: str | None,
    events: int | None,
    progress: bool,
) -> Task:
    """Find a task here, or among those of the server whose labels it withholds."""
    from hepml_tasks.openml.private import private_spec, private_tasks
    from hepml_tasks.running.task import as_task, load_task
    from hepml_tasks.spec import task_names

    is_here = name in task_names() or Path(name).suffix in {".yaml", ".yml"}
    if connection is not None and not is_here and connection.is_ours():
        names = {entry["name"] for entry in private_tasks(connection)}
        if name in names:
            spec = private_spec(connection, name)
            return as_task(spec, split=split, events=events, progress=progress)
    return load_task(name, split=split, events=events, progress=progress)
