"""Each kind of bad input: one line that names what, where and the remedy, and nothing lost."""

from __future__ import annotations

import gzip
import json
import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest

from hepml_tasks.data.checksum import checksum_of

HEPML = str(Path(sys.executable).parent / "hepml")


def one_line(done: subprocess.CompletedProcess[str], code: int = 1) -> str:
    """Return the error of a failed command, which is one line."""
    assert done.returncode == code, done.stderr
    (line,) = done.stderr.strip().splitlines()
    return line


@pytest.fixture
def own_file(tmp_path: Path, real_mirror: Path, real_task_file: Path, monkeypatch):
    """Return a task on a file of one's own, a part of the real events, and how to change it."""
    lines = gzip.decompress(next(real_mirror.iterdir()).read_bytes()).splitlines(keepends=True)
    data = tmp_path / "events.csv.gz"
    monkeypatch.setenv("HEPML_MIRRORS", str(tmp_path))

    def write(edit=lambda content: content, *, record: bool = True) -> Path:
        data.write_bytes(gzip.compress(b"".join(lines[:1201]), mtime=0))
        checksum = checksum_of(data, "md5")
        data.write_bytes(edit(data.read_bytes()))
        checksum = checksum_of(data, "md5") if record else checksum
        text = real_task_file.read_text()
        head, _, tail = text.partition("    - name: atlas")
        tail = tail.partition("  rows: 18000\n")[2]
        task = tmp_path / "own.yaml"
        task.write_text(f"{head}    - name: events.csv.gz\n      checksum: {checksum}\n{tail}")
        return task

    return write


def test_a_file_with_a_wrong_checksum(hepml, own_file):
    task = own_file(lambda content: content[:-1] + b"\xff", record=False)
    line = one_line(hepml("run", task, "--flow", "prior"))
    assert "events.csv.gz: wrong checksum: md5:" in line
    assert "name another mirror in HEPML_MIRRORS" in line


def test_a_truncated_gzip(hepml, own_file):
    task = own_file(lambda content: content[:-4000])
    line = one_line(hepml("run", task, "--flow", "prior"))
    assert "events.csv.gz: can't be read as gzip" in line
    assert "is the file whole?" in line


def test_a_misspelt_column(hepml, own_file):
    task = own_file()
    task.write_text(task.read_text().replace("weight: Weight", "weight: Weigth"))
    line = one_line(hepml("run", task, "--flow", "prior"))
    assert "no column 'Weigth'" in line
    assert "did you mean 'Weight'?" in line


def test_a_missing_feature_column(hepml, own_file):
    task = own_file()
    task.write_text(task.read_text().replace("[DER_*, PRI_*]", "[DER_mass_vis, PRI_tau_pts]"))
    assert "did you mean 'PRI_tau_pt'?" in one_line(hepml("run", task, "--flow", "prior"))


def test_the_same_file_without_its_faults_runs(hepml, own_file, tmp_path):
    done = hepml("run", own_file(), "--flow", "prior", "--split", "holdout", "--json")
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["scores"]["roc_auc"]["value"] == pytest.approx(0.5, abs=0.05)


@pytest.mark.parametrize(
    ("arguments", "problem"),
    [
        (
            ["run", "higsml", "--flow", "prior"],
            "no task is called 'higsml'; did you mean 'higgsml'?",
        ),
        (
            ["run", "toy-higgs", "--flow", "priro"],
            "no flow is called 'priro'; did you mean 'prior'?",
        ),
        (
            ["run", "toy-higgs", "--flow", "prior", "--server", "openml.com"],
            "no server is called 'openml.com'; did you mean 'openml.org'?",
        ),
        (["run", "toy-higgs", "--flow", "prior", "--split", "5fold"], "no split of task toy-higgs"),
        (["bot", "run", "--suite", "hep-tou"], "no suite is called 'hep-tou'"),
        (["metrics", "show", "amz"], "did you mean 'ams'?"),
        (["tasks", "show", "nowhere.yaml"], "nowhere.yaml: no such file"),
    ],
    ids=lambda value: value[0] if isinstance(value, list) else "",
)
def test_an_unknown_name(hepml, arguments, problem):
    assert problem in one_line(hepml(*arguments))


def test_a_command_that_is_typed_wrongly(hepml):
    assert hepml("run", "toy-higgs").returncode == 2
    assert hepml("frobnicate").returncode == 2


def test_a_server_that_is_down_at_the_upload_keeps_the_run_and_the_same_command_sends_it(
    hepml, small_task, scratch_server, tmp_path
):
    key = tmp_path / "key"
    key.write_text(scratch_server.apikey)
    arguments = [
        "run",
        small_task,
        "--flow",
        "prior",
        "--key-file",
        key,
        "--spool",
        tmp_path / "spool",
    ]
    line = one_line(hepml(*arguments, "--server", "http://127.0.0.1:9"))
    assert "http://127.0.0.1:9 does not answer" in line
    assert "stays in the spool" in line
    (folder,) = (tmp_path / "spool").iterdir()
    kept = (folder / "predictions.parquet").stat().st_mtime_ns
    done = hepml(*arguments, "--server", scratch_server.server, "--json")
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["server"]["differs"] == []
    assert (folder / "predictions.parquet").stat().st_mtime_ns == kept


def test_a_spool_is_uploaded_from_elsewhere_and_only_once(
    hepml, small_task, scratch_server, tmp_path
):
    spool = tmp_path / "spool"
    assert (
        hepml("run", small_task, "--flow", "prior", "--seed", 9, "--spool", spool).returncode == 0
    )
    key = tmp_path / "key"
    key.write_text(scratch_server.apikey)
    upload = [
        "spool",
        "upload",
        "--spool",
        spool,
        "--server",
        scratch_server.server,
        "--key-file",
        key,
    ]
    assert "sent, run" in hepml(*upload).stdout
    assert "was there, run" in hepml(*upload).stdout
    listed = json.loads(hepml("spool", "list", "--spool", spool, "--json").stdout)
    assert listed[0]["state"] == "finished"
    assert len(listed[0]["published"]) == 1


def test_a_port_in_use(hepml, tmp_path):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        line = one_line(hepml("serve", "--data", tmp_path / "server", "--port", port))
    assert str(port) in line
    assert "--port" in line


def test_a_read_only_spool(hepml, small_task, tmp_path):
    spool = tmp_path / "spool"
    spool.mkdir()
    spool.chmod(0o555)
    arguments = ["run", small_task, "--flow", "prior", "--spool", spool]
    line = one_line(hepml(*arguments, obey_permissions=True))
    assert f"{spool}/" in line
    assert "can't be written (Permission denied)" in line
    assert "--spool" in line
    assert list(spool.iterdir()) == []
    spool.chmod(0o755)
    assert hepml(*arguments, obey_permissions=True).returncode == 0


def test_a_read_only_folder_for_the_pages(hepml, scratch_server, tmp_path):
    out = tmp_path / "report"
    out.mkdir()
    out.chmod(0o555)
    arguments = ["report", "--server", scratch_server.server, "--out", out]
    assert str(out) in one_line(hepml(*arguments, obey_permissions=True))
    out.chmod(0o755)
    assert hepml(*arguments, obey_permissions=True).returncode == 0
    assert (out / "index.html").is_file()


def test_a_read_only_cache(hepml, small_task, tmp_path, monkeypatch):
    cache = tmp_path / "cache"
    cache.mkdir()
    cache.chmod(0o555)
    monkeypatch.setenv("HEPML_CACHE", str(cache))
    line = one_line(hepml("run", small_task, "--flow", "prior", obey_permissions=True))
    assert "set HEPML_CACHE" in line


def interrupt(command: list[str], spool: Path, number: signal.Signals) -> tuple[int, str]:
    """Start a command, and send a signal to its terminal's group once a fold is finished."""
    with subprocess.Popen(
        command,
        stderr=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        text=True,
        start_new_session=True,
    ) as process:
        end = time.monotonic() + 120
        while not list(spool.rglob("*.parquet")):
            assert time.monotonic() < end
            assert process.poll() is None
            time.sleep(0.02)
        if number == signal.SIGINT:
            os.killpg(process.pid, number)
        else:
            process.send_signal(number)
        start = time.monotonic()
        _, errors = process.communicate(timeout=60)
        assert time.monotonic() - start < 10
    return process.returncode, errors


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_interrupted_in_the_middle_of_a_fit(hepml, tmp_path, number, code):
    spool = tmp_path / "spool"
    arguments = [
        "run",
        "toy-higgs",
        "--split",
        "10-fold",
        "--events",
        "1500",
        "--flow",
        "extra-trees",
        "--spool",
        str(spool),
    ]
    returned, errors = interrupt([HEPML, *arguments], spool, number)
    assert returned == code
    assert len(errors.strip().splitlines()) <= 1, errors
    assert "Traceback" not in errors
    kept = {p: p.stat().st_mtime_ns for p in spool.rglob("r*.parquet")}
    assert kept
    assert not list(spool.rglob("scores.json"))
    assert hepml(*arguments).returncode == 0
    assert {p: p.stat().st_mtime_ns for p in kept} == kept
    assert len(list(spool.rglob("r*.parquet"))) == 10
