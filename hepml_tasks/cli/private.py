"""`hepml private`: tasks whose test labels only a server has."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from hepml_tasks.cli import options

if TYPE_CHECKING:
    from hepml_tasks.openml.connection import Connection

_server: Callable[[Callable[..., None]], Callable[..., None]] = click.option(
    "--server", required=True, help="local, or the address of a server of this package."
)


@click.group()
def private() -> None:
    """Make, list, show and reveal tasks whose test labels only a server has.

    Example: hepml private list --server http://127.0.0.1:8080
    """


@private.command()
@click.argument("spec", type=click.Path(path_type=Path))
@_server
@options.key_file
@options.as_json
def create(spec: Path, server: str, key_file: Path | None, as_json: bool) -> None:
    """Have a server make a task from SPEC, a task file with `private:`; for administrators.

    The server draws the simulator's seed, and keeps it with the labels.

    Example: hepml private create challenge.yaml --server http://127.0.0.1:8080
    """
    from hepml_tasks.openml.private import create_private
    from hepml_tasks.spec import read_task

    made = create_private(_connect(server, key_file), read_task(spec))
    if as_json:
        options.print_json(made)
        return
    click.echo(f"task {made['task_id']}, {made['name']}: {made['per_day']} runs a user and day")


@private.command("list")
@_server
@options.as_json
def list_(server: str, as_json: bool) -> None:
    """List the tasks with withheld labels of a server.

    Example: hepml private list --server http://127.0.0.1:8080
    """
    from hepml_tasks.openml.private import private_tasks

    found = private_tasks(_connect(server, None))
    if as_json:
        options.print_json(found)
        return
    rows = [(str(t["task_id"]), t["name"], str(t["per_day"]), t["revealed"] or "no") for t in found]
    options.print_table(("id", "task", "runs a day", "private scores told"), rows)


@private.command()
@click.argument("task")
@_server
@options.as_json
def show(task: str, server: str, as_json: bool) -> None:
    """Print the file of TASK (a name or id) with which `hepml run` runs it.

    Example: hepml private show toy-challenge --server http://127.0.0.1:8080 > toy-challenge.yaml
    """
    import yaml

    from hepml_tasks.openml.private import private_spec
    from hepml_tasks.spec import to_mapping

    spec: dict[str, Any] = to_mapping(private_spec(_connect(server, None), task))
    if as_json:
        options.print_json(spec)
        return
    click.echo(yaml.safe_dump(spec, sort_keys=False, width=100), nl=False)


@private.command()
@click.argument("task")
@_server
@options.key_file
@options.as_json
def reveal(task: str, server: str, key_file: Path | None, as_json: bool) -> None:
    """Tell everybody the private scores of the runs on TASK (a name or id); for its owner.

    There is no way back: later runs show theirs at once.

    Example: hepml private reveal toy-challenge --server http://127.0.0.1:8080
    """
    from hepml_tasks.openml.private import reveal_private

    told = reveal_private(_connect(server, key_file), task)
    if as_json:
        options.print_json(told)
        return
    click.echo(f"task {told['task_id']}, {told['name']}: {told['runs']} private scores are told")


def _connect(server: str, key_file: Path | None) -> Connection:
    from hepml_tasks.openml.connection import connect

    return connect(server, key_file=key_file)
