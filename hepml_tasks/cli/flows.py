"""`hepml flows`: the standard flows."""

from __future__ import annotations

import click

from hepml_tasks.cli import options


@click.command()
@options.as_json
def flows(as_json: bool) -> None:
    """List the standard flows.

    Example: hepml flows
    """
    from hepml_tasks.flows import FLOWS

    if as_json:
        options.print_json(
            [
                {"name": f.name, "title": f.title, "available": f.is_available()}
                for f in FLOWS.values()
            ]
        )
        return
    rows = [
        (f.name, f.title, "" if f.is_available() else f"needs pip install 'hepml_tasks[{f.needs}]'")
        for f in FLOWS.values()
    ]
    options.print_table(("flow", "what", ""), rows)
