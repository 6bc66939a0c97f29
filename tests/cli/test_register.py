from __future__ import annotations

import json
import socket
import uuid
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from hepml_tasks.cli import hepml as command
from hepml_tasks.openml.connection import Connection
from hepml_tasks.spec import suite_names, task_names


@pytest.fixture
def task_file(small_task: Path) -> Path:
    """Return a task of a name that nobody else has on the shared server."""
    mark = uuid.uuid4().hex[:8]
    text = small_task.read_text().replace("1500", "600")
    text = text.replace("name: toy-small\n", f"name: toy-{mark}\n", 1)
    small_task.write_text(text.replace("  name: toy-higgs\n", f"  name: toy-{mark}\n", 1))
    return small_task


@pytest.fixture
def suite_file(task_file: Path) -> Path:
    path = task_file.with_name("suite.yaml")
    path.write_text(
        f"name: suite-{uuid.uuid4().hex[:8]}\ntitle: A suite\ndescription: For tests.\n"
        f"tasks:\n  - {{task: {task_file}}}\n"
    )
    return path


@pytest.fixture
def to(scratch_server: Any, tmp_path: Path) -> list[str]:
    """Return the options that name the shared server and its key."""
    key = tmp_path / "key"
    key.write_text(scratch_server.apikey)
    return ["--server", scratch_server.pages, "--key-file", str(key)]


@pytest.fixture
def no_network(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: Any) -> None:
        pytest.fail("the network was asked")

    monkeypatch.setattr(socket.socket, "connect", refuse)
    monkeypatch.setattr(socket, "getaddrinfo", refuse)


def test_a_suite_is_planned_registered_and_found(hepml, suite_file, to, tmp_path):
    lock = tmp_path / "here.lock"
    planned = hepml("register", suite_file, *to, "--lock", lock, "--dry-run")
    assert planned.returncode == 0, planned.stderr
    assert planned.stdout.startswith("--- http://127.0.0.1:")
    assert "\n+dataset toy-" in planned.stdout
    assert planned.stdout.endswith(" would be added, 0 there already\n")
    assert not lock.exists()
    done = hepml("register", suite_file, *to, "--lock", lock)
    assert done.returncode == 0, done.stderr
    assert done.stdout.endswith(f"ids are in {lock}\n")
    again = hepml("register", suite_file, *to, "--lock", lock)
    assert "nothing to do: everything is there" in again.stdout
    assert "\n+" not in again.stdout.partition("+++")[2]


def test_the_steps_are_told_to_a_script(hepml, suite_file, to, tmp_path):
    arguments = ("register", suite_file, *to, "--lock", tmp_path / "l", "--json")
    told = json.loads(hepml(*arguments).stdout)
    assert {s["change"] for s in told["steps"]} == {"add"}
    told = json.loads(hepml(*arguments).stdout)
    assert {s["change"] for s in told["steps"]} == {"same"}
    assert told["lock"] == str(tmp_path / "l")


def test_files_are_checked_for_openml_org_without_a_network(no_network, suite_file):
    every = [*task_names(), *suite_names()]
    arguments = ["register", str(suite_file), *every, "--server", "openml.org"]
    result = CliRunner().invoke(command, [*arguments, "--dry-run", "--offline"])
    assert result.exit_code == 0, result.output
    assert "columns of roles alone, for the data are not at hand" in result.stdout
    assert "nothing that openml.org would refuse was found; it was not asked" in result.stdout


def test_all_that_production_refuses_is_told_before_anything_is_sent(
    no_network, task_file, suite_file
):
    text = task_file.read_text().replace("creators: [hepml_tasks]", "creators: [Zoë]")
    task_file.write_text(text.replace('version: "1"', 'version: "v 1/2"'))
    suite_file.write_text(suite_file.read_text().replace("For tests", "Für tests"))
    for offline in (["--dry-run", "--offline"], []):
        result = CliRunner().invoke(
            command, ["register", str(suite_file), "--server", "openml.org", *offline]
        )
        assert result.exit_code == 1
        lines = result.stderr.splitlines()
        assert [line.partition(": ")[2].partition("error: ")[2] for line in lines]
        assert any(
            f"{task_file}, line " in line and "dataset.creators[0]" in line for line in lines
        )
        assert any("dataset.version" in line for line in lines)
        assert any(f"{suite_file}, line 3: description" in line for line in lines)


def test_offline_without_dry_run_is_a_mistake(hepml):
    result = hepml("register", "hep-toy", "--offline")
    assert result.returncode == 2
    assert "--offline needs --dry-run" in result.stderr


@pytest.mark.parametrize(
    ("target", "message"),
    [
        ("toy-higs", "no task or suite is called 'toy-higs'; did you mean 'toy-higgs'?"),
        ("toy-higgs/5-fold", "no split of task toy-higgs is called '5-fold'"),
        ("none.yaml", "none.yaml: no such file"),
    ],
)
def test_a_misspelt_target_is_told_with_the_nearest(hepml, target, message):
    result = hepml("register", target, "--server", "http://127.0.0.1:9")
    assert result.returncode == 1
    assert message in result.stderr
    assert len(result.stderr.splitlines()) == 1


def test_a_lock_file_that_can_not_be_written_is_told_before_anything_is_sent(
    hepml, task_file, to, tmp_path, connection
):
    (tmp_path / "file").write_text("")
    result = hepml("register", task_file, *to, "--lock", tmp_path / "file" / "l")
    assert result.returncode == 1
    assert "name another file with --lock" in result.stderr
    planned = hepml("register", task_file, *to, "--lock", tmp_path / "l", "--dry-run")
    assert "\n+dataset" in planned.stdout


def test_without_a_key_nothing_is_sent_and_the_places_of_keys_are_named(
    hepml, task_file, scratch_server, tmp_path
):
    result = hepml(
        "register", task_file, "--server", scratch_server.pages, "--lock", tmp_path / "l"
    )
    assert result.returncode == 1
    assert "needs an API key to write: set OPENML_APIKEY" in result.stderr


def test_the_users_own_openml_config_gives_the_key_and_stays_as_it_is(
    hepml, task_file, scratch_server, tmp_path, monkeypatch
):
    config = tmp_path / "config" / "openml" / "config"
    config.parent.mkdir(parents=True)
    text = f"apikey = {scratch_server.apikey}\nserver = {scratch_server.server}\nverbosity = 1\n"
    config.write_text(text)
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    result = hepml(
        "register", task_file, "--server", scratch_server.pages, "--lock", tmp_path / "l"
    )
    assert result.returncode == 0, result.stderr
    assert config.read_text() == text
    assert list(config.parent.iterdir()) == [config]


def test_a_task_tells_where_it_is_registered_and_what_succeeds_it(
    hepml, task_file, to, connection: Connection
):
    # a server on this machine: the ids are in the state folder
    assert hepml("register", task_file, *to).returncode == 0
    shown = hepml("tasks", "show", task_file).stdout
    assert f"openml    {connection.root} task " in shown
    text = task_file.read_text().replace('version: "1"', 'version: "2"')
    task_file.write_text(text.replace("seed: 2014", "seed: 2015"))
    assert hepml("register", task_file, *to).returncode == 0
    lines = [s for s in hepml("tasks", "show", task_file).stdout.splitlines() if "openml " in s]
    assert len(lines) == 2
    new = lines[1].partition(" task ")[2].partition(":")[0]
    assert lines[0].endswith(f"version 1; superseded by task {new}")
