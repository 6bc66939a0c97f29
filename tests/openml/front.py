"""A front that stands before a real server and answers as production does where that differs."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import requests

from hepml_tasks.openml.connection import Connection


@dataclass(frozen=True)
class Answer:
    status: int
    body: bytes
    kind: str = "text/xml"


LOST = Answer(0, b"")
"""The server did what was asked, and the connection broke before it could say so."""

Rule = Callable[[str, str, Answer], Answer | None]
"""Takes method, path and the server's own answer, and may give another one."""


def error(code: int, message: str, more: str = "") -> Answer:
    extra = f"<oml:additional_information>{more}</oml:additional_information>" if more else ""
    return Answer(
        412,
        f'<oml:error xmlns:oml="http://openml.org/openml"><oml:code>{code}</oml:code>'
        f"<oml:message>{message}</oml:message>{extra}</oml:error>".encode(),
    )


@dataclass
class Front:
    """Where the front is, what it was asked, and the rules by which it answers."""

    address: str
    upstream: str
    rules: list[Rule] = field(default_factory=list)
    asked: list[str] = field(default_factory=list)
    refuse: Callable[[str, str, bytes], Answer | None] = lambda _method, _path, _body: None
    """Gives an answer in the server's place, which then is not asked."""

    @property
    def posts(self) -> list[str]:
        return [line for line in self.asked if line.startswith("POST")]

    def connection(self, apikey: str | None) -> Connection:
        return Connection(f"{self.address}/api/v1/xml", apikey)


@contextmanager
def front(upstream: str) -> Iterator[Front]:
    """Start a front before the server at an address."""

    class Handler(BaseHTTPRequestHandler):
        def answer(self, method: str) -> None:
            size = int(self.headers.get("Content-Length") or 0)
            body = self.rfile.read(size)
            state.asked.append(f"{method} {self.path}")
            said = state.refuse(method, self.path, body) or self.forward(method, body)
            for rule in list(state.rules):
                said = rule(method, self.path, said) or said
            if said is LOST:
                self.close_connection = True
                return
            self.send_response(said.status)
            self.send_header("Content-Type", said.kind)
            self.send_header("Content-Length", str(len(said.body)))
            self.end_headers()
            self.wfile.write(said.body)

        def forward(self, method: str, body: bytes) -> Answer:
            kind = self.headers.get("Content-Type")
            came = requests.request(
                method,
                f"{upstream}{self.path}",
                data=body,
                headers={"Content-Type": kind} if kind else {},
                timeout=60,
            )
            return Answer(came.status_code, came.content, came.headers["Content-Type"])

        def do_GET(self) -> None:
            self.answer("GET")

        def do_POST(self) -> None:
            self.answer("POST")

        def log_message(self, *_: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    state = Front(f"http://127.0.0.1:{server.server_port}", upstream)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield state
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def as_production(recordings: Path) -> list[Rule]:
    """Return the rules that make a server of ours look like the production server recorded."""
    lists = {
        f"/api/v1/xml/{name}/list": _recorded(recordings, f"*_GET_xml_{name}_list.txt")
        for name in ("evaluationmeasure", "estimationprocedure")
    }

    def answer(method: str, path: str, came: Answer) -> Answer | None:
        if path.startswith("/hepml/"):
            return Answer(404, b"not found", "text/html")
        return Answer(200, lists[path]) if path in lists else None

    return [answer]


def _recorded(recordings: Path, pattern: str) -> bytes:
    text = sorted(recordings.glob(pattern))[0].read_text()
    return text.partition("=== RESPONSE")[2].partition("\n\n")[2].encode()
