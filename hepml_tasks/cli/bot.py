"""`hepml bot`: a suite × flows, what is left of it."""

from __future__ import annotations

import re
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from hepml_tasks.cli import options

if TYPE_CHECKING:
    from hepml_tasks.bot.plan import Job

C = TypeVar("C", bound=Callable[..., Any])


def _selection(command: C) -> C:
    for option in (
        options.key_file,
        options.server,
        options.spool,
        click.option(
            "--shard", metavar="I/N", help="One of N parts of the plan, such as 3/100, for job I."
        ),
        click.option("--seeds", default="0", show_default=True, help="Numbers with commas."),
        options.events,
        click.option("--flows", default="all", show_default=True, help="Names with commas."),
        click.option("--suite", required=True, help="A suite's name or .yaml file."),
    ):
        command = option(command)
    return command


@click.group()
def bot() -> None:
    """Run what is missing of a suite × flows, and publish it."""


@bot.command("plan")
@_selection
@options.as_json
def plan_(as_json: bool, **selection: Any) -> None:
    """List the runs of a suite × flows and how far each is.

    Example: hepml bot plan --suite hep-toy --server http://127.0.0.1:8080
    """
    jobs, _, _ = planned(**selection)
    if as_json:
        options.print_json(
            [
                {"task": j.task.name, "flow": j.flow.name, "seed": j.seed, "state": j.state}
                for j in jobs
            ]
        )
        return
    options.print_table(
        ("task", "flow", "seed", "state"),
        [(j.task.name, j.flow.name, str(j.seed), j.state) for j in jobs],
    )


@bot.command("run")
@_selection
@options.n_jobs
@click.option("--max-time", help="Begin no run after this time, such as 90s, 30m or 1h.")
@options.as_json
def run(n_jobs: int | None, max_time: str | None, as_json: bool, **selection: Any) -> None:
    """Run what is left of a suite × flows; with a server, publish it there.

    Exits with 0 when nothing is left, with 3 when runs failed, wait to be sent, or were not begun.

    Example: hepml bot run --suite hep-toy --flows all --server http://127.0.0.1:8080 --max-time 1h
    """
    from hepml_tasks.bot.worker import work

    seconds = None if max_time is None else _seconds(max_time)
    jobs, spool, connection = planned(**selection)
    tell = (lambda _line: None) if as_json else options.say
    outcome = work(
        jobs,
        spool=spool,
        connection=connection,
        n_jobs=n_jobs,
        max_seconds=seconds,
        on_fold=lambda job: options.fold_bar(job.name),
        on_event=tell,
    )
    if as_json:
        options.print_json(
            {
                "published": outcome.published,
                "waiting": outcome.waiting,
                "failed": list(outcome.failed),
                "left": outcome.left,
            }
        )
    else:
        click.echo(
            f"{outcome.published} published, {outcome.waiting} waiting in {spool},"
            f" {len(outcome.failed)} failed, {outcome.left} not begun"
        )
    if outcome.failed or outcome.left or (outcome.waiting and connection is not None):
        sys.exit(3)


def planned(
    *,
    suite: str,
    flows: str,
    events: int | None,
    seeds: str,
    shard: str | None,
    spool: Path | None,
    server: str | None,
    key_file: Path | None,
) -> tuple[list[Job], Path, Any]:
    """Plan what the options select."""
    from hepml_tasks.bot.plan import plan
    from hepml_tasks.bot.plan import shard as part_of
    from hepml_tasks.flows import FLOWS, find_flow
    from hepml_tasks.running.suites import suite_tasks
    from hepml_tasks.spec import find_suite

    tasks = suite_tasks(find_suite(suite), events=events)
    if flows == "all":
        chosen = [f for f in FLOWS.values() if f.is_available()]
    else:
        chosen = [find_flow(name.strip()) for name in flows.split(",")]
    if not re.fullmatch(r"\d+(,\d+)*", seeds):
        raise click.BadParameter("numbers with commas between, such as 0,1,2", param_hint="--seeds")
    part, parts = (1, 1) if shard is None else _part(shard)
    connection = options.connection(server, key_file)
    folder = options.spool_folder(spool)
    numbers = [int(s) for s in seeds.split(",")]
    jobs = plan(tasks, chosen, spool=folder, connection=connection, seeds=numbers)
    return part_of(jobs, part, parts), folder, connection


def _part(text: str) -> tuple[int, int]:
    match = re.fullmatch(r"(\d+)/(\d+)", text)
    if not match or not 1 <= int(match[1]) <= int(match[2]):
        raise click.BadParameter("I/N with I from 1 to N, such as 3/100", param_hint="--shard")
    return int(match[1]), int(match[2])


def _seconds(text: str) -> float:
    match = re.fullmatch(r"(\d+(?:\.\d+)?)\s*([smhd]?)", text)
    if not match:
        raise click.BadParameter("a time such as 90s, 30m or 1h", param_hint="--max-time")
    return float(match[1]) * {"": 1, "s": 1, "m": 60, "h": 3600, "d": 86400}[match[2]]
