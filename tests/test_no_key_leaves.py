"""No key ever reaches a foreign host, by any of the ways in which this package fetches a URL.

Each way is walked with every key there is: a token, an API key, passwords in an address and in
``~/.netrc``. A server that records all it gets plays every foreign host; the host that a key
belongs to is another server, which does what an archive or an OpenML server may do: name foreign
addresses in its answers, and redirect to them.
"""

from __future__ import annotations

import ast
import base64
import contextlib
import hashlib
import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

import hepml_tasks
from hepml_tasks.data import download
from hepml_tasks.data.fetch import fetch_file
from hepml_tasks.data.sources import locate
from hepml_tasks.errors import HepmlError
from hepml_tasks.openml.connection import Connection
from hepml_tasks.openml.hosting import refusal
from hepml_tasks.spec import FileSpec

from .archives import Answer, serving, told

TOKEN, KEY = "zenodo-token-1f2e", "openml-key-3d4c"
PASSWORD, IN_NETRC = "address-password-5b6a", "netrc-password-7988"
CONTENT = b"EventId,x\n1,2\n"
REDIRECTS = (301, 302, 303, 307, 308)
ARFF = """\
@RELATION toy
@ATTRIBUTE x REAL
@ATTRIBUTE Label {b, s}
@DATA
""" + "".join(f"{i / 10},{'bs'[i % 2]}\n" for i in range(20))


@dataclass
class Host:
    """A server that records what it gets, and answers as it is told to."""

    url: str = ""
    answers: dict[str, Answer] = field(default_factory=dict)
    otherwise: Answer = (404, {}, b"")
    requests: list[str] = field(default_factory=list)

    def answer(self, path: str, headers: dict[str, str], method: str, body: bytes) -> Answer:
        lines = [f"{method} {path}", *(f"{k}: {v}" for k, v in headers.items())]
        self.requests.append("\n".join([*lines, "", body.decode("latin-1")]))
        return self.answers.get(path.partition("?")[0], self.otherwise)

    def redirects(self, to: str, status: int = 302) -> None:
        self.otherwise = (status, {"Location": to}, b"")

    @property
    def keys(self) -> list[str]:
        """What of a key is in the requests."""
        secrets = [TOKEN, KEY, PASSWORD, IN_NETRC]
        secrets += [
            base64.b64encode(f"{user}:{secret}".encode()).decode()
            for user in ("me", TOKEN)
            for secret in secrets
        ]
        signs = [*secrets, "Authorization:", "Cookie:", "api_key", "access_token"]
        return [s for s in signs for r in self.requests if s.lower() in r.lower()]


METHODS = ("POST", "PUT", "DELETE", "HEAD")


@pytest.fixture
def foreign() -> Iterator[Host]:
    """Play every foreign host; when the test is done no key has come."""
    host = Host(otherwise=(200, {"Content-Type": "text/csv"}, CONTENT))
    with serving(host.answer, also=METHODS) as url:
        host.url = url
        yield host
    assert host.requests, "the foreign host was never asked: the test shows nothing"
    assert host.keys == []


@pytest.fixture
def home() -> Iterator[Host]:
    """Play the host that the keys are for."""
    host = Host()
    with serving(host.answer, also=METHODS) as url:
        host.url = url
        yield host


@pytest.fixture(autouse=True)
def keys(home: Host, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Give this process every key that there is."""
    monkeypatch.setenv("HEPML_ZENODO_URL", home.url)
    monkeypatch.setenv("ZENODO_TOKEN", TOKEN)
    monkeypatch.setenv("OPENML_APIKEY", KEY)
    (tmp_path / "netrc").write_text(f"default login me password {IN_NETRC}\n")
    monkeypatch.setenv("NETRC", str(tmp_path / "netrc"))
    monkeypatch.setattr(download, "FIRST_DELAY", 0.0)


def a_file(*urls: str) -> FileSpec:
    checksum = f"sha256:{hashlib.sha256(CONTENT).hexdigest()}"
    return FileSpec(name="data.csv", checksum=checksum, size=len(CONTENT), urls=urls)


def fetched(*urls: str) -> bytes:
    return fetch_file(a_file(*urls), dataset="toy").read_bytes()


# Files: hepml_tasks/data/transports


@pytest.mark.parametrize("status", REDIRECTS)
def test_a_file_whose_archive_redirects(home: Host, foreign: Host, status: int):
    home.redirects(f"{foreign.url}/data.csv", status)
    assert fetched(f"{home.url}/data.csv") == CONTENT
    assert f"Authorization: Bearer {TOKEN}" in home.requests[0]


def test_a_file_whose_address_has_a_password_and_redirects(home: Host, foreign: Host, monkeypatch):
    monkeypatch.setenv("HEPML_ZENODO_URL", "https://zenodo.org")
    home.redirects(f"{foreign.url}/data.csv")
    address = home.url.replace("http://", f"http://me:{PASSWORD}@")
    assert fetched(f"{address}/data.csv") == CONTENT
    signed = base64.b64encode(f"me:{PASSWORD}".encode()).decode()
    assert f"Authorization: Basic {signed}" in home.requests[0]


def test_a_file_that_comes_by_way_of_a_foreign_host(home: Host, foreign: Host):
    # who comes back from a foreign host is not trusted either
    foreign.redirects(f"{home.url}/data.csv")
    home.otherwise = (200, {}, CONTENT)
    assert fetched(f"{foreign.url}/data.csv") == CONTENT
    assert home.keys == []


def test_a_file_whose_archive_redirects_to_what_looks_like_itself(home: Host, foreign: Host):
    port = home.url.rpartition(":")[2]
    home.redirects(f"{foreign.url}\\@127.0.0.1:{port}/data.csv")
    with pytest.raises(HepmlError):
        fetched(f"{home.url}/data.csv")
    # the fixture wants to be asked: by its plain address, at least
    assert fetched(f"{foreign.url}/data.csv") == CONTENT


@pytest.mark.parametrize("place", ["mirror", "url"])
def test_a_file_on_a_foreign_host(foreign: Host, monkeypatch, place: str):
    if place == "mirror":
        monkeypatch.setenv("HEPML_MIRRORS", foreign.url)
    assert fetched(*([f"{foreign.url}/data.csv"] if place == "url" else [])) == CONTENT


def test_a_download_that_is_resumed_after_a_redirect(home: Host, foreign: Host):
    home.redirects(f"{foreign.url}/data.csv")
    foreign.otherwise = (503, {}, b"")
    with pytest.raises(HepmlError):
        fetched(f"{home.url}/data.csv")
    assert len(foreign.requests) == download.ATTEMPTS


# Records: hepml_tasks/data/sources


def a_record(**more: Any) -> dict[str, Any]:
    versions = [{"is_last": True, "parent": {"pid_value": "4"}}]
    metadata = {"title": "x", "relations": {"version": versions}}
    return {"id": 5, "conceptrecid": "4", "metadata": metadata, "files": [], **more}


@pytest.mark.parametrize("status", REDIRECTS)
def test_a_record_whose_archive_redirects(home: Host, foreign: Host, status: int):
    home.redirects(f"{foreign.url}/api/records/5", status)
    foreign.otherwise = told(a_record())
    assert locate("zenodo:5").address == "zenodo:5"
    assert f"Authorization: Bearer {TOKEN}" in home.requests[0]


def test_a_record_with_files_on_a_foreign_host(home: Host, foreign: Host):
    checksum = f"md5:{hashlib.md5(CONTENT).hexdigest()}"
    links = {"self": f"{foreign.url}/data.csv"}
    files = [{"key": "data.csv", "size": len(CONTENT), "checksum": checksum, "links": links}]
    home.otherwise = told(a_record(files=files))
    record = locate("zenodo:5")
    assert fetch_file(record.files[0], dataset="toy").read_bytes() == CONTENT


def test_a_record_whose_newest_version_is_on_a_foreign_host(home: Host, foreign: Host):
    found = a_record(links={"latest": f"{foreign.url}/api/records/6"})
    found["metadata"]["relations"]["version"][0]["is_last"] = False
    home.answers["/api/records/5"] = told(found)
    home.redirects(f"{foreign.url}/api/records/6")
    foreign.otherwise = told(a_record(id=6))
    assert locate("zenodo:5").newest == "zenodo:6"


def test_a_foreign_portal_of_open_data(real_data: Path, home: Host, foreign: Host, monkeypatch):
    metadata = json.loads((real_data / "cernopendata" / "328.json").read_bytes())
    monkeypatch.setenv("HEPML_CERNOPENDATA_URL", foreign.url)
    foreign.answers["/api/records"] = told({"hits": {"total": 1, "hits": [{"id": 328}]}})
    foreign.answers["/api/records/328"] = told({"id": 328, "metadata": metadata})
    assert locate("10.7483/OPENDATA.ATLAS.ZBP2.M5T8").address == "cernopendata:328"
    assert len(foreign.requests) == 2


def test_the_command_that_fetches(home: Host, foreign: Host, hepml):
    links = {"self": f"{foreign.url}/data.csv"}
    files = [{"key": "data.csv", "checksum": hashlib.md5(CONTENT).hexdigest(), "links": links}]
    home.otherwise = told(a_record(files=files))
    done = hepml("data", "fetch", "zenodo:5")
    assert done.returncode == 0, done.stderr
    assert TOKEN not in done.stdout + done.stderr


# Deposits: hepml_tasks/data/deposit


@pytest.fixture
def zenodo(home: Host) -> Any:
    from hepml_tasks.data.deposit.zenodo import Zenodo

    return Zenodo(home.url, attempts=1, pause=0.0)


def a_deposit(foreign: Host, **more: Any) -> dict[str, Any]:
    links = {
        "bucket": f"{foreign.url}/api/files/1",
        "latest_draft": f"{foreign.url}/api/deposit/depositions/6",
        "latest": f"{foreign.url}/api/records/6",
        "self": f"{foreign.url}/api/deposit/depositions/5",
    }
    return {"id": 5, "links": links, "metadata": {}, "files": [], **more}


def refused_or_not(call: Callable[[], object]) -> None:
    # what becomes of it is told elsewhere: here it matters what was sent
    with contextlib.suppress(HepmlError):
        call()


def every_step(zenodo: Any, path: Path) -> Iterator[Callable[[], object]]:
    from hepml_tasks.data.deposit.answers import StoredFile

    yield lambda: zenodo.read(5)
    yield zenodo.drafts
    yield lambda: zenodo.create({})
    yield lambda: zenodo.new_version(5)
    yield lambda: zenodo.latest_version(5)
    yield lambda: zenodo.describe(5, {})
    yield lambda: zenodo.put_file(zenodo.read(5), path)
    yield lambda: zenodo.remove_file(5, StoredFile("1", "x", 1, ""))
    yield lambda: zenodo.publish(5)


def test_a_deposit_whose_links_point_to_a_foreign_host(zenodo, home, foreign, tmp_path):
    (tmp_path / "data.csv").write_bytes(CONTENT)
    home.otherwise = told(a_deposit(foreign))
    for step in every_step(zenodo, tmp_path / "data.csv"):
        refused_or_not(step)
    assert all(TOKEN in r for r in home.requests)
    # nothing at all is sent there: neither a key nor a file that isn't public yet
    assert foreign.requests == []
    assert fetched(f"{foreign.url}/data.csv") == CONTENT


@pytest.mark.parametrize("status", REDIRECTS)
def test_a_deposit_whose_archive_redirects(zenodo, home, foreign, tmp_path, status):
    (tmp_path / "data.csv").write_bytes(CONTENT)
    home.redirects(f"{foreign.url}/api/records/6", status)
    for step in every_step(zenodo, tmp_path / "data.csv"):
        refused_or_not(step)
    assert all(TOKEN in r for r in home.requests)
    assert foreign.requests == []
    assert fetched(f"{foreign.url}/data.csv") == CONTENT


# OpenML servers: hepml_tasks/openml/connection.py


@pytest.mark.parametrize("status", REDIRECTS)
def test_an_openml_server_that_redirects(home: Host, foreign: Host, tmp_path: Path, status: int):
    connection = Connection(f"{home.url}/api/v1/xml", KEY)
    home.redirects(f"{foreign.url}/somewhere", status)
    steps: list[Callable[[], object]] = [
        lambda: connection.get("data/1"),
        lambda: connection.get_json("about"),
        lambda: connection.post_json("evaluate"),
        lambda: connection.post("data/", files={"description": ("d.xml", "<x/>")}),
        lambda: connection.post("data/status/update", {"data_id": "1"}),
        lambda: connection.download("/data/1/toy.arff", tmp_path / "toy.arff"),
    ]
    for step in steps:
        refused_or_not(step)
    posts = [r for r in home.requests if r.startswith("POST")]
    assert len(posts) == 3
    assert all(KEY in r for r in posts)
    assert {r.partition(" ")[0] for r in foreign.requests} == {"GET"}


def test_an_openml_server_that_redirects_with_a_password_in_its_address(home, foreign):
    address = home.url.replace("http://", f"http://me:{PASSWORD}@")
    home.redirects(f"{foreign.url}/somewhere")
    refused_or_not(lambda: Connection(f"{address}/api/v1/xml", KEY).get("data/1"))
    assert "Authorization: Basic" in home.requests[0]


def test_a_file_that_an_openml_server_has_elsewhere(home: Host, foreign: Host, tmp_path: Path):
    connection = Connection(f"{home.url}/api/v1/xml", KEY)
    connection.download(f"{foreign.url}/data.csv", tmp_path / "data.csv")
    assert (tmp_path / "data.csv").read_bytes() == CONTENT


# A dataset of our server, of which the file is elsewhere: hepml_tasks/server/remote.py


@pytest.mark.parametrize("status", REDIRECTS)
def test_the_probe_of_an_archive_that_a_server_is_to_link_to(
    foreign: Host, tmp_path: Path, status: int
):
    (tmp_path / "file.arff").write_text(ARFF)
    assert refusal(f"{foreign.url}/file.arff", tmp_path / "file.arff", strict=True)
    foreign.redirects(f"{foreign.url}/elsewhere.arff", status)
    assert refusal(f"{foreign.url}/file.arff", tmp_path / "file.arff", strict=True)


def test_the_server_fetches_a_dataset(home: Host, foreign: Host, tmp_path: Path):
    from hepml_tasks.server.remote import fetch
    from hepml_tasks.server.storage import open_store

    home.redirects(f"{foreign.url}/toy.arff")
    foreign.otherwise = (200, {"Content-Type": "text/plain"}, ARFF.encode())
    store = open_store(tmp_path / "files")
    for url in (f"{foreign.url}/toy.arff", f"{home.url}/toy.arff"):
        blob = fetch(url, store, limit=10_000, seconds=20, allow_private=True)
        assert blob.path.read_bytes() == ARFF.encode()
    assert home.keys == []


@pytest.mark.filterwarnings("ignore:unclosed file:ResourceWarning")
def test_the_stock_client_and_ours_read_a_dataset_that_is_elsewhere(
    scratch_server: Any, home: Host, foreign: Host, tmp_path: Path
):
    import openml

    # the host redirects, as archives do
    foreign.answers["/toy.arff"] = (302, {"Location": f"{foreign.url}/real.arff"}, b"")
    foreign.answers["/real.arff"] = (200, {"Content-Type": "text/plain"}, ARFF.encode())
    config = openml.config
    before = (config.server, config.apikey, config._root_cache_directory)
    config.server, config.apikey = scratch_server.server, scratch_server.apikey
    config.set_root_cache_directory(tmp_path / "cache")
    try:
        published = openml.datasets.OpenMLDataset(
            name="elsewhere",
            description="A toy by URL.",
            data_format="arff",
            url=f"{foreign.url}/toy.arff",
            default_target_attribute="Label",
        ).publish()
        number = published.dataset_id
        found = openml.datasets.get_dataset(
            number, download_data=True, download_qualities=True, download_features_meta_data=True
        )
        table, *_ = found.get_data()
        assert len(table) == 20
        task = openml.tasks.create_task(
            openml.tasks.TaskType.SUPERVISED_CLASSIFICATION, number, 1, "Label"
        ).publish()
        again = openml.tasks.get_task(task.task_id, download_splits=True, download_data=True)
        assert len(again.get_dataset().get_data()[0]) == 20
        openml.datasets.list_datasets(size=5, output_format="dataframe")
    finally:
        config.server, config.apikey, cache = before
        config.set_root_cache_directory(cache)
    assert scratch_server.apikey
    assert not [r for r in foreign.requests if scratch_server.apikey in r]
    connection = Connection(scratch_server.server, scratch_server.apikey)
    described = connection.get(f"data/{number}")["oml:data_set_description"]
    connection.download(described["oml:url"], tmp_path / "toy.arff")
    assert (tmp_path / "toy.arff").read_text() == ARFF
    assert not [r for r in foreign.requests if scratch_server.apikey in r]


# All of them: no module fetches in a way that isn't walked above

NETWORK = {"aiohttp", "ftplib", "http.client", "httpx", "openml", "pycurl", "requests", "socket"}
NETWORK |= {"urllib.request", "urllib3", "XRootD", "fsspec", "fsspec_xrootd", "websockets", "wget"}

KNOWN = {
    "data/deposit/answers.py": "reads answers of data/deposit/zenodo.py",
    "data/deposit/zenodo.py": "deposits",
    "data/origins.py": "parses addresses",
    "data/transports/http.py": "files, and records by way of data/sources/answers.py",
    "data/transports/xrootd.py": "knows no key; bearer tokens are left out of its protocols",
    "openml/connection.py": "OpenML servers",
    "openml/hosting.py": "probes archives",
    "openml/flows.py": "describes flows, and sends nothing",
    "running/isolation.py": "speaks to its own child over a pair of sockets",
    "server/addresses.py": "refuses addresses of server/remote.py",
    "server/foreground.py": "listens",
    "server/remote.py": "a dataset of our server",
}


def imports(tree: ast.AST) -> Iterator[str]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.level == 0 and node.module:
            yield node.module
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def test_there_are_no_other_ways_than_these():
    package = Path(hepml_tasks.__file__).parent
    found = set()
    for path in package.rglob("*.py"):
        names = set(imports(ast.parse(path.read_text("utf-8"))))
        if any(name == n or name.startswith(f"{n}.") for name in names for n in NETWORK):
            found.add(path.relative_to(package).as_posix())
    assert found == set(KNOWN), "a new way of fetching needs its test here"


def test_the_recorder_knows_a_key_when_it_sees_one():
    host = Host()
    host.answer(f"/?api_key={KEY}", {}, "GET", b"")
    host.answer("/", {"authorization": f"Bearer {TOKEN}"}, "GET", b"")
    host.answer("/", {}, "POST", f"field={PASSWORD}".encode())
    assert {KEY, TOKEN, PASSWORD, "api_key", "Authorization:"} <= set(host.keys)
