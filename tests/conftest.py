"""What all tests share: the real data, and the system parts that a test may need."""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
import sys
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import settings

from .forks import run_hepml, start_server

# how long an example takes says more of the machine's load than of the code
settings.register_profile("patient", deadline=None)
settings.load_profile("patient")

# set before any library reads it: threads that wait leave the core to the others
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

# a shell that starts the tests in the background has interrupts ignored, by what they start too
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)

ROOT = Path(__file__).resolve().parent.parent
REQUIRE_ALL = os.environ.get("HEPML_REQUIRE_ALL") == "1"
"""Set in continuous integration, where a missing part is a failure and not a skip."""

SYSTEM_PATH = f"{os.environ.get('PATH', '')}:/usr/sbin:/sbin"

SYSTEM_PARTS = {
    "chromium": lambda: shutil.which("chromium"),
    "strace": lambda: shutil.which("strace"),
    "postgresql": lambda: postgresql_program("postgres"),
    # makes the clock of one process jump
    "faketime": lambda: list(Path("/usr/lib").glob("*/faketime/libfaketime.so.1")),
    "nginx": lambda: shutil.which("nginx") or shutil.which("nginx", path="/usr/sbin"),
    "containers": lambda: (
        all(shutil.which(p, path=SYSTEM_PATH) for p in ("buildah", "podman", "runc", "debootstrap"))
        and os.geteuid() == 0
    ),
    # its daemons want root
    "slurm": lambda: (
        all(shutil.which(p, path=SYSTEM_PATH) for p in ("slurmctld", "slurmd", "munged"))
        and os.geteuid() == 0
    ),
    # it listens on all addresses, so that only root can give it a network of its own
    "xrootd": lambda: shutil.which("xrootd") and os.geteuid() == 0,
}


def postgresql_program(name: str) -> str | None:
    """Find a program of PostgreSQL; Debian keeps those of the server out of the path."""
    folders = sorted(Path("/usr/lib/postgresql").glob("*/bin"))
    return shutil.which(name) or shutil.which(name, path=os.pathsep.join(map(str, folders)))


def _absent(reason: str) -> None:
    if REQUIRE_ALL:
        pytest.fail(f"{reason}, and HEPML_REQUIRE_ALL=1 requires it")
    pytest.skip(reason)


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line(
        "markers", "needs(part): skips by name where a part of the system is missing"
    )


def pytest_runtest_setup(item: pytest.Item) -> None:
    for marker in item.iter_markers("needs"):
        (part,) = marker.args
        if not SYSTEM_PARTS[part]():
            _absent(f"{part} is not installed (make system-parts, or campaign-parts, installs it)")


@pytest.fixture(scope="session")
def real_data() -> Path:
    """Return the folder of real data, or skip."""
    default = ROOT.parent / "shared" / "data"
    folder = Path(os.environ.get("HEPML_TEST_DATA", default))
    if not folder.is_dir():
        _absent(f"the real data are not at {folder} (HEPML_TEST_DATA names their folder)")
    return folder


@pytest.fixture(autouse=True)
def _own_folders(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    """Keep the user's own cache, spool and settings out of every test."""
    home = tmp_path_factory.mktemp("home")
    monkeypatch.setenv("HEPML_CACHE", str(home / "cache"))
    monkeypatch.setenv("HEPML_SPOOL", str(home / "spool"))
    monkeypatch.setenv("HEPML_STATE", str(home / "state"))
    monkeypatch.setenv("XDG_CONFIG_HOME", str(home / "config"))
    monkeypatch.setenv("OPENML_CACHE_DIR", str(home / "openml"))
    monkeypatch.delenv("HEPML_MIRRORS", raising=False)


Hepml = Callable[..., "subprocess.CompletedProcess[str]"]


@pytest.fixture
def hepml() -> Hepml:
    """Run the command line in a process of its own, as a user does.

    With ``afresh`` in a new interpreter, which sees what has been installed since.
    """

    def run(
        *arguments: object, obey_permissions: bool = False, afresh: bool = False, **options: Any
    ) -> subprocess.CompletedProcess[str]:
        # root writes into read-only folders unless it gives up the right to
        gives_up = obey_permissions and os.geteuid() == 0
        if not gives_up and not afresh:
            return run_hepml(*arguments, **options)
        right = ["setpriv", "--bounding-set=-dac_override,-dac_read_search"]
        return subprocess.run(
            [*(right if gives_up else []), str(HEPML), *map(str, arguments)],
            capture_output=True,
            text=True,
            timeout=300,
            check=False,
            **options,
        )

    return run


HEPML = Path(sys.executable).parent / "hepml"


@pytest.fixture
def small_task(tmp_path: Path) -> Path:
    """Return the file of a small simulated task with three folds."""
    text = (ROOT / "tasks" / "toy-higgs.yaml").read_text()
    text = text.replace("events: 20000", "events: 1500").replace("rows: 20000", "rows: 1500")
    text = text.replace("name: toy-higgs\n", "name: toy-small\n", 1)
    text = text.replace(
        "{name: 4-fold, kind: kfold, folds: 4, seed: 0}",
        "{name: 3-fold, kind: kfold, folds: 3, seed: 0}",
    )
    # the content that the authors checked is that of all events
    text = re.sub(r"  content: .*\n", "", text)
    path = tmp_path / "toy-small.yaml"
    path.write_text(text)
    return path


@pytest.fixture(scope="session")
def real_task_file() -> Path:
    """Return the task file of the real HiggsML events."""
    return ROOT / "tests" / "tasks" / "higgsml-18k.yaml"


@pytest.fixture
def real_mirror(real_data: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Make the folder of real HiggsML events a mirror."""
    folder = real_data / "higgsml"
    monkeypatch.setenv("HEPML_MIRRORS", str(folder))
    return folder


@pytest.fixture(scope="session")
def finished_run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the folder of a finished run on `few_events`, shared: not to be changed."""
    import hepml_tasks as hep
    from hepml_tasks.flows import find_flow

    with pytest.MonkeyPatch.context() as environment:
        environment.setenv("HEPML_CACHE", str(tmp_path_factory.mktemp("cache")))
        task = hep.load_task("toy-higgs", events=1000)
        spool = tmp_path_factory.mktemp("finished")
        run = hep.run(find_flow("logistic").build(), task, name="logistic", spool=spool)
    return run.folder.path


@pytest.fixture
def few_events() -> Any:
    """Return the task of `finished_run`."""
    import hepml_tasks as hep

    return hep.load_task("toy-higgs", events=1000)


@pytest.fixture
def run_folder(finished_run: Path, tmp_path: Path) -> Any:
    """Return a copy of the finished run, its UUID and key its own: to be published, or broken."""
    from hepml_tasks.running.folder import RunFolder, read_json, write_json

    own = str(uuid.uuid4())
    path = tmp_path / "spool" / f"{finished_run.name.rpartition('--')[0]}--{own[:8]}"
    shutil.copytree(finished_run, path)
    write_json(path / "run.json", {**read_json(path / "run.json"), "uuid": own})
    return RunFolder(path)


@pytest.fixture(scope="session")
def scratch_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    """Start a server in a process of its own, shared by the tests of a worker."""
    with start_server(tmp_path_factory.mktemp("server")) as process:
        yield process


@pytest.fixture
def connection(scratch_server: Any) -> Any:
    """Connect to the shared server."""
    from hepml_tasks.openml.connection import Connection

    return Connection(scratch_server.server, scratch_server.apikey)
