"""What an upload has to do: a deposit's folder compared with what the archive has."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hepml_tasks.data.deposit.answers import Deposition, StoredFile
from hepml_tasks.data.deposit.folder import check_limits
from hepml_tasks.data.deposit.manifest import BuiltFile
from hepml_tasks.data.deposit.state import State, read_state
from hepml_tasks.data.deposit.zenodo import Zenodo
from hepml_tasks.errors import ServerError


@dataclass(frozen=True)
class Plan:
    """What has to happen so that a draft holds what the folder holds.

    Parameters
    ----------
    deposit : Deposition, optional
        The draft, or the published deposit; None where the draft is still to be made.
    send, keep, remove : tuple of str
        Names of files: to be sent, there with the same checksum, no longer a part of it.
    describe : bool
        Whether the metadata differ from those that were sent.
    """

    deposit: Deposition | None
    send: tuple[str, ...]
    keep: tuple[str, ...]
    remove: tuple[str, ...]
    describe: bool


def plan_upload(
    folder: Path,
    files: Sequence[BuiltFile],
    zenodo: Zenodo,
    metadata: Mapping[str, Any],
    *,
    new_version_of: str | None = None,
) -> Plan:
    """Say what an upload would do; nothing is changed anywhere.

    Parameters
    ----------
    folder : Path
    files : sequence of BuiltFile
    zenodo : Zenodo
    metadata : mapping
    new_version_of : str, optional
        DOI, address or number of the published record that gets a new version.
    """
    check_limits(files)
    state = read_state(folder, zenodo.base)
    deposit = find_deposit(zenodo, state) if state else None
    if state is None or deposit is None or starts_anew(deposit, state, files, new_version_of):
        return Plan(None, tuple(f.name for f in files), (), (), describe=True)
    return compare(deposit, state, files, metadata)


def record_id(text: str) -> int:
    """Read the number of a Zenodo record out of its DOI, its address or the number itself.

    Raises
    ------
    ServerError
        If there is none in it.
    """
    found = re.fullmatch(
        r"(?:(?:https?://)?(?:dx\.)?(?:doi\.org/)?10\.\d{4,9}/zenodo\.|https?://[^/\s]+/(?:records?|deposit|uploads)/|zenodo:)?"
        r"(\d{1,18})/?",
        text.strip(),
    )
    if not found:
        raise ServerError(
            f"{text!r} names no Zenodo record: give its number, its DOI such as"
            " 10.5281/zenodo.123, or its address"
        )
    return int(found[1])


def find_deposit(zenodo: Zenodo, state: State) -> Deposition | None:
    """Return the deposit that is remembered, if the server still has it."""
    if state.deposit is not None:
        return zenodo.read(state.deposit)
    # The request for a draft was sent and its answer never came: the draft carries the mark.
    return next((d for d in zenodo.drafts() if state.mark in str(d.metadata.get("notes"))), None)


def starts_anew(
    deposit: Deposition, state: State, files: Sequence[BuiltFile], new_version_of: str | None
) -> bool:
    """Whether another draft than the one remembered is asked for."""
    asked_before = new_version_of is None or new_version_of == state.new_version_of
    if not deposit.published:
        if asked_before:
            return False
        raise ServerError(
            f"the folder's draft {deposit.id} is not published yet ({deposit.page}): publish it or"
            " delete it there before a new version"
        )
    if holds(deposit, files) and asked_before:
        return False
    if new_version_of is None:
        raise ServerError(
            f"deposit {deposit.id} is published as {deposit.doi} and its files can't change any"
            f" more: make a new version with --new-version-of {deposit.id}"
        )
    return True


def compare(
    deposit: Deposition, state: State, files: Sequence[BuiltFile], metadata: Mapping[str, Any]
) -> Plan:
    """Compare a deposit with the folder's files, and its metadata with those that were sent."""
    stored = {file.name: file for file in deposit.files}
    keep = tuple(f.name for f in files if is_there(stored.get(f.name), f))
    send = tuple(f.name for f in files if f.name not in keep)
    ours = {f.name for f in files}
    remove = tuple(n for n in state.inherited if n in stored and n not in ours)
    describe = not deposit.published and state.described != digest(metadata)
    return Plan(deposit, send, keep, remove, describe)


def is_there(stored: StoredFile | None, file: BuiltFile) -> bool:
    """Whether the server has a file with the same bytes."""
    return stored is not None and (stored.md5, stored.size) == (file.md5, file.size)


def holds(deposit: Deposition, files: Sequence[BuiltFile]) -> bool:
    """Whether a deposit has all files of the folder with the same bytes."""
    stored = {file.name: file for file in deposit.files}
    return all(is_there(stored.get(file.name), file) for file in files)


def digest(metadata: Mapping[str, Any]) -> str:
    """Return a checksum of metadata, to be remembered with the draft that got them."""
    return hashlib.sha256(json.dumps(metadata, sort_keys=True).encode()).hexdigest()
