"""`hepml new`: the beginnings of a part of one's own."""

from __future__ import annotations

from pathlib import Path

import click


@click.group()
def new() -> None:
    """Make the beginnings of a part of your own."""


@new.command()
@click.argument("name")
@click.option(
    "--out",
    type=click.Path(file_okay=False, path_type=Path),
    help="Folder of the package; hepml-NAME in this folder by default.",
)
def metric(name: str, out: Path | None) -> None:
    """Make a package with a metric NAME, which works, and its test, which passes.

    Once it is installed, `hepml metrics` lists the metric, every new run is scored with it, and
    `hepml evaluate --all` scores the old ones.

    Example: hepml new metric balanced_efficiency
    """
    from hepml_tasks.metrics.skeleton import write_package

    folder = write_package(name, out)
    click.echo(f"{folder}: metric {name}, with its test\n")
    click.echo("Change the function and its docstring, then:")
    click.echo(f"  pip install --editable {folder}")
    click.echo(f"  pytest {folder}")
    click.echo("  hepml evaluate --all --server URL    (restart the server with it first)")
