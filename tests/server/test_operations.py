"""What an operator does: users and keys, read-only mode, limits, private addresses, rescoring."""

from __future__ import annotations

import http.client
import http.server
import json
import os
import re
import socket
import stat
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest
import requests

from hepml_tasks.errors import DataError, ServerError
from hepml_tasks.server import addresses
from hepml_tasks.server.addresses import is_public, refuse_private
from hepml_tasks.server.database import connect
from hepml_tasks.server.foreground import check_public_url, is_loopback
from hepml_tasks.server.process import ServerProcess
from hepml_tasks.server.remote import fetch
from hepml_tasks.server.security import add_user, list_users
from hepml_tasks.server.settings import Settings
from hepml_tasks.server.storage import open_store

from ..conftest import Hepml
from ..forks import start_server
from .conftest import Backend, Wire, code_of, dataset_description, id_in, make_arff, new_backend
from .test_evaluator import _publish


@pytest.fixture(
    params=["sqlite", pytest.param("postgresql", marks=pytest.mark.needs("postgresql"))]
)
def served(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[Backend, ServerProcess]]:
    """A server, with its folder and database."""
    backend = new_backend(request, tmp_path_factory)
    with start_server(backend.data, database=backend.database) as server:
        yield backend, server


def tags(server: ServerProcess, key: str) -> requests.Response:
    return Wire(server).post("data/tag", api_key=key, data_id="1", tag=f"t{time.time_ns()}")


def test_users_come_and_go_while_the_server_runs(
    served: tuple[Backend, ServerProcess], hepml: Hepml
) -> None:
    backend, server = served
    files = {"description": dataset_description("t"), "dataset": ("t.arff", make_arff())}
    id_in(Wire(server).post("data/", files), "upload_data_set")
    environment = dict(os.environ)
    if backend.database is not None:
        environment["HEPML_DATABASE"] = backend.database

    def users(*words: str) -> Any:
        return hepml("users", *words, "--data", backend.data, env=environment)

    added = users("add", "alice")
    assert added.returncode == 0, added.stderr
    key = added.stdout.strip()
    assert re.fullmatch(r"[0-9a-f]{32}", key)
    assert "not shown again" in added.stderr
    assert tags(server, key).status_code == 200

    again = users("add", "alice")
    assert again.returncode == 1
    assert "there is a user 'alice' already" in again.stderr

    assert users("disable", "alice").returncode == 0
    assert code_of(tags(server, key)) == 103
    assert code_of(Wire(server).get("data/list", api_key=key)) == 103
    listed = json.loads(users("list", "--json").stdout)
    assert [(u["name"], u["role"], u["state"]) for u in listed] == [
        ("hepml", "administrator", "enabled"),
        ("alice", "user", "disabled"),
    ]
    assert key not in users("list").stdout

    assert users("enable", "alice").returncode == 0
    assert tags(server, key).status_code == 200

    renewed = json.loads(users("key", "alice", "--json").stdout)
    assert renewed["user"] == "alice"
    assert code_of(tags(server, key)) == 103
    assert tags(server, renewed["apikey"]).status_code == 200

    reader = users("add", "bob", "--role", "read_only").stdout.strip()
    assert code_of(tags(server, reader)) == 104
    assert Wire(server).get("data/list", api_key=reader).status_code == 200

    wrong = users("key", "alise")
    assert wrong.returncode == 1
    assert "did you mean 'alice'" in wrong.stderr
    last = users("disable", "hepml")
    assert last.returncode == 1
    assert "only administrator" in last.stderr
    for path in backend.data.rglob("*.sqlite*"):
        assert renewed["apikey"].encode() not in path.read_bytes()


def test_the_first_user_s_file_follows_a_new_key(hepml: Hepml, tmp_path: Path) -> None:
    with start_server(tmp_path) as server:
        new = hepml("users", "key", "hepml", "--data", tmp_path).stdout.strip()
        assert new != server.apikey
        assert code_of(tags(server, server.apikey)) == 103
        assert code_of(tags(server, new)) != 103
    path = tmp_path / "apikey"
    assert path.read_text().strip() == new
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


@pytest.mark.parametrize("command", [["list"], ["add", "alice"]])
def test_users_of_no_server_are_one_clear_line(
    hepml: Hepml, tmp_path: Path, command: list[str]
) -> None:
    done = hepml("users", *command, "--data", tmp_path / "nothing")
    assert done.returncode == 1
    assert "no server has been started on" in done.stderr
    assert len(done.stderr.splitlines()) == 1
    assert not (tmp_path / "nothing").exists()


def test_a_user_s_name_is_plain(tmp_path: Path) -> None:
    database = connect(None, tmp_path)
    for name in ("", "a b", "x" * 65, "a\nb", "a\n", "<b>", "../x", "é"):
        with pytest.raises(ServerError, match="use 1 to 64 of") as error:
            add_user(database, name)
        assert "\n" not in str(error.value)
    assert list_users(database) == []
    database.engine.dispose()


def test_a_read_only_server_still_answers_and_evaluates(tmp_path: Path) -> None:
    with start_server(tmp_path) as server:
        run = _publish(Wire(server))
    with start_server(tmp_path, settings=Settings(read_only=True)) as server:
        wire = Wire(server)
        assert wire.evaluated(run)["status"] == "done"
        assert wire.get("task/1").status_code == 200
        assert code_of(tags(server, server.apikey)) == 104
        assert code_of(wire.delete(f"run/{run}")) == 104
        rescore = f"{server.pages}hepml/task/1/rescore"
        answer = requests.post(rescore, data={"api_key": server.apikey}, timeout=60)
        assert code_of(answer) == 104


MULTIPART = {"content-type": "multipart/form-data; boundary=b"}
HEAD = b'--b\r\nContent-Disposition: form-data; name="dataset"; filename="a.arff"\r\n\r\n'


def _memory(server: ServerProcess) -> int:
    return psutil.Process(server.pid).memory_info().rss


def _send(server: ServerProcess, size: int, *, announced: bool) -> tuple[int, str]:
    """Send a body of zeros, watching that the server doesn't keep it in memory."""
    chunk = b"0" * (1 << 20)
    before = _memory(server)

    def body() -> Iterator[bytes]:
        yield HEAD
        for number in range(size >> 20):
            if number % 100 == 0:
                assert _memory(server) < before + 100_000_000
            yield chunk

    length = {"content-length": str(len(HEAD) + (size >> 20 << 20))}
    chunked = {"transfer-encoding": "chunked"}
    connection = http.client.HTTPConnection(server.server.split("/")[2], timeout=300)
    try:
        connection.request(
            "POST",
            "/api/v1/xml/data/",
            body(),
            {**MULTIPART, **(length if announced else chunked)},
            encode_chunked=not announced,
        )
        answer = connection.getresponse()
        return answer.status, answer.read().decode()
    finally:
        connection.close()


@pytest.mark.parametrize("announced", [True, False], ids=["announced", "chunked"])
@pytest.mark.parametrize(
    ("limit", "size"),
    [(30_000_000, 60_000_000), pytest.param(None, 2_200_000_000, marks=pytest.mark.campaign)],
    ids=["60 MB", "2 GB"],
)
def test_a_body_beyond_the_limit_is_refused_without_being_kept(
    tmp_path: Path, limit: int | None, size: int, announced: bool
) -> None:
    settings = None if limit is None else Settings(max_upload=limit)
    with start_server(tmp_path, settings=settings) as server:
        status, told = _send(server, size, announced=announced)
        assert status == 413
        assert "<oml:code>130</oml:code>" in told
        assert f"more than {limit or 2_000_000_000} bytes" in told
        assert Wire(server).get("evaluationmeasure/list").status_code == 200
        open_files = psutil.Process(server.pid).open_files()
        assert not [f for f in open_files if "incoming" in f.path]
    assert not list((tmp_path / "files").glob("*/*"))


def test_a_client_that_asks_first_is_refused_before_it_sends(tmp_path: Path) -> None:
    with start_server(tmp_path) as server:
        port = int(server.server.split(":")[2].split("/")[0])
        with socket.create_connection(("127.0.0.1", port), timeout=30) as connection:
            connection.sendall(
                b"POST /api/v1/xml/data/ HTTP/1.1\r\nHost: h\r\nExpect: 100-continue\r\n"
                b"Content-Type: multipart/form-data; boundary=b\r\n"
                b"Content-Length: 2100000000\r\n\r\n"
            )
            assert connection.recv(12) == b"HTTP/1.1 413"


def test_a_body_without_end_is_cut_off(tmp_path: Path) -> None:
    with start_server(tmp_path, settings=Settings(max_upload=1_000_000)) as server:
        port = int(server.server.split(":")[2].split("/")[0])
        with socket.create_connection(("127.0.0.1", port), timeout=30) as connection:
            connection.sendall(
                b"POST /api/v1/xml/data/ HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n"
                b"Content-Type: multipart/form-data; boundary=b\r\n\r\n"
            )
            connection.sendall(b"%x\r\n%b\r\n" % (len(HEAD), HEAD))
            piece = b"0" * (1 << 20)
            with pytest.raises(OSError):
                for _ in range(1000):
                    connection.sendall(b"%x\r\n%b\r\n" % (len(piece), piece))


@pytest.mark.parametrize("size", ["5k", "1.5GB"])
def test_sizes_are_written_as_people_do(size: str, hepml: Hepml, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    done = hepml("serve", "--max-upload", size, "--data", tmp_path / "file" / "x")
    assert "can't make the directory" in done.stderr  # the size was taken


def test_a_wrong_size_is_one_clear_line(hepml: Hepml, tmp_path: Path) -> None:
    done = hepml("serve", "--max-upload", "many", "--data", tmp_path)
    assert done.returncode == 2
    assert "write it as 500M or 20G" in done.stderr


@pytest.mark.parametrize(
    ("address", "public"),
    [
        ("8.8.8.8", True),
        ("2606:4700::1111", True),
        ("127.0.0.1", False),
        ("127.255.0.3", False),
        ("0.0.0.0", False),
        ("10.1.2.3", False),
        ("172.16.0.1", False),
        ("192.168.1.1", False),
        ("169.254.169.254", False),
        ("100.64.0.1", False),
        ("224.0.0.1", False),
        ("255.255.255.255", False),
        ("::1", False),
        ("::", False),
        ("fe80::1%eth0", False),
        ("fd00::1", False),
        ("ff02::1", False),
        ("::ffff:127.0.0.1", False),
        ("::ffff:8.8.8.8", True),
        ("64:ff9b::7f00:1", False),
        ("2002:7f00:1::", False),
        ("nonsense", False),
    ],
)
def test_only_addresses_of_the_internet_are_public(address: str, public: bool) -> None:
    assert is_public(address) is public


@pytest.mark.parametrize(
    "host",
    ["127.0.0.1", "localhost", "[::1]", "0.0.0.0", "2130706433", "0x7f.1", "[::ffff:127.0.0.1]"],
)
def test_every_way_to_write_this_machine_is_refused(host: str, tmp_path: Path) -> None:
    store = open_store(tmp_path)
    with pytest.raises(DataError, match=r"own network|can't be found"):
        fetch(f"http://{host}:9/x.arff", store, limit=1000, seconds=5)
    with pytest.raises(DataError, match=r"own network|can't be found"):
        refuse_private(f"https://user:password@{host}/x.arff")


@pytest.fixture
def archive(tmp_path: Path) -> Iterator[str]:
    """A web server on loopback that counts who connects."""
    folder = tmp_path / "archive"
    folder.mkdir()
    (folder / "toy.arff").write_text(make_arff())

    class Handler(http.server.SimpleHTTPRequestHandler):
        def __init__(self, *arguments: Any) -> None:
            super().__init__(*arguments, directory=str(folder))

        def do_GET(self) -> None:
            if self.path.startswith("/to/"):
                self.send_response(302)
                self.send_header("location", self.path.removeprefix("/to/"))
                self.end_headers()
                return
            super().do_GET()

        def log_message(self, *arguments: object) -> None:
            (folder / "asked").write_text("yes")

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as web:
        threading.Thread(target=web.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{web.server_address[1]}"
        web.shutdown()


def test_every_redirection_is_looked_at(
    archive: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    port = archive.rpartition(":")[2]
    # 127.0.0.1 stands for a host of the internet: here there is none to be asked
    monkeypatch.setattr(addresses, "is_public", lambda address: address == "127.0.0.1")
    store = open_store(tmp_path / "data")
    good = fetch(f"{archive}/to//toy.arff", store, limit=100_000, seconds=30)
    assert good.path.read_text() == make_arff()
    with pytest.raises(DataError, match=r"'127\.0\.0\.2' is in the server's own network"):
        fetch(f"{archive}/to/http://127.0.0.2:{port}/toy.arff", store, limit=100_000, seconds=30)


def test_the_address_that_answers_is_looked_at_too(
    archive: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # a name that was public when it was looked up, and leads elsewhere when it is connected
    from hepml_tasks.server import remote

    monkeypatch.setattr(remote, "refuse_private", lambda _url: None)
    with pytest.raises(DataError, match="own network"):
        fetch(f"{archive}/toy.arff", open_store(tmp_path / "data"), limit=100_000, seconds=30)
    assert not (tmp_path / "archive" / "asked").exists()


@pytest.mark.parametrize(
    ("options", "fetched"),
    [
        ({}, True),
        ({"host": "0.0.0.0"}, False),
        ({"public_url": "https://hep.example.org"}, False),
        ({"host": "0.0.0.0", "settings": Settings(allow_private_urls=True)}, True),
    ],
    ids=["loopback", "all addresses", "behind a proxy", "allowed"],
)
def test_who_may_have_the_server_s_own_network_read(
    archive: str, tmp_path: Path, options: dict[str, Any], fetched: bool
) -> None:
    if "public_url" in options:
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            options = {**options, "port": free.getsockname()[1]}
    with start_server(tmp_path / "data", **options) as server:
        base = server.server
        if "public_url" in options:
            base = f"http://127.0.0.1:{options['port']}/api/v1/xml"
        answer = requests.post(
            f"{base}/data/",
            data={"api_key": server.apikey},
            files={"description": ("d.xml", _by_url(f"{archive}/toy.arff"))},
            timeout=60,
        )
    if fetched:
        assert id_in(answer, "upload_data_set") == 1
    else:
        assert code_of(answer) == 136
        assert "own network" in answer.text
        assert not (tmp_path / "archive" / "asked").exists()


def _by_url(url: str) -> str:
    head, tail = dataset_description("u").split("<oml:default_target_attribute>", 1)
    return f"{head}<oml:url>{url}</oml:url><oml:default_target_attribute>{tail}"


@pytest.mark.parametrize(
    ("host", "loopback"),
    [
        ("127.0.0.1", True),
        ("::1", True),
        ("localhost", True),
        ("0.0.0.0", False),
        ("::", False),
        ("192.168.0.1", False),
        ("hep.example.org", False),
    ],
)
def test_what_is_loopback(host: str, loopback: bool) -> None:
    assert is_loopback(host) is loopback


@pytest.mark.parametrize("url", ["hep.example.org", "ftp://h", "https://", "https://h/?a=1", ""])
def test_a_public_address_that_is_none_is_one_clear_line(url: str) -> None:
    with pytest.raises(ServerError, match="write it as https://HOST"):
        check_public_url(url)
