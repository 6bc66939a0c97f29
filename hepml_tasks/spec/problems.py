"""All that is wrong with the fields of a file at once, each with its place and its remedy.

pydantic tells every wrong field, but not the rules that relate fields, as long as a field that
they look at is wrong. So what is wrong is told, put right by a stand-in, and the file is looked at
again, until nothing more is found.
"""

from __future__ import annotations

import copy
import difflib
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields, is_dataclass
from typing import Any, get_args, get_type_hints

from pydantic import ValidationError

from hepml_tasks.errors import nearest

Field = tuple[str | int, ...]
"""The way to a field: names of mappings' keys and positions in lists."""

Validate = Callable[[Any], Any]

_ROUNDS = 60
_NAME = "stand-in"
_STAND_INS: Mapping[str, Any] = {
    "name": _NAME,
    "title": "",
    "about": {"physicist": "", "ml": ""},
    "about.physicist": "",
    "about.ml": "",
    "caveat": "",
    "type": "binary-classification",
    "description": "",
    "dataset": {
        "name": _NAME,
        "version": "1",
        "description": "",
        "licence": "unknown",
        "creators": [],
        "citation": "",
        "files": [{"name": "stand-in.csv"}],
    },
    "dataset.name": _NAME,
    "dataset.version": "1",
    "dataset.description": "",
    "dataset.licence": "unknown",
    "dataset.creators": [],
    "dataset.citation": "",
    "dataset.files": [{"name": "stand-in.csv"}],
    "dataset.files.name": "stand-in.csv",
    "dataset.arff.name": "stand-in.arff",
    "dataset.simulator.name": _NAME,
    "dataset.simulator.events": 1,
    "dataset.simulator.seed": 0,
    "dataset.derived.function": _NAME,
    "dataset.derived.seed": 0,
    "dataset.openml.id": 1,
    "dataset.parts.column": _NAME,
    "roles": {"target": _NAME, "positive": _NAME, "features": ["*"]},
    "roles.target": _NAME,
    "roles.positive": _NAME,
    "roles.features": ["*"],
    "splits": [{"kind": "kfold", "name": _NAME}],
    "splits.kind": "kfold",
    "splits.name": _NAME,
    "splits.train": [_NAME],
    "splits.test": ["stand-in too"],
    "metrics": {"primary": _NAME},
    "metrics.primary": _NAME,
    "references.method": "",
    "references.metric": "",
    "references.value": 0.0,
    "references.source": "",
    "tasks": [{"task": _NAME}],
    "tasks.task": _NAME,
}
"""What stands for a required field that is wrong while the rest is looked at."""

_REMEDIES: Mapping[str, str] = {
    "name": "write lower-case letters, digits and -",
    "dataset.doi": "write it as 10.5281/zenodo.4924875",
    "dataset.name": "write letters, digits and _-.(),",
    "dataset.files.name": "write the file's name without folders, of letters, digits and _.+-",
    "dataset.files.checksum": (
        "write sha256: and 64 hexadecimal digits, md5: and 32, adler32: and 8, or unknown"
    ),
    "dataset.licence": "give it, or `unknown`",
    "dataset.published": 'write "2014", "2014-05" or "2014-05-27", in quotes',
    "dataset.derived.checksum": "write sha256: and 64 hexadecimal digits",
    "dataset.version": "write it in quotes",
}
_OF_TYPES: Mapping[str, str] = {
    "string_type": "write text, in quotes if it looks like something else",
    "int_type": "write a whole number",
    "int_parsing": "write a whole number",
    "int_from_float": "write a whole number",
    "float_type": "write a number",
    "float_parsing": "write a number",
    "bool_type": "write true or false",
    "bool_parsing": "write true or false",
    "tuple_type": "write a list, in [ ]",
    "dict_type": "write fields, in { } or on lines of their own",
    "mapping_type": "write fields, in { } or on lines of their own",
    "dataclass_type": "write fields, in { } or on lines of their own",
}


@dataclass(frozen=True)
class Problem:
    """Something wrong with a field.

    Parameters
    ----------
    field : tuple of str and int
        The way to it; of a missing one too.
    message : str
        What is wrong, and after a semicolon what to do.
    """

    field: Field
    message: str


def problems_of(error: ValidationError, data: Any, kind: type[Any]) -> list[Problem]:
    """Return what pydantic found, a problem each, without what follows from another.

    Parameters
    ----------
    error : ValidationError
    data : dict
        What was validated.
    kind : type
        What it was to become.
    """
    return [problem for problem, _ in _found(error, data, kind)]


def all_problems(data: Any, kind: type[Any], validate: Validate) -> tuple[list[Problem], Any]:
    """Return all that is wrong with the fields of a file.

    Parameters
    ----------
    data : dict
        As read from YAML.
    kind : type
        What it is to become.
    validate : callable
        Makes it of the data, or raises `ValidationError`.

    Returns
    -------
    problems : list of Problem
        In the order in which they were found.
    value : object or None
        What became of the data, with stand-ins for wrong fields; None where that failed.
    """
    data = copy.deepcopy(data)
    found: dict[Problem, None] = {}
    replaced: set[Field] = set()
    for _ in range(_ROUNDS):
        try:
            return list(found), validate(data)
        except ValidationError as error:
            news = _found(error, data, kind)
        known = len(replaced)
        for problem, repair in news:
            # a rule that a stand-in breaks is no fault of the file
            if problem.field not in replaced and _NAME not in problem.message:
                found[problem] = None
            replaced |= repair(data)
        if len(replaced) == known:
            break
    return list(found), None


def kind_name(field: Field) -> str:
    """Return a field's name without the numbers of lists' items, such as ``dataset.files.name``."""
    return ".".join(s for s in field if isinstance(s, str))


def _found(
    error: ValidationError, data: Any, kind: type[Any]
) -> list[tuple[Problem, Callable[[Any], set[Field]]]]:
    errors = [(_place(e["loc"], data, e["type"]), e) for e in error.errors(include_url=False)]
    # of a field that may be of several kinds the nearest kind's problem is told, not each one's
    deeper = {place for place, e in errors if len(place) < len(e["loc"])}
    errors = [
        (place, e)
        for place, e in errors
        if not any(len(d) > len(place) and d[: len(place)] == place for d in deeper)
        or e["type"] == "value_error"
    ]
    missing = {place for place, e in errors if e["type"] == "missing"}
    found = []
    renamed = set()
    for place, e in errors:
        if e["type"] == "unexpected_keyword_argument":
            problem, better = _unknown(place, kind)
            if better is not None and (*place[:-1], better) in missing:
                renamed.add((*place[:-1], better))
            found.append((problem, _renaming(place, better, renamed)))
    for place, e in errors:
        if place in renamed or e["type"] == "unexpected_keyword_argument":
            continue
        for problem in _told(place, e):
            found.append((problem, _standing_in(problem.field)))
    return found


def _place(loc: tuple[str | int, ...], data: Any, kind: str) -> Field:
    """Leave the names of a union's members out: they are no fields of the file."""
    steps: list[str | int] = []
    node = data
    for number, step in enumerate(loc):
        last = number == len(loc) - 1
        below = _at(node, (step,))
        if below is not None or (isinstance(node, dict) and step in node):
            node = below
        elif not (last and kind in {"missing", "unexpected_keyword_argument"}):
            continue
        steps.append(step)
    return tuple(steps)


def _unknown(place: Field, kind: type[Any]) -> tuple[Problem, str | None]:
    known = field_names(kind, place[:-1])
    name = str(place[-1])
    close = difflib.get_close_matches(name, known, n=1, cutoff=0.5)
    return Problem(place, f"unknown field{nearest(name, known)}"), close[0] if close else None


def _told(place: Field, error: Any) -> list[Problem]:
    kind = error["type"]
    remedy = _REMEDIES.get(kind_name(place), "")
    if kind == "missing":
        return [Problem(place, f"this field is required{remedy and '; '}{remedy}")]
    message = str(error["msg"]).removeprefix("Value error, ")
    if kind == "value_error":
        # a rule of the class names the field that it is about
        named = re.match(r"([a-z_]+(?:\.[a-z_]+)*): ", message)
        if named and named[1].split(".")[0] != str(place[-1] if place else ""):
            return [Problem((*place, *named[1].split(".")), message[named.end() :])]
        return [Problem(place, message)]
    if kind == "string_pattern_mismatch" and remedy:
        message = "is not of the right form"
    remedy = remedy or _OF_TYPES.get(kind, "")
    shown = f"{message[:1].lower()}{message[1:]} (found {error['input']!r:.60})"
    return [Problem(place, f"{shown}{remedy and '; '}{remedy}")]


def _renaming(place: Field, better: str | None, renamed: set[Field]) -> Callable[[Any], set[Field]]:
    def repair(data: Any) -> set[Field]:
        parent = _at(data, place[:-1])
        if not isinstance(parent, dict) or place[-1] not in parent:
            return set()
        value = parent.pop(place[-1])
        if better is not None and (*place[:-1], better) in renamed:
            parent[better] = value
        return {place}

    return repair


def _standing_in(place: Field) -> Callable[[Any], set[Field]]:
    def repair(data: Any) -> set[Field]:
        steps = place
        while steps:
            parent = _at(data, steps[:-1])
            stand_in = _STAND_INS.get(kind_name(steps))
            whole = not isinstance(steps[-1], int)
            if isinstance(parent, list) and isinstance(parent[int(steps[-1])], dict):
                item = parent[int(steps[-1])]
                if kind_name(steps) == "splits" and item.keys() - {"kind", "name"}:
                    # the other rules still see its name
                    parent[int(steps[-1])] = {"kind": "kfold", "name": item.get("name", _NAME)}
                    return {steps, place}
            if isinstance(parent, dict) and stand_in is not None and whole:
                if parent.get(steps[-1]) != stand_in:
                    parent[steps[-1]] = copy.deepcopy(stand_in)
                    return {steps, place}
            elif isinstance(parent, dict) and steps[-1] in parent:
                del parent[steps[-1]]
                return {steps, place}
            steps = steps[:-1]
        return set()

    return repair


def _at(data: Any, steps: Field) -> Any:
    for step in steps:
        if isinstance(data, dict):
            data = data.get(step)
        elif isinstance(data, list) and isinstance(step, int) and step < len(data):
            data = data[step]
        else:
            return None
    return data


def field_names(kind: Any, steps: Field) -> list[str]:
    """Follow steps into nested specs and list the fields that are allowed there."""
    kinds = [kind]
    for step in steps:
        inner: list[Any] = []
        for k in kinds:
            hints = get_type_hints(k)
            inner += [hints[step]] if step in hints else []
        kinds = _dataclasses_in(inner) if inner else kinds
    return [f.name for k in kinds for f in fields(k)]


def _dataclasses_in(hints: list[Any]) -> list[Any]:
    found: list[Any] = []
    for hint in hints:
        found += [hint] if is_dataclass(hint) else _dataclasses_in(list(get_args(hint)))
    return found
