"""`hepml evaluate`: scores from predictions, wherever they are."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import click

from hepml_tasks.cli import options
from hepml_tasks.cli.evidence import origin, origin_options


@click.command()
@click.argument("runs", nargs=-1, metavar="[RUN]...")
@origin_options
@click.option("--metrics", help="Compute these instead; names with commas.")
@click.option(
    "--all", "all_", is_flag=True, help="Score all runs of the server or the spool again."
)
@click.option("--task-id", "task_ids", type=int, multiple=True, help="With --all: of these tasks.")
@options.spool
@options.key_file
@options.as_json
def evaluate(
    runs: tuple[str, ...],
    server: str | None,
    task: str | None,
    split: str | None,
    events: int | None,
    metrics: str | None,
    all_: bool,
    task_ids: tuple[int, ...],
    spool: Path | None,
    key_file: Path | None,
    as_json: bool,
) -> None:
    """Compute the scores of runs from their predictions.

    RUN is a run folder, an ARFF file of predictions (with --task), or a run's id (with --server;
    on a server that is not of hepml_tasks with --task too). Nothing is written.

    With --all the runs of a server (an administrator's key is needed), or the folders of a spool,
    are scored again and keep the new scores: those of metrics that have come since, too.

    Example: hepml evaluate 17 --server http://127.0.0.1:8080
    """
    if all_:
        if runs or metrics or task:
            raise click.UsageError("--all takes no RUN, no --task and no --metrics")
        if server is not None:
            _rescore_server(server, key_file, task_ids, as_json=as_json)
        else:
            _rescore_spool(options.spool_folder(spool), as_json=as_json)
        return
    if not runs:
        raise click.UsageError("name a RUN, or --all")
    from hepml_tasks.errors import HepmlError, UnreachableError

    names = None if metrics is None else [name.strip() for name in metrics.split(",")]
    found = origin(server, task, split, events)
    told, failed = [], False
    for run in runs:
        try:
            evidence = found.find(run)
            scores = evidence.evaluate(names).to_json()
        except UnreachableError:
            raise
        except HepmlError as error:
            if len(runs) == 1:
                raise
            failed = True
            click.echo(f"hepml: error: {run}: {error}", err=True)
            continue
        spec = evidence.spec
        told.append({"run": run, "task": f"{spec.task}/{spec.split}", **scores})
        if not as_json:
            _print(evidence.name, told[-1])
    if as_json:
        options.print_json(told)
    if failed:
        sys.exit(1)


def _print(name: str, told: dict[str, Any]) -> None:
    click.echo(f"{name}: {told['task']}, {told['n_rows']} predictions\n")
    options.print_scores(told["scores"], told["folds"])
    for part, scores in told["partitions"].items():
        click.echo(f"\n{part}")
        options.print_table(
            ("metric", "value"), [(m, options.score_text(s)) for m, s in scores.items()]
        )
    for metric, reason in told.get("left_out", {}).items():
        click.echo(f"{metric} could not be computed: {reason}")
    click.echo("\n± is one standard deviation of the test sample.\n")


def _rescore_server(
    server: str, key_file: Path | None, task_ids: tuple[int, ...], *, as_json: bool
) -> None:
    from hepml_tasks.openml import rescoring
    from hepml_tasks.openml.connection import connect

    connection = connect(server, key_file=key_file)
    tasks = list(task_ids) or rescoring.task_ids(connection)
    scored = rescoring.rescore(connection, tasks, on_run=options.bar(connection.root, unit="run"))
    if as_json:
        options.print_json(
            [
                {
                    "run_id": s.run_id,
                    "task_id": s.task_id,
                    "scores": None if s.state is None else s.state["scores"],
                    "error": s.error,
                }
                for s in scored
            ]
        )
    else:
        for s in scored:
            if s.error is not None:
                click.echo(f"task {s.task_id}, run {s.run_id}: {s.error}")
        good = sum(s.error is None for s in scored)
        click.echo(f"{good} of {len(scored)} runs on {len(tasks)} tasks scored again")
    if any(s.error is not None for s in scored):
        sys.exit(3)


def _rescore_spool(spool: Path, *, as_json: bool) -> None:
    from hepml_tasks.errors import HepmlError
    from hepml_tasks.evaluation.runs import rescore_run
    from hepml_tasks.running.folder import folders_in

    told: list[dict[str, Any]] = []
    for folder in folders_in(spool):
        if not folder.is_complete:
            continue
        name = folder.path.name
        try:
            done = rescore_run(folder)
        except HepmlError as error:
            told.append({"run": name, "error": str(error)})
            line = f"not scored: {error}"
        else:
            verdict = done.verdict.to_json()
            told.append({"run": name, "error": None, "new": list(done.new), "before": verdict})
            line = f"scored again, {_news(done.new, done.verdict.differences)}"
        if not as_json:
            options.say(f"{name}: {line}")
    if as_json:
        options.print_json(told)
    if any(t["error"] is not None for t in told):
        sys.exit(3)


def _news(new: tuple[str, ...], differences: tuple[object, ...]) -> str:
    parts = [f"new: {', '.join(new)}"] if new else []
    parts += [f"it had {d}" for d in differences]
    return "; ".join(parts) or "nothing new"
