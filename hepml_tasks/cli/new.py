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


@new.command()
@click.argument("address", metavar="FILE|ADDRESS")
@click.option(
    "--out", type=click.Path(dir_okay=False, path_type=Path), help="NAME.yaml by default."
)
@click.option("--name", help="The task's; made of the file's name by default.")
@click.option("--target", help="The column that is to be predicted.")
@click.option("--file", help="Which file of a record, if several are tables.")
@click.option("--tree", help="The TTree of a ROOT file.")
@click.option("--member", help="The file in a zip, or the group or dataset in HDF5.")
@click.option("--pad", type=click.IntRange(min=1), help="Columns that a list of numbers becomes.")
def dataset(
    address: str,
    out: Path | None,
    name: str | None,
    target: str | None,
    file: str | None,
    tree: str | None,
    member: str | None,
    pad: int | None,
) -> None:
    """Look at a ROOT, CSV, HDF5, Parquet or ARFF file, and write a first task file for it.

    It may be a file here, or that of a DOI or another address. Roles, types, undefined values,
    weights, event ids and splits are guessed, and a comment says why. What is there is never
    overwritten.

    Example: hepml new dataset events.root --target mass
    """
    from hepml_tasks.data.proposal import propose
    from hepml_tasks.spec import TableSpec

    table = TableSpec(tree=tree, member=member, pad=pad)
    found = propose(
        address, out=out, name=name, target=target, file=file, table=table, progress=True
    )
    guesses = found.guesses
    click.echo(f"{found.path}: {found.rows} rows, {len(guesses.columns)} columns")
    for role in ("target", "weight", "event_id", "split"):
        guess = getattr(guesses, role)
        click.echo(f"  {role:9} {'none' if guess is None else f'{guess.name} ({guess.why})'}")
    click.echo(f"  {'features':9} {len(guesses.features)}")
    for guess in guesses.left_out:
        click.echo(f"  {'left out':9} {guess.name} ({guess.why})")
    for what in found.left:
        click.echo(f"  left to fill in: {what}")
    click.echo(f"\nThen: hepml tasks check {found.path}")
