"""`hepml register`: tasks and suites on an OpenML server."""

from __future__ import annotations

import sys
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

import click

from hepml_tasks.cli import options

if TYPE_CHECKING:
    from hepml_tasks.openml.plan import Step
    from hepml_tasks.openml.targets import Wanted


@click.command()
@click.argument("targets", metavar="TASK|SUITE...", nargs=-1, required=True)
@click.option(
    "--server",
    default="local",
    show_default=True,
    help="local, openml.org, test.openml.org, or an address.",
)
@click.option("--dry-run", is_flag=True, help="Print what would change, and change nothing.")
@click.option(
    "--offline", is_flag=True, help="With --dry-run: check the files alone, without a network."
)
@click.option(
    "--timeout",
    type=click.FloatRange(min=0),
    default=600.0,
    show_default=True,
    help="Seconds to wait until the server has processed a dataset.",
)
@click.option(
    "--lock",
    type=click.Path(dir_okay=False, path_type=Path),
    help="File that keeps the ids; openml.lock beside the task files by default, and one in your"
    " state folder for a server on this machine.",
)
@options.key_file
@options.as_json
def register(
    targets: tuple[str, ...],
    server: str,
    dry_run: bool,
    offline: bool,
    timeout: float,
    lock: Path | None,
    key_file: Path | None,
    as_json: bool,
) -> None:
    """Put tasks and suites, with their datasets, on an OpenML server.

    What is there already is found and left alone; the same command again changes nothing, and an
    interrupted one goes on. TASK/SPLIT registers another split than a task's first. Exits with 3
    while the server is still processing a dataset.

    Example: hepml register hep-toy --server openml.org --dry-run --offline
    """
    from hepml_tasks.openml.targets import problems_of, read_targets

    if offline and not dry_run:
        raise click.UsageError("--offline needs --dry-run: nothing is registered without a network")
    wanted = read_targets(targets, progress=not as_json)
    problems = problems_of(wanted, offline=offline)
    if problems and not as_json:
        for problem in problems:
            click.echo(f"hepml: error: {problem}", err=True)
    if problems or offline:
        if as_json:
            found = [asdict(problem) for problem in problems]
            options.print_json({"server": server, "problems": found})
        elif not problems:
            _print_checked(wanted, server)
        sys.exit(1 if problems else 0)
    _register(wanted, server, dry_run, timeout, lock, key_file, as_json)


def _print_checked(wanted: Wanted, server: str) -> None:
    from hepml_tasks.openml.targets import columns_of

    for entry in wanted.tasks:
        columns = columns_of(entry.task, offline=True)
        known = "columns of roles alone, for the data are not at hand"
        known = known if columns is None else f"{len(columns)} columns"
        click.echo(f" {entry.path}: task {entry.name} is within the limits ({known})")
    for suite in wanted.suites:
        click.echo(f" {suite.path}: suite {suite.suite.name} is within the limits")
    click.echo(f"nothing that {server} would refuse was found; it was not asked")


def _register(
    wanted: Wanted,
    server: str,
    dry_run: bool,
    timeout: float,
    lock: Path | None,
    key_file: Path | None,
    as_json: bool,
) -> None:
    from hepml_tasks.openml import plan
    from hepml_tasks.openml.connection import connect
    from hepml_tasks.openml.lockfile import default_lock
    from hepml_tasks.openml.register import Registration
    from hepml_tasks.openml.register import register as put

    connection = connect(server, key_file=key_file)
    path = default_lock(connection.root, wanted.files[0]) if lock is None else lock

    def tell(step: Step) -> None:
        if not as_json:
            options.say(str(step))

    def wait(reason: str) -> None:
        if not as_json:
            click.echo(f"waiting, {timeout:g} s at most: {reason}", err=True)

    if not as_json:
        click.echo(plan.head(connection.root, map(str, wanted.files)))
    work = Registration(
        connection, path, dry_run=dry_run, seconds=timeout, on_step=tell, on_wait=wait
    )
    steps = put(work, wanted)
    waiting = [step for step in steps if step.change == "wait"]
    if as_json:
        told = [asdict(step) for step in steps]
        options.print_json(
            {"server": connection.root, "lock": str(path), "dry_run": dry_run, "steps": told}
        )
    else:
        click.echo(plan.summary(steps, dry_run=dry_run))
        if waiting:
            click.echo("the server is still at work: the same command goes on later")
        elif not dry_run:
            click.echo(f"ids are in {path}")
    if waiting:
        sys.exit(3)
