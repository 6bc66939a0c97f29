"""`hepml flows`: the standard flows."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from hepml_tasks.cli import options

if TYPE_CHECKING:
    from hepml_tasks.flows import Flow
    from hepml_tasks.spec import TaskType


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
                {
                    "name": f.name,
                    "title": f.title,
                    "types": list(f.types),
                    "available": f.is_available(),
                }
                for f in FLOWS.values()
            ]
        )
        return
    rows = [
        (
            f.name,
            f.title,
            _kind(f),
            "" if f.is_available() else f"needs pip install 'hepml_tasks[{f.needs}]'",
        )
        for f in FLOWS.values()
    ]
    options.print_table(("flow", "what", "for", ""), rows)


_KINDS: dict[TaskType, str] = {
    "binary-classification": "classes",
    "multiclass-classification": "classes",
    "regression": "numbers",
    "anomaly-detection": "anomalies",
    "tracking": "tracks",
    "across-nuisance": "nuisances",
}


def _kind(flow: Flow) -> str:
    return ", ".join(dict.fromkeys(_KINDS[t] for t in flow.types))
