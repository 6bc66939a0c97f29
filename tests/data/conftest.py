"""A web server with faults on command, and a real XRootD server in a network of its own."""

from __future__ import annotations

import contextlib
import hashlib
import http.server
import os
import shutil
import socket
import subprocess
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from hepml_tasks.data import download
from hepml_tasks.spec import FileSpec

CONTENT = b"EventId,x\n1,2\n" * 1000


class Handler(http.server.BaseHTTPRequestHandler):
    """Serves files with ranges and validators, unless a fault is due."""

    protocol_version = "HTTP/1.1"
    site: Site

    def do_GET(self) -> None:
        self.site.requests.append((self.path, dict(self.headers.items())))
        if self.site.faults:
            fault = self.site.faults.popleft()
            if fault is not None:
                fault(self)
                return
        self.serve()

    def serve(self, *, cut: int | None = None, **headers: str) -> None:
        """Answer with the file, all of it announced and up to `cut` bytes sent."""
        content = self.site.files.get(self.path.partition("?")[0])
        if content is None:
            self.answer(404, b"nothing here")
            return
        begin, etag = 0, f'"{hashlib.md5(content).hexdigest()}"'
        asked = self.headers.get("Range")
        unchanged = self.headers.get("If-Range") in {None, etag}
        if asked and self.site.ranges and unchanged:
            begin = int(asked.removeprefix("bytes=").removesuffix("-"))
            self.send_response(206)
            self.send_header("Content-Range", f"bytes {begin}-{len(content) - 1}/{len(content)}")
        else:
            self.send_response(200)
        if self.site.validators:
            self.send_header("ETag", etag)
        self.send_header("Content-Length", str(len(content) - begin))
        for name, value in headers.items():
            self.send_header(name.replace("_", "-"), value)
        self.end_headers()
        body = content[begin:] if cut is None else content[begin : begin + cut]
        step = self.site.step or len(body) or 1
        for start in range(0, len(body), step):
            self.wfile.write(body[start : start + step])
            self.site.sent += len(body[start : start + step])
            if self.site.pause:
                time.sleep(self.site.pause)
        if cut is not None:
            self.close_connection = True

    def answer(self, status: int, body: bytes = b"", **headers: str) -> None:
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        for name, value in headers.items():
            self.send_header(name.replace("_", "-"), value)
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        pass


Fault = Callable[[Handler], None]


@dataclass
class Site:
    """A real HTTP server; `faults` are used up, one a request (None serves as usual)."""

    files: dict[str, bytes] = field(default_factory=lambda: {"/data.csv": CONTENT})
    faults: deque[Fault | None] = field(default_factory=deque)
    requests: list[tuple[str, dict[str, str]]] = field(default_factory=list)
    sent: int = 0
    ranges: bool = True
    validators: bool = True
    step: int = 0
    pause: float = 0.0
    url: str = ""

    @property
    def asked(self) -> list[str | None]:
        return [headers.get("Range") for _, headers in self.requests]


class Quiet(http.server.ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, *_: object) -> None:
        """A client that was killed in the middle is part of the tests."""


@pytest.fixture
def start_site() -> Iterator[Callable[[], Site]]:
    """Start web servers, each on a port of its own."""
    running: list[tuple[Quiet, threading.Thread]] = []

    def start() -> Site:
        site = Site()
        server = Quiet(("127.0.0.1", 0), type("SiteHandler", (Handler,), {"site": site}))
        site.url = f"http://127.0.0.1:{server.server_port}"
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        running.append((server, thread))
        return site

    yield start
    for server, thread in running:
        server.shutdown()
        thread.join()
        server.server_close()


@pytest.fixture
def site(start_site: Callable[[], Site]) -> Site:
    return start_site()


@pytest.fixture
def file_at() -> Callable[..., FileSpec]:
    """Describe data.csv at some addresses."""

    def describe(
        *urls: str,
        content: bytes = CONTENT,
        algorithm: str | None = "sha256",
        size: int | None = -1,
        name: str = "data.csv",
    ) -> FileSpec:
        checksum = None
        if algorithm is not None:
            checksum = f"{algorithm}:{hashlib.new(algorithm, content).hexdigest()}"
        size = len(content) if size == -1 else size
        return FileSpec(name=name, size=size, checksum=checksum, urls=urls)

    return describe


@pytest.fixture
def at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Ask again without a pause."""
    monkeypatch.setattr(download, "FIRST_DELAY", 0.0)


@dataclass(frozen=True)
class XRootD:
    """A real server: what is in `folder` is at ``URL//NAME``."""

    folder: Path
    url: str
    interface: str

    @property
    def sent(self) -> int:
        """Bytes that came out of its network so far, as the kernel counts them."""
        path = Path("/sys/class/net") / self.interface / "statistics/rx_bytes"
        return int(path.read_text())


def _run(*command: str) -> None:
    path = f"{os.environ['PATH']}:/usr/sbin:/sbin"
    subprocess.run(command, check=True, capture_output=True, env={**os.environ, "PATH": path})


def _forget(name: str) -> None:
    with contextlib.suppress(subprocess.CalledProcessError):
        _run("ip", "netns", "delete", name)


@pytest.fixture(scope="session")
def xrootd(tmp_path_factory: pytest.TempPathFactory) -> Iterator[XRootD]:
    """Start XRootD in a network namespace: it listens on all addresses there are."""
    number = os.getpid() % 60000
    name = f"hepml{number}"
    # of 198.18.0.0/15, which is set apart for tests (RFC 2544)
    ours = f"198.{18 + number * 4 // 65536}.{number * 4 // 256 % 256}.{number * 4 % 256 + 1}"
    theirs = f"{ours.rpartition('.')[0]}.{number * 4 % 256 + 2}"
    # not below pytest's own folder, which only its user may enter
    home = Path("/tmp") / name
    shutil.rmtree(home, ignore_errors=True)
    (home / "data").mkdir(parents=True)
    (home / "admin").mkdir()
    home.chmod(0o755)
    shutil.chown(home / "admin", "nobody")
    (home / "xrootd.cfg").write_text(
        f"xrd.port 10940\nall.adminpath {home}/admin\nall.pidpath {home}/admin\n"
        f"oss.localroot {home}/data\nall.export /\nxrd.network nodnr\n"
    )
    server = None
    try:
        _forget(name)
        _run("ip", "netns", "add", name)
        _run("ip", "link", "add", f"{name}a", "type", "veth", "peer", f"{name}b", "netns", name)
        _run("ip", "address", "add", f"{ours}/30", "dev", f"{name}a")
        _run("ip", "link", "set", f"{name}a", "up")
        for device in ("lo", f"{name}b"):
            if device != "lo":
                _run("ip", "-n", name, "address", "add", f"{theirs}/30", "dev", device)
            _run("ip", "-n", name, "link", "set", device, "up")
        server = subprocess.Popen(
            # ended after an hour even where the tests are killed
            [
                *("ip", "netns", "exec", name, "timeout", "3600", "xrootd"),
                *("-c", str(home / "xrootd.cfg"), "-I", "v4", "-R", "nobody"),
                *("-l", str(home / "admin" / "log")),
            ],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            env={**os.environ, "PATH": f"{os.environ['PATH']}:/usr/sbin:/sbin"},
        )
        _wait_for(theirs, 10940)
        yield XRootD(home / "data", f"root://{theirs}:10940", f"{name}a")
    finally:
        if server is not None:
            server.terminate()
            server.wait(timeout=10)
        _forget(name)
        shutil.rmtree(home, ignore_errors=True)


def _wait_for(host: str, port: int) -> None:
    end = time.monotonic() + 20
    while True:
        try:
            socket.create_connection((host, port), timeout=1).close()
            return
        except OSError:
            assert time.monotonic() < end, "xrootd did not start"
            time.sleep(0.05)
