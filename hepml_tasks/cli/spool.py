"""`hepml spool`: finished runs on this machine, and sending them."""

from __future__ import annotations

import sys
from pathlib import Path

import click

from hepml_tasks.cli import options


@click.group()
def spool() -> None:
    """List the runs of the spool, or send the finished ones to a server."""


@spool.command("list")
@options.spool
@options.as_json
def list_(spool: Path | None, as_json: bool) -> None:
    """List the runs of the spool.

    Example: hepml spool list
    """
    from hepml_tasks.running.folder import folders_in

    runs = [
        {
            "run": folder.path.name,
            "state": "finished" if folder.is_complete else "begun",
            "published": sorted(p.stem for p in (folder.path / "published").glob("*.json")),
        }
        for folder in folders_in(options.spool_folder(spool))
    ]
    if as_json:
        options.print_json(runs)
        return
    rows = [(str(r["run"]), str(r["state"]), ", ".join(r["published"])) for r in runs]
    options.print_table(("run", "state", "published on"), rows)


@spool.command()
@options.spool
@click.option("--server", required=True, help="openml.org, test.openml.org, or an address.")
@options.key_file
def upload(spool: Path | None, server: str, key_file: Path | None) -> None:
    """Send every finished run to a server, each exactly once.

    Exits with 3 if one could not be sent: the same command sends it later.

    Example: hepml spool upload --server http://127.0.0.1:8080
    """
    from hepml_tasks.errors import HepmlError, UnreachableError
    from hepml_tasks.openml.connection import connect
    from hepml_tasks.openml.publication import publish_run
    from hepml_tasks.running.folder import folders_in

    connection = connect(server, key_file=key_file)
    refused = 0
    for folder in folders_in(options.spool_folder(spool)):
        if not folder.is_complete:
            options.say(f"{folder.path.name}: not finished, run it again")
            continue
        try:
            done = publish_run(connection, folder)
        except UnreachableError:
            raise
        except HepmlError as error:
            refused += 1
            options.say(f"{folder.path.name}: not sent: {error}")
        else:
            how = "was there" if done.was_there else "sent"
            options.say(f"{folder.path.name}: {how}, run {done.run_id}")
    if refused:
        sys.exit(3)
