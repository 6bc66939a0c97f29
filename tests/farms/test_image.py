"""The bot's image: what is in it, and a suite run in it that sees the data and the server only."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml
from pyarrow import parquet

import hepml_tasks as hep
from hepml_tasks.flows import find_flow
from hepml_tasks.openml.connection import Connection
from hepml_tasks.openml.publication import runs_on
from hepml_tasks.running.folder import folders_in
from hepml_tasks.server.process import start_server

from ..data.conftest import XRootD
from .images import BASE, NAME, Images, build

pytestmark = [pytest.mark.campaign, pytest.mark.needs("containers")]
MEGABYTE = 10**6


@pytest.fixture(scope="module")
def images() -> Iterator[Images]:
    """Build the image; a folder that HEPML_TEST_IMAGES names is kept, with the base in it."""
    kept = os.environ.get("HEPML_TEST_IMAGES")
    home = Path(kept or tempfile.mkdtemp(prefix="hepml-images-"))
    try:
        yield build(home)
    finally:
        if not kept:
            shutil.rmtree(home, ignore_errors=True)


def size_of(folder: Path) -> int:
    return sum(p.lstat().st_size for p in folder.rglob("*") if not p.is_symlink())


def test_it_adds_little_to_its_base(images):
    with images.mounted(NAME) as ours, images.mounted(BASE) as base:
        added = size_of(ours) - size_of(base)
        (site,) = (ours / "opt/hepml/lib").glob("python3.*/site-packages")
        packages = {p.name: size_of(p) if p.is_dir() else p.stat().st_size for p in site.iterdir()}
    compressed = images.compressed(NAME) - images.compressed(BASE)
    for name, size in sorted(packages.items(), key=lambda item: -item[1])[:40]:
        print(f"{size / MEGABYTE:8.1f} MB  {name}")
    print(
        f"added to the base: {added / MEGABYTE:.0f} MB, compressed {compressed / MEGABYTE:.0f} MB"
    )
    assert added < 600 * MEGABYTE
    assert compressed < 250 * MEGABYTE


def test_nothing_is_in_it_that_a_bot_does_not_need(images):
    with images.mounted(NAME) as ours, images.mounted(BASE) as base:
        found = {p.relative_to(ours) for p in ours.rglob("*")}
        added = found - {p.relative_to(base) for p in base.rglob("*")}
    names = {p.name for p in added}
    assert not names & {"gcc", "cc", "g++", "ld", "make", "pip", "tests", "test", "docs", "pytest"}
    assert not {p for p in added if p.suffix in {".h", ".a", ".c", ".pyx", ".pyi", ".whl"}}
    tops = {p.parts[0] for p in added}
    assert tops <= {"opt", "data"}, tops
    assert {p.parts[1] for p in added if p.parts[0] == "opt" and len(p.parts) > 1} == {"hepml"}


def test_settings_of_the_machine_that_built_it_are_not_in_it(images):
    with images.mounted(NAME) as ours, images.mounted(BASE) as base:
        for path in ("etc/pip.conf", "root/.config/pip/pip.conf", "etc/apt/sources.list"):
            assert (ours / path).exists() == (base / path).exists()
        certificates = "etc/ssl/certs/ca-certificates.crt"
        assert (ours / certificates).read_bytes() == (base / certificates).read_bytes()
    said = " ".join(images.config["Env"])
    assert "PIP_" not in said
    assert "CERT" not in said


def test_it_says_what_it_is(images):
    labels = images.config["Labels"]
    commit = subprocess.run(
        ["git", "describe", "--always", "--dirty", "--abbrev=40", "--exclude=*"],
        capture_output=True,
        text=True,
        check=True,
    ).stdout.strip()
    assert labels["org.opencontainers.image.revision"] == commit
    assert labels["org.opencontainers.image.version"] == "0.1.0"
    assert images.config["Entrypoint"] == ["hepml", "bot"]
    user, _, group = images.config["User"].partition(":")
    assert int(user) > 0
    assert int(group) > 0


def suite_with_data_by_xrootd(small_task: Path, server: XRootD, folder: Path) -> Path:
    """Make a suite: the toy that is simulated, and its events as a file that XRootD has."""
    import hashlib

    table = hep.load_task(small_task).events.table
    file = server.folder / "events.parquet"
    parquet.write_table(table, file)
    content = file.read_bytes()
    spec = yaml.safe_load(small_task.read_text())
    del spec["dataset"]["simulator"]
    spec["name"] = spec["dataset"]["name"] = "toy-by-xrootd"
    checksum = f"sha256:{hashlib.sha256(content).hexdigest()}"
    spec["dataset"]["files"] = [
        {
            "name": file.name,
            "size": len(content),
            "checksum": checksum,
            "urls": [f"{server.url}//{file.name}"],
        }
    ]
    (folder / "by-xrootd.yaml").write_text(yaml.safe_dump(spec))
    (folder / "small.yaml").write_text(small_task.read_text())
    tasks = [{"task": "/farm/small.yaml"}, {"task": "/farm/by-xrootd.yaml"}]
    text = {"name": "both", "title": "Both", "description": "Two tasks.", "tasks": tasks}
    (folder / "suite.yaml").write_text(yaml.safe_dump(text))
    return folder / "suite.yaml"


@pytest.mark.needs("xrootd")
def test_a_suite_is_run_in_it_and_published_with_the_network_of_data_and_server_only(
    images, xrootd, small_task, tmp_path, hepml
):
    work = Path(tempfile.mkdtemp(prefix="hepml-work-"))
    data = work / "data"
    data.mkdir(mode=0o777)
    data.chmod(0o777)
    work.chmod(0o755)
    suite_with_data_by_xrootd(small_task, xrootd, work)
    namespace = xrootd.interface.removesuffix("a")
    # our end of the pair: the address before XRootD's
    theirs = xrootd.url.removeprefix("root://").partition(":")[0]
    head, _, last = theirs.rpartition(".")
    with start_server(tmp_path / "server", host=f"{head}.{int(last) - 1}") as server:
        key = work / "key"
        key.write_text(server.apikey)
        key.chmod(0o644)
        options = [
            *("--read-only", "--user", "54321:54321"),
            *("--network", f"ns:/run/netns/{namespace}"),
            *("--volume", f"{data}:/data", "--volume", f"{work}:/farm:ro"),
        ]
        command = images.podman_command(*options)
        arguments = ["run", "--suite", "/farm/suite.yaml", "--flows", "prior,logistic,xgboost"]
        where = ["--server", server.pages.rstrip("/"), "--key-file", "/farm/key", "--n-jobs", "2"]
        done = subprocess.run(
            [*command, *arguments, *where], capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stdout + done.stderr
        # and again: nothing is left
        again = subprocess.run(
            [*command, *arguments, *where], capture_output=True, text=True, check=False
        )
        assert again.returncode == 0, again.stderr
        outside = subprocess.run(
            [*images.podman_command(*options)[:-1], "--entrypoint", "python", NAME, "-c", CONNECT],
            capture_output=True,
            text=True,
            check=False,
        )
        assert "unreachable" in outside.stdout, outside.stderr
        connection = Connection(server.server, server.apikey)
        published = [runs_on(connection, task) for task in (1, 2)]
        # outside of it, from the server alone
        for run in (min(published[0]), max(published[0])):
            told = hepml(
                *("reproduce", run, "--server", server.server, "--spool", tmp_path / "again"),
                "--json",
            )
            assert told.returncode == 0, told.stdout + told.stderr
            assert json.loads(told.stdout)["state"] == "identical"
    assert [len(runs) for runs in published] == [3, 3]
    folders = list(folders_in(data / "spool"))
    assert len(folders) == 6
    for folder in folders:
        record = folder.description
        assert record["uuid"] in {d["uuid"] for runs in published for d in runs.values()}
        assert folder.environment["image"] == NAME
        task = hep.load_task(work / f"{record['task']['name'].removeprefix('toy-')}.yaml")
        flow = record["flow"]["name"]
        here = hep.run(find_flow(flow).build(), task, name=flow, spool=tmp_path / "here")
        assert here.folder.path.name == folder.path.name
        assert here.predictions.equals(folder.predictions)
    shutil.rmtree(work, ignore_errors=True)


CONNECT = """
import socket
try:
    socket.create_connection(("192.0.2.1", 80), timeout=5)
except OSError as error:
    print("unreachable", error)
"""


def test_a_slurm_array_runs_the_image(images, slurm, small_task, monkeypatch):
    """As an operator does it: the array script, with its lines changed."""
    # Slurm hands a job the environment of who sends it, and a container doesn't see every folder
    for name in ("HEPML_SPOOL", "HEPML_CACHE"):
        monkeypatch.delenv(name)
    work = Path(tempfile.mkdtemp(prefix="hepml-work-"))
    suite = {"name": "one", "title": "One", "description": "One task.", "tasks": [{"task": "t"}]}
    suite["tasks"] = [{"task": str(work / "small.yaml")}]
    (work / "small.yaml").write_text(small_task.read_text())
    (work / "suite.yaml").write_text(yaml.safe_dump(suite))
    command = images.podman_command(
        *("--read-only", "--network", "none", "--volume", f"{work}:{work}", "--workdir", str(work)),
        *("--env", "HEPML_SPOOL", "--env", "HEPML_CACHE", "--user", "0:0"),
        *("--entrypoint", "hepml"),
    )
    script = (Path(hep.__file__).parent / "bots" / "slurm-array.sh").read_text()
    program = 'program=("${HEPML_PROGRAM:-hepml}")'
    assert program in script
    script = script.replace(program, f"program=({' '.join(command)})")
    (work / "array.sh").write_text(script)
    job = slurm.ask(
        *("sbatch", "--parsable", "--array=1-2", "--cpus-per-task=1", f"--chdir={work}"),
        *(str(work / "array.sh"), "--suite", str(work / "suite.yaml"), "--flows", "prior,logistic"),
    ).strip()
    slurm.wait(600)
    logs = "".join(p.read_text() for p in sorted(work.glob("*.log")))
    assert [slurm.exit_code(f"{job}_{part}") for part in (1, 2)] == ["0:0", "0:0"], logs
    runs = list(folders_in(work / "spool"))
    assert sorted(r.description["flow"]["name"] for r in runs) == ["logistic", "prior"]
    assert {r.environment["image"] for r in runs} == {NAME}
    shutil.rmtree(work, ignore_errors=True)
