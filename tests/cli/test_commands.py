from __future__ import annotations

import json
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from hepml_tasks.cli import hepml as group


def commands(command, path=()):
    yield path
    for name, inner in getattr(command, "commands", {}).items():
        yield from commands(inner, (*path, name))


@pytest.mark.parametrize("path", list(commands(group)), ids=" ".join)
def test_every_command_has_help_and_an_example(hepml, path):
    done = hepml(*path, "--help")
    assert done.returncode == 0
    assert done.stdout.startswith("Usage: hepml")
    inner = group
    for name in path:
        inner = inner.commands[name]
    if not hasattr(inner, "commands"):
        assert "Example: hepml" in done.stdout


@pytest.mark.parametrize("command", ["tasks", "flows", "metrics"])
def test_lists_are_printed_for_people_and_as_json_for_scripts(hepml, command):
    names = [entry["name"] for entry in json.loads(hepml(command, "--json").stdout)]
    printed = hepml(command).stdout
    assert names
    assert all(name in printed for name in names)


def test_a_task_is_shown_with_its_caveat_and_where_to_start(hepml):
    shown = hepml("tasks", "show", "higgsml").stdout
    assert "not for physics results" in shown
    assert "10.7483/OPENDATA.ATLAS.ZBP2.M5T8" in shown
    assert "hepml run higgsml" in shown
    assert json.loads(hepml("tasks", "show", "higgsml", "--json").stdout)["name"] == "higgsml"


def test_a_task_file_is_checked_with_its_data(hepml, small_task):
    done = hepml("tasks", "check", small_task)
    assert done.returncode == 0
    assert "task toy-small/3-fold: 1500 events, 30 features, 3 fits" in done.stdout
    small_task.write_text(small_task.read_text().replace("title:", "titel:"))
    assert "did you mean 'title'" in hepml("tasks", "check", small_task).stderr
    text = small_task.read_text().replace("titel:", "title:")
    small_task.write_text(text.replace("primary: ams", "primary: amz"))
    assert "no metric is called 'amz'" in hepml("tasks", "check", small_task).stderr


def test_a_metric_is_shown_with_its_source(hepml):
    assert "ams" in hepml("metrics", "show", "ams").stdout


def test_the_server_says_in_one_line_of_json_when_it_is_ready(tmp_path: Path):
    command = [
        Path(sys.executable).parent / "hepml",
        "serve",
        "--data",
        tmp_path / "s",
        "--port",
        "0",
        "--json",
    ]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        ready = json.loads(process.stdout.readline())
        assert ready["server"].endswith("/api/v1/xml")
        assert ready["apikey"] == (tmp_path / "s" / "apikey").read_text().strip()
        assert ready["pages"].startswith("http://127.0.0.1:")
        process.send_signal(signal.SIGINT)
        assert process.wait(timeout=20) == 0


def test_a_bot_runs_a_suite_and_tells_a_script_what_it_did(
    hepml, small_task, scratch_server, tmp_path
):
    suite = tmp_path / "suite.yaml"
    suite.write_text(
        f"name: small\ntitle: Small\ndescription: Small.\ntasks: [{{task: {small_task}}}]\n"
    )
    key = tmp_path / "key"
    key.write_text(scratch_server.apikey)
    arguments = ["--suite", suite, "--flows", "prior,logistic", "--server", scratch_server.server]
    arguments += ["--key-file", key, "--spool", tmp_path / "spool", "--seeds", "77", "--json"]
    planned = json.loads(hepml("bot", "plan", *arguments).stdout)
    assert [j["state"] for j in planned] == ["missing", "missing"]
    nothing = hepml("bot", "run", *arguments, "--max-time", "0s")
    assert nothing.returncode == 3
    assert json.loads(nothing.stdout)["left"] == 2
    done = hepml("bot", "run", *arguments, "--max-time", "1h")
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout) == {
        "published": 2,
        "waiting": 0,
        "failed": [],
        "left": 0,
        "held": 0,
    }
    planned = json.loads(hepml("bot", "plan", *arguments).stdout)
    assert [j["state"] for j in planned] == ["published", "published"]
