"""The server behind nginx with TLS, as docs/nginx.conf sets it up, and the stock client."""

from __future__ import annotations

import os
import re
import shutil
import socket
import ssl
import subprocess
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import openml
import pytest
import requests

from hepml_tasks.server.process import ServerProcess
from hepml_tasks.server.settings import Settings

from ..conftest import ROOT
from ..forks import start_server
from .conftest import Wire, code_of, pointed_at
from .test_client_loop import frame, publish_dataset, publish_task, run_and_publish

pytestmark = [
    pytest.mark.needs("nginx"),
    pytest.mark.filterwarnings("ignore:unclosed file:ResourceWarning"),
]


@dataclass(frozen=True)
class Proxied:
    """A server behind nginx; `logs` is all that nginx has written."""

    server: ServerProcess
    public: str
    certificate: Path
    folder: Path

    @property
    def logs(self) -> str:
        return "".join(path.read_text() for path in self.folder.glob("*.log"))


def free_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port: int = free.getsockname()[1]
        return port


def adapted(example: str, changes: dict[str, str]) -> str:
    """Put a test's names into the example, each of which must be there."""
    for old, new in changes.items():
        assert old in example, old
        example = example.replace(old, new)
    return example


@pytest.fixture(scope="module")
def proxied(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Proxied]:
    folder = tmp_path_factory.mktemp("nginx")
    certificate, key = folder / "certificate.pem", folder / "key.pem"
    subprocess.run(
        [
            *("openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2"),
            *("-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost"),
            *("-out", str(certificate), "-keyout", str(key)),
        ],
        check=True,
        capture_output=True,
    )
    port, behind = free_port(), free_port()
    public = f"https://localhost:{port}"
    site = adapted(
        (ROOT / "docs" / "nginx.conf").read_text(),
        {
            "127.0.0.1:8080": f"127.0.0.1:{behind}",
            "listen 443 ssl": f"listen 127.0.0.1:{port} ssl",
            "server_name hep.example.org": "server_name localhost",
            "/etc/ssl/certs/hep.example.org.pem": str(certificate),
            "/etc/ssl/private/hep.example.org.key": str(key),
            "/var/log/nginx/": f"{folder}/",
        },
    )
    whole = folder / "nginx.conf"
    scratch = "".join(
        f"{name}_temp_path {folder}/{name};\n"
        for name in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
    )
    user = "user root;\n" if os.geteuid() == 0 else ""
    whole.write_text(
        f"{user}daemon off;\npid {folder}/pid;\nerror_log {folder}/main.log;\n"
        f"events {{}}\nhttp {{\n{scratch}{site}}}\n"
    )
    nginx = shutil.which("nginx") or shutil.which("nginx", path="/usr/sbin")
    assert nginx
    settings = Settings(max_upload=3_000_000)
    with (
        start_server(
            folder / "server", port=behind, public_url=public, settings=settings
        ) as server,
        subprocess.Popen([nginx, "-p", str(folder), "-c", str(whole)]) as process,
    ):
        try:
            _wait(port, certificate, process, folder)
            yield Proxied(server, public, certificate, folder)
        finally:
            process.terminate()


def _wait(port: int, certificate: Path, process: subprocess.Popen[bytes], folder: Path) -> None:
    context = ssl.create_default_context(cafile=str(certificate))
    end = time.monotonic() + 20
    while True:
        try:
            with (
                socket.create_connection(("127.0.0.1", port), timeout=5) as plain,
                context.wrap_socket(plain, server_hostname="localhost"),
            ):
                return
        except OSError:
            assert process.poll() is None, (folder / "main.log").read_text()
            assert time.monotonic() < end
            time.sleep(0.05)


@pytest.fixture
def through(proxied: Proxied, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Proxied]:
    """The stock client, pointed at the public address, trusting the certificate."""
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(proxied.certificate))
    assert proxied.server.server == f"{proxied.public}/api/v1/xml"
    with pointed_at(proxied.server, tmp_path / "cache"):
        yield proxied


def test_the_stock_client_publishes_and_reads_through_the_proxy(through: Proxied) -> None:
    dataset = publish_dataset()
    got = openml.datasets.get_dataset(dataset, download_data=True, download_qualities=True)
    table, *_ = got.get_data()
    assert len(table) == len(frame())
    task = publish_task(dataset)
    run = run_and_publish(task)
    report = Wire(through.server).evaluated(int(run.run_id))
    assert report["status"] == "done"
    listed = openml.evaluations.list_evaluations(
        "predictive_accuracy", tasks=[task], output_format="dataframe"
    )
    assert list(listed["run_id"]) == [run.run_id]
    assert openml.runs.get_run(run.run_id).predictions_url.startswith(f"{through.public}/")


def test_every_address_in_answers_is_the_public_one(through: Proxied) -> None:
    wire = Wire(through.server)
    dataset = publish_dataset("public")
    task = publish_task(dataset)
    run = int(run_and_publish(task).run_id)
    for path in (f"data/{dataset}", f"task/{task}", f"run/{run}"):
        found = [
            address
            for address in re.findall(r"https?://[^<\"\s]+", wire.get(path).text)
            if "openml.org/openml" not in address and "doi.org" not in address
        ]
        assert found, path
        for address in found:
            assert address.startswith(f"{through.public}/"), address
            assert requests.get(address, timeout=60).status_code == 200, address
    assert requests.get(through.server.pages, timeout=60).url.startswith(f"{through.public}/pages/")


def test_a_body_that_is_too_large_gets_the_server_s_own_answer(through: Proxied) -> None:
    answer = Wire(through.server).post("data/", {"dataset": ("big.arff", b"x" * 3_100_000)})
    assert answer.status_code == 413
    assert code_of(answer) == 130


def test_no_key_is_in_the_proxy_s_logs(through: Proxied) -> None:
    publish_dataset("logged")
    key = through.server.apikey
    requests.get(f"{through.server.server}/data/list", params={"api_key": key}, timeout=60)
    end = time.monotonic() + 10
    while "GET /api/v1/xml/data/list" not in through.logs:
        assert time.monotonic() < end
        time.sleep(0.05)
    assert key not in through.logs


def test_a_server_behind_a_proxy_fetches_nothing_from_its_own_network(through: Proxied) -> None:
    dataset = openml.datasets.OpenMLDataset(
        name="inside", description="d", data_format="arff", url="http://127.0.0.1:9/toy.arff"
    )
    with pytest.raises(openml.exceptions.OpenMLServerException, match="own network") as refused:
        dataset.publish()
    assert refused.value.code == 136
