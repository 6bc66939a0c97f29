"""`hepml metrics`: the registered metrics."""

from __future__ import annotations

import click

from hepml_tasks.cli import options


@click.group(invoke_without_command=True)
@options.as_json
@click.pass_context
def metrics(context: click.Context, as_json: bool) -> None:
    """List the metrics, or show one.

    Example: hepml metrics show ams
    """
    if context.invoked_subcommand is not None:
        return
    from hepml_tasks.metrics import all_metrics

    known = all_metrics().values()
    if as_json:
        options.print_json(
            [
                {
                    "name": m.name,
                    "title": m.title,
                    "needs": m.needs,
                    "weighted": m.weighted,
                    "higher_is_better": m.higher_is_better,
                    "source": m.source,
                }
                for m in known
            ]
        )
        return
    rows = [(m.name, m.needs, "weighted" if m.weighted else "", m.title) for m in known]
    options.print_table(("metric", "needs", "", "what"), rows)


@metrics.command()
@click.argument("name")
def show(name: str) -> None:
    """Show what a metric is, its formula's source and its options.

    Example: hepml metrics show ams
    """
    from hepml_tasks.metrics import get_metric

    click.echo(get_metric(name).documentation)
