"""`hepml data verify`: a task's data against its file."""

from __future__ import annotations

import sys
from dataclasses import asdict

import click

from hepml_tasks.cli import options


@click.command()
@click.argument("task")
@options.as_json
def verify(task: str, as_json: bool) -> None:
    """Check the data of TASK, a name or a .yaml file, against all that the task's file says.

    Columns, types, ranges, undefined values, classes, weights and their sums, event ids, split
    sizes, events that are there twice or on both sides of a split. Every finding is told.

    Exits with 0 if nothing is wrong, with 3 if a finding is an error, with 1 if the data can't be
    had. A warning is for the reader of scores to know and is no error.

    Example: hepml data verify toy-higgs
    """
    from hepml_tasks.running.checks import check_data
    from hepml_tasks.spec import find_task

    spec = find_task(task)
    findings = check_data(spec, progress=True)
    wrong = sum(f.level == "error" for f in findings)
    if as_json:
        options.print_json({"task": spec.name, "findings": [asdict(f) for f in findings]})
    else:
        rows = [(f.check, f.level, f.figure) for f in findings]
        options.print_table(("check", "", "found"), rows)
        warned = sum(f.level == "warning" for f in findings)
        click.echo(f"\n{spec.name}: {wrong} errors, {warned} warnings, {len(findings)} findings")
    sys.exit(3 if wrong else 0)
