"""`hepml data fetch`: published files, verified, on this machine."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from hepml_tasks.cli import options

if TYPE_CHECKING:
    from hepml_tasks.data.sources.record import Record


@click.command()
@click.argument("address", metavar="ADDRESS|TASK")
@click.option("--dry-run", is_flag=True, help="Say what would be fetched; fetch no data.")
@click.option(
    "--file",
    "patterns",
    multiple=True,
    metavar="PATTERN",
    help="Only the files of this name, such as '*.csv'; may be repeated.",
)
@click.option(
    "--to",
    type=click.Path(file_okay=False, path_type=Path),
    help="Copy the files into this folder too; they are kept in the cache.",
)
@click.option(
    "--jobs",
    type=click.IntRange(min=1, max=32),
    default=4,
    show_default=True,
    help="Files that are fetched together.",
)
@options.as_json
def fetch(
    address: str,
    dry_run: bool,
    patterns: tuple[str, ...],
    to: Path | None,
    jobs: int,
    as_json: bool,
) -> None:
    """Fetch the published files of a task, of a record in an archive, or at an address.

    ADDRESS is a Zenodo record (zenodo:4924875, its DOI, its page), one of CERN Open Data
    (cernopendata:328, its DOI, its page), an http(s):// or root:// address, or a path.

    Every file is compared with the checksum that its archive publishes. An interrupted download
    goes on where it was, and what is in the cache is not fetched again. For a restricted record
    the token is taken from ZENODO_TOKEN, or from the file that HEPML_ZENODO_TOKEN_FILE names.

    Example: hepml data fetch 10.7483/OPENDATA.ATLAS.ZBP2.M5T8 --dry-run
    """
    from hepml_tasks.data.sources.choice import matching

    record, dataset = _asked(address)
    if patterns:
        record = matching(record, patterns)
    for notice in record.notices:
        click.echo(f"hepml: {notice}", err=True)
    if dry_run:
        _print_plan(record, dataset, as_json=as_json)
        return
    paths = _fetched(record, dataset, jobs, to)
    if as_json:
        options.print_json(_described(record, dataset, paths))
        return
    for path in paths:
        click.echo(path)


def _asked(address: str) -> tuple[Record, str]:
    """Return what is to be fetched, and the name of its dataset."""
    from hepml_tasks.data.sources import locate
    from hepml_tasks.errors import DataError, nearest
    from hepml_tasks.spec import find_task, task_names

    names = task_names()
    if address in names or address.endswith((".yaml", ".yml")):
        return _of_task(find_task(address).dataset)
    try:
        record = locate(address)
    except DataError as error:
        meant = nearest(address, names)
        if "did you mean" in meant:
            raise DataError(f"{error}{meant}") from error
        raise
    return record, record.dataset


def _of_task(dataset: Any) -> tuple[Record, str]:
    from hepml_tasks.data.sources.record import Record

    notices = []
    if dataset.simulator is not None:
        notices.append(f"dataset {dataset.name} is simulated here: there is nothing to fetch")
    unverified = [f.name for f in dataset.files if f.checksum is None]
    if unverified:
        notices.append(f"unverified, since no checksum is published: {', '.join(unverified)}")
    record = Record(
        address=dataset.source or dataset.name,
        title=dataset.name,
        files=dataset.files,
        doi=dataset.doi,
        version=dataset.version,
        licence=dataset.licence,
        creators=dataset.creators,
        published=dataset.published,
        citation=dataset.citation,
        notices=tuple(notices),
    )
    return record, dataset.name


def _fetched(record: Record, dataset: str, jobs: int, to: Path | None) -> list[Path]:
    from hepml_tasks.data.fetch import fetch_files
    from hepml_tasks.data.placing import place
    from hepml_tasks.data.sources.credentials import LET_IN
    from hepml_tasks.errors import DataError

    if record.access != "open" and not record.files:
        ends = f" until {record.embargoed_until}" if record.embargoed_until else ""
        raise DataError(f"the files of {record.address} are {record.access}{ends}; {LET_IN}")
    paths = fetch_files(record.files, dataset=dataset, at_once=jobs, progress=True)
    if to is None:
        return paths
    return [place(p, to, f.name) for p, f in zip(paths, record.files, strict=True)]


def _described(record: Record, dataset: str, paths: Sequence[Path] = ()) -> dict[str, Any]:
    from hepml_tasks.data.cache import state_of
    from hepml_tasks.data.fetch import first_place
    from hepml_tasks.data.sources.addresses import at_settings
    from hepml_tasks.data.transports import shown

    told = asdict(record)
    for number, (entry, file) in enumerate(zip(told["files"], record.files, strict=True)):
        entry["urls"] = [shown(at_settings(url)) for url in file.urls]
        entry["from"] = shown(first_place(file, dataset=dataset))
        entry["state"] = state_of(file, dataset=dataset)
        entry["path"] = str(paths[number]) if paths else None
    return {"dataset": dataset, **told}


def _print_plan(record: Record, dataset: str, *, as_json: bool) -> None:
    told = _described(record, dataset)
    if as_json:
        options.print_json(told)
        return
    heads = {
        "": f"{record.title} ({record.address})",
        "DOI": record.doi,
        "version": record.version,
        "licence": record.licence,
        "cite": record.citation,
    }
    for name, value in heads.items():
        if value:
            click.echo(f"{name}: {value}" if name else value)
    rows = [
        (
            entry["name"],
            str(entry["size"] or "unknown"),
            entry["checksum"] or "none",
            entry["state"],
            entry["from"] or "a mirror",
        )
        for entry in told["files"]
    ]
    click.echo()
    options.print_table(("file", "bytes", "checksum", "here", "from"), rows)
    total = sum(f.size or 0 for f in record.files)
    at_least = "at least " if any(f.size is None for f in record.files) else ""
    number = "1 file" if len(rows) == 1 else f"{len(rows)} files"
    click.echo(f"\n{number}, {at_least}{total} bytes; nothing was fetched")
