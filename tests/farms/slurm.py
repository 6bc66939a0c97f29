"""A real Slurm of one node on the loopback: munged, slurmctld and slurmd, ended by their ids."""

from __future__ import annotations

import contextlib
import os
import secrets
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

_CONF = """\
ClusterName=hepml
SlurmctldHost={host}(127.0.0.1)
SlurmctldPort={controller}
SlurmdPort={node}
AuthType=auth/munge
AuthInfo=socket={home}/munge/socket
SlurmUser=root
SlurmdUser=root
StateSaveLocation={home}/state
SlurmdSpoolDir={home}/spool
SlurmctldPidFile={home}/slurmctld.pid
SlurmdPidFile={home}/slurmd.pid
SlurmctldLogFile={home}/slurmctld.log
SlurmdLogFile={home}/slurmd.log
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
JobAcctGatherType=jobacct_gather/none
AccountingStorageType=accounting_storage/none
SelectType=select/cons_tres
SelectTypeParameters=CR_Core
CommunicationParameters=NoInAddrAny,NoCtldInAddrAny
SlurmdParameters=config_overrides
SchedulerParameters=sched_interval=2,sched_min_interval=100000,batch_sched_delay=1
KillWait=10
MpiDefault=none
ReturnToService=2
NodeName={host} NodeAddr=127.0.0.1 CPUs=4 RealMemory=16000 State=UNKNOWN
PartitionName=short Nodes={host} Default=YES MaxTime=INFINITE State=UP
"""


@dataclass(frozen=True)
class Slurm:
    """A Slurm that runs; `environment` lets its commands find it."""

    home: Path

    @property
    def environment(self) -> dict[str, str]:
        return {**os.environ, "SLURM_CONF": str(self.home / "slurm.conf")}

    def ask(self, *command: str) -> str:
        """Run one of its commands."""
        done = subprocess.run(
            command, env=self.environment, capture_output=True, text=True, timeout=60, check=False
        )
        assert done.returncode == 0, f"{command}: {done.stderr}"
        return done.stdout

    def queued(self) -> list[str]:
        """List what waits or runs, as JOB_TASK STATE."""
        return self.ask("squeue", "--noheader", "--array", "--format=%i %T").splitlines()

    def wait(self, seconds: float = 300) -> None:
        """Wait until nothing is queued."""
        end = time.monotonic() + seconds
        while queued := self.queued():
            assert time.monotonic() < end, queued
            time.sleep(0.3)

    def exit_code(self, job: str) -> str:
        """Return a finished job's exit code and signal, as Slurm writes them: 0:0."""
        words = self.ask("scontrol", "show", "job", job).split()
        return next(w for w in words if w.startswith("ExitCode=")).removeprefix("ExitCode=")


_PATH = f"{os.environ.get('PATH', '')}:/usr/sbin:/sbin"


@contextmanager
def running(home: Path) -> Iterator[Slurm]:
    """Start a Slurm in a folder, and end it."""
    for folder in ("state", "spool", "munge"):
        (home / folder).mkdir(parents=True)
    # munged takes no socket or key below a folder that others may write to
    home.chmod(0o755)
    host = socket.gethostname().partition(".")[0]
    controller, node = _free_ports(2)
    conf = home / "slurm.conf"
    conf.write_text(_CONF.format(host=host, home=home, controller=controller, node=node))
    key = home / "munge" / "key"
    key.write_bytes(secrets.token_bytes(128))
    key.chmod(0o400)
    (home / "munge").chmod(0o711)
    for path in (home / "munge", key):
        shutil.chown(path, "munge", "munge")
    munge = {n: home / "munge" / n for n in ("socket", "pid", "log", "seed")}
    slurm = Slurm(home)
    with contextlib.ExitStack() as daemons:
        names = {"socket": "socket", "pid": "pid-file", "log": "log-file", "seed": "seed-file"}
        options = [f"--{names[n]}={path}" for n, path in munge.items()]
        daemons.enter_context(
            _daemon("munged", "--foreground", f"--key-file={key}", *options, user="munge")
        )
        _until(munge["socket"].exists, "munged")
        daemons.enter_context(_daemon("slurmctld", "-D", "-f", str(conf)))
        daemons.enter_context(_daemon("slurmd", "-D", "-f", str(conf), "-N", host))
        _until(lambda: _is_idle(slurm), "slurm")
        try:
            yield slurm
        finally:
            subprocess.run(
                ["scancel", "--partition=short"], env=slurm.environment, check=False, timeout=60
            )
            with contextlib.suppress(AssertionError):
                slurm.wait(30)


@contextmanager
def _daemon(*command: str, user: str | None = None) -> Iterator[None]:
    process = subprocess.Popen(
        command,
        env={**os.environ, "PATH": _PATH},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        user=user,
        group=user,
    )
    try:
        yield
    finally:
        process.terminate()
        try:
            process.wait(timeout=20)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _is_idle(slurm: Slurm) -> bool:
    done = subprocess.run(
        ["sinfo", "--noheader", "--format=%T"],
        env=slurm.environment,
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    return done.stdout.strip() == "idle"


def _until(is_so: object, what: str, seconds: float = 60) -> None:
    assert callable(is_so)
    end = time.monotonic() + seconds
    while not is_so():
        assert time.monotonic() < end, f"{what} did not start"
        time.sleep(0.1)


def _free_ports(count: int) -> list[int]:
    taken = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
    ports = [s.getsockname()[1] for s in taken]
    for s in taken:
        s.close()
    return ports
