"""The documentation says what is so: its commands, its examples and its links."""

from __future__ import annotations

import re
import runpy
import shlex
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click
import pytest

from hepml_tasks.cli import hepml
from hepml_tasks.spec import read_suite, read_task

from .forks import start_server

ROOT = Path(__file__).resolve().parent.parent
PAGES = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").glob("*.md")])
FENCE = re.compile(r"^```(\w*)\n(.*?)^```$", re.DOTALL | re.MULTILINE)
EVENTS = 1000


def blocks(page: Path, language: str) -> list[str]:
    return [text for kind, text in FENCE.findall(page.read_text("utf-8")) if kind == language]


def test_the_page_of_commands_is_what_the_commands_say() -> None:
    render = runpy.run_path(str(ROOT / "docs" / "generate_commands.py"))["render"]
    written = (ROOT / "docs" / "commands.md").read_text("utf-8")
    assert written == render(), "run: python docs/generate_commands.py"


def anchors(page: Path) -> set[str]:
    headings = re.findall(r"^#+ (.+)$", FENCE.sub("", page.read_text("utf-8")), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", h.lower()).replace(" ", "-") for h in headings}


def test_the_page_of_the_architecture_names_every_layer_and_no_module_that_is_gone() -> None:
    text = (ROOT / "docs" / "architecture.md").read_text()
    package = ROOT / "hepml_tasks"
    named = set(re.findall(r"`(\w+(?:/\w+)+\.py)`", text))
    assert len(named) > 20
    assert {n for n in named if not (package / n).is_file() and not (ROOT / n).is_file()} == set()
    layers = {p.name for p in package.iterdir() if p.is_dir() and (p / "__init__.py").is_file()}
    assert {n for n in layers if f"`{n}/`" not in text} == set()


@pytest.mark.parametrize("page", PAGES, ids=lambda p: p.name)
def test_every_link_within_the_repository_leads_somewhere(page: Path) -> None:
    text = FENCE.sub("", page.read_text("utf-8"))
    for link in re.findall(r"\]\(([^)\s]+)\)", text):
        if re.match(r"[a-z]+:", link):
            continue
        path, _, anchor = link.partition("#")
        target = (page.parent / path).resolve() if path else page
        assert target.is_relative_to(ROOT), link
        assert target.exists(), link
        if anchor:
            assert anchor in anchors(target), link


def typed_commands() -> Iterator[Any]:
    for page in PAGES:
        for block in blocks(page, "sh"):
            for line in block.splitlines():
                words = shlex.split(line, comments=True)
                if words and words[0].rpartition("/")[2] == "hepml":
                    yield pytest.param(words[1:], id=f"{page.name}: {' '.join(words[1:])}")


@pytest.mark.parametrize("words", list(typed_commands()))
def test_every_command_in_an_example_can_be_typed(words: list[str]) -> None:
    command: click.Command = hepml
    context: click.Context | None = None
    while isinstance(command, click.Group) and words:
        context = click.Context(command, info_name=command.name, parent=context)
        _, found, words = command.resolve_command(context, words)
        assert found is not None
        command = found
    # parses the options and runs nothing
    command.make_context(command.name, list(words), parent=context)


def test_the_files_shown_in_the_page_of_task_files_are_valid(tmp_path: Path) -> None:
    shown = blocks(ROOT / "docs" / "task-files.md", "yaml")
    (task,) = [b for b in shown if "\nroles:" in b]
    (suite,) = [b for b in shown if "\ntasks:" in b]
    (tmp_path / "task.yaml").write_text(task)
    (tmp_path / "suite.yaml").write_text(suite)
    assert read_task(tmp_path / "task.yaml").name == "my-search"
    assert read_suite(tmp_path / "suite.yaml") == read_suite(ROOT / "tasks/suites/hep-toy.yaml")


def run_script(text: str, replaced: dict[str, str], folder: Path) -> str:
    for old, new in replaced.items():
        assert old in text
        text = text.replace(old, new)
    (folder / "script.py").write_text(text)
    done = subprocess.run(
        [sys.executable, "script.py"],
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.slow
def test_the_examples_of_the_readme_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from hepml_tasks.openml.connection import Connection
    from hepml_tasks.openml.publication import wait_for_evaluation
    from hepml_tasks.openml.registration import register_suite
    from hepml_tasks.spec import find_suite

    publishes, finds = blocks(ROOT / "README.md", "python")
    with start_server(tmp_path / "server") as server:
        monkeypatch.setenv("OPENML_APIKEY", server.apikey)
        address = {"http://127.0.0.1:8080": server.pages.rstrip("/")}
        fewer = {'load_task("toy-higgs")': f'load_task("toy-higgs", events={EVENTS})'}
        said = run_script(publishes, {**address, **fewer}, tmp_path)
        assert re.search(r"^ams +\d\.\d{4} ± \d\.\d{4}$", said, re.MULTILINE)
        assert "run 1 of task 1" in said

        connection = Connection(server.server, server.apikey)
        register_suite(connection, find_suite("hep-toy"), [1])
        ams = wait_for_evaluation(connection, 1)["scores"]["ams"]["value"]
        said = run_script(finds, address, tmp_path)
        assert said.startswith(f"run 1: AMS {ams:.3f} with ")
