"""The spool: a folder of run folders, which may be copied, and shared by many processes."""

from __future__ import annotations

import contextlib
import os
import uuid as uuids
from collections.abc import Iterator
from pathlib import Path

from hepml_tasks.errors import OutputError, RunError
from hepml_tasks.running.folder import LAYOUT, RunFolder, read_json, write_json
from hepml_tasks.running.state import looks_like_a_run

_RECORD = "spool.json"


def spool_id(spool: Path) -> str:
    """Return the UUID of a spool, given to it when it is used first.

    Bots that share a spool are one holder of leases: between them the locks of run folders decide.

    Raises
    ------
    OutputError
        If it can't be written.
    RunError
        If its layout is one that this version doesn't know.
    """
    record = spool / _RECORD
    if not record.is_file():
        _give_id(record)
    told = read_json(record)
    if told.get("layout") != LAYOUT:
        raise RunError(
            f"{record}: layout {told.get('layout')!r} is not {LAYOUT}; use the version of"
            " hepml_tasks that wrote it"
        )
    return str(told["uuid"])


def _give_id(record: Path) -> None:
    try:
        record.parent.mkdir(parents=True, exist_ok=True)
        uuid = str(uuids.uuid4())
        written = record.with_name(f".{record.name}.{uuid}")
        write_json(written, {"layout": LAYOUT, "uuid": uuid})
        try:
            with contextlib.suppress(FileExistsError):
                # only where no other process was faster
                os.link(written, record)
        finally:
            written.unlink()
    except OSError as error:
        raise OutputError(
            f"{record}: can't be written ({error.strerror or error}); choose another folder with"
            " --spool"
        ) from error


def runs_in(spool: Path) -> Iterator[RunFolder]:
    """Yield the runs of a spool in the order of their names, those that are half copied too."""
    if not spool.is_dir():
        return
    for path in sorted(spool.iterdir()):
        if looks_like_a_run(path):
            yield RunFolder(path)
