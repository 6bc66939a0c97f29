"""Fetch from a server what is needed to make a run again."""

from __future__ import annotations

import tempfile
from pathlib import Path

from hepml_tasks.errors import RunError
from hepml_tasks.evaluation.reproduction import Recipe
from hepml_tasks.formats.arff import read_arff
from hepml_tasks.formats.flat import read_flat
from hepml_tasks.openml.beyond import describe_task
from hepml_tasks.openml.connection import Connection
from hepml_tasks.openml.retrieval import files_of
from hepml_tasks.running.folder import read_json


def fetch_recipe(connection: Connection, run_id: int) -> Recipe:
    """Fetch what is needed to make a run of this package again, from the server alone.

    Raises
    ------
    RunError
        For a run without our files: one by another program.
    """
    files = _files(connection, run_id)
    name = f"run {run_id} of {connection.root}"
    missing = {"run", "environment", "scores", "predictions"} - set(files)
    if missing:
        raise RunError(
            f"{name}: it has no file {sorted(missing)[0]!r}: another program made it, and only runs"
            " that hepml_tasks published can be made again"
        )
    with tempfile.TemporaryDirectory() as folder:
        paths = {key: Path(folder) / key for key in files}
        for key, path in paths.items():
            connection.download(files[key], path)
        if files["predictions"].endswith(".parquet"):
            table = read_flat(paths["predictions"])
        else:
            table = read_arff(paths["predictions"]).table
        return Recipe(
            name=name,
            description=read_json(paths["run"]),
            environment=read_json(paths["environment"]),
            predictions=table.rename_columns(
                ["row" if n == "row_id" else n for n in table.column_names]
            ),
            scores=read_json(paths["scores"]),
        )


def _files(connection: Connection, run_id: int) -> dict[str, str]:
    """Return the addresses of a run's files by name, wherever the server keeps such runs."""
    if connection.is_ours():
        told = connection.get_json(f"run/{run_id}")
        if not describe_task(connection, int(told["task_id"]))["carried_by_openml"]:
            return dict(told["files"])
    return files_of(connection.get(f"run/{run_id}")["oml:run"])
