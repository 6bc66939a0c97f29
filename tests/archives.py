"""Zenodo and the CERN Open Data portal as a real web server with the recorded real records.

============================================  ====================================================
route                                         follows
============================================  ====================================================
GET /api/records/:id                          the recorded answers of Zenodo, else the records of
                                              the portal's own repository as its API wraps them
                                              (cernopendata-client, ``searcher.py``)
GET /api/records?q=doi:"…"                    cernopendata-client, ``get_recid``
GET /api/records/:concept, …/versions/latest  redirects, as InvenioRDM's record resource
GET /api/files/…, …/content, /eos/…           bytes of the recorded size and checksum, where a test
                                              gives them
============================================  ====================================================

The recordings are served as they are: their links say ``https://zenodo.org``.
"""

from __future__ import annotations

import copy
import json
import threading
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

import pytest

Answer = tuple[int, dict[str, str], bytes]


@dataclass
class Archive:
    """A running archive; `faults` are used up, one a request."""

    zenodo: dict[int, dict[str, Any]]
    cern: dict[int, dict[str, Any]]
    files: dict[str, bytes] = field(default_factory=dict)
    restricted: dict[str, str] = field(default_factory=dict)
    """The token that a path needs."""
    faults: deque[Answer] = field(default_factory=deque)
    requests: list[tuple[str, dict[str, str]]] = field(default_factory=list)
    url: str = ""
    portal: str = ""
    """The address of the portal: the same server by another name."""

    @property
    def asked(self) -> list[str]:
        return [path for path, _ in self.requests]

    def always(self, answer: Answer) -> None:
        self.faults.extend([answer] * 50)

    def answer(self, target: str, headers: dict[str, str]) -> Answer:
        self.requests.append((target, headers))
        if self.faults:
            return self.faults.popleft()
        parts = urlsplit(target)
        path = unquote(parts.path)
        needed = self.restricted.get(path)
        if needed is not None and headers.get("Authorization") != f"Bearer {needed}":
            return told({"status": 403, "message": "Permission denied."}, 403)
        if path in self.files:
            return 200, {"Content-Type": "application/octet-stream"}, self.files[path]
        if path == "/api/records":
            return self.search(parse_qs(parts.query).get("q", [""])[0])
        if path.startswith("/api/records/"):
            return self.record(path.removeprefix("/api/records/").split("/"))
        return told({"status": 404, "message": "PID does not exist."}, 404)

    def record(self, below: list[str]) -> Answer:
        number = int(below[0])
        found = self.zenodo.get(number)
        newest = [n for n, r in self.zenodo.items() if concept_of(r) == number and is_newest(r)]
        if found is not None and below[1:] == ["versions", "latest"]:
            newest = [
                n
                for n, r in self.zenodo.items()
                if concept_of(r) == concept_of(found) and is_newest(r)
            ]
        elif found is not None and len(below) == 1:
            return told(found)
        if newest:
            return 302, {"Location": f"/api/records/{newest[0]}"}, b""
        if number in self.cern and len(below) == 1:
            return told({"id": number, "metadata": self.cern[number]})
        return told({"status": 404, "message": "PID does not exist."}, 404)

    def search(self, query: str) -> Answer:
        doi = query.removeprefix("doi:").strip('"')
        hits = [
            {"id": n, "metadata": {"doi": doi}} for n, r in self.cern.items() if r.get("doi") == doi
        ]
        return told({"hits": {"total": len(hits), "hits": hits[:1]}})

    def published(self, number: int) -> dict[str, Any]:
        """Return a record of Zenodo that a test may change; others keep theirs."""
        self.zenodo[number] = copy.deepcopy(self.zenodo[number])
        return self.zenodo[number]


def told(content: object, status: int = 200) -> Answer:
    return status, {"Content-Type": "application/json"}, json.dumps(content).encode()


def page(status: int = 200) -> Answer:
    return status, {"Content-Type": "text/html"}, b"<!DOCTYPE html><html>Sign in</html>"


def concept_of(record: dict[str, Any]) -> int:
    return int(record.get("conceptrecid") or record["parent"]["id"])


def is_newest(record: dict[str, Any]) -> bool:
    if "versions" in record:
        return bool(record["versions"]["is_latest"])
    return bool(record["metadata"]["relations"]["version"][0]["is_last"])


def recorded(folder: Path) -> Archive:
    """Return an archive of all recorded records."""
    zenodo: dict[int, dict[str, Any]] = {}
    for path in sorted((folder / "zenodo_api").glob("*.json")):
        content = json.loads(path.read_bytes())
        content = content.get("response", content)
        hits = content.get("hits")
        records = hits["hits"] if isinstance(hits, dict) else [content]
        zenodo |= {int(r["id"]): r for r in records if "id" in r}
    cern = {
        int(p.stem): json.loads(p.read_bytes()) for p in (folder / "cernopendata").glob("*.json")
    }
    return Archive(zenodo, cern)


@contextmanager
def archive_at_settings(folder: Path) -> Iterator[Archive]:
    """Serve the recorded records, as the Zenodo and the CERN Open Data of the settings."""
    archive = recorded(folder)
    with serving(archive.answer) as url, pytest.MonkeyPatch.context() as environment:
        archive.url, archive.portal = url, url.replace("127.0.0.1", "localhost")
        environment.setenv("HEPML_ZENODO_URL", archive.url)
        environment.setenv("HEPML_CERNOPENDATA_URL", archive.portal)
        environment.delenv("ZENODO_TOKEN", raising=False)
        environment.delenv("HEPML_ZENODO_TOKEN_FILE", raising=False)
        yield archive


@contextmanager
def serving(answer: Callable[..., Answer], *, also: tuple[str, ...] = ()) -> Iterator[str]:
    """Serve GET (and the methods in `also`) with what a function answers; yield the address."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            more = (self.command, body) if also else ()
            status, headers, content = answer(self.path, dict(self.headers.items()), *more)
            self.send_response(status)
            for name, value in headers.items():
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            if self.command != "HEAD":
                self.wfile.write(content)

        def log_message(self, *_: object) -> None:
            pass

    for method in also:
        setattr(Handler, f"do_{method}", Handler.do_GET)
    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
