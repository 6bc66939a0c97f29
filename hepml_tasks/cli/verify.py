"""`hepml verify`: what is claimed of a run, against what its predictions give."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

import click

from hepml_tasks.cli import options
from hepml_tasks.cli.evidence import origin, origin_options

if TYPE_CHECKING:
    from hepml_tasks.evaluation.claims import Verdict


@click.command()
@click.argument("runs", nargs=-1, required=True, metavar="RUN...")
@origin_options
@options.as_json
def verify(
    runs: tuple[str, ...],
    server: str | None,
    task: str | None,
    split: str | None,
    events: int | None,
    as_json: bool,
) -> None:
    """Compare what is claimed of runs with what their predictions give.

    RUN is a run folder, or a run's id (with --server; on a server that is not of hepml_tasks with
    --task too). A folder claims what its scores.json says; a run on a server what its uploader,
    its details and the server say.

    Exits with 0 if all is verified, with 3 if a claim differs or it can't be told, with 1 if a
    run can't be had.

    Example: hepml verify 17 --server http://127.0.0.1:8080
    """
    from hepml_tasks.errors import DataError, HepmlError, RunError, UnreachableError
    from hepml_tasks.evaluation.claims import Verdict
    from hepml_tasks.evaluation.claims import verify as judge

    found = origin(server, task, split, events)
    told: list[dict[str, Any]] = []
    codes = {0}
    for run in runs:
        try:
            verdict = judge(found.find(run))
        except UnreachableError:
            raise
        except (RunError, DataError) as error:
            verdict = Verdict("can't tell", reason=str(error))
        except HepmlError as error:
            if len(runs) == 1:
                raise
            click.echo(f"hepml: error: {run}: {error}", err=True)
            codes.add(1)
            continue
        codes.add(0 if verdict.state == "verified" else 3)
        told.append({"run": run, **verdict.to_json()})
        if not as_json:
            _print(run, verdict)
    if as_json:
        options.print_json(told)
    sys.exit(1 if 1 in codes else max(codes))


def _print(run: str, verdict: Verdict) -> None:
    if verdict.state == "verified":
        click.echo(f"{run}: verified: {', '.join(verdict.checked)}")
    elif verdict.state == "differs":
        click.echo(f"{run}: differs")
    else:
        click.echo(f"{run}: can't tell: {verdict.reason}")
    for difference in verdict.differences:
        click.echo(f"  {difference}")
    if verdict.state != "can't tell":
        for metric, reason in (verdict.unchecked or {}).items():
            click.echo(f"  not checked: {metric} {reason}")
