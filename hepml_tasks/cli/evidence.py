"""What `hepml evaluate` and `hepml verify` take for a RUN: a folder, a file, or an id."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from hepml_tasks.cli import options

if TYPE_CHECKING:
    from hepml_tasks.evaluation.evidence import Evidence
    from hepml_tasks.openml.connection import Connection
    from hepml_tasks.running.task import Task

C = TypeVar("C", bound=Callable[..., Any])


@dataclass(frozen=True)
class Origin:
    """Where runs are looked for, and what they are runs of, as the options say.

    Parameters
    ----------
    connection : Connection, optional
        The server that run ids are of.
    task : Task, optional
    """

    connection: Connection | None
    task: Task | None

    def find(self, run: str) -> Evidence:
        """Find a run.

        Raises
        ------
        click.UsageError
            For what is no run.
        HepmlError
            For a run that can't be read.
        """
        from hepml_tasks.evaluation.evidence import from_file, from_folder
        from hepml_tasks.openml.retrieval import fetch_run
        from hepml_tasks.running.folder import RunFolder

        path = Path(run)
        if run.isdecimal() and self.connection is not None:
            spec = None if self.task is None else self.task.evaluation_spec()
            return fetch_run(self.connection, int(run), spec=spec)
        if path.is_dir():
            return from_folder(RunFolder(path), self.task)
        if path.is_file():
            if self.task is None:
                raise click.UsageError(f"{run}: name the task of these predictions with --task")
            return from_file(path, self.task)
        if run.isdecimal():
            raise click.UsageError(f"run {run}: name the server that has it with --server")
        raise click.UsageError(f"{run}: no run folder, no file of predictions, and no run's id")


def origin_options(command: C) -> C:
    """Give a command the options that say where a run is from."""
    for option in (options.events, options.split, options.task, options.server):
        command = option(command)
    return command


def origin(server: str | None, task: str | None, split: str | None, events: int | None) -> Origin:
    """Take the options for where a run is from."""
    from hepml_tasks.running.task import load_task

    if task is None and (split is not None or events is not None):
        raise click.UsageError("--split and --events say more of a --task; name it")
    return Origin(
        # reads need no key
        options.connection(server, None),
        None if task is None else load_task(task, split=split, events=events, progress=True),
    )
