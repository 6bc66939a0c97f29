"""Running the server in the foreground, until a signal or the end of its parent."""

from __future__ import annotations

import contextlib
import ipaddress
import json
import logging
import signal
import socket
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import IO, Any
from urllib.parse import urlsplit

from hepml_tasks.errors import OutputError, ServerError
from hepml_tasks.server.settings import Settings


@dataclass(frozen=True)
class ServerAddress:
    """Where a server answers.

    Parameters
    ----------
    server : str
        The base that ``openml.config.server`` takes.
    apikey : str or None
        The first user's key; `None` where its file was removed.
    pages : str
        For people.
    """

    server: str
    apikey: str | None
    pages: str

    def to_json(self) -> str:
        """Write it as one line."""
        return json.dumps({"server": self.server, "apikey": self.apikey, "pages": self.pages})


def serve(
    data: Path,
    *,
    host: str = "127.0.0.1",
    port: int = 0,
    database: str | None = None,
    settings: Settings | None = None,
    public_url: str | None = None,
    ready: Callable[[ServerAddress], None],
    end_with: IO[bytes] | None = None,
) -> None:
    """Run a server until SIGTERM or SIGINT.

    Parameters
    ----------
    data : Path
        Its directory; made if need be. Only one server at a time may use it.
    host : str
    port : int
        0 for any free one.
    database : str, optional
        SQLAlchemy's URL; SQLite in `data` without.
    settings : Settings, optional
    public_url : str, optional
        The address that clients see, where it is not this one.
    ready : callable
        Called with the address as soon as the server answers.
    end_with : file, optional
        The server ends when this can be read to its end: the parent has gone.

    Raises
    ------
    ServerError
        If the port is in use, or the directory or database by another server.
    OutputError
        If `data` can't be written.
    """
    import filelock

    settings = settings or Settings()
    settings = replace(settings, public_url=check_public_url(public_url or settings.public_url))
    if settings.public_url is None and is_loopback(host):
        # Who can ask this server to fetch something can fetch it without this server.
        settings = replace(settings, allow_private_urls=True)
    try:
        data.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise OutputError(
            f"can't make the directory {data}: {error.strerror}; choose another with --data"
        ) from error
    lock = filelock.FileLock(data / "server.lock")
    try:
        lock.acquire(timeout=0)
    except filelock.Timeout as error:
        raise ServerError(
            f"another server uses {data}; end it, or choose another directory with --data"
        ) from error
    except OSError as error:
        raise OutputError(
            f"can't write in {data}: {error.strerror}; choose another directory with --data"
        ) from error
    with lock, _logging_to(data / "server.log"):
        listening = bind(host, port)
        with listening, _assembled(data, database, settings) as (application, apikey):
            root = (settings.public_url or _url(host, listening)).rstrip("/")
            address = ServerAddress(f"{root}/api/v1/xml", apikey, f"{root}/")
            _run(application, listening, lambda: ready(address), end_with)


@contextlib.contextmanager
def _logging_to(path: Path) -> Iterator[None]:
    """Write what goes wrong into a file: whoever started the server may have gone."""
    handler = logging.FileHandler(path)
    handler.setFormatter(logging.Formatter("%(asctime)s %(name)s: %(message)s"))
    handler.setLevel(logging.WARNING)
    logging.getLogger().addHandler(handler)
    try:
        yield
    finally:
        logging.getLogger().removeHandler(handler)
        handler.close()


def _run(
    application: Any,
    listening: socket.socket,
    announce: Callable[[], None],
    end_with: IO[bytes] | None,
) -> None:
    import uvicorn

    class Announcing(uvicorn.Server):
        async def startup(self, sockets: list[socket.socket] | None = None) -> None:
            await super().startup(sockets=sockets)
            announce()

    server = Announcing(
        uvicorn.Config(
            application,
            log_config=None,
            log_level="warning",
            access_log=False,
            timeout_graceful_shutdown=10,
        )
    )

    def end(*_: object) -> None:
        server.should_exit = True

    def watch(parent: IO[bytes]) -> None:
        parent.read()
        end()

    if end_with is not None:
        threading.Thread(target=watch, args=(end_with,), daemon=True).start()
    previous = {}
    if threading.current_thread() is threading.main_thread():
        # uvicorn raises a signal again when it has ended; by then ours must not kill the clean-up.
        previous = {
            number: signal.signal(number, end) for number in (signal.SIGTERM, signal.SIGINT)
        }
    try:
        server.run(sockets=[listening])
    finally:
        for number, handler in previous.items():
            signal.signal(number, handler)


@contextlib.contextmanager
def _assembled(
    data: Path, database: str | None, settings: Settings
) -> Iterator[tuple[Any, str | None]]:
    """Put the parts of a server together, and take them apart again."""
    from hepml_tasks.server.app import create_app
    from hepml_tasks.server.consistency import pair, sweep
    from hepml_tasks.server.context import Services
    from hepml_tasks.server.database import connect
    from hepml_tasks.server.engines import held
    from hepml_tasks.server.evaluator import Evaluator
    from hepml_tasks.server.secrets import sweep_secrets
    from hepml_tasks.server.security import first_key
    from hepml_tasks.server.storage import open_store
    from hepml_tasks.server.worker import Worker

    connected = connect(database, data)
    try:
        with held(connected.engine):
            files = open_store(data)
            pair(connected, files, at_home=database is None)
            sweep(connected, files)
            sweep_secrets(connected, data)
            news = threading.Event()
            services = Services(connected, files, settings, news.set)
            evaluator = Evaluator(services, news, Worker(data / "evaluator.log"))
            apikey = first_key(connected, data)
            evaluator.start()
            try:
                yield create_app(services), apikey
            finally:
                evaluator.end()
    finally:
        connected.engine.dispose()


def check_public_url(url: str | None) -> str | None:
    """Check the address that clients see.

    Raises
    ------
    ServerError
        If it is none.
    """
    if url is None:
        return None
    parts = urlsplit(url)
    if parts.scheme not in {"http", "https"} or not parts.netloc or parts.query or parts.fragment:
        raise ServerError(
            f"--public-url {url!r} is no address; write it as https://HOST or https://HOST/PATH"
        )
    return url


def is_loopback(host: str) -> bool:
    """Say whether nobody outside this machine reaches an address."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def bind(host: str, port: int) -> socket.socket:
    """Bind a socket, so that the port is known and taken before anything else is done.

    Raises
    ------
    ServerError
        In one line, with the remedy.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    # asyncio switches Nagle's delay (40 ms an answer) off only where the protocol is named.
    listening = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listening.bind((host, port))
        listening.listen(512)
    except (OSError, OverflowError) as error:
        listening.close()
        reason = getattr(error, "strerror", None) or str(error)
        raise ServerError(
            f"can't listen on port {port} of {host}: {reason}; "
            "choose another with --port, or --port 0 for any free one"
        ) from error
    return listening


def _url(host: str, listening: socket.socket) -> str:
    port = listening.getsockname()[1]
    shown = {"0.0.0.0": "127.0.0.1", "::": "[::1]"}.get(host, host)  # noqa: S104 - only compared
    return f"http://{f'[{shown}]' if ':' in shown and '[' not in shown else shown}:{port}"
