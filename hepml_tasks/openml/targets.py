"""What is to be registered: the tasks and suites that a command names, with their files."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import yaml

from hepml_tasks.data.presence import is_at_hand
from hepml_tasks.data.table import load_table
from hepml_tasks.errors import SpecError, UnknownNameError
from hepml_tasks.openml.beyond import dataset_table
from hepml_tasks.openml.limits import Problem, check_suite, check_task
from hepml_tasks.running.suites import capped
from hepml_tasks.running.task import Task, as_task, with_events
from hepml_tasks.spec import (
    SuiteSpec,
    read_suite,
    read_task,
    suite_names,
    suite_path,
    task_names,
    task_path,
)

_FEW = 100


@dataclass(frozen=True)
class WantedTask:
    """A task on one of its splits, and the file that says so."""

    path: Path
    task: Task

    @property
    def name(self) -> str:
        """The task's name and its split's."""
        return self.task.name


@dataclass(frozen=True)
class WantedSuite:
    """A suite, its file and its tasks, in its order."""

    path: Path
    suite: SuiteSpec
    tasks: tuple[WantedTask, ...]


@dataclass(frozen=True)
class Wanted:
    """All that is to be registered; a task of two suites is there once."""

    tasks: tuple[WantedTask, ...]
    suites: tuple[WantedSuite, ...]

    @property
    def files(self) -> list[Path]:
        """The files that say so."""
        paths = [*(s.path for s in self.suites), *(t.path for t in self.tasks)]
        return list(dict.fromkeys(paths))


def read_targets(names: Sequence[str], *, progress: bool = False) -> Wanted:
    """Read tasks and suites.

    Parameters
    ----------
    names : sequence of str
        Names of tasks or suites of this package, or ``.yaml`` files; ``TASK/SPLIT`` for another
        split than a task's first.
    progress : bool
        Show downloads on a terminal.

    Raises
    ------
    UnknownNameError
        If there is no task and no suite of a name.
    SpecError
        If a file is wrong.
    """
    tasks: dict[str, WantedTask] = {}
    suites: dict[str, WantedSuite] = {}
    for name in names:
        if (path := _suite_file(name)) is not None:
            suite = read_suite(path)
            entries = [_task(t.task, t.split, tasks, progress, t.events) for t in suite.tasks]
            suites[suite.name] = WantedSuite(path, suite, tuple(entries))
        else:
            _task(*_split_of(name), tasks, progress)
    return Wanted(tuple(tasks.values()), tuple(suites.values()))


def _suite_file(name: str) -> Path | None:
    path = Path(name)
    if path.suffix not in {".yaml", ".yml"}:
        return _shown(suite_path(name)) if name in suite_names() else None
    try:
        data = yaml.safe_load(path.read_text("utf-8"))
    except (OSError, UnicodeDecodeError, yaml.YAMLError):
        return None  # read as a task, it is told what is wrong
    return path if isinstance(data, dict) and "tasks" in data else None


def _shown(path: Path) -> Path:
    """Return a path as people type it here."""
    return path.relative_to(Path.cwd()) if path.is_relative_to(Path.cwd()) else path


def _split_of(name: str) -> tuple[str, str | None]:
    if Path(name).suffix in {".yaml", ".yml"} or "/" not in name:
        if not name.endswith((".yaml", ".yml")) and name not in task_names():
            raise UnknownNameError(
                "task or suite",
                name,
                [*task_names(), *suite_names()],
                remedy="a file ends in .yaml",
            )
        return name, None
    task, _, split = name.rpartition("/")
    return task, split


def _task(
    name: str,
    split: str | None,
    known: dict[str, WantedTask],
    progress: bool,
    events: int | None = None,
) -> WantedTask:
    path = _shown(task_path(name))
    task = as_task(capped(read_task(path), events), split=split, progress=progress)
    if task.spec.private is not None:
        raise SpecError(
            f"{path}: task {task.spec.name} withholds labels: `hepml private create` has a server"
            " make it, and no other server can score it"
        )
    other = known.setdefault(task.name, WantedTask(path, task))
    if other.path != path and other.task.spec != task.spec:
        raise SpecError(f"{path} and {other.path} hold two tasks of the name {task.spec.name}")
    return other


def problems_of(wanted: Wanted, *, offline: bool = False) -> list[Problem]:
    """Compare all that would be sent with what production takes.

    Parameters
    ----------
    wanted : Wanted
    offline : bool
        Whether data that aren't at hand stay where they are: then the columns that the files name
        are checked alone.
    """
    found: list[Problem] = []
    for path, task in _by_dataset(wanted.tasks):
        found += check_task(task.spec, path, columns=columns_of(task, offline=offline))
    for suite in wanted.suites:
        found += check_suite(suite.suite, suite.path)
    return list(dict.fromkeys(found))


def _by_dataset(tasks: Iterable[WantedTask]) -> list[tuple[Path, Task]]:
    by_file: dict[Path, Task] = {}
    for wanted in tasks:
        by_file.setdefault(wanted.path, wanted.task)
    return list(by_file.items())


def columns_of(task: Task, *, offline: bool) -> list[str] | None:
    """Return the columns of a task's data, or None where offline nothing is at hand."""
    dataset = task.spec.dataset
    if task.spec.kind.openml is None:
        return dataset_table(task).column_names if not offline or is_at_hand(dataset) else None
    if dataset.simulator is not None:
        few = min(_FEW, dataset.simulator.events)
        spec = with_events(task.spec, few)
        return list(load_table(spec.dataset).column_names)
    if offline and not is_at_hand(dataset):
        return None
    return list(task.events.table.column_names)
