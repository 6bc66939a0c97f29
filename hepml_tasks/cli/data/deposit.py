"""`hepml data deposit`: a dataset in every format, and its way to Zenodo."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from hepml_tasks.cli import options

if TYPE_CHECKING:
    from hepml_tasks.data.deposit.answers import Deposition
    from hepml_tasks.data.deposit.manifest import BuiltFile
    from hepml_tasks.data.deposit.plan import Plan
    from hepml_tasks.data.deposit.zenodo import Zenodo
    from hepml_tasks.spec import TaskSpec


@click.command()
@click.argument("task")
@click.option(
    "--out",
    type=click.Path(file_okay=False, path_type=Path),
    help="The deposit's folder; TASK-deposit here by default.",
)
@click.option("--upload", is_flag=True, help="Make a Zenodo draft of it, or go on with it.")
@click.option("--new-version-of", metavar="RECORD", help="DOI or number of a record of yours.")
@click.option("--community", "communities", multiple=True, help="A Zenodo community to ask.")
@click.option(
    "--related",
    multiple=True,
    metavar="RELATION:ID",
    help="What the deposit relates to, such as isSupplementTo:10.1234/paper.",
)
@click.option("--publish", is_flag=True, help="Upload, and publish after a confirmation.")
@click.option("--yes", is_flag=True, help="Publish without asking.")
@click.option("--dry-run", is_flag=True, help="Say what would be done; write and send nothing.")
@options.as_json
def deposit(
    task: str,
    out: Path | None,
    upload: bool,
    new_version_of: str | None,
    communities: tuple[str, ...],
    related: tuple[str, ...],
    publish: bool,
    yes: bool,
    dry_run: bool,
    as_json: bool,
) -> None:
    """Build a folder with the dataset of TASK in every format, ready for an archive.

    With --upload it becomes a draft at Zenodo, or where HEPML_ZENODO_URL points, such as
    https://sandbox.zenodo.org. The token is taken from ZENODO_TOKEN, or from the file that
    HEPML_ZENODO_TOKEN_FILE names. A draft is not public: only --publish makes it so, for good.

    The same command goes on where it was interrupted, and sends nothing that is there already.

    Example: hepml data deposit toy-higgs --upload --dry-run
    """
    upload = upload or publish
    if (new_version_of or communities or related) and not upload:
        raise click.UsageError("--new-version-of, --community and --related need --upload")
    if publish and not yes and not dry_run and not sys.stdin.isatty():
        raise click.UsageError(
            "--publish asks for a confirmation, and there is no terminal to ask: say --yes too"
        )
    from hepml_tasks.data.deposit.folder import build_folder, default_folder
    from hepml_tasks.spec import find_task

    spec = find_task(task)
    folder = default_folder(spec) if out is None else out
    target = _target(spec, new_version_of, communities, related) if upload else None
    if dry_run:
        _rehearse(spec, folder, target, publish=publish, as_json=as_json)
        return
    bar = options.bar(spec.dataset.name, unit="file")
    files = build_folder(spec, folder, progress=True, made=bar)
    told: dict[str, Any] = {"folder": str(folder), "files": [asdict(f) for f in files]}
    if not as_json:
        _print_folder(folder, files)
    code = 0
    if target is not None:
        plan = _upload(folder, files, target)
        told["draft"] = _describe(plan)
        if not as_json:
            _print_plan(plan)
        if publish and plan.deposit is not None:
            done = _publish(folder, files, target, plan.deposit, yes=yes)
            code = 3 if done is None else 0
            if done is not None:
                told["draft"] |= {"published": True, "doi": done.doi, "page": done.page}
                if not as_json:
                    click.echo(f"published as https://doi.org/{done.doi}")
    if as_json:
        options.print_json(told)
    sys.exit(code)


@dataclass(frozen=True)
class _Target:
    """The archive, and what it is told of the deposit."""

    zenodo: Zenodo
    metadata: Mapping[str, Any]
    new_version_of: str | None


def _target(
    spec: TaskSpec,
    new_version_of: str | None,
    communities: Sequence[str],
    related: Sequence[str],
) -> _Target:
    """Bring the options together: what is wrong with them is told before any work."""
    from hepml_tasks import settings
    from hepml_tasks.data.deposit.metadata import zenodo_metadata
    from hepml_tasks.data.deposit.plan import record_id
    from hepml_tasks.data.deposit.zenodo import Zenodo

    if new_version_of is not None:
        record_id(new_version_of)
    metadata = zenodo_metadata(spec, communities=communities, related=related)
    zenodo = Zenodo(settings.zenodo_url())
    zenodo.require_token()
    return _Target(zenodo, metadata, new_version_of)


def _publish(
    folder: Path,
    files: Sequence[BuiltFile],
    target: _Target,
    draft: Deposition,
    *,
    yes: bool,
) -> Deposition | None:
    """Publish a draft, or return None if the person who is asked says no."""
    from hepml_tasks.data.deposit.upload import publish

    if draft.published:
        return draft
    if not yes:
        click.echo(_summary(files, target, draft), err=True)
        if not click.confirm("Publish it, for good?", default=False, err=True):
            click.echo(f"not published; the draft is at {draft.page}", err=True)
            return None
    return publish(folder, files, target.zenodo, draft.id)


def _summary(files: Sequence[BuiltFile], target: _Target, draft: Deposition) -> str:
    m = target.metadata
    related = [f"{r['relation']} {r['identifier']}" for r in m.get("related_identifiers", ())]
    lines = {
        "at": f"{target.zenodo.base}, draft {draft.id}",
        "title": m["title"],
        "version": m["version"],
        "creators": "; ".join(c["name"] for c in m["creators"]),
        "licence": m["license"],
        "communities": ", ".join(c["identifier"] for c in m.get("communities", ())),
        "related": ", ".join(related),
        "files": f"{len(files)}, {sum(f.size for f in files)} bytes",
        "DOI": draft.doi,
    }
    told = "\n".join(f"  {name:<12} {value}" for name, value in lines.items() if value)
    return f"\n{told}\n\nA published record stays: its files can't be changed or deleted any more."


def _rehearse(
    spec: TaskSpec, folder: Path, target: _Target | None, *, publish: bool, as_json: bool
) -> None:
    from hepml_tasks.data.deposit.folder import file_names, known_files
    from hepml_tasks.data.deposit.plan import plan_upload

    files = known_files(spec, folder)
    told: dict[str, Any] = {
        "folder": str(folder),
        "build": [] if files is not None else list(file_names(spec)),
    }
    if target is not None and files is not None:
        plan = plan_upload(
            folder,
            files,
            target.zenodo,
            target.metadata,
            new_version_of=target.new_version_of,
        )
        told["draft"] = _describe(plan)
    if target is not None:
        told["publish"] = publish
    if as_json:
        options.print_json(told)
        return
    if files is None:
        click.echo(f"would build in {folder}: {', '.join(told['build'])}")
    else:
        click.echo(f"{folder}: built before; a file is made again only if the data changed")
    if target is not None:
        if files is None:
            click.echo(f"would send all of them to {target.zenodo.base}")
        else:
            draft = told["draft"]["id"]
            where = "a new draft" if draft is None else f"draft {draft}"
            click.echo(
                f"would send to {where} at {target.zenodo.base}:"
                f" {', '.join(told['draft']['sent']) or 'nothing'}"
            )
        click.echo("would ask, and publish" if publish else "would not publish")


def _describe(plan: Plan) -> dict[str, Any]:
    draft = plan.deposit
    return {
        "id": draft.id if draft else None,
        "page": draft.page if draft else None,
        "doi": draft.doi if draft else None,
        "published": draft.published if draft else False,
        "sent": list(plan.send),
        "kept": list(plan.keep),
        "removed": list(plan.remove),
    }


def _print_folder(folder: Path, files: Sequence[BuiltFile]) -> None:
    from hepml_tasks.data.deposit.folder import strangers

    rows = [(f.name, str(f.size), "made" if f.made else "unchanged", f.sha256[:16]) for f in files]
    options.print_table(("file", "bytes", "", "sha256"), rows)
    click.echo(f"\n{folder}: {len(files)} files, {sum(f.size for f in files)} bytes")
    if others := strangers(folder, files):
        click.echo(f"not part of the deposit: {', '.join(others)}")


def _print_plan(plan: Plan) -> None:
    assert plan.deposit is not None  # noqa: S101 - an upload has one
    state = "published" if plan.deposit.published else "draft, not published"
    click.echo(f"sent {len(plan.send)} files, {len(plan.keep)} were there already")
    if plan.remove:
        click.echo(f"removed from the new version: {', '.join(plan.remove)}")
    click.echo(f"deposit {plan.deposit.id} ({state}): {plan.deposit.page}")


def _upload(folder: Path, files: Sequence[BuiltFile], target: _Target) -> Plan:
    """Upload the folder; on a terminal a bar shows how much is sent."""
    from tqdm import tqdm

    from hepml_tasks.data.deposit.upload import upload

    total = sum(f.size for f in files)
    with tqdm(total=total, unit="B", unit_scale=True, leave=False, disable=None) as bar:

        def sent(name: str, count: int) -> None:
            bar.set_description(name, refresh=False)
            bar.update(count)

        return upload(
            folder,
            files,
            target.zenodo,
            target.metadata,
            new_version_of=target.new_version_of,
            sent=sent,
        )
