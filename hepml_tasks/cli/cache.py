"""`hepml cache`: what is kept of downloaded and derived data."""

from __future__ import annotations

import dataclasses
import sys
import time
from typing import TYPE_CHECKING

import click

from hepml_tasks.cli import options

if TYPE_CHECKING:
    from hepml_tasks.data.cache import Entry


@click.group()
def cache() -> None:
    """List, prune and check the downloaded and derived data.

    They are in the folder that HEPML_CACHE names.

    Example: hepml cache list
    """


@cache.command(name="list")
@options.as_json
def list_(as_json: bool) -> None:
    """List what is kept: how large, when used last, verified or not.

    Example: hepml cache list
    """
    from hepml_tasks import settings
    from hepml_tasks.data.cache import entries

    found = entries()
    if as_json:
        options.print_json([_plain(e) for e in found])
        return
    rows = [(e.kind, e.state, _size(e.size), _day(e.used), e.dataset, e.path.name) for e in found]
    options.print_table(("kind", "state", "size", "used", "dataset", "name"), rows)
    click.echo(f"\n{_size(sum(e.size for e in found))} in {settings.cache_dir()}")


@cache.command()
@click.option("--unused-for", type=click.FloatRange(min=0), metavar="DAYS", help="Not used since.")
@click.option("--older-than", type=click.FloatRange(min=0), metavar="DAYS", help="Came before.")
@click.option(
    "--max-size",
    metavar="SIZE",
    callback=options.in_bytes,
    help="Keep no more than this, such as 20G: what was used last.",
)
@click.option("--partials", is_flag=True, help="What interrupted and wrong downloads left.")
@click.option("--dry-run", is_flag=True, help="Only say what would be removed (the default).")
@click.option("--yes", is_flag=True, help="Remove it.")
@options.as_json
def prune(
    unused_for: float | None,
    older_than: float | None,
    max_size: int | None,
    partials: bool,
    dry_run: bool,
    yes: bool,
    as_json: bool,
) -> None:
    """Remove what one of the options names; without --yes only say what that is.

    Example: hepml cache prune --unused-for 90 --partials --yes
    """
    from hepml_tasks.data import cache as kept

    if unused_for is None and older_than is None and max_size is None and not partials:
        raise click.UsageError(
            "say what to remove: --unused-for, --older-than, --max-size or --partials"
        )
    if dry_run and yes:
        raise click.UsageError("--dry-run and --yes say opposite things")
    taken = kept.chosen(
        unused_for=unused_for, older_than=older_than, max_size=max_size, rest=partials
    )
    busy = []
    if yes:
        busy = [entry for entry, removed in kept.prune(taken) if not removed]
    gone = [e for e in taken if e not in busy]
    if as_json:
        options.print_json(
            {
                "removed": [_plain(e) for e in gone] if yes else [],
                "would_remove": [] if yes else [_plain(e) for e in gone],
                "in_use": [_plain(e) for e in busy],
            }
        )
    else:
        verb = "removed" if yes else "would remove"
        for entry in gone:
            click.echo(f"{verb} {_size(entry.size)} {entry.path}")
        for entry in busy:
            click.echo(f"in use, kept {entry.path}")
        total = _size(sum(e.size for e in gone))
        click.echo(f"{verb} {total} in {len(gone)} files{'' if yes else '; --yes removes them'}")
    if busy:
        sys.exit(3)


@cache.command()
@options.as_json
def check(as_json: bool) -> None:
    """Compute every checksum again and set aside what is wrong; exit code 3 if anything is.

    Example: hepml cache check
    """
    from hepml_tasks.data.cache import check, entries

    wrong = check(options.bar("check", unit="file"))
    if as_json:
        options.print_json(
            {
                "right": sum(e.kind != "rest" for e in entries()),
                "wrong": [{"path": str(path), "why": why} for path, why in wrong],
            }
        )
    else:
        for path, why in wrong:
            click.echo(f"{path}: {why}")
        click.echo(f"{len(wrong)} files are wrong" if wrong else "every file is right")
    if wrong:
        sys.exit(3)


def _plain(entry: Entry) -> dict[str, object]:
    return {**dataclasses.asdict(entry), "path": str(entry.path)}


def _day(seconds: float) -> str:
    return time.strftime("%Y-%m-%d %H:%M", time.localtime(seconds))


def _size(size: float) -> str:
    for unit in ("B", "kB", "MB", "GB"):
        if size < 1000:
            return f"{size:.0f} {unit}" if unit == "B" else f"{size:.1f} {unit}"
        size /= 1000
    return f"{size:.1f} TB"
