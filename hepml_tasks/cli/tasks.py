"""`hepml tasks`: the tasks of this package, and the checker for one's own."""

from __future__ import annotations

import sys
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

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
    from hepml_tasks.running.checked import who_checked
    from hepml_tasks.spec import find_task, task_names

    specs = {name: find_task(name) for name in task_names()}
    if as_json:
        options.print_json([_entry(name, spec) for name, spec in specs.items()])
        return
    rows = []
    for name, spec in specs.items():
        entry = _entry(name, spec)
        rows.append(
            (
                name,
                spec.type.removesuffix("-classification"),
                "?" if entry["rows"] is None else str(entry["rows"]),
                spec.metrics.primary,
                str(entry["data"]),
                "verified" if entry["verified"] else "unverified",
                "; ".join(entry["superseded"]),
                spec.title,
            )
        )
    header = ("task", "type", "rows", "primary", "data", "checked", "successor", "what")
    options.print_table(header, rows)
    if not all(who_checked(spec) for spec in specs.values()):
        click.echo(
            "\nunverified: nobody has loaded the data and compared them with the file yet, which"
            "\n`hepml tasks check --data tasks/NAME.yaml` does"
        )


def _entry(name: str, spec: TaskSpec) -> dict[str, Any]:
    """Return what the list has of a task, as a script reads it."""
    from hepml_tasks.running.checked import who_checked

    return {
        "name": spec.name,
        "title": spec.title,
        "type": spec.type,
        "rows": spec.dataset.rows,
        "primary": spec.metrics.primary,
        "splits": [p.name for p in spec.splits],
        "data": _data(spec.dataset),
        "verified": who_checked(spec),
        "superseded": [line for line in _registered(name, spec) if "superseded by" in line],
    }


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
@click.option(
    "--data/--no-data",
    default=None,
    help="Load the data and compare them, fetched if need be, or not; by default where they are on"
    " this machine.",
)
@click.option("--archive", is_flag=True, help="Ask the archive of each DOI for its files.")
@options.as_json
def check(files: tuple[Path, ...], data: bool | None, archive: bool, as_json: bool) -> None:
    """Check task and suite files: every field, and the data against them.

    Everything that is wrong is told at once, as FILE:LINE:COLUMN. A warning is a fact that nobody
    knows, or something that a reader of scores has to know. A task whose data were loaded and
    found right is no longer `unverified` on this machine.

    Exits with 1 if there is an error in any file.

    Example: hepml tasks check my-task.yaml
    """
    from hepml_tasks.evaluation.task_files import check_files

    found = check_files(files, data=data, archive=archive, progress=not as_json)
    if as_json:
        options.print_json([asdict(f) for f in found])
    else:
        for file in found:
            for problem in file.problems:
                click.echo(str(problem), err=problem.level == "error")
            for line in file.told:
                click.echo(f"{file.file}: {line}")
        wrong, problems = sum(f.is_wrong for f in found), [p for f in found for p in f.problems]
        errors = sum(p.level == "error" for p in problems)
        click.echo(
            f"{len(found)} files, {wrong} of them wrong: {errors} errors,"
            f" {len(problems) - errors} warnings"
        )
    sys.exit(1 if any(f.is_wrong for f in found) else 0)
