"""`hepml demo`: the main job on this machine, without a network."""

from __future__ import annotations

import os
import shlex
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from hepml_tasks.cli import options

if TYPE_CHECKING:
    from hepml_tasks.bot.worker import Outcome
    from hepml_tasks.flows import Flow
    from hepml_tasks.openml.connection import Connection
    from hepml_tasks.pages.model import Site
    from hepml_tasks.running.task import Task
    from hepml_tasks.spec import SuiteSpec


@click.command()
@click.option(
    "--dir",
    "state",
    type=click.Path(file_okay=False, path_type=Path),
    default=Path("hepml-demo"),
    show_default=True,
    help="Folder of the demo's server, runs, data and pages.",
)
@click.option("--suite", default="hep-toy", show_default=True, help="A suite's name or .yaml file.")
@options.events
@options.n_jobs
def demo(state: Path, suite: str, events: int | None, n_jobs: int | None) -> None:
    """Server, suite, flows, bot and leaderboard, on simulated events, without a network.

    A second `hepml demo` in the same folder finds nothing left to run.

    Example: hepml demo
    """
    from hepml_tasks.errors import RunError
    from hepml_tasks.flows import FLOWS
    from hepml_tasks.openml.connection import Connection
    from hepml_tasks.pages.model import Site
    from hepml_tasks.pages.render import write_pages
    from hepml_tasks.running.suites import suite_tasks
    from hepml_tasks.server.process import start_server
    from hepml_tasks.spec import find_suite

    begun = time.monotonic()
    state = state.absolute()
    os.environ["HEPML_CACHE"] = str(state / "cache")
    with start_server(state / "server") as server:
        connection = Connection(server.server, server.apikey)
        options.say(f"server   {server.server} (a process of its own, in {state / 'server'})")
        chosen = find_suite(suite)
        tasks = suite_tasks(chosen, events=events)
        flows = [f for f in FLOWS.values() if f.is_available()]
        task_ids = _register(connection, chosen, tasks, flows)
        outcome = _work(connection, tasks, flows, spool=state / "spool", n_jobs=n_jobs)
        _wait(connection, task_ids)
        site = Site.from_json(connection.get_json("site.json"))
        index = write_pages(site, state / "pages")
    _print_boards(site)
    if outcome.failed or outcome.waiting:
        raise RunError(f"{len(outcome.failed) + outcome.waiting} runs are not on the leaderboard")
    serve = f"{shlex.quote(sys.argv[0])} serve --data {shlex.quote(str(state / 'server'))}"
    click.echo(
        "± is one standard deviation of the test sample, computed by the server from the uploaded"
        " predictions.\n"
        f"\npages    {index}\n"
        f"again    {serve} --port 8080\n"
        f"took     {time.monotonic() - begun:.0f} s"
    )


def _register(
    connection: Connection, suite: SuiteSpec, tasks: list[Task], flows: list[Flow]
) -> list[int]:
    """Register tasks, suite and flows, and return the ids of the tasks."""
    from hepml_tasks.openml.flows import publish_flow
    from hepml_tasks.openml.registration import register_dataset, register_suite, register_task

    task_ids = []
    for task in tasks:
        dataset_id = register_dataset(connection, task)
        task_ids.append(register_task(connection, task, dataset_id))
        options.say(
            f"task     {task_ids[-1]}: {task.name}, {len(task.events)} events"
            f" (dataset {dataset_id})"
        )
    suite_id = register_suite(connection, suite, task_ids)
    options.say(f"suite    {suite_id}: {suite.name}")
    for flow in flows:
        published = publish_flow(connection, flow.build())
        options.say(f"flow     {published.flow_id}: {flow.name}")
    return task_ids


def _work(
    connection: Connection,
    tasks: list[Task],
    flows: list[Flow],
    *,
    spool: Path,
    n_jobs: int | None,
) -> Outcome:
    """Let the bot run what is left of tasks × flows."""
    from hepml_tasks.bot.log import Event, Log, line_of
    from hepml_tasks.bot.plan import plan
    from hepml_tasks.bot.worker import Limits, work

    def tell(event: Event) -> None:
        if line := line_of(event):
            options.say(f"run      {line}")

    jobs = plan(tasks, flows, spool=spool, connection=connection)
    left = sum(job.state != "published" for job in jobs)
    options.say(
        f"plan     {len(jobs)} runs, {f'{left} left to do' if left else 'nothing left to run'}"
    )
    return work(
        jobs,
        spool=spool,
        connection=connection,
        limits=Limits(n_jobs=n_jobs),
        on_fold=lambda job: options.fold_bar(job.name),
        log=Log([tell]),
    )


def _wait(connection: Connection, task_ids: list[int]) -> None:
    """Wait until the server has scored every run of the tasks."""
    from hepml_tasks.openml.publication import runs_on, wait_for_evaluation

    for task_id in task_ids:
        for run_id in runs_on(connection, task_id):
            state: dict[str, Any] = wait_for_evaluation(connection, run_id)
            if state["differs"]:
                options.say(f"run      {run_id}: the server differs in {state['differs']}")


def _print_boards(site: Site) -> None:
    from hepml_tasks.pages.board import ranked

    for board in site.tasks:
        click.echo(f"\n{board.title}: {board.name}, {board.split}")
        rows = []
        for place in ranked(board):
            cells = [place.row.cells.get(m.name) for m in board.measures]
            rows.append(
                (
                    str(place.rank),
                    place.row.flow,
                    *(
                        ""
                        if c is None
                        else options.score_text({"value": c.value, "uncertainty": c.uncertainty})
                        for c in cells
                    ),
                )
            )
        options.print_table(("", "flow", *(m.name for m in board.measures)), rows)
