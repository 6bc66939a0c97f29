"""A deposit's folder: a task's dataset in every format, with all that a reader of it needs.

A file that is whole and made of the same input is not made again, so that its checksum stays what
it was, also for formats that write the time into the file.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from glob import escape
from pathlib import Path
from typing import Any

import pyarrow as pa

from hepml_tasks.data.card import card, licence_statement
from hepml_tasks.data.checksum import table_sha256
from hepml_tasks.data.citation import bibtex
from hepml_tasks.data.columns import describe_columns, roles_of
from hepml_tasks.data.croissant import Distribution, croissant
from hepml_tasks.data.deposit.manifest import (
    MANIFEST,
    BuiltFile,
    alone,
    forget_others,
    measure,
    read_manifest,
    remember,
    up_to_date,
    write_manifest,
)
from hepml_tasks.data.table import load_table
from hepml_tasks.errors import OutputError
from hepml_tasks.formats.atomic import write_atomically
from hepml_tasks.formats.stream import TableStream
from hepml_tasks.formats.tables import write_table
from hepml_tasks.spec import TaskSpec

ENDINGS = (".csv.gz", ".parquet", ".arff", ".root", ".h5")
"""The formats of a deposit. ARFF is plain, since OpenML reads it through a link."""

MAX_FILES = 100
MAX_BYTES = 50_000_000_000
"""Limits of a Zenodo record: https://developers.zenodo.org, section "Quickstart - Upload"."""

_LAYOUT = 1
"""Part of what a file is made of: a change of how files are written raises it."""


def default_folder(spec: TaskSpec) -> Path:
    """Return where a task's deposit is built by default: a folder of the current one."""
    return Path(f"{spec.name}-deposit")


def data_names(spec: TaskSpec) -> tuple[str, ...]:
    """Return the names of the files that hold the data."""
    return tuple(f"{spec.dataset.name}{ending}" for ending in ENDINGS)


def file_names(spec: TaskSpec) -> tuple[str, ...]:
    """Return the names of all files of a task's deposit."""
    return (*data_names(spec), *_DOCUMENTS, *_SUMS)


def build_folder(
    spec: TaskSpec,
    folder: Path,
    *,
    progress: bool = False,
    made: Callable[[int, int], object] | None = None,
) -> list[BuiltFile]:
    """Bring a folder up to date with a task's dataset.

    Parameters
    ----------
    spec : TaskSpec
    folder : Path
        New, empty, or one that this function built. Files that aren't the deposit's are left
        alone.
    progress : bool
        Show downloads on a terminal.
    made : callable, optional
        Called with the number of data files that are ready, and of all of them.

    Returns
    -------
    list of BuiltFile
        In the order of `file_names`.

    Raises
    ------
    DataError
        If the data can't be had.
    OutputError
        If the folder belongs to something else, or can't be written.
    """
    read_manifest(folder)
    table = load_table(spec.dataset, progress=progress)
    roles = roles_of(spec.roles, table.column_names)
    metadata = {b"hepml.roles": json.dumps(roles).encode()}
    table = table.replace_schema_metadata(metadata)
    content = f"{_LAYOUT} {table_sha256(table)} {table.schema.to_string()}"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with alone(folder):
            return _build(spec, folder, table, content, made)
    except OSError as error:
        raise OutputError(
            f"{folder}: can't be written ({error.strerror or error}); free some room, or name"
            " another folder with --out; files that are done are kept"
        ) from error


def _build(
    spec: TaskSpec,
    folder: Path,
    table: pa.Table,
    content: str,
    made: Callable[[int, int], object] | None,
) -> list[BuiltFile]:
    manifest = read_manifest(folder)
    if not (folder / MANIFEST).exists():
        # from here on the folder is a deposit's, whatever interrupts the rest
        write_manifest(folder, manifest)
    _clear_half_written(spec, folder)
    files: dict[str, BuiltFile] = {}
    names = data_names(spec)
    for number, name in enumerate(names, start=1):
        files[name] = up_to_date(folder, name, content, manifest) or _make_data(folder, name, table)
        remember(folder, manifest, files[name], content)
        if made is not None:
            made(number, len(names))
    held = [Distribution(f.name, f.name, f.size, f.sha256, f.md5) for f in files.values()]
    columns = describe_columns(spec, table)
    documents = {
        "README.md": card(spec, table, held),
        "croissant.json": json.dumps(croissant(spec, columns, held), indent=1) + "\n",
        "CITATION.bib": bibtex(spec.dataset, title=spec.title),
        "LICENSE.txt": licence_statement(spec) + "\n",
    }
    files |= _write_documents(folder, documents, manifest)
    described = list(files.values())
    sums = {
        "SHA256SUMS": "".join(f"{f.sha256}  {f.name}\n" for f in described),
        "MD5SUMS": "".join(f"{f.md5}  {f.name}\n" for f in described),
    }
    files |= _write_documents(folder, sums, manifest)
    forget_others(folder, manifest, set(files))
    return list(files.values())


def _clear_half_written(spec: TaskSpec, folder: Path) -> None:
    """Remove what a process that was killed left of files that weren't whole yet."""
    for name in (*file_names(spec), MANIFEST):
        for path in folder.glob(f".{escape(name)}.*"):
            path.unlink()


_DOCUMENTS = ("README.md", "croissant.json", "CITATION.bib", "LICENSE.txt")
_SUMS = ("SHA256SUMS", "MD5SUMS")


def known_files(spec: TaskSpec, folder: Path) -> list[BuiltFile] | None:
    """Return the files of a folder that was built before, or None if one is missing or changed."""
    manifest = read_manifest(folder)
    files = []
    for name in file_names(spec):
        known, path = manifest.get(name), folder / name
        if known is None or not path.is_file():
            return None
        found = measure(path, made=False)
        if found.sha256 != known["sha256"]:
            return None
        files.append(found)
    return files


def strangers(folder: Path, files: Sequence[BuiltFile]) -> list[str]:
    """Return the names of what else is in a deposit's folder: it is not part of the deposit."""
    ours = {f.name for f in files}
    return sorted(
        p.name for p in folder.iterdir() if p.name not in ours and not p.name.startswith(".")
    )


def check_limits(files: Sequence[BuiltFile]) -> None:
    """Check that files are no more and no larger than a Zenodo record may be.

    Raises
    ------
    OutputError
        Names the number or the size, and what may be done.
    """
    if len(files) > MAX_FILES:
        raise OutputError(
            f"the deposit has {len(files)} files where a Zenodo record takes {MAX_FILES}; pack"
            " some of them together"
        )
    total = sum(f.size for f in files)
    if total > MAX_BYTES:
        largest = max(files, key=lambda f: f.size)
        raise OutputError(
            f"the deposit has {total / 1e9:.1f} GB where a Zenodo record takes"
            f" {MAX_BYTES / 1e9:.0f} GB, {largest.name} alone {largest.size / 1e9:.1f} GB; split"
            " the dataset, or ask Zenodo for more room"
        )


def _make_data(folder: Path, name: str, table: pa.Table) -> BuiltFile:
    write_table(TableStream(table.schema, table.to_batches(), table.num_rows), folder / name)
    return measure(folder / name, made=True)


def _write_documents(
    folder: Path, documents: Mapping[str, str], manifest: dict[str, Any]
) -> dict[str, BuiltFile]:
    files = {}
    for name, text in documents.items():
        path, content = folder / name, text.encode()
        made = not path.is_file() or path.read_bytes() != content
        if made:
            write_atomically(path, content)
        files[name] = measure(path, made=made)
        remember(folder, manifest, files[name], text)
    return files
