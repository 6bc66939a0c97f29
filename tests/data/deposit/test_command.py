from __future__ import annotations

import json
import os
import pty
import subprocess
import sys
import time
from pathlib import Path

import pytest

HEPML = Path(sys.executable).parent / "hepml"


@pytest.fixture
def deposit(hepml, server, small_task, tmp_path):
    """Run `hepml data deposit` on a small task, in a folder of its own."""

    def run(*options, **more):
        out = tmp_path / "out"
        return hepml("data", "deposit", small_task, "--out", out, *options, **more)

    return run


def told(done):
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def test_a_deposit_twice_sends_nothing_the_second_time(deposit, server):
    first = told(deposit("--upload", "--community", "hep", "--json"))
    names = [f["name"] for f in first["files"]]
    assert {"README.md", "croissant.json", "CITATION.bib", "LICENSE.txt", "SHA256SUMS"} < set(names)
    assert first["draft"]["sent"] == names
    assert not first["draft"]["published"]
    server.forget()
    second = told(deposit("--upload", "--community", "hep", "--json"))
    assert second["draft"] == {**first["draft"], "sent": [], "kept": names}
    assert not any(f["made"] for f in second["files"])
    assert {e["method"] for e in server.requests()} == {"GET"}
    (draft,) = server.deposits()
    assert not draft["submitted"]
    assert draft["metadata"]["communities"] == [{"identifier": "hep"}]

    # for people, and what else the command can be asked for afterwards
    said = deposit("--upload", "--community", "hep").stdout
    assert "sent 0 files, 11 were there already" in said
    assert f"deposit {draft['id']} (draft, not published)" in said
    server.forget()
    rehearsal = deposit("--upload", "--community", "hep", "--dry-run").stdout
    assert f"would send to draft {draft['id']} at {server.base}: nothing" in rehearsal
    assert "would not publish" in rehearsal
    assert {e["method"] for e in server.requests()} == {"GET"}
    published = deposit("--community", "hep", "--publish", "--yes")
    assert f"published as https://doi.org/10.5072/zenodo.{draft['id']}" in published.stdout
    assert server.deposits()[0]["submitted"]


def test_a_rehearsal_writes_and_sends_nothing(deposit, server, tmp_path):
    said = told(deposit("--upload", "--dry-run", "--json"))
    assert "README.md" in said["build"]
    assert said["publish"] is False
    assert not (tmp_path / "out").exists()
    assert server.requests() == []


def test_publishing_without_a_terminal_needs_yes(deposit, server, tmp_path):
    done = deposit("--publish")
    assert done.returncode == 2
    assert "there is no terminal to ask: say --yes too" in done.stderr
    assert not (tmp_path / "out").exists()
    assert server.requests() == []


@pytest.mark.parametrize(
    ("options", "told"),
    [
        (["--community", "hep"], "need --upload"),
        (["--upload", "--related", "isSuplementTo:10.1/x"], "did you mean 'isSupplementTo'"),
        (["--upload", "--related", "10.1/x"], "write RELATION:IDENTIFIER"),
        (["--upload", "--new-version-of", "latest"], "names no Zenodo record"),
    ],
)
def test_wrong_options_are_told_before_any_work(deposit, server, tmp_path, options, told):
    done = deposit(*options)
    assert done.returncode in {1, 2}
    assert told in done.stderr
    assert "Traceback" not in done.stderr
    assert not (tmp_path / "out").exists()
    assert server.requests() == []


def test_without_a_token_nothing_is_built(deposit, monkeypatch, tmp_path):
    monkeypatch.delenv("ZENODO_TOKEN")
    done = deposit("--upload")
    assert done.returncode == 1
    assert "set ZENODO_TOKEN, or HEPML_ZENODO_TOKEN_FILE" in done.stderr
    assert not (tmp_path / "out").exists()


def on_a_terminal(command, answer):
    """Run a command on a terminal, type an answer to its question, and return what it showed."""
    process, terminal = pty.fork()
    if process == 0:
        os.execv(command[0], [str(c) for c in command])
    shown = b""
    while True:
        try:
            part = os.read(terminal, 4096)
        except OSError:
            break
        if not part:
            break
        shown += part
        if answer and b"[y/N]" in shown:
            os.write(terminal, answer)
            answer = b""
    _, status = os.waitpid(process, 0)
    return os.waitstatus_to_exitcode(status), shown.decode()


@pytest.fixture
def built(folder, small_task):
    """Return the command that deposits the folder, which needs no building."""
    return [HEPML, "data", "deposit", small_task, "--out", folder]


def test_a_person_is_asked_before_publication(server, built):
    code, shown = on_a_terminal([*built, "--publish"], b"n\n")
    assert code == 3
    assert "files can't be changed or deleted any more" in shown
    assert "cc0-1.0" in shown
    assert "not published; the draft is at" in shown
    assert not server.deposits()[0]["submitted"]
    code, shown = on_a_terminal([*built, "--publish"], b"y\n")
    assert code == 0, shown
    assert server.deposits()[0]["submitted"]
    assert len(server.deposits()) == 1


def test_an_upload_that_is_killed_goes_on_in_the_same_draft(server, built, hepml):
    server.fault("slow", r"PUT .*\.h5", seconds=20, times=1)
    command = [str(c) for c in (*built, "--upload", "--json")]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    deadline = time.monotonic() + 60
    while not any(name.endswith(".h5") for name in server.sent()):
        assert time.monotonic() < deadline
        time.sleep(0.02)
    process.kill()
    process.wait()
    (draft,) = server.deposits()
    arrived = {f["filename"] for f in draft["files"]}
    assert arrived
    assert not any(name.endswith(".h5") for name in arrived)
    server.set(faults=[])
    server.forget()
    again = told(hepml(*command[1:]))
    assert again["draft"]["id"] == draft["id"]
    assert set(again["draft"]["kept"]) == arrived
    assert set(server.sent()) == {f["name"] for f in again["files"]} - arrived
    (draft,) = server.deposits()
    assert {f["filename"]: f["checksum"] for f in draft["files"]} == {
        f["name"]: f["md5"] for f in again["files"]
    }


def test_the_token_may_be_in_a_file_and_is_never_shown(server, built, hepml, monkeypatch, tmp_path):
    monkeypatch.delenv("ZENODO_TOKEN")
    (tmp_path / "token").write_text("all-scopes\n")
    monkeypatch.setenv("HEPML_ZENODO_TOKEN_FILE", str(tmp_path / "token"))
    server.fault("status", "PUT /api/deposit", status=403)
    refused = hepml(*built[1:], "--upload")
    done = hepml(*built[1:], "--upload")
    assert refused.returncode == 1
    assert refused.stderr.startswith("hepml: error: ")
    assert done.returncode == 0, done.stderr
    for text in (refused.stdout, refused.stderr, done.stdout, done.stderr):
        assert "all-scopes" not in text
