"""Options that several commands share, and how they show work and results."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from hepml_tasks.openml.connection import Connection
    from hepml_tasks.running.cluster import Cluster

_UNITS = {"": 1, "k": 10**3, "M": 10**6, "G": 10**9, "T": 10**12}


def in_bytes(_context: click.Context, _option: click.Parameter, value: str | None) -> int | None:
    """Take a number of bytes, such as 500M or 20G."""
    if value is None:
        return None
    found = re.fullmatch(r"(\d+(?:\.\d+)?)\s*([kMGT]?)B?", value)
    if found is None:
        raise click.BadParameter(f"{value!r} is no size; write it as 500M or 20G")
    return int(float(found[1]) * _UNITS[found[2]])


as_json = click.option("--json", "as_json", is_flag=True, help="Print JSON for a script.")
task = click.option(
    "--task", help="The task, or its .yaml file, where RUN doesn't say what it is a run of."
)
split = click.option("--split", help="One of the task's splits; its first by default.")
events = click.option(
    "--events", type=click.IntRange(min=100), help="Another number of events (simulated tasks)."
)
seed = click.option("--seed", type=click.IntRange(min=0), default=0, show_default=True)
n_jobs = click.option(
    "--n-jobs", type=click.IntRange(min=1), help="Processes; one a core by default."
)
dask = click.option(
    "--dask", metavar="ADDRESS", help="A Dask scheduler whose workers fit the folds: tcp://…:8786."
)
farm = click.option(
    "--farm", help="Start workers of our own for it: local, slurm or htcondor; see docs/farms.md."
)
workers = click.option(
    "--workers", type=click.IntRange(min=1), default=2, show_default=True, help="With --farm."
)
spool = click.option(
    "--spool",
    type=click.Path(file_okay=False, path_type=Path),
    help="Folder of run folders; HEPML_SPOOL, or one in your data folder, by default.",
)
server = click.option("--server", help="local, openml.org, test.openml.org, or an address.")
key_file = click.option(
    "--key-file",
    type=click.Path(dir_okay=False, path_type=Path),
    help="File with the API key; OPENML_APIKEY or openml's config file by default.",
)

data = click.option(
    "--data",
    type=click.Path(file_okay=False, path_type=Path),
    default=Path("hepml-server"),
    show_default=True,
    help="Folder of the server's database, files and key.",
)
database = click.option(
    "--database",
    envvar="HEPML_DATABASE",
    help="postgresql://USER@HOST/NAME, or HEPML_DATABASE; SQLite in the data folder by default.",
)


def connection(server: str | None, key_file: Path | None) -> Connection | None:
    """Connect to the server that the options name, if they do."""
    if server is None:
        return None
    from hepml_tasks.openml.connection import connect

    return connect(server, key_file=key_file)


@contextmanager
def cluster(dask: str | None, farm: str | None, workers: int) -> Iterator[Cluster | None]:
    """Give the cluster that the options name, if they do."""
    if dask is not None and farm is not None:
        raise click.UsageError("--dask is a cluster that runs, --farm starts one: name one of them")
    if dask is None and farm is None:
        yield None
        return
    from hepml_tasks.running.cluster import connected
    from hepml_tasks.running.farms import started

    with connected(dask) if dask is not None else started(str(farm), workers) as found:
        yield found


def refuse_limits(dask: str | None, farm: str | None, **given: float | None) -> None:
    """Refuse limits of this machine's processes where a cluster's workers do the work."""
    named = ["--" + name.replace("_", "-") for name, value in given.items() if value is not None]
    if named and (dask is not None or farm is not None):
        raise click.UsageError(
            f"{' and '.join(named)} can't be kept with --dask or --farm: cores and memory are those"
            " of the cluster's workers, and a worker can't be told to leave a fold; leave it out"
        )


def spool_folder(spool: Path | None) -> Path:
    """Return the spool that the options name, or the default one."""
    from hepml_tasks import settings

    return settings.spool_dir() if spool is None else spool


def print_json(data: Any) -> None:
    """Print data for a script."""
    click.echo(json.dumps(data, indent=1))


def say(line: str) -> None:
    """Print a line of progress without tearing a progress bar."""
    from tqdm import tqdm

    with tqdm.external_write_mode():
        click.echo(line)


def fold_bar(name: str) -> Callable[[int, int], None]:
    """Return what shows a run's finished folds: a bar on a terminal, silence elsewhere."""
    return bar(name, unit="fold")


def bar(name: str, *, unit: str) -> Callable[[int, int], None]:
    """Return what shows how many of all are done: a bar on a terminal, silence elsewhere."""
    from tqdm import tqdm

    shown: tqdm[Any] | None = None

    def show(done: int, total: int) -> None:
        nonlocal shown
        if shown is None:
            shown = tqdm(total=total, desc=name, unit=unit, leave=False, disable=None)
        shown.update(done - shown.n)
        if done == total:
            shown.close()

    return show


def print_table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """Print text in columns."""
    widths = [max(len(r[i]) for r in (header, *rows)) for i in range(len(header))]
    for row in (header, ["-" * w for w in widths], *rows):
        click.echo("  ".join(c.ljust(w) for c, w in zip(row, widths, strict=True)).rstrip())


def print_scores(scores: Mapping[str, Any], folds: Mapping[str, Any]) -> None:
    """Print each metric's value ± uncertainty, and beside it the spread over folds."""
    from hepml_tasks.running.spread import fold_spread

    rows = []
    for name, score in scores.items():
        spread = fold_spread([f["value"] for f in folds[name]])
        rows.append((name, score_text(score), "" if spread is None else f"{spread:.2g}"))
    print_table(("metric", "pooled", "spread over folds"), rows)


def score_text(score: Mapping[str, Any]) -> str:
    """Write a score with its uncertainty, as the pages do."""
    from hepml_tasks.pages.numbers import round_score

    if score["value"] is None:
        return "none"
    return str(round_score(score["value"], score["uncertainty"]))
