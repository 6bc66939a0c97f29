"""`hepml data card`: a dataset's card, its Croissant metadata, its citation."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    import pyarrow as pa

    from hepml_tasks.spec import TaskSpec

_FILES = {"markdown": "README.md", "croissant": "croissant.json", "bibtex": "CITATION.bib"}


@click.command()
@click.argument("task")
@click.option(
    "--format",
    "wanted",
    type=click.Choice(list(_FILES)),
    help="Which of the three: markdown, where they are printed; all, with --out.",
)
@click.option(
    "--out",
    type=click.Path(file_okay=False, path_type=Path),
    help="Write README.md, croissant.json and CITATION.bib there.",
)
@click.option("--data/--no-data", default=True, help="Tell what the data hold, not the spec alone.")
def card(task: str, wanted: str | None, out: Path | None, data: bool) -> None:
    """Write the card of the dataset of TASK, a name or a .yaml file.

    Where the data can't be had, the card tells what the task's file says, and that it does.

    Example: hepml data card toy-higgs --out card
    """
    from hepml_tasks.errors import OutputError
    from hepml_tasks.formats.atomic import write_atomically
    from hepml_tasks.spec import find_task

    spec = find_task(task)
    texts = _texts(spec, _table(spec) if data else None)
    if out is None:
        click.echo(texts[wanted or "markdown"], nl=False)
        return
    for kind in _FILES if wanted is None else (wanted,):
        try:
            write_atomically(out / _FILES[kind], texts[kind].encode())
        except OSError as error:
            raise OutputError(
                f"{out / _FILES[kind]}: can't be written ({error.strerror or error}); name another"
                " folder with --out"
            ) from error
        click.echo(out / _FILES[kind])


def _table(spec: TaskSpec) -> pa.Table | None:
    from hepml_tasks.data.table import load_table
    from hepml_tasks.errors import ChecksumError, DataError

    try:
        return load_table(spec.dataset, progress=True)
    except ChecksumError:
        raise
    except DataError as error:
        click.echo(f"hepml: the card tells what the task's file says alone: {error}", err=True)
        return None


def _texts(spec: TaskSpec, table: pa.Table | None) -> dict[str, str]:
    from hepml_tasks.data.card import card as write_card
    from hepml_tasks.data.citation import bibtex
    from hepml_tasks.data.columns import describe_columns
    from hepml_tasks.data.croissant import croissant, published_files

    columns = describe_columns(spec, table)
    files = published_files(spec.dataset) if table is not None else ()
    return {
        "markdown": write_card(spec, table),
        "croissant": json.dumps(croissant(spec, columns, files), indent=1) + "\n",
        "bibtex": bibtex(spec.dataset, title=spec.title),
    }
