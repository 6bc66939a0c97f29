"""Task and suite files against all that is known of them: fields, metrics, data, archives.

Everything that is wrong with a file is told at once, each with line, column, field and remedy.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

import yaml

from hepml_tasks.data.checksum import table_sha256
from hepml_tasks.data.presence import is_at_hand
from hepml_tasks.data.proposal import LEFT
from hepml_tasks.data.sources import locate
from hepml_tasks.data.table import load_table
from hepml_tasks.errors import HepmlError, UnknownNameError, nearest
from hepml_tasks.evaluation.usable import metric_problems
from hepml_tasks.running.checked import record_check
from hepml_tasks.running.checks import check_table
from hepml_tasks.running.findings import Finding
from hepml_tasks.running.task import as_task
from hepml_tasks.spec import UNKNOWN, DatasetSpec, SuiteSpec, TaskSpec, find_task
from hepml_tasks.spec.places import Place, field_name, place_in, repeated_keys
from hepml_tasks.spec.problems import Field
from hepml_tasks.spec.reading import look_at

Level = Literal["error", "warning"]


@dataclass(frozen=True)
class FileProblem:
    """Something in a file that is wrong, or that a reader of scores has to know.

    Parameters
    ----------
    file : str
    line, column : int
        Counted from 1; of the nearest field that holds it where a field is missing.
    field : str
        Such as ``dataset.creators[0]``; empty for the file as a whole.
    level : {"error", "warning"}
    message : str
        What is wrong and what to do.
    """

    file: str
    line: int
    column: int
    field: str
    level: Level
    message: str

    def __str__(self) -> str:
        field = f"{self.field}: " if self.field else ""
        return f"{self.file}:{self.line}:{self.column}: {self.level}: {field}{self.message}"


@dataclass(frozen=True)
class CheckedFile:
    """What was found in a file.

    Parameters
    ----------
    file : str
    problems : tuple of FileProblem
        By line.
    told : tuple of str
        What is right, a line a split where the data were loaded.
    """

    file: str
    problems: tuple[FileProblem, ...]
    told: tuple[str, ...] = ()

    @property
    def is_wrong(self) -> bool:
        """Whether any problem is an error."""
        return any(p.level == "error" for p in self.problems)


def check_files(
    paths: Sequence[Path],
    *,
    data: bool | None = None,
    archive: bool = False,
    progress: bool = False,
) -> list[CheckedFile]:
    """Check task and suite files.

    Parameters
    ----------
    paths : sequence of Path
    data : bool, optional
        Whether the data are loaded and compared; by default where they are on this machine.
    archive : bool
        Whether the archive of a task's DOI is asked if its files are those of the spec.
    progress : bool
        Show downloads on a terminal.

    Returns
    -------
    list of CheckedFile
        One a file, in order.
    """
    names: dict[str, Path] = {}
    return [
        _File(path).check(names, data=data, archive=archive, progress=progress) for path in paths
    ]


class _File:
    """One file while it is checked."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.root: yaml.Node | None = None
        self.problems: list[FileProblem] = []
        self.told: list[str] = []

    def add(self, field: Field, message: str, level: Level = "error") -> None:
        self.at(place_in(self.root, field), field_name(field), message, level)

    def at(self, place: Place, field: str, message: str, level: Level = "error") -> None:
        problem = FileProblem(
            str(self.path), place.line, place.column, field, level, " ".join(message.split())
        )
        if problem not in self.problems:
            self.problems.append(problem)

    def check(
        self, names: dict[str, Path], *, data: bool | None, archive: bool, progress: bool
    ) -> CheckedFile:
        content = self.read()
        if isinstance(content, dict):
            is_suite = "tasks" in content and "dataset" not in content
            if is_suite:
                self.check_suite(content)
            else:
                self.check_task(content, names, data=data, archive=archive, progress=progress)
        found = sorted(self.problems, key=lambda p: (p.line, p.column))
        return CheckedFile(str(self.path), tuple(found), tuple(self.told))

    def read(self) -> Any:
        try:
            text = self.path.read_text("utf-8")
            self.root = yaml.compose(text, Loader=yaml.SafeLoader)
            content = yaml.safe_load(text)
        except FileNotFoundError:
            return self.add((), "there is no such file; correct its name")
        except (OSError, UnicodeDecodeError) as error:
            return self.add((), f"can't be read ({error}); save it as UTF-8 text")
        except yaml.YAMLError as error:
            mark = getattr(error, "problem_mark", None)
            place = Place(1, 1) if mark is None else Place(mark.line + 1, mark.column + 1)
            problem = getattr(error, "problem", None) or "is no YAML"
            return self.at(place, "", f"{problem}; correct the YAML, then more can be told")
        for field, place, first in repeated_keys(self.root):
            self.at(place, field_name(field), f"is there on line {first.line} too; keep one")
        if not isinstance(content, dict):
            self.add((), f"has no fields such as `name:`, it is a {type(content).__name__}")
        return content

    def check_suite(self, content: dict[Any, Any]) -> None:
        problems, _ = look_at(content, self.path, SuiteSpec)
        for problem in problems:
            self.add(problem.field, problem.message)
        entries = content.get("tasks")
        for number, entry in enumerate(entries if isinstance(entries, list) else []):
            if not isinstance(entry, dict) or not isinstance(entry.get("task"), str):
                continue
            try:
                spec = find_task(entry["task"])
            except HepmlError as error:
                self.add(("tasks", number, "task"), str(error))
                continue
            splits = [s.name for s in spec.splits]
            if (split := entry.get("split")) is not None and split not in splits:
                told = f"task {spec.name} has no split {split!r}{nearest(str(split), splits)}"
                self.add(("tasks", number, "split"), told)
        if not self.problems:
            self.told.append(f"suite {content['name']} of {len(content['tasks'])} tasks")

    def check_task(
        self,
        content: dict[Any, Any],
        names: dict[str, Path],
        *,
        data: bool | None,
        archive: bool,
        progress: bool,
    ) -> None:
        problems, spec = look_at(content, self.path, TaskSpec)
        for problem in problems:
            self.add(problem.field, problem.message)
        self.check_name(content.get("name"), names)
        if spec is None:
            return
        wrong = {problem.field for problem in problems}
        for field, message in metric_problems(spec):
            if field not in wrong and field[:1] not in wrong and ("type",) not in wrong:
                self.add(field, message)
        for field in _left(content):
            self.add(field, "is left to fill in", "warning")
        for field, message in _unknown(spec.dataset):
            if field not in wrong:
                self.add(field, message, "warning")
        if any(p.level == "error" for p in self.problems):
            return
        if archive:
            for field, message in _other_files(spec.dataset):
                self.add(field, message)
        self.check_data(spec, data=data, progress=progress)
        if not any(p.level == "error" for p in self.problems) and not self.told:
            self.told.append(f"task {spec.name} is well formed")

    def check_name(self, name: Any, names: dict[str, Path]) -> None:
        if not isinstance(name, str):
            return
        if name in names:
            self.add(("name",), f"{names[name]} holds a task of this name too; rename one")
        names.setdefault(name, self.path)

    def check_data(self, spec: TaskSpec, *, data: bool | None, progress: bool) -> None:
        if data is None:
            data = is_at_hand(spec.dataset)
        if not data:
            return None
        try:
            # a wrong number of events is a finding beside others, and no reason to stop
            table = load_table(replace(spec.dataset, rows=None), progress=progress)
            findings = check_table(spec, table)
        except UnknownNameError as error:
            return self.add(("dataset",), str(error))
        except HepmlError as error:
            return self.add(_made_from(spec.dataset), str(error))
        for finding in findings:
            if finding.level != "ok":
                remedy = _REMEDIES.get(finding.check.partition(" ")[0], "")
                told = f"{finding.check}: {finding.figure}"
                self.add(
                    _field_of(finding, spec), f"{told}{remedy and '; '}{remedy}", finding.level
                )
        if any(f.level == "error" for f in findings):
            return None
        content = f"sha256:{table_sha256(table)}"
        record_check(spec, content=content, rows=table.num_rows)
        for split in spec.splits:
            task = as_task(spec, split=split.name)
            self.told.append(
                f"task {task.name}: {len(task.events)} events,"
                f" {len(task.events.features)} features, {len(task.splits)} fits"
            )
        if spec.dataset.checked is None:
            self.told.append(f"loaded and checked; its content is {content}")
        return None


_REMEDIES = {
    "events": "correct dataset.rows, or have the right file",
    "content": "find out what changed, then correct dataset.content",
    "columns": "correct the name, or take it out (roles.exclude)",
    "types": "correct the type, or have the column converted by dataset.table.columns",
    "values": "correct the range, or have the right file",
    "undefined": "say dataset.undefined, or allow undefined values",
    "classes": "correct roles.target or roles.positive",
    "target": "correct roles.target",
    "weights": "correct roles.weight, if these are not the weights",
    "class": "correct class_sums, if the file is whole",
    "event": "correct roles.event_id, or take it out",
}


def _field_of(finding: Finding, spec: TaskSpec) -> Field:
    """Return the field that a finding contradicts."""
    fields: dict[str, Field] = {
        "events": ("dataset", "rows"),
        "content": ("dataset", "content"),
        "classes": ("roles", "target"),
        "target": ("roles", "target"),
        "weights": ("roles", "weight"),
        "class sums": ("class_sums",),
        "event ids": ("roles", "event_id"),
        "duplicates": ("dataset",),
    }
    if finding.check.startswith("split "):
        name = finding.check.removeprefix("split ").removesuffix(", duplicates")
        numbers = [i for i, s in enumerate(spec.splits) if s.name == name]
        return ("splits", *numbers[:1])
    listed = finding.check == "columns" and finding.column in spec.roles.features
    if finding.column in spec.dataset.columns and not listed:
        return ("dataset", "columns", finding.column)
    roles = {v: k for k, v in vars(spec.roles).items() if isinstance(v, str)}
    if finding.column in roles:
        return ("roles", roles[finding.column])
    if finding.column:
        features = list(spec.roles.features)
        inside = finding.column in features
        return ("roles", "features", *([features.index(finding.column)] if inside else []))
    return fields.get(finding.check, ("dataset",))


def _made_from(dataset: DatasetSpec) -> Field:
    kinds = ("files", "simulator", "derived")
    return ("dataset", next(k for k in kinds if getattr(dataset, k)))


def _left(content: Any, above: Field = ()) -> Iterator[Field]:
    """Go through the texts that `hepml new dataset` has left to the author."""
    if isinstance(content, str) and content.startswith(LEFT):
        yield above
    items = content.items() if isinstance(content, dict) else ()
    for step, value in enumerate(content) if isinstance(content, list) else items:
        yield from _left(value, (*above, step))


def _unknown(dataset: DatasetSpec) -> Iterator[tuple[Field, str]]:
    """Go through the facts that nobody knows: they are warnings."""
    if dataset.licence == UNKNOWN:
        yield ("dataset", "licence"), "unknown: nobody may be sure to be allowed to use the data"
    if dataset.openml == UNKNOWN:
        yield ("dataset", "openml"), "unknown: a copy of the dataset may be registered twice"
    for number, file in enumerate(dataset.files):
        if file.checksum is None:
            yield (
                ("dataset", "files", number, "checksum"),
                f"unknown: nobody vouches for the first copy of {file.name}",
            )


def _other_files(dataset: DatasetSpec) -> Iterator[tuple[Field, str]]:
    """Ask the archive whether what its DOI stands for has the spec's files."""
    if dataset.doi is None or not dataset.files:
        return
    try:
        record = locate(dataset.doi)
    except HepmlError as error:
        yield ("dataset", "doi"), str(error)
        return
    published = {file.name: file for file in record.files}
    for number, file in enumerate(dataset.files):
        field = ("dataset", "files", number)
        found = published.get(file.name)
        if found is None:
            told = f"{dataset.doi} has no file {file.name}{nearest(file.name, published)}"
            yield ("dataset", "doi"), f"{told}; correct the DOI or the file's name"
            continue
        for fact in ("checksum", "size"):
            ours, theirs = getattr(file, fact), getattr(found, fact)
            # checksums of two algorithms can't be compared
            other = fact == "checksum" and str(ours)[:4] != str(theirs)[:4]
            if ours is not None and theirs is not None and ours != theirs and not other:
                yield (
                    (*field, fact),
                    f"{ours} where {dataset.doi} has {theirs}: the DOI is that of another file;"
                    " correct one of them",
                )
