"""Read task and suite files: YAML in, frozen values out, one clear line on what is wrong."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any, TypeVar

import yaml
from pydantic import TypeAdapter, ValidationError

from hepml_tasks.errors import SpecError, UnknownNameError, nearest
from hepml_tasks.spec.evaluation import EvaluationSpec
from hepml_tasks.spec.problems import Problem, all_problems, problems_of
from hepml_tasks.spec.task import SuiteSpec, TaskSpec

T = TypeVar("T")
TASKS = Path(__file__).resolve().parent.parent / "tasks"
"""Where the task files of this package are."""


class _EachFieldOnce:
    """Refuses a field that stands twice, of which YAML would take the last one silently."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        seen = set()
        for key, _ in node.value:
            if key.value in seen:
                told = f"the field {key.value!r} is there twice; keep one"
                raise yaml.constructor.ConstructorError(None, None, told, key.start_mark)
            seen.add(key.value)
        mapping: dict[Any, Any] = super().construct_mapping(node, deep)  # type: ignore[misc]
        return mapping


class _Loader(_EachFieldOnce, yaml.SafeLoader):
    """Constructs what `yaml.safe_load` does."""


class _FastLoader(_EachFieldOnce, getattr(yaml, "CSafeLoader", yaml.SafeLoader)):  # type: ignore[misc]
    """The same, ten times as fast where PyYAML has its C library."""


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
        raise SpecError(f"{origin}: {_first_problem(error, data, kind)}") from error
    return value


def to_mapping(spec: TaskSpec | SuiteSpec | EvaluationSpec) -> dict[str, Any]:
    """Return a spec as plain data, the inverse of `from_mapping`."""
    data: dict[str, Any] = _ADAPTERS[type(spec)].dump_python(spec, mode="json")
    return data


def look_at(data: dict[Any, Any], path: Path, kind: type[T]) -> tuple[list[Problem], T | None]:
    """Return all that is wrong with the fields of a file, and what becomes of it all the same.

    Parameters
    ----------
    data : dict
        The file's content; where it can be found, the source of derived data is put into it.
    path : Path
    kind : type
        `TaskSpec` or `SuiteSpec`.

    Returns
    -------
    problems : list of Problem
    value : object or None
        With stand-ins for fields that are wrong; None where that is too much.
    """
    first: list[Problem] = []
    try:
        _find_source(data, path)
    except SpecError as error:
        field = "dataset.derived.source"
        told = str(error).removeprefix(f"{path}: ").removeprefix(f"{field}: ")
        first = [Problem(tuple(field.split(".")), told)]
        data["dataset"]["derived"]["source"] = to_mapping(find_task("toy-higgs"))["dataset"]
    problems, value = all_problems(data, kind, _ADAPTERS[kind].validate_python)
    return first + problems, value


def _read(path: Path, kind: type[T]) -> T:
    data = _load(path)
    _find_source(data, path)
    return from_mapping(data, kind, origin=str(path))


def _parse(text: str) -> Any:
    try:
        return yaml.load(text, Loader=_FastLoader)  # noqa: S506 - constructs what is safe
    except yaml.YAMLError:
        # the other one tells better what is wrong, and where
        return yaml.load(text, Loader=_Loader)  # noqa: S506 - constructs what is safe


def _load(path: Path) -> dict[Any, Any]:
    try:
        data = _parse(path.read_text("utf-8"))
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


def _first_problem(error: ValidationError, data: Any, kind: type[Any]) -> str:
    # a misspelt field comes first, for it is missing under its right name too
    problem = problems_of(error, data, kind)[0]
    place = ".".join(map(str, problem.field))
    return f"{place}{place and ': '}{problem.message}"
