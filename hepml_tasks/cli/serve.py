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
@click.option(
    "--data",
    type=click.Path(file_okay=False, path_type=Path),
    default=Path("hepml-server"),
    show_default=True,
    help="Folder of the database, the files and the key.",
)
@click.option("--host", default="127.0.0.1", show_default=True)
@click.option("--port", type=click.IntRange(0, 65535), default=8080, show_default=True)
@click.option("--database", help="SQLAlchemy URL; SQLite in the data folder by default.")
@click.option("--public-url", help="How clients reach the server, behind a proxy.")
@options.as_json
def serve(
    data: Path, host: str, port: int, database: str | None, public_url: str | None, as_json: bool
) -> None:
    """Serve the OpenML API and the leaderboards until interrupted.

    With --json one line is printed when it is ready: server, apikey, pages.

    Example: hepml serve --data hepml-server --port 8080
    """
    from hepml_tasks.openml.connection import remember_local
    from hepml_tasks.server.foreground import serve as serve_forever

    def ready(address: ServerAddress) -> None:
        remember_local(address.server, data / "apikey")
        if as_json:
            click.echo(address.to_json())
            return
        click.echo(f"pages    {address.pages}")
        click.echo(f"API      {address.server}")
        click.echo(f"key      export OPENML_APIKEY=$(cat {shlex.quote(str(data / 'apikey'))})")
        click.echo("Ctrl-C stops it.")

    serve_forever(data, host=host, port=port, database=database, public_url=public_url, ready=ready)
