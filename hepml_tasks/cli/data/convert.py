"""`hepml data convert`: a table from any format to any other."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import click

from hepml_tasks.cli import options


class _File(click.Path):
    """A path, and no address: as a path that would be a file of another name."""

    def __init__(self) -> None:
        super().__init__(dir_okay=False, path_type=Path)

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> str | bytes | os.PathLike[str]:
        if "://" in str(value):
            from hepml_tasks.data.transports import shown

            self.fail(
                f"{shown(str(value))} is an address and no file of this machine; `hepml data fetch`"
                " brings it here and says where it is",
                param,
                ctx,
            )
        return super().convert(value, param, ctx)


@click.command()
@click.argument("source", metavar="IN", type=_File())
@click.argument("target", metavar="OUT", type=_File())
@click.option("--tree", help="The TTree of a ROOT file with several.")
@click.option("--member", help="The file in a zip archive, the group or dataset of an HDF5 file.")
@click.option(
    "--names",
    metavar="NAME,NAME,…",
    help="The names of all columns of a CSV file that has no line with them.",
)
@click.option(
    "--column",
    "columns",
    multiple=True,
    metavar="NAME[=EXPRESSION]",
    help="A column to keep, or to compute; all of them by default.",
)
@click.option("--select", metavar="EXPRESSION", help="Keep the rows for which this is true.")
@click.option("--flatten", is_flag=True, help="Give each element of lists a row of its own.")
@click.option("--pad", type=click.IntRange(min=1), metavar="N", help="Give lists N columns each.")
@options.as_json
def convert(
    source: Path,
    target: Path,
    tree: str | None,
    member: str | None,
    names: str | None,
    columns: tuple[str, ...],
    select: str | None,
    flatten: bool,
    pad: int | None,
    as_json: bool,
) -> None:
    """Convert the table in the file IN to the file OUT, of the formats that their names end in.

    Any of .csv, .csv.gz, .csv.zip, .parquet, .arff, .root and .h5, of any size. Names, order,
    types where the format has them, roles and undefined values are kept; what OUT can't hold is
    refused. OUT is whole or not there.

    Lists whose length differs from event to event, such as the jets of a ROOT file, need --flatten
    or --pad. What these leave out is counted.

    Example: hepml data convert events.root events.parquet --pad 2 --column met --column Jet_pt
    """
    if flatten and pad is not None:
        raise click.UsageError("give either --flatten or --pad, not both")
    from hepml_tasks.formats.tables import convert_table
    from hepml_tasks.spec import TableSpec

    table = TableSpec(
        tree=tree or None,
        member=member or None,
        names=_names(names),
        columns=_expressions(columns),
        selection=select or None,
        flatten=flatten,
        pad=pad,
    )
    done = convert_table(source, target, table)
    if as_json:
        told = {"rows": done.rows, "columns": list(done.columns), "left_out": dict(done.left_out)}
        options.print_json({"in": str(source), "out": str(target), **told})
        return
    click.echo(f"{target}: {done.rows} rows, {len(done.columns)} columns")
    for what, number in done.left_out.items():
        click.echo(f"left out, as asked for: {number} {what}", err=True)


def _names(told: str | None) -> tuple[str, ...]:
    names = tuple(name.strip() for name in told.split(",")) if told else ()
    for i, name in enumerate(names):
        if name in names[:i]:
            raise click.UsageError(f"--names has {name!r} twice; each column has its own")
    return names


def _expressions(columns: tuple[str, ...]) -> dict[str, str]:
    found: dict[str, str] = {}
    for column in columns:
        name, given, expression = column.partition("=")
        # a comparison's first sign of two is none between a name and an expression
        if not given or expression.startswith("="):
            name, expression = column, column
        name, expression = name.strip(), expression.strip()
        if not name or not expression:
            raise click.UsageError(f"--column {column!r}: write NAME or NAME=EXPRESSION")
        if name in found:
            raise click.UsageError(f"--column {name!r} is given twice")
        found[name] = expression
    return found
