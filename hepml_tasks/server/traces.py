"""Optimisation traces: what a search tried in each fold, uploaded as ARFF, read as XML."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from fastapi import APIRouter, Response

from hepml_tasks.errors import FormatError
from hepml_tasks.server.context import Server, answer, get_file
from hepml_tasks.server.database import Run, RunFile
from hepml_tasks.server.errors import Refused
from hepml_tasks.server.xml import Node, node

router = APIRouter()

_REQUIRED = ("repeat", "fold", "iteration", "evaluation", "selected")
_PREFIX = "parameter_"


def _read(path: Path) -> Any:
    from hepml_tasks.formats.arff import read_arff

    try:
        return read_arff(path).table
    except FormatError as error:
        raise FormatError(str(error).replace(str(path), "the file")) from error


def check_trace(path: Path) -> None:
    """Check that a file has the columns of a trace.

    Raises
    ------
    FormatError
        If one is missing or undefined somewhere.
    """
    table = _read(path)
    for name in _REQUIRED:
        if table.column_names.count(name) != 1:
            raise FormatError(f"column {name!r} must be there exactly once")
        if table.column(name).null_count:
            raise FormatError(f"column {name!r} is undefined somewhere")
    if set(table.column("selected").to_pylist()) - {"true", "false"}:
        raise FormatError("column 'selected' must be true or false")


@router.get("/run/trace/{run_id:id}")
def trace(run_id: int, server: Server) -> Response:
    """Answer with the trace of a run."""
    with server.database.read() as session:
        if session.get(Run, run_id) is None:
            raise Refused(571)
        found = session.get(RunFile, (run_id, "trace"))
        if found is None:
            raise Refused(572)
        path = server.files.path(get_file(session, found.file_id))
    rows = _read(path).to_pylist()
    rows.sort(key=lambda row: (row["repeat"], row["fold"], row["iteration"]))
    return answer(node("trace", node("run_id", run_id), map(_iteration, rows)))


def _iteration(row: dict[str, Any]) -> Node:
    # The client reads each value as JSON. Where a search has several grids, a parameter of another
    # one is undefined.
    parameters = {
        name: value if isinstance(value, str) else json.dumps(value)
        for name, value in row.items()
        if name.startswith(_PREFIX) and value is not None
    }
    return node(
        "trace_iteration",
        node("repeat", int(row["repeat"])),
        node("fold", int(row["fold"])),
        node("iteration", int(row["iteration"])),
        node("setup_string", json.dumps(parameters)),
        node("evaluation", row["evaluation"]),
        node("selected", row["selected"]),
    )
