"""A server as a process of its own, which ends with the process that started it."""

from __future__ import annotations

import contextlib
import json
import os
import queue
import subprocess
import sys
import threading
from collections import deque
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import IO

from hepml_tasks.errors import ServerError
from hepml_tasks.server.foreground import ServerAddress, serve
from hepml_tasks.server.settings import Settings

__all__ = ["ServerAddress", "ServerProcess", "serve", "start_server"]

_START_SECONDS = 120.0
_END_SECONDS = 15.0


class ServerProcess:
    """A server that runs as a process of its own; leaving the ``with`` block ends it.

    Parameters
    ----------
    process : Popen
        Made by `start_server`.
    address : ServerAddress
    """

    def __init__(self, process: subprocess.Popen[bytes], address: ServerAddress) -> None:
        self._process = process
        self.address = address

    @property
    def server(self) -> str:
        """The base that ``openml.config.server`` takes."""
        return self.address.server

    @property
    def apikey(self) -> str:
        """The first user's key, or an empty text."""
        return self.address.apikey or ""

    @property
    def pages(self) -> str:
        """The address of the pages."""
        return self.address.pages

    @property
    def pid(self) -> int:
        """The process's id."""
        return self._process.pid

    def end(self) -> None:
        """End the server and wait until it has; does nothing when it has ended already."""
        _end(self._process)

    def __enter__(self) -> ServerProcess:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.end()


def start_server(
    data: Path,
    *,
    host: str = "127.0.0.1",
    port: int = 0,
    database: str | None = None,
    public_url: str | None = None,
    settings: Settings | None = None,
) -> ServerProcess:
    """Start a server as a process of its own, and wait until it answers.

    It ends with the block, with a call of `ServerProcess.end`, or when this process has gone.

    Parameters
    ----------
    data, host, port, database, public_url, settings
        As `serve` takes them.

    Raises
    ------
    ServerError
        If it doesn't start; the message is its own.
    """
    options, environment = server_options(
        data,
        host=host,
        port=port,
        database=database,
        public_url=public_url,
        settings=settings,
    )
    process = subprocess.Popen(
        [sys.executable, "-m", "hepml_tasks.server", *options],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env=environment,
        # Ctrl-C is for the parent, which ends the server when it is done with it.
        start_new_session=True,
    )
    return await_server(process)


def server_options(
    data: Path,
    *,
    host: str = "127.0.0.1",
    port: int = 0,
    database: str | None = None,
    public_url: str | None = None,
    settings: Settings | None = None,
) -> tuple[list[str], dict[str, str]]:
    """Return what a server's process is started with.

    Parameters
    ----------
    data, host, port, database, public_url, settings
        As `serve` takes them.

    Returns
    -------
    options : list of str
        Of ``python -m hepml_tasks.server``.
    environment : dict of str to str
        This process's, and the database, which may hold a password that a command line would show.
    """
    options = ["--data", str(data), "--json"]
    options += ["--host", host, "--port", str(port), "--with-parent"]
    if settings is not None:
        options += ["--max-upload", str(settings.max_upload)]
        options += ["--submissions-per-day", str(settings.submissions_per_day)]
        options += ["--read-only"] if settings.read_only else []
        options += ["--allow-private-urls"] if settings.allow_private_urls else []
    if public_url is not None:
        options += ["--public-url", public_url]
    environment = {k: v for k, v in os.environ.items() if k != "HEPML_DATABASE"}
    if database is not None:
        environment["HEPML_DATABASE"] = database
    return options, environment


def await_server(process: subprocess.Popen[bytes]) -> ServerProcess:
    """Wait until a server that was started with `server_options` answers.

    Parameters
    ----------
    process : Popen
        With pipes for input, output and errors.

    Raises
    ------
    ServerError
        If it doesn't start; the message is its own.
    """
    said: deque[str] = deque(maxlen=20)
    lines: queue.SimpleQueue[bytes] = queue.SimpleQueue()
    listener = threading.Thread(target=_listen, args=(process.stderr, said.append), daemon=True)
    listener.start()
    threading.Thread(target=_listen_once, args=(process.stdout, lines.put), daemon=True).start()
    try:
        line = lines.get(timeout=_START_SECONDS)
        if not line:
            listener.join(_END_SECONDS)
            raise ServerError(said[-1] if said else "the server ended without a word")
        address = ServerAddress(**json.loads(line))
    except queue.Empty:
        _end(process)
        raise ServerError(f"the server did not answer within {_START_SECONDS:g} s") from None
    except BaseException:
        _end(process)
        raise
    return ServerProcess(process, address)


def _listen(stream: IO[bytes] | None, keep: Callable[[str], None]) -> None:
    if stream is None:
        return
    with stream:
        for line in stream:
            if text := line.decode("utf-8", "replace").strip():
                keep(text)


def _listen_once(stream: IO[bytes] | None, keep: Callable[[bytes], None]) -> None:
    if stream is None:
        return
    with stream:
        keep(stream.readline())
        stream.read()


def _end(process: subprocess.Popen[bytes]) -> None:
    if process.stdin is not None:
        with contextlib.suppress(OSError):
            process.stdin.close()
    if process.poll() is None:
        process.terminate()
        try:
            process.wait(_END_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
    process.wait()
