"""The table in docs/conformance.md: nothing of the client left out, and each row shown by tests."""

from __future__ import annotations

import ast
import inspect
import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import openml
import pytest

from hepml_tasks.server.errors import MESSAGES

ROOT = Path(__file__).resolve().parents[3]
PAGE = ROOT / "docs" / "conformance.md"
MODULES = ("datasets", "tasks", "flows", "runs", "setups", "evaluations", "study")


def public_names() -> Iterator[str]:
    """Every function, and every method and property of every class, that the client offers."""
    yield "populate_cache"
    for module_name in MODULES:
        module = getattr(openml, module_name)
        functions = inspect.getmembers(module.functions, inspect.isfunction)
        found = {name for name, f in functions if f.__module__ == module.functions.__name__}
        for name in sorted(found | set(module.__all__)):
            thing = getattr(module, name, None) or getattr(module.functions, name)
            if name.startswith("_"):
                continue
            if not inspect.isclass(thing):
                yield f"{module_name}.{name}"
                continue
            for attribute in sorted(dir(thing)):
                value = inspect.getattr_static(thing, attribute)
                kinds = (property, staticmethod, classmethod)
                if not attribute.startswith("_") and (
                    inspect.isfunction(value) or isinstance(value, kinds)
                ):
                    yield f"{_first(thing, attribute)}.{attribute}"


def _first(kind: type, attribute: str) -> str:
    """The name of the most general public class that has an attribute."""
    having = [k for k in kind.__mro__ if hasattr(openml, k.__name__) and hasattr(k, attribute)]
    return having[-1].__name__ if having else kind.__name__


@dataclass(frozen=True)
class Row:
    """A row: what is called, the tests that show it, and the error codes that they show."""

    names: tuple[str, ...]
    tests: tuple[tuple[str, str], ...]
    codes: tuple[int, ...]


@cache
def rows() -> tuple[Row, ...]:
    found = []
    for line in PAGE.read_text(encoding="utf-8").splitlines():
        cells = [cell.strip() for cell in line.strip("|").split("|")]
        if not line.startswith("| `") or len(cells) != 4:
            continue
        tests = re.findall(r"`(test_\w+\.py)::(test_\w+)`", cells[2])
        found.append(
            Row(
                tuple(re.findall(r"`([\w.]+)`", cells[0])),
                tuple((file, name) for file, name in tests),
                tuple(int(code) for code in re.findall(r"\d+", cells[3])),
            )
        )
    return tuple(found)


def local_names() -> set[str]:
    """What the page says asks no server."""
    section = PAGE.read_text(encoding="utf-8").split("## What asks no server")[1]
    return set(re.findall(r"`([\w.]+)`", section.split("\n## ")[0]))


@cache
def sources() -> dict[tuple[str, str], str]:
    """The source of every test of this folder, with what its decorators say."""
    found = {}
    for path in Path(__file__).parent.glob("test_*.py"):
        text = path.read_text(encoding="utf-8")
        for node in ast.parse(text).body:
            if isinstance(node, ast.FunctionDef):
                first = min([node.lineno, *(d.lineno for d in node.decorator_list)])
                lines = text.splitlines()[first - 1 : node.end_lineno]
                found[path.name, node.name] = "\n".join(lines)
    return found


def test_every_function_of_the_client_has_a_row_or_asks_no_server() -> None:
    in_table = {name for row in rows() for name in row.names}
    public = set(public_names())
    assert in_table & local_names() == set()
    assert public - in_table - local_names() == set()
    # what is more are calls that the client has no function for
    assert {n for n in in_table | local_names() if not n.startswith("_")} <= public


@pytest.mark.parametrize("row", rows(), ids=lambda row: row.names[0])
def test_a_row_is_shown_by_its_tests(row: Row) -> None:
    assert row.tests
    shown = "\n".join(sources()[test] for test in row.tests)
    for name in row.names:
        assert re.search(rf"\b{name.rsplit('.', 1)[-1]}\b", shown), name
    for code in row.codes:
        assert code in MESSAGES
        # a call without a key is told to the client's user without its code
        says = "not_authorised" if code == 102 else str(code)
        assert re.search(rf"\b{says}\b", shown), code


def test_every_error_that_a_test_shows_is_in_the_table() -> None:
    listed = {code for row in rows() for code in row.codes}
    shown = {
        int(code)
        for (file, _), text in sources().items()
        if file != Path(__file__).name
        for code in re.findall(r"refused\((\d+)\b", text)
    }
    assert shown - listed == set()
