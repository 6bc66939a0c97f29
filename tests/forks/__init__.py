"""Programs of this package as processes of their own that import nothing anew.

Most of the time of a short command goes into imports. Here one process has done them, and forks for
each program that is asked for; what then runs is the program's own ``main``, with arguments,
environment, folder and streams of its own, and it ends as an interpreter does.
"""

from __future__ import annotations

import atexit
import contextlib
import json
import os
import queue
import signal
import socket
import subprocess
import sys
import tempfile
import threading
from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path
from types import TracebackType
from typing import IO, Any

from hepml_tasks.server.process import ServerProcess, await_server, server_options
from hepml_tasks.server.settings import Settings

CLI = "hepml_tasks.cli:main"
SERVER = "hepml_tasks.server.__main__:main"


class Forked:
    """A process as `subprocess.Popen` gives it, as far as the tests use that."""

    def __init__(self, pid: int, args: list[str]) -> None:
        self.pid, self.args = pid, args
        self.returncode: int | None = None
        self.stdin: IO[bytes] | None = None
        self.stdout: IO[bytes] | None = None
        self.stderr: IO[bytes] | None = None
        self._ended = threading.Event()

    def has_ended(self, code: int) -> None:
        self.returncode = code
        self._ended.set()

    def poll(self) -> int | None:
        return self.returncode

    def wait(self, timeout: float | None = None) -> int:
        if not self._ended.wait(timeout):
            raise subprocess.TimeoutExpired(self.args, timeout or 0.0)
        assert self.returncode is not None
        return self.returncode

    def send_signal(self, number: int) -> None:
        with contextlib.suppress(ProcessLookupError):
            if self.returncode is None:
                os.kill(self.pid, number)

    def terminate(self) -> None:
        self.send_signal(signal.SIGTERM)

    def kill(self) -> None:
        self.send_signal(signal.SIGKILL)

    def __enter__(self) -> Forked:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        for stream in (self.stdout, self.stderr, self.stdin):
            if stream is not None:
                stream.close()
        self.wait()


class Nest:
    """The process that forks, and what came of its forks."""

    def __init__(self) -> None:
        self._socket, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        with theirs:
            self._process = subprocess.Popen(
                [sys.executable, str(Path(__file__).with_name("nest.py")), str(theirs.fileno())],
                pass_fds=[theirs.fileno()],
                stdin=subprocess.DEVNULL,
            )
        self._lock = threading.Lock()
        self._began: queue.SimpleQueue[Forked] = queue.SimpleQueue()
        self._asked: queue.SimpleQueue[list[str]] = queue.SimpleQueue()
        self._listener = threading.Thread(target=self._listen, daemon=True)
        self._listener.start()

    def _listen(self) -> None:
        alive: dict[int, Forked] = {}
        while message := self._socket.recv(4096):
            told = json.loads(message)
            if "code" in told:
                alive.pop(told["pid"]).has_ended(told["code"])
            else:
                alive[told["pid"]] = Forked(told["pid"], self._asked.get())
                self._began.put(alive[told["pid"]])
        for program in alive.values():
            program.has_ended(-signal.SIGKILL)

    def start(
        self,
        main: str,
        arguments: Sequence[object],
        *,
        streams: Sequence[int],
        env: Mapping[str, str] | None = None,
        cwd: str | os.PathLike[str] | None = None,
        own_session: bool = False,
    ) -> Forked:
        """Start a program; ``streams`` are open files for its input, output and errors."""
        words = [str(argument) for argument in arguments]
        asked = {
            "main": main,
            "arguments": words,
            "env": dict(os.environ if env is None else env),
            "cwd": os.fspath(Path.cwd() if cwd is None else cwd),
            "own_session": own_session,
        }
        with self._lock:
            self._asked.put(words)
            socket.send_fds(self._socket, [json.dumps(asked).encode()], list(streams))
            return self._began.get(timeout=120)

    def close(self) -> None:
        self._socket.shutdown(socket.SHUT_WR)
        self._process.wait(60)
        self._listener.join(60)
        self._socket.close()


@cache
def nest() -> Nest:
    """Return this process's nest."""
    found = Nest()
    atexit.register(found.close)
    return found


def run_hepml(
    *arguments: object,
    timeout: float = 300,
    env: Mapping[str, str] | None = None,
    cwd: str | os.PathLike[str] | None = None,
) -> subprocess.CompletedProcess[str]:
    """Run the command line, as `subprocess.run` does with its output captured as text."""
    with (
        Path(os.devnull).open("rb") as nothing,
        tempfile.TemporaryFile() as out,
        tempfile.TemporaryFile() as err,
    ):
        streams = [file.fileno() for file in (nothing, out, err)]
        program = nest().start(CLI, arguments, streams=streams, env=env, cwd=cwd)
        try:
            program.wait(timeout)
        except BaseException:
            program.kill()
            program.wait()
            raise
        said = []
        for file in (out, err):
            file.seek(0)
            said.append(file.read().decode().replace("\r\n", "\n"))
    assert program.returncode is not None
    return subprocess.CompletedProcess(program.args, program.returncode, *said)


def start_server(
    data: Path, *, database: str | None = None, settings: Settings | None = None, **options: Any
) -> ServerProcess:
    """Start a server as `hepml_tasks.server.process.start_server` does."""
    arguments, environment = server_options(data, database=database, settings=settings, **options)
    reads: list[int] = []
    writes: list[int] = []
    for _ in range(3):
        read, write = os.pipe()
        reads.append(read)
        writes.append(write)
    program = nest().start(
        SERVER,
        arguments,
        streams=[reads[0], writes[1], writes[2]],
        env=environment,
        own_session=True,
    )
    for theirs in (reads[0], writes[1], writes[2]):
        os.close(theirs)
    program.stdin = os.fdopen(writes[0], "wb")
    program.stdout = os.fdopen(reads[1], "rb")
    program.stderr = os.fdopen(reads[2], "rb")
    return await_server(program)
