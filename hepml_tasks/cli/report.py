"""`hepml report`: a server's pages as files."""

from __future__ import annotations

from pathlib import Path

import click


@click.command()
@click.option("--server", required=True, help="The address of a server of this package.")
@click.option(
    "--out",
    type=click.Path(file_okay=False, path_type=Path),
    default=Path("report"),
    show_default=True,
)
def report(server: str, out: Path) -> None:
    """Write a server's leaderboards as static pages.

    Example: hepml report --server http://127.0.0.1:8080 --out report
    """
    from hepml_tasks.openml.connection import connect
    from hepml_tasks.pages.model import Site
    from hepml_tasks.pages.render import write_pages

    site = Site.from_json(connect(server).get_json("site.json"))
    click.echo(write_pages(site, out))
