"""`hepml spool`: finished runs on this machine, and sending them."""

from __future__ import annotations

import sys
from pathlib import Path

import click

from hepml_tasks.cli import options

_LEFT = 3


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
    from hepml_tasks.bot.status import spool_status

    runs = spool_status(options.spool_folder(spool))
    if as_json:
        options.print_json([run.to_json() for run in runs])
        return
    rows = [(run.name, run.state.state, ", ".join(run.state.published)) for run in runs]
    options.print_table(("run", "state", "published on"), rows)


@spool.command()
@options.spool
@click.option("--server", required=True, help="openml.org, test.openml.org, or an address.")
@options.key_file
@options.as_json
def upload(spool: Path | None, server: str, key_file: Path | None, as_json: bool) -> None:
    """Send every finished run to a server, each exactly once.

    Several may do so at once, from any machine that has the spool or a copy of it. A folder that is
    not whole, as while it is being copied, is not sent.

    \b
    Exit codes: 0 every run of the spool is there; 3 one could not be sent, or is not finished: the
    same command sends it later.

    Example: hepml spool upload --server http://127.0.0.1:8080
    """  # noqa: D301 - click's mark for lines that it leaves alone
    from hepml_tasks.bot.upload import upload_spool
    from hepml_tasks.openml.connection import connect

    sent = upload_spool(
        connect(server, key_file=key_file),
        options.spool_folder(spool),
        tell=lambda line: None if as_json else options.say(line),
    )
    if as_json:
        options.print_json(sent.to_json())
    if not sent.is_all:
        sys.exit(_LEFT)
