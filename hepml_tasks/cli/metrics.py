"""`hepml metrics`: the registered metrics."""

from __future__ import annotations

import textwrap

import click

from hepml_tasks.cli import options

_WIDTH = 100


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
@options.as_json
def show(name: str, as_json: bool) -> None:
    """Show what a metric is: formula, meaning, options, source.

    Example: hepml metrics show ams
    """
    from hepml_tasks.metrics import get_metric
    from hepml_tasks.metrics.describe import describe, plain_text

    metric = get_metric(name)
    about = describe(metric)
    low, high = metric.range
    facts = {
        "for a physicist": plain_text(about.physicist),
        "for an ML reader": plain_text(about.ml),
        "needs": ", ".join([metric.needs, *metric.columns]),
        "weights": "enter" if metric.weighted else "don't enter",
        "better": "higher" if metric.higher_is_better else "lower",
        "range": f"{low:g} to {high:g}",
        "options": ", ".join(f"{k}={v!r}" for k, v in metric.keywords().items()),
        "source": metric.source,
    }
    if as_json:
        options.print_json(
            {"name": name, "title": metric.title, "summary": plain_text(about.summary)}
            | {"formula": about.formula, "symbols": plain_text(about.symbols)}
            | {k.replace(" ", "_"): v for k, v in facts.items()}
        )
        return
    click.echo(f"{name}: {metric.title}\n\n{plain_text(about.summary)}\n")
    if about.formula:
        click.echo(textwrap.indent(about.formula, "    ") + "\n")
    if about.symbols:
        click.echo(textwrap.fill(plain_text(about.symbols), _WIDTH) + "\n")
    for fact, text in facts.items():
        if text:
            head = f"{fact:18}"
            click.echo(textwrap.fill(head + text, _WIDTH, subsequent_indent=" " * len(head)))
