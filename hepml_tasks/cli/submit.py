"""`hepml submit`: a suite × flows as an array of batch jobs."""

from __future__ import annotations

from pathlib import Path

import click

from hepml_tasks.cli import options


@click.command()
@click.argument("system")
@click.argument("system_options", nargs=-1, type=click.UNPROCESSED)
@click.option("--suite", required=True, help="A suite's name or .yaml file.")
@click.option("--flows", default="all", show_default=True, help="Names with commas.")
@click.option("--seeds", default="0", show_default=True, help="Numbers with commas.")
@options.events
@click.option(
    "--jobs",
    type=click.IntRange(min=1),
    default=10,
    show_default=True,
    help="As how many jobs: each does its part of the plan.",
)
@options.server
@options.key_file
@options.spool
@click.option("--dry-run", is_flag=True, help="Print the file and the command, and send nothing.")
@options.as_json
def submit(
    system: str,
    system_options: tuple[str, ...],
    suite: str,
    flows: str,
    seeds: str,
    events: int | None,
    jobs: int,
    server: str | None,
    key_file: Path | None,
    spool: Path | None,
    dry_run: bool,
    as_json: bool,
) -> None:
    """Send what is missing of a suite × flows to SYSTEM, slurm or htcondor, as an array of jobs.

    Each job is `hepml bot run` on its part of the plan, with this installation: no daemon, and no
    job speaks to another. What follows -- is for the batch system's own program. The files are
    those of the folder bots, to copy where they don't fit.

    Example: hepml submit slurm --suite hep-toy --jobs 40 -- --time=2:00:00 --mem=8G
    """
    from hepml_tasks.bot.submission import Request, prepare, send
    from hepml_tasks.flows import find_flow
    from hepml_tasks.spec import find_suite

    # told here in a line, and not by each job in its log
    find_suite(suite)
    names = [name.strip() for name in flows.split(",")]
    for name in names:
        if flows != "all":
            find_flow(name)
    given = {
        "--suite": str(Path(suite).absolute()) if suite.endswith(".yaml") else suite,
        "--flows": ",".join(names),
        "--seeds": seeds,
        "--events": events,
        "--server": server,
        "--key-file": None if key_file is None else key_file.absolute(),
    }
    bot = [str(part) for pair in given.items() if pair[1] is not None for part in pair]
    folder = options.spool_folder(spool)
    submission = prepare(system, Request(bot, jobs, folder, system_options))
    if dry_run:
        click.echo(submission, nl=False)
        return
    number = send(system, submission)
    if as_json:
        options.print_json(
            {"system": system, "job": number, "jobs": jobs, "spool": str(folder.absolute())}
        )
    else:
        click.echo(f"{jobs} jobs, {system} {number}; runs in {folder.absolute()}")
