"""The way of a deposit's folder into a Zenodo draft: each file once, whatever interrupts it."""

from __future__ import annotations

import time
import uuid
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from hepml_tasks.data.deposit.answers import Deposition
from hepml_tasks.data.deposit.folder import check_limits
from hepml_tasks.data.deposit.manifest import BuiltFile, alone
from hepml_tasks.data.deposit.plan import (
    Plan,
    compare,
    digest,
    find_deposit,
    holds,
    is_there,
    record_id,
    starts_anew,
)
from hepml_tasks.data.deposit.state import State, read_state, write_state
from hepml_tasks.data.deposit.zenodo import Zenodo
from hepml_tasks.errors import ChecksumError, ServerError, UnreachableError

_TIMES = 4
"""How often a file is sent before its fault is told."""

Sent = Callable[[str, int], object]
"""Called with a file's name and the number of bytes of it that were just sent."""


def upload(
    folder: Path,
    files: Sequence[BuiltFile],
    zenodo: Zenodo,
    metadata: Mapping[str, Any],
    *,
    new_version_of: str | None = None,
    sent: Sent | None = None,
) -> Plan:
    """Bring a folder's files and metadata into a draft.

    Parameters
    ----------
    folder : Path
        Remembers the draft, so that an interrupted upload goes on with it.
    files : sequence of BuiltFile
    zenodo : Zenodo
    metadata : mapping
    new_version_of : str, optional
        DOI, address or number of the published record that gets a new version.
    sent : callable, optional

    Returns
    -------
    Plan
        What was done. Its deposit has all files, compared by checksum with the folder's.

    Raises
    ------
    ServerError
        If the server refuses something, or the deposit is published and has other files.
    ChecksumError
        If a file arrives damaged each time.
    OutputError
        If the files are more or larger than a record may be.
    """
    check_limits(files)
    with alone(folder):
        deposit, state = _draft(folder, files, zenodo, metadata, new_version_of)
        plan = compare(deposit, state, files, metadata)
        if deposit.published:
            return plan
        if plan.describe:
            zenodo.describe(deposit.id, metadata)
            write_state(folder, zenodo.base, replace(state, described=digest(metadata)))
        stored = {file.name: file for file in deposit.files}
        for name in plan.remove:
            zenodo.remove_file(deposit.id, stored[name])
        local = {file.name: file for file in files}
        for name in plan.send:
            _send(folder, local[name], zenodo, deposit, sent)
        whole = _reread(zenodo, deposit)
        missing = compare(whole, state, files, metadata).send
        if missing:
            raise ServerError(
                f"{zenodo.base}: draft {deposit.id} lost {', '.join(missing)} after the upload;"
                " run the same command again"
            )
        return replace(plan, deposit=whole)


def publish(folder: Path, files: Sequence[BuiltFile], zenodo: Zenodo, deposit: int) -> Deposition:
    """Publish a draft whose files are the folder's, for good.

    Parameters
    ----------
    folder : Path
    files : sequence of BuiltFile
    zenodo : Zenodo
    deposit : int

    Returns
    -------
    Deposition
        With its DOI.

    Raises
    ------
    ServerError
        If the draft doesn't hold what the folder holds, or the server refuses.
    """
    with alone(folder):
        draft = zenodo.read(deposit)
        if draft is None:
            raise ServerError(f"{zenodo.base} has no deposit {deposit} any more")
        if draft.published:
            return draft
        if not holds(draft, files):
            raise ServerError(f"{zenodo.base}: draft {deposit} changed; upload again first")
        try:
            return zenodo.publish(deposit)
        except (ServerError, UnreachableError):
            # the answer may be lost, or an error, after the work is done
            now = zenodo.read(deposit)
            if now is not None and now.published:
                return now
            raise


def _draft(
    folder: Path,
    files: Sequence[BuiltFile],
    zenodo: Zenodo,
    metadata: Mapping[str, Any],
    new_version_of: str | None,
) -> tuple[Deposition, State]:
    """Return the deposit that the folder became before, or else a new draft."""
    state = read_state(folder, zenodo.base)
    if state is not None:
        found = find_deposit(zenodo, state)
        if found is not None and not starts_anew(found, state, files, new_version_of):
            state = replace(state, deposit=found.id)
            write_state(folder, zenodo.base, state)
            return found, state
    if new_version_of is not None:
        draft = zenodo.new_version(zenodo.latest_version(record_id(new_version_of)))
        inherited = tuple(file.name for file in draft.files)
        state = State(uuid.uuid4().hex, draft.id, new_version_of, inherited)
    else:
        state = State(uuid.uuid4().hex)
        write_state(folder, zenodo.base, state)
        draft = _create(zenodo, {**metadata, "notes": f"hepml deposit {state.mark}"}, state)
        state = replace(state, deposit=draft.id)
    write_state(folder, zenodo.base, state)
    return draft, state


def _create(zenodo: Zenodo, metadata: Mapping[str, Any], state: State) -> Deposition:
    for attempt in range(1, zenodo.attempts + 1):
        try:
            return zenodo.create(metadata)
        except ServerError as error:
            passing = isinstance(error, UnreachableError) or (error.code or 0) >= 500
            if not passing or attempt == zenodo.attempts:
                raise
            time.sleep(zenodo.pause * 2 ** (attempt - 1))
            if (found := find_deposit(zenodo, state)) is not None:
                return found
    raise AssertionError  # the last attempt returns or raises


def _send(
    folder: Path, file: BuiltFile, zenodo: Zenodo, deposit: Deposition, sent: Sent | None
) -> None:
    """Send a file until the server has it: a lost answer is looked up before it is sent again."""
    arrived = ""
    for attempt in range(1, _TIMES + 1):
        try:
            arrived = zenodo.put_file(
                deposit, folder / file.name, None if sent is None else lambda n: sent(file.name, n)
            )
        except ServerError as error:
            passing = isinstance(error, UnreachableError) or (error.code or 0) >= 500
            if not passing or attempt == _TIMES:
                raise
            time.sleep(zenodo.pause * 2 ** (attempt - 1))
            stored = {f.name: f for f in _reread(zenodo, deposit).files}
            if is_there(stored.get(file.name), file):
                return
        else:
            if arrived == file.md5:
                return
    raise ChecksumError(
        f"{zenodo.base}: {file.name} arrives with md5 {arrived} each time where the folder's has"
        f" {file.md5}; has {folder / file.name} changed meanwhile?"
    )


def _reread(zenodo: Zenodo, deposit: Deposition) -> Deposition:
    found = zenodo.read(deposit.id)
    if found is None:
        raise ServerError(f"{zenodo.base}: draft {deposit.id} was deleted during the upload")
    return found
