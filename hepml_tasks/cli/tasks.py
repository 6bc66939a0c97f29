"""`hepml tasks`: the tasks of this package, and the checker for one's own."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from hepml_tasks.cli import options

if TYPE_CHECKING:
    from collections.abc import Iterator

    from hepml_tasks.spec import DatasetSpec, TaskSpec


@click.group(invoke_without_command=True)
@options.as_json
@click.pass_context
def tasks(context: click.Context, as_json: bool) -> None:
    """List the tasks, show one, or check a file of your own.

    Example: hepml tasks show higgsml
    """
    if context.invoked_subcommand is not None:
        return
    from hepml_tasks.spec import find_task, task_names

    specs = [find_task(name) for name in task_names()]
    if as_json:
        options.print_json(
            [
                {
                    "name": s.name,
                    "title": s.title,
                    "splits": [p.name for p in s.splits],
                    "data": _data(s.dataset),
                }
                for s in specs
            ]
        )
        return
    rows = [
        (s.name, s.metrics.primary, ", ".join(p.name for p in s.splits), _data(s.dataset), s.title)
        for s in specs
    ]
    options.print_table(("task", "primary", "splits", "data", "what"), rows)


def _data(dataset: DatasetSpec) -> str:
    """Say whether the data are at hand, and whether their archive vouches for them."""
    if dataset.simulator is not None:
        return "simulated"
    if dataset.derived is not None:
        state = _data(dataset.derived.source)
        return "unverified" if state == "verified" and not dataset.derived.checksum else state
    from hepml_tasks.data.cache import state_of

    states = {state_of(file, dataset=dataset.name) for file in dataset.files}
    return next(s for s in ("absent", "unverified", "verified") if s in states)


def _origin(dataset: DatasetSpec) -> str:
    if dataset.simulator is not None:
        return f"simulator {dataset.simulator.name}"
    if (d := dataset.derived) is not None:
        return f"{d.function} of {d.source.name} {d.source.version} ({_origin(d.source)})"
    return str(dataset.source)


@tasks.command()
@click.argument("name")
@options.as_json
def show(name: str, as_json: bool) -> None:
    """Show a task: what it is, its data, its figure of merit, published scores.

    Example: hepml tasks show toy-higgs
    """
    from hepml_tasks.spec import find_task, to_mapping

    spec = find_task(name)
    if as_json:
        options.print_json(to_mapping(spec))
        return
    dataset = spec.dataset
    click.echo(f"{spec.title} ({spec.name})\n")
    click.echo(f"{spec.about.physicist}\n\n{spec.about.ml}\n\n{spec.caveat}\n")
    rows = "unknown number of" if dataset.rows is None else dataset.rows
    click.echo(f"data      {dataset.name} {dataset.version}, {rows} events, {_origin(dataset)}")
    if dataset.doi:
        click.echo(f"doi       {dataset.doi}")
    click.echo(f"licence   {dataset.licence}")
    click.echo(f"splits    {', '.join(s.name for s in spec.splits)}")
    click.echo(f"metrics   {', '.join(spec.metrics.names)} (ranked by the first)")
    for line in _registered(name, spec):
        click.echo(f"openml    {line}")
    for r in spec.references:
        click.echo(f"published {r.metric} {r.value} {r.method} ({r.source}; {r.note})")
    click.echo(f"\nstart     hepml run {spec.name} --flow logistic")


def _registered(name: str, spec: TaskSpec) -> Iterator[str]:
    """Say which tasks servers have of this one, and which of them a newer version succeeds."""
    from hepml_tasks.openml.lockfile import locks_for, read_lock
    from hepml_tasks.spec import task_path

    for lock in locks_for(task_path(name)):
        for root, kinds in read_lock(lock).items():
            for key, entry in kinds["tasks"].items():
                task, _, version = key.rpartition("@")
                if task.rpartition("/")[0] != spec.name:
                    continue
                newer = kinds["tasks"].get(entry.get("successor"))
                after = "" if newer is None else f"; superseded by task {newer['id']}"
                yield f"{root} task {entry['id']}: {task}, version {version}{after}"


@tasks.command()
@click.argument("files", nargs=-1, required=True, type=click.Path(path_type=Path))
@click.option("--data/--no-data", default=True, help="Also load the data and check the columns.")
def check(files: tuple[Path, ...], data: bool) -> None:
    """Check task files: every field, and that the data have what the file says.

    Example: hepml tasks check my-task.yaml
    """
    from hepml_tasks.running.task import as_task
    from hepml_tasks.spec import read_task

    for file in files:
        spec = read_task(file)
        if not data:
            click.echo(f"{file}: task {spec.name} is well formed")
            continue
        for split in spec.splits:
            task = as_task(spec, split=split.name, progress=True)
            click.echo(
                f"{file}: task {task.name}: {len(task.events)} events,"
                f" {len(task.events.features)} features, {len(task.splits)} fits"
            )
