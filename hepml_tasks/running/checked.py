"""The record of which tasks' data have been loaded and checked on this machine."""

from __future__ import annotations

import contextlib
import hashlib
import json
import time
from pathlib import Path

from hepml_tasks import settings
from hepml_tasks.formats.atomic import write_atomically
from hepml_tasks.spec import TaskSpec, to_mapping


def record_check(spec: TaskSpec, *, content: str, rows: int) -> None:
    """Note that the data of a task were loaded, and that nothing was found to be wrong with them.

    Parameters
    ----------
    spec : TaskSpec
    content : str
        The checksum of the table's content.
    rows : int
    """
    record = {"task": spec.name, "content": content, "rows": rows, "checked": time.time()}
    # where it can't be written, only the note is lost
    with contextlib.suppress(OSError):
        write_atomically(_path(spec), json.dumps(record).encode())


def who_checked(spec: TaskSpec) -> str | None:
    """Say who has loaded and checked a task's data.

    Parameters
    ----------
    spec : TaskSpec

    Returns
    -------
    {"authors", "here"} or None
        Its authors, whose checksum of the content is in the file; somebody on this machine, with
        this very file; nobody.
    """
    if spec.dataset.checked is not None:
        return "authors"
    return "here" if _path(spec).is_file() else None


def _path(spec: TaskSpec) -> Path:
    told = json.dumps(to_mapping(spec), sort_keys=True)
    key = hashlib.sha256(told.encode()).hexdigest()[:16]
    return settings.state_dir() / "checked" / f"{spec.name}-{key}.json"
