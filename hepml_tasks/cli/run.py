"""`hepml run`: one flow on one task."""

from __future__ import annotations

from pathlib import Path

import click

from hepml_tasks.cli import options


@click.command()
@click.argument("task")
@click.option("--flow", required=True, help="One of `hepml flows`.")
@options.split
@options.events
@options.seed
@options.n_jobs
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
    spool: Path | None,
    server: str | None,
    key_file: Path | None,
    as_json: bool,
) -> None:
    """Run FLOW on TASK (a name, or a .yaml file), score it, and publish it if a server is named.

    The run is a folder in the spool first. The same command again goes on where it stopped.

    Example: hepml run toy-higgs --flow xgboost --server http://127.0.0.1:8080
    """
    from hepml_tasks import api
    from hepml_tasks.flows import find_flow
    from hepml_tasks.running.task import load_task

    chosen = find_flow(flow)
    connection = options.connection(server, key_file)
    loaded = load_task(task, split=split, events=events, progress=not as_json)
    result = api.run(
        chosen.build(),
        loaded,
        name=chosen.name,
        seed=seed,
        spool=options.spool_folder(spool),
        n_jobs=n_jobs,
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
    if as_json:
        options.print_json(told)
        return
    options.print_scores(scores["scores"], scores["folds"])
    click.echo(f"\n± is one standard deviation of the test sample. Run folder: {told['folder']}")
    if "run_id" in told:
        click.echo(f"Published as run {told['run_id']} of task {told['task_id']}.")
