"""`hepml reproduce`: a run made again, and compared with the first."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

from hepml_tasks.cli import options

if TYPE_CHECKING:
    from hepml_tasks.evaluation.reproduction import Recipe

_CODES = {"identical": 0, "equivalent": 3, "different": 4}


@click.command()
@click.argument("run", metavar="RUN")
@options.server
@options.spool
@options.n_jobs
@click.option(
    "--requirements",
    type=click.Path(dir_okay=False, path_type=Path),
    help="Write what to install to have the run's versions, and run nothing.",
)
@options.as_json
def reproduce(
    run: str,
    server: str | None,
    spool: Path | None,
    n_jobs: int | None,
    requirements: Path | None,
    as_json: bool,
) -> None:
    """Make RUN again, and compare predictions and scores with the first time.

    RUN is a run folder, or the id of a run that this package published (with --server): flow, seed,
    task and versions come from there. The second run is in the folder "reproduced" of the spool;
    the same command goes on where it stopped.

    Exits with 0 if all is identical, with 3 if every score is within its uncertainty, with 4 if
    something differs, with 1 if the run can't be made again.

    Example: hepml reproduce 17 --server http://127.0.0.1:8080
    """
    from hepml_tasks.evaluation.reproduction import other_versions, requirements_of
    from hepml_tasks.evaluation.reproduction import reproduce as again
    from hepml_tasks.formats.atomic import write_atomically

    recipe = _recipe(run, server)
    if requirements is not None:
        write_atomically(requirements, requirements_of(recipe.environment).encode())
        click.echo(f"{requirements}: pip install -r it into Python {recipe.environment['python']}")
        return
    others = other_versions(recipe.environment)
    if others and not as_json:
        parts = (f"{n} {then or 'none'}, here {now or 'none'}" for n, (then, now) in others.items())
        click.echo(f"made with {'; '.join(parts)}")
        image = recipe.environment.get("image")
        click.echo(
            f"the same versions are in the image {image}, or by --requirements FILE"
            if image
            else "--requirements FILE writes what to install for the same versions"
        )
    result = again(
        recipe,
        spool=options.spool_folder(spool) / "reproduced",
        n_jobs=n_jobs,
        on_fold=options.fold_bar(run),
    )
    if as_json:
        options.print_json({"run": run, **result.to_json()})
    else:
        click.echo(f"{run}: {result.state}: {result.reason}")
        if result.first:
            click.echo(f"  {result.first}")
    sys.exit(_CODES[result.state])


def _recipe(run: str, server: str | None) -> Recipe:
    from hepml_tasks.evaluation.reproduction import recipe_of
    from hepml_tasks.openml.recipes import fetch_recipe
    from hepml_tasks.running.folder import RunFolder

    # reads need no key
    connection = options.connection(server, None)
    if run.isdecimal() and connection is not None:
        return fetch_recipe(connection, int(run))
    if Path(run).is_dir():
        return recipe_of(RunFolder(Path(run)))
    if run.isdecimal():
        raise click.UsageError(f"run {run}: name the server that has it with --server")
    raise click.UsageError(f"{run}: no run folder and no run's id")
