"""Read task and suite files: YAML in, frozen values out, one clear line on what is wrong."""

from __future__ import annotations

import os
import typing
from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from pathlib import Path
from typing import Any, TypeVar

import yaml
from pydantic import TypeAdapter, ValidationError

from hepml_tasks.errors import SpecError, UnknownNameError, nearest
from hepml_tasks.spec.evaluation import EvaluationSpec
from hepml_tasks.spec.task import SuiteSpec, TaskSpec

T = TypeVar("T")
TASKS = Path(__file__).resolve().parent.parent / "tasks"
"""Where the task files of this package are."""

_ADAPTERS: dict[type[Any], TypeAdapter[Any]] = {
    kind: TypeAdapter(kind) for kind in (TaskSpec, SuiteSpec, EvaluationSpec)
}


def read_task(path: str | os.PathLike[str]) -> TaskSpec:
    """Read a task file.

    Parameters
    ----------
    path : path-like

    Returns
    -------
    TaskSpec

    Raises
    ------
    SpecError
        Names the file, the field and what is allowed there.
    """
    return _read(Path(path), TaskSpec)


def read_suite(path: str | os.PathLike[str]) -> SuiteSpec:
    """Read a suite file, as `read_task` does a task."""
    return _read(Path(path), SuiteSpec)


def task_names() -> list[str]:
    """Return the names of the tasks that come with this package."""
    return sorted(p.stem for p in TASKS.glob("*.yaml"))


def suite_names() -> list[str]:
    """Return the names of the suites that come with this package."""
    return sorted(p.stem for p in (TASKS / "suites").glob("*.yaml"))


def task_path(name_or_path: str | os.PathLike[str]) -> Path:
    """Return the file of a task that comes with this package, or the path itself.

    Raises
    ------
    UnknownNameError
        If there is neither.
    """
    path = Path(name_or_path)
    if path.suffix in {".yaml", ".yml"}:
        return path
    name = os.fspath(name_or_path)
    if name not in task_names():
        raise UnknownNameError(
            "task", name, task_names(), remedy="`hepml tasks` lists them, a file ends in .yaml"
        )
    return TASKS / f"{name}.yaml"


def suite_path(name_or_path: str | os.PathLike[str]) -> Path:
    """Return the file of a suite, as `task_path` does a task's."""
    path = Path(name_or_path)
    if path.suffix in {".yaml", ".yml"}:
        return path
    name = os.fspath(name_or_path)
    if name not in suite_names():
        raise UnknownNameError("suite", name, suite_names(), remedy="a suite's file ends in .yaml")
    return TASKS / "suites" / f"{name}.yaml"


def find_task(name_or_path: str | os.PathLike[str]) -> TaskSpec:
    """Find a task by the name of one that comes with this package, or by its file's path.

    Raises
    ------
    UnknownNameError
        If there is neither.
    """
    return read_task(task_path(name_or_path))


def find_suite(name_or_path: str | os.PathLike[str]) -> SuiteSpec:
    """Find a suite by name or by its file's path, as `find_task` does a task."""
    return read_suite(suite_path(name_or_path))


def from_mapping(data: Mapping[str, Any], kind: type[T], *, origin: str) -> T:
    """Validate plain data into a spec value.

    Parameters
    ----------
    data : mapping
        As read from YAML or JSON.
    kind : type
        `TaskSpec`, `SuiteSpec` or `EvaluationSpec`.
    origin : str
        The file that error messages name.
    """
    try:
        value: T = _ADAPTERS[kind].validate_python(data)
    except ValidationError as error:
        raise SpecError(f"{origin}: {_first_problem(error, kind)}") from error
    return value


def to_mapping(spec: TaskSpec | SuiteSpec | EvaluationSpec) -> dict[str, Any]:
    """Return a spec as plain data, the inverse of `from_mapping`."""
    data: dict[str, Any] = _ADAPTERS[type(spec)].dump_python(spec, mode="json")
    return data


def _read(path: Path, kind: type[T]) -> T:
    data = _load(path)
    _find_source(data, path)
    return from_mapping(data, kind, origin=str(path))


def _load(path: Path) -> dict[Any, Any]:
    try:
        data = yaml.safe_load(path.read_text("utf-8"))
    except FileNotFoundError:
        raise SpecError(f"{path}: no such file") from None
    except (OSError, UnicodeDecodeError) as error:
        raise SpecError(f"{path}: can't be read ({error})") from error
    except yaml.YAMLError as error:
        where = getattr(error, "problem_mark", None)
        line = f", line {where.line + 1}" if where else ""
        problem = getattr(error, "problem", None) or "not YAML"
        raise SpecError(f"{path}{line}: {problem}") from error
    if not isinstance(data, dict):
        raise SpecError(f"{path}: expected fields such as `name:`, found {type(data).__name__}")
    return data


def _find_source(data: dict[Any, Any], path: Path, seen: tuple[Path, ...] = ()) -> None:
    """Put the dataset of a derived one's source where a task file names a task."""
    dataset = data.get("dataset")
    derived = dataset.get("derived") if isinstance(dataset, dict) else None
    if not isinstance(derived, dict) or not isinstance(derived.get("source"), str):
        return
    source = derived["source"]
    field = f"{path}: dataset.derived.source"
    if source.endswith((".yaml", ".yml")):
        # beside the file that names it, wherever it is read from
        other = path.parent / source
    elif source in task_names():
        other = TASKS / f"{source}.yaml"
    else:
        raise SpecError(
            f"{field}: no task is called {source!r}{nearest(source, task_names())}; a file ends"
            " in .yaml"
        )
    chain = (*seen, path.resolve())
    if other.resolve() in chain:
        raise SpecError(f"{field}: {source!r} is derived from this dataset itself")
    found = _load(other)
    _find_source(found, other, chain)
    derived["source"] = to_mapping(from_mapping(found, TaskSpec, origin=str(other)))["dataset"]


def _first_problem(error: ValidationError, kind: type[Any]) -> str:
    problems = error.errors(include_url=False)
    # a misspelt field is missing under its right name too: the misspelling is what to tell
    unknown = [p for p in problems if p["type"] == "unexpected_keyword_argument"]
    problem = (unknown or problems)[0]
    # pydantic names the member of a union in the location: it is no field of the file
    steps = [str(s) for s in problem["loc"] if str(s) not in {"kfold", "holdout", "official"}]
    place = ".".join(steps)
    prefix = f"{place}: " if place else ""
    if problem["type"] == "unexpected_keyword_argument":
        known = _field_names(kind, steps[:-1])
        return f"{place}: unknown field{nearest(steps[-1], known)}"
    if problem["type"] == "missing":
        return f"{place}: this field is required"
    message = str(problem["msg"]).removeprefix("Value error, ")
    shown = "" if problem["type"] == "value_error" else f" (found {problem['input']!r:.60})"
    return f"{prefix}{message[:1].lower()}{message[1:]}{shown}"


def _field_names(kind: Any, steps: list[str]) -> list[str]:
    """Follow `steps` into nested specs and list the fields that are allowed there."""
    kinds = [kind]
    for step in steps:
        inner: list[Any] = []
        for k in kinds:
            hints = typing.get_type_hints(k)
            inner += [hints[step]] if step in hints else []
        kinds = _dataclasses_in(inner) if inner else kinds
    return [f.name for k in kinds for f in fields(k)]


def _dataclasses_in(hints: list[Any]) -> list[Any]:
    found: list[Any] = []
    for hint in hints:
        found += [hint] if is_dataclass(hint) else _dataclasses_in(list(typing.get_args(hint)))
    return found
