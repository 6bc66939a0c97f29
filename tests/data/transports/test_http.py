from __future__ import annotations

import http.server
import threading
from pathlib import Path

import pytest
import requests

from hepml_tasks import __version__
from hepml_tasks.data.fetch import fetch_file
from hepml_tasks.data.transports import http as transport
from hepml_tasks.errors import DataError

from ..conftest import CONTENT, Quiet, Site

pytestmark = pytest.mark.usefixtures("at_once")


def fetch(file):
    return fetch_file(file, dataset="test-set")


def to(location: str, status: int = 302):
    return lambda handler: handler.answer(status, b"", Location=location)


def test_requests_name_the_project_and_its_version(site: Site, file_at):
    fetch(file_at(f"{site.url}/data.csv"))
    ((_, headers),) = site.requests
    assert headers["User-Agent"].startswith(f"hepml_tasks/{__version__} (+http")


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_a_redirect_is_followed(site: Site, start_site, file_at, status):
    other = start_site()
    site.faults.append(to(f"{other.url}/data.csv", status))
    assert fetch(file_at(f"{site.url}/old.csv")).read_bytes() == CONTENT


def test_a_redirect_is_followed_for_the_rest_of_a_file_too(site: Site, start_site, file_at):
    other = start_site()
    other.faults.append(lambda handler: handler.serve(cut=6000))
    site.faults.extend([to(f"{other.url}/data.csv")] * 2)
    assert fetch(file_at(f"{site.url}/old.csv")).read_bytes() == CONTENT
    assert other.asked == [None, "bytes=6000-"]


def test_redirects_in_a_circle(site: Site, file_at):
    site.faults.extend([to("/b"), to("/a"), to("/b")])
    with pytest.raises(DataError, match="its redirects go round in a circle"):
        fetch(file_at(f"{site.url}/a"))


def test_redirects_without_end(site: Site, file_at):
    site.faults.extend([to(f"/{number}") for number in range(50)])
    with pytest.raises(DataError, match="redirects more than 10 times"):
        fetch(file_at(f"{site.url}/a"))
    assert len(site.requests) == 10


@pytest.mark.parametrize("location", ["file:///etc/passwd", "ftp://127.0.0.1/x", "http://[::1"])
def test_a_redirect_leads_to_the_web_only(site: Site, file_at, location):
    site.faults.append(to(location))
    with pytest.raises(DataError, match="which is no web address|redirects to no address"):
        fetch(file_at(f"{site.url}/a"))


def test_the_body_of_a_redirect_is_not_read(site: Site, file_at):
    def endless(handler) -> None:
        handler.send_response(302)
        handler.send_header("Location", "/data.csv")
        handler.send_header("Content-Length", str(10**12))
        handler.end_headers()
        for _ in range(10_000):
            handler.wfile.write(b"x" * 65536)

    site.faults.append(endless)
    assert fetch(file_at(f"{site.url}/old.csv")).read_bytes() == CONTENT


def test_a_password_goes_no_further_than_its_own_host(site: Site, start_site, file_at):
    other = start_site()
    site.faults.append(to(f"{other.url}/data.csv"))
    fetch(file_at(site.url.replace("http://", "http://me:hunter2@") + "/data.csv"))
    assert site.requests[0][1]["Authorization"].startswith("Basic ")
    assert "Authorization" not in other.requests[0][1]


def test_the_same_host_gets_no_password_on_another_port_or_after_a_detour(
    site: Site, start_site, file_at
):
    other = start_site()
    site.faults.append(to(f"{other.url}/detour"))
    other.faults.append(to(f"{site.url}/data.csv"))
    fetch(file_at(site.url.replace("http://", "http://me:hunter2@") + "/old.csv"))
    assert ["Authorization" in headers for _, headers in site.requests] == [True, False]
    assert "Authorization" not in other.requests[0][1]


def test_passwords_of_netrc_are_not_read(
    site: Site, start_site, file_at, tmp_path: Path, monkeypatch
):
    netrc = tmp_path / "netrc"
    netrc.write_text("machine 127.0.0.1 login me password hunter2\n")
    netrc.chmod(0o600)
    monkeypatch.setenv("NETRC", str(netrc))
    # else this test would pass without our doing anything
    requests.get(f"{site.url}/data.csv", timeout=5)
    assert "Authorization" in site.requests.pop()[1]
    other = start_site()
    site.faults.append(to(f"{other.url}/data.csv"))
    fetch(file_at(f"{site.url}/data.csv"))
    for _, headers in site.requests + other.requests:
        assert "Authorization" not in headers


@pytest.mark.parametrize(
    "url", ["http://", "http://[::1", "http://127.0.0.1:99999/x", "http://.x/"]
)
def test_what_is_no_address_is_one_line(file_at, url):
    with pytest.raises(DataError) as caught:
        fetch(file_at(url))
    assert "\n" not in str(caught.value)


class Proxy(http.server.BaseHTTPRequestHandler):
    """A small forward proxy for http."""

    asked: list[str]

    def do_GET(self) -> None:
        self.asked.append(self.path)
        headers = {"Range": r} if (r := self.headers.get("Range")) else {}
        with requests.Session() as session:
            session.trust_env = False
            answer = session.get(self.path, headers=headers, timeout=5)
        self.send_response(answer.status_code)
        for name in ("Content-Length", "Content-Range", "ETag"):
            if name in answer.headers:
                self.send_header(name, answer.headers[name])
        self.end_headers()
        self.wfile.write(answer.content)

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def proxy(monkeypatch):
    asked: list[str] = []
    server = Quiet(("127.0.0.1", 0), type("P", (Proxy,), {"asked": asked}))
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    for name in ("NO_PROXY", "no_proxy", "HTTP_PROXY", "ALL_PROXY", "all_proxy"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("http_proxy", f"http://127.0.0.1:{server.server_port}")
    yield asked
    server.shutdown()
    thread.join()
    server.server_close()


def test_the_proxy_of_the_environment_is_used(site: Site, file_at, proxy):
    assert fetch(file_at(f"{site.url}/data.csv")).read_bytes() == CONTENT
    assert proxy == [f"{site.url}/data.csv"]


def test_hosts_that_need_no_proxy_are_asked_directly(site: Site, file_at, proxy, monkeypatch):
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    assert fetch(file_at(f"{site.url}/data.csv")).read_bytes() == CONTENT
    assert proxy == []


def test_a_proxy_that_is_down_is_told_without_its_password(site: Site, file_at, proxy, monkeypatch):
    monkeypatch.setenv("http_proxy", "http://me:hunter2@127.0.0.1:9")
    with pytest.raises(DataError, match="the proxy that the environment names") as caught:
        fetch(file_at(f"{site.url}/data.csv"))
    assert "hunter2" not in str(caught.value)


def test_a_dead_host_is_told_in_one_line(file_at, monkeypatch):
    with pytest.raises(DataError, match=r"127.0.0.1:9/data.csv: does not answer \(asked 5 times\)"):
        fetch(file_at("http://127.0.0.1:9/data.csv"))


def test_last_modified_is_trusted_once_it_is_older_than_the_answer():
    then, later = "Tue, 01 Jul 2025 10:00:00 GMT", "Tue, 01 Jul 2025 10:00:01 GMT"
    assert transport._version({"Last-Modified": then, "Date": later}) == then
    assert transport._version({"Last-Modified": then, "Date": then}) is None
    assert transport._version({"Last-Modified": then}) is None
    assert transport._version({"ETag": 'W/"weak"', "Last-Modified": then, "Date": later}) == then
    assert transport._version({"ETag": '"strong"', "Last-Modified": then}) == '"strong"'
