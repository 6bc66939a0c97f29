"""`hepml data`: the data of tasks, one file a command."""

from __future__ import annotations

import click

from hepml_tasks.cli.data.card import card
from hepml_tasks.cli.data.convert import convert
from hepml_tasks.cli.data.deposit import deposit
from hepml_tasks.cli.data.fetch import fetch
from hepml_tasks.cli.data.verify import verify


@click.group()
def data() -> None:
    """Fetch, convert, check, describe and deposit the data of tasks."""


for command in (fetch, convert, verify, card, deposit):
    data.add_command(command)
