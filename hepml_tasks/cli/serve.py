"""`hepml serve`: the embedded OpenML-compatible server."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import TYPE_CHECKING

import click

from hepml_tasks.cli import options

if TYPE_CHECKING:
    from hepml_tasks.server.foreground import ServerAddress


@click.command()
@options.data
@click.option("--host", default="127.0.0.1", show_default=True)
@click.option("--port", type=click.IntRange(0, 65535), default=8080, show_default=True)
@options.database
@click.option("--public-url", help="How clients reach the server, behind a proxy.")
@click.option("--read-only", is_flag=True, help="Refuse all writes.")
@click.option(
    "--max-upload",
    callback=options.in_bytes,
    metavar="SIZE",
    default="2G",
    show_default=True,
    help="Bytes at most in one request.",
)
@click.option(
    "--allow-private-urls",
    is_flag=True,
    help="Fetch datasets from this machine's own network too, where others reach the server.",
)
@click.option(
    "--submissions-per-day",
    type=click.IntRange(min=1),
    default=5,
    show_default=True,
    help="Runs of a user in a day (UTC) on a task with withheld labels.",
)
@options.as_json
def serve(
    data: Path,
    host: str,
    port: int,
    database: str | None,
    public_url: str | None,
    read_only: bool,
    max_upload: int,
    allow_private_urls: bool,
    submissions_per_day: int,
    as_json: bool,
) -> None:
    """Serve the OpenML API and the leaderboards until interrupted.

    With --json one line is printed when it is ready: server, apikey, pages. A database's password
    comes from PGPASSFILE, PGPASSWORD or HEPML_DATABASE.

    Example: hepml serve --data hepml-server --port 8080
    """
    from hepml_tasks.openml.connection import remember_local
    from hepml_tasks.server.foreground import serve as serve_forever
    from hepml_tasks.server.settings import Settings

    def ready(address: ServerAddress) -> None:
        remember_local(address.server, data / "apikey")
        if as_json:
            click.echo(address.to_json())
            return
        click.echo(f"pages    {address.pages}")
        click.echo(f"API      {address.server}")
        click.echo(f"key      export OPENML_APIKEY=$(cat {shlex.quote(str(data / 'apikey'))})")
        click.echo("Ctrl-C stops it.")

    serve_forever(
        data,
        host=host,
        port=port,
        database=database,
        settings=Settings(
            public_url=public_url,
            max_upload=max_upload,
            read_only=read_only,
            allow_private_urls=allow_private_urls,
            submissions_per_day=submissions_per_day,
        ),
        ready=ready,
    )
