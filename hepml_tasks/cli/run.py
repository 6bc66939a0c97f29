"""`hepml run`: one flow on one task."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from hepml_tasks.cli import options

if TYPE_CHECKING:
    from hepml_tasks.openml.connection import Connection
    from hepml_tasks.running.task import Task


@click.command()
@click.argument("task")
@click.option("--flow", required=True, help="One of `hepml flows`.")
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
    flow: str,
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

    Example: hepml run toy-higgs --flow xgboost --server http://127.0.0.1:8080
    """
    from hepml_tasks import api
    from hepml_tasks.flows import find_flow

    chosen = find_flow(flow)
    connection = options.connection(server, key_file)
    loaded = _load(task, connection, split=split, events=events, progress=not as_json)
    with options.cluster(dask, farm, workers) as cluster:
        result = api.run(
            chosen.build(),
            loaded,
            name=chosen.name,
            seed=seed,
            spool=options.spool_folder(spool),
            n_jobs=n_jobs,
            dask=None if cluster is None else cluster.client,
            on_fold=options.fold_bar(f"{loaded.name} {flow}"),
        )
    scores = result.folder.scores
    told = {"folder": str(result.folder.path), **scores}
    if connection is not None:
        from hepml_tasks.openml.publication import publish_run, wait_for_evaluation

        published = publish_run(connection, result.folder)
        told |= {"run_id": published.run_id, "task_id": published.task_id}
        if connection.is_ours():
            state = wait_for_evaluation(connection, published.run_id)
            told |= {"server": {k: state[k] for k in ("scores", "folds", "differs")}}
            # of a task with withheld labels there are no others
            scores = scores if scores["scores"] else state
    if as_json:
        options.print_json(told)
        return
    if not scores["scores"]:
        click.echo(f"Its labels are withheld: the server scores it. Run folder: {told['folder']}")
        return
    options.print_scores(scores["scores"], scores["folds"])
    click.echo(f"\n± is one standard deviation of the test sample. Run folder: {told['folder']}")
    if "run_id" in told:
        click.echo(f"Published as run {told['run_id']} of task {told['task_id']}.")


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
