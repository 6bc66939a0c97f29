"""An archive on this machine: files by address, with headers spelled as one likes."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any


@dataclass
class Archive:
    """Where the archive is, its files by path, and all that it was sent."""

    address: str
    files: dict[str, bytes] = field(default_factory=dict)
    headers: tuple[str, str] = ("Content-Type", "Content-Length")
    status: int = 200
    more: dict[str, str] = field(default_factory=dict)
    received: list[str] = field(default_factory=list)

    def add(self, name: str, content: bytes) -> str:
        self.files[f"/{name}"] = content
        return f"{self.address}/{name}"


@contextmanager
def archive() -> Iterator[Archive]:
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            state.received.append(f"{self.path}\n{self.headers}")
            content = state.files.get(self.path)
            status = state.status if content is not None else 404
            content = content or b""
            self.send_response(status)
            kind, length = state.headers
            if kind:
                self.send_header(kind, "text/plain")
            if length:
                self.send_header(length, str(len(content)))
            for name, value in state.more.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(content)

        do_HEAD = do_GET

        def log_message(self, *_: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    state = Archive(f"http://127.0.0.1:{server.server_port}")
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield state
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
