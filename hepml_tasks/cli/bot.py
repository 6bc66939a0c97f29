"""`hepml bot`: a suite × flows, what is left of it."""

from __future__ import annotations

import re
import sys
from collections.abc import Callable, Sequence
from dataclasses import replace
from fnmatch import fnmatchcase
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from hepml_tasks.cli import options

if TYPE_CHECKING:
    from hepml_tasks.bot.log import Log
    from hepml_tasks.bot.plan import Job
    from hepml_tasks.bot.worker import Outcome
    from hepml_tasks.flows import Flow

C = TypeVar("C", bound=Callable[..., Any])

_STATES = ("published", "finished", "failed", "started", "missing")
_EVERY = 60.0
_LEFT, _FAILED = 3, 4


def _seconds(_context: click.Context, _option: click.Parameter, value: str | None) -> float | None:
    if value is None:
        return None
    match = re.fullmatch(r"(\d+(?:\.\d+)?)\s*([smhd]?)", value)
    if not match:
        raise click.BadParameter("a time such as 90s, 30m or 1h")
    return float(match[1]) * {"": 1, "s": 1, "m": 60, "h": 3600, "d": 86400}[match[2]]


def _selection(command: C) -> C:
    for option in (
        options.key_file,
        options.server,
        options.spool,
        click.option(
            "--shard", metavar="I/N", help="One of N parts of the plan, such as 3/100, for job I."
        ),
        click.option("--state", help=f"Only runs so far: {', '.join(_STATES)}, with commas."),
        click.option("--seeds", default="0", show_default=True, help="Numbers with commas."),
        options.events,
        click.option(
            "--set",
            "settings",
            multiple=True,
            metavar="FLOW.PARAMETER=V1,V2",
            help="Setups of a flow: every combination of the values. May be repeated.",
        ),
        click.option(
            "--flows",
            default="all",
            show_default=True,
            help="Names or patterns such as 'mlp*', with commas.",
        ),
        click.option(
            "--tasks", default="*", help="Only tasks of the suite with these names or patterns."
        ),
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
    """List the runs of a suite × flows × setups × seeds, how far each is and what it will cost.

    The cost is the time of the fits that are missing, from runs in the spool and on the server: it
    is left open where there are none. The list is the same on every node.

    Example: hepml bot plan --suite hep-toy --server http://127.0.0.1:8080
    """
    jobs, _, _ = planned(**selection)
    if as_json:
        options.print_json([_told(job) for job in jobs])
        return
    options.print_table(
        ("task", "flow", "seed", "state", "folds", "cost"),
        [
            (
                job.task.name,
                job.label,
                str(job.seed),
                job.state,
                f"{job.folds}/{len(job.task.splits)}",
                "?" if job.seconds is None else _time(job.seconds),
            )
            for job in jobs
        ],
    )
    known = [job.seconds for job in jobs if job.seconds is not None]
    open_ = sum(job.seconds is None for job in jobs)
    click.echo(
        f"\n{len(jobs)} runs, {_time(sum(known))} of computing left"
        + (f" and {open_} runs of unknown cost" if open_ else "")
    )


def _told(job: Job) -> dict[str, Any]:
    return {
        "task": job.task.name,
        "flow": job.label,
        "setup": dict(job.setup),
        "seed": job.seed,
        "state": job.state,
        "folds": job.folds,
        "of_folds": len(job.task.splits),
        "seconds": job.seconds,
        "folder": job.key,
    }


@bot.command("run")
@_selection
@options.n_jobs
@click.option("--max-time", callback=_seconds, help="End after this time, such as 90s, 30m or 1h.")
@click.option(
    "--max-run-time", callback=_seconds, help="A run that takes longer than this has failed."
)
@click.option(
    "--max-memory",
    callback=options.in_bytes,
    help="Memory for the bot and all its processes, such as 4G; what the batch system grants, or"
    " the machine has, by default.",
)
@options.dask
@options.farm
@options.workers
@click.option("--retry-failed", is_flag=True, help="Also do runs that failed before.")
@click.option(
    "--wait", is_flag=True, help="Wait for runs that other bots have, and take over a dead one's."
)
@click.option(
    "--log",
    "log_file",
    type=click.Path(dir_okay=False, path_type=Path),
    help="Append every event to this file, a line of JSON each.",
)
@options.as_json
def run(
    n_jobs: int | None,
    max_time: float | None,
    max_run_time: float | None,
    max_memory: int | None,
    dask: str | None,
    farm: str | None,
    workers: int,
    retry_failed: bool,
    wait: bool,
    log_file: Path | None,
    as_json: bool,
    **selection: Any,
) -> None:
    """Run what is left of a suite × flows; with a server, publish it there.

    A flow that raises, crashes, hangs or takes too much memory is noted as failed, with the reason
    in its run folder, and stops no other. SIGTERM, SIGINT, SIGUSR1 and SIGUSR2 end the bot within
    ten seconds; finished folds are kept, and the same command goes on.

    With --dask or --farm the folds of all runs are fitted by the workers of a Dask cluster, whose
    cores and memory are its own: --n-jobs, --max-memory and --max-run-time don't go with it.

    \b
    Exit codes:
      0  done: every run is finished, and published if a server is named
      1  an error that stopped everything, told in one line; 2 the command was typed wrongly
      3  stopped with work left, by a signal, --max-time, a server that is away, or since another
         bot has a run in hand: the same command goes on
      4  nothing is left but runs that failed: `hepml bot status` says why, --retry-failed does
         them again

    Example: hepml bot run --suite hep-toy --flows all --server http://127.0.0.1:8080 --max-time 1h

    Example: hepml bot run --suite hep-toy --farm slurm --workers 20
    """  # noqa: D301 - click's mark for lines that it leaves alone
    from hepml_tasks.bot.worker import Limits, work

    options.refuse_limits(
        dask, farm, n_jobs=n_jobs, max_memory=max_memory, max_run_time=max_run_time
    )
    jobs, spool, connection = planned(**selection)
    with options.cluster(dask, farm, workers) as cluster:
        outcome = work(
            jobs,
            spool=spool,
            connection=connection,
            limits=Limits(n_jobs, max_memory, max_time, max_run_time),
            cluster=cluster,
            retry_failed=retry_failed,
            wait=wait,
            on_fold=lambda job: options.fold_bar(job.name),
            log=_log(jobs, log_file, quiet=as_json, publishes=connection is not None),
        )
    if as_json:
        options.print_json({**vars(outcome), "failed": list(outcome.failed)})
    else:
        held = f", {outcome.held} in the hands of other bots" if outcome.held else ""
        click.echo(
            f"{outcome.published} published, {outcome.waiting} waiting in {spool},"
            f" {len(outcome.failed)} failed, {outcome.left} not finished{held}"
        )
    sys.exit(_exit_code(outcome, publishes=connection is not None))


def _exit_code(outcome: Outcome, *, publishes: bool) -> int:
    if outcome.left or outcome.held or (outcome.waiting and publishes):
        return _LEFT
    return _FAILED if outcome.failed else 0


def _log(jobs: Sequence[Job], file: Path | None, *, quiet: bool, publishes: bool) -> Log:
    from hepml_tasks.bot.log import Event, Log, Sink, line_of, to_file
    from hepml_tasks.bot.progress import Progress

    def tell(event: Event) -> None:
        if line := line_of(event):
            options.say(line)

    sinks: list[Sink] = [] if file is None else [to_file(file)]
    if not quiet:
        sinks.append(tell)
        if not sys.stderr.isatty():
            to_do = sum(job.state != "published" for job in jobs)
            sinks.append(Progress(to_do, options.say, every=_EVERY, publishes=publishes))
    return Log(sinks)


@bot.command("status")
@options.spool
@options.server
@options.key_file
@options.as_json
def status(spool: Path | None, server: str | None, key_file: Path | None, as_json: bool) -> None:
    """Say how the runs of the spool stand, and with a server, which runs bots have in hand.

    Exits with 3 while a run is unfinished or unsent, with 4 where all that is left has failed.

    Example: hepml bot status --server http://127.0.0.1:8080
    """
    from hepml_tasks.bot.status import count, server_status, spool_status

    folder = options.spool_folder(spool)
    connection = options.connection(server, key_file)
    runs = spool_status(folder)
    numbers = count(runs, None if connection is None else connection.key)
    there = None if connection is None else server_status(connection)
    if as_json:
        told = {"spool": str(folder), "counts": numbers, "runs": [r.to_json() for r in runs]}
        options.print_json({**told, "server": there})
    else:
        click.echo(f"{folder}: " + ", ".join(f"{n} {state}" for state, n in numbers.items()))
        for one in runs:
            if one.state.state in {"failed", "broken"}:
                click.echo(f"  {one.name}: {one.state.state}: {one.state.reason}")
        if there is not None:
            click.echo(f"{there['server']}: {there.get('error') or _in_hand(there['leases'])}")
    unsent = numbers["finished"] if connection is not None else 0
    if numbers["started"] or numbers["broken"] or unsent:
        sys.exit(_LEFT)
    if numbers["failed"]:
        sys.exit(_FAILED)


def _in_hand(leases: Sequence[dict[str, Any]]) -> str:
    lines = [f"{len(leases)} runs in the hands of bots"]
    lines += [f"  {e['name']}: for {e['seconds']} s more, spool {e['holder']}" for e in leases]
    return "\n".join(lines)


def planned(
    *,
    suite: str,
    tasks: str,
    flows: str,
    settings: Sequence[str],
    events: int | None,
    seeds: str,
    state: str | None,
    shard: str | None,
    spool: Path | None,
    server: str | None,
    key_file: Path | None,
) -> tuple[list[Job], Path, Any]:
    """Plan what the options select."""
    from hepml_tasks.bot.plan import plan
    from hepml_tasks.bot.plan import shard as part_of
    from hepml_tasks.running.suites import suite_tasks
    from hepml_tasks.spec import find_suite

    if not re.fullmatch(r"\d+(,\d+)*", seeds):
        raise click.BadParameter("numbers with commas between, such as 0,1,2", param_hint="--seeds")
    part, parts = (1, 1) if shard is None else _part(shard)
    states = _states(state)
    chosen = _flows(flows)
    whole = find_suite(suite)
    wanted = tuple(t for t in whole.tasks if _matches(t.task, tasks))
    loaded = suite_tasks(replace(whole, tasks=wanted), events=events) if wanted else []
    connection = options.connection(server, key_file)
    folder = options.spool_folder(spool)
    jobs = plan(
        loaded,
        chosen,
        spool=folder,
        connection=connection,
        seeds=[int(s) for s in seeds.split(",")],
        setups=_setups(settings, chosen),
    )
    # parts are taken of the whole plan: what is done changes no other node's part
    return [j for j in part_of(jobs, part, parts) if j.state in states], folder, connection


def _flows(text: str) -> list[Flow]:
    from hepml_tasks.flows import FLOWS, find_flow

    if text == "all":
        return [f for f in FLOWS.values() if f.is_available()]
    chosen: dict[str, Flow] = {}
    for name in (n.strip() for n in text.split(",")):
        if any(c in name for c in "*?["):
            fitting = [f for f in FLOWS.values() if fnmatchcase(f.name, name) and f.is_available()]
            chosen |= {f.name: f for f in fitting}
        else:
            chosen[name] = find_flow(name)
    return list(chosen.values())


def _matches(task: str, patterns: str) -> bool:
    name = Path(task).stem if task.endswith((".yaml", ".yml")) else task
    return any(fnmatchcase(name, pattern.strip()) for pattern in patterns.split(","))


def _setups(settings: Sequence[str], flows: Sequence[Flow]) -> dict[str, Any]:
    import yaml

    from hepml_tasks.bot.plan import grid
    from hepml_tasks.errors import UnknownNameError

    values: dict[str, dict[str, list[Any]]] = {}
    for text in settings:
        match = re.fullmatch(r"([\w-]+)\.(\w+)=(.+)", text)
        if not match:
            raise click.BadParameter(f"{text!r}; write it as logistic.C=0.1,1", param_hint="--set")
        flow, parameter, listed = match.groups()
        if flow not in {f.name for f in flows}:
            raise UnknownNameError("flow among --flows", flow, [f.name for f in flows])
        try:
            values.setdefault(flow, {})[parameter] = [yaml.safe_load(v) for v in listed.split(",")]
        except yaml.YAMLError as error:
            raise click.BadParameter(f"{text!r}: values are numbers or texts") from error
    return {flow: grid(parameters) for flow, parameters in values.items()}


def _states(text: str | None) -> frozenset[str]:
    if text is None:
        return frozenset(_STATES)
    named = frozenset(s.strip() for s in text.split(","))
    if not named <= set(_STATES):
        raise click.BadParameter(f"of {', '.join(_STATES)}", param_hint="--state")
    return named


def _part(text: str) -> tuple[int, int]:
    match = re.fullmatch(r"(\d+)/(\d+)", text)
    if not match or not 1 <= int(match[1]) <= int(match[2]):
        raise click.BadParameter("I/N with I from 1 to N, such as 3/100", param_hint="--shard")
    return int(match[1]), int(match[2])


def _time(seconds: float) -> str:
    for unit, size in (("d", 86400), ("h", 3600), ("min", 60)):
        if seconds >= 2 * size:
            return f"{seconds / size:.1f} {unit}"
    return f"{seconds:.3g} s"
