"""Starting and ending the server: ports, keys, the end of its parent, one server a directory."""

from __future__ import annotations

import json
import os
import signal
import socket
import stat
import subprocess
import sys
import textwrap
import time
from pathlib import Path

import psutil
import pytest
import requests

from hepml_tasks.errors import ServerError
from hepml_tasks.server.process import start_server

from .conftest import Wire, code_of, dataset_description, id_in, make_arff


def test_the_key_and_the_state_outlive_a_restart(tmp_path: Path) -> None:
    with start_server(tmp_path) as first:
        wire = Wire(first)
        files = {"description": dataset_description("t"), "dataset": ("t.arff", make_arff())}
        dataset = id_in(wire.post("data/", files), "upload_data_set")
    key_file = tmp_path / "apikey"
    assert stat.S_IMODE(key_file.stat().st_mode) == 0o600
    assert key_file.read_text().strip() == first.apikey
    with start_server(tmp_path) as second:
        assert second.apikey == first.apikey
        assert Wire(second).get(f"data/{dataset}").status_code == 200
    database = (tmp_path / "server.sqlite").read_bytes()
    assert first.apikey.encode() not in database


def test_about_says_who_answers(tmp_path: Path) -> None:
    with start_server(tmp_path) as server:
        answer = requests.get(f"{server.pages}hepml/about", timeout=60).json()
        assert answer["name"] == "hepml_tasks"
        assert server.server == f"{server.pages}api/v1/xml"
    with pytest.raises(requests.ConnectionError):
        requests.get(server.pages, timeout=5)


def test_a_port_in_use_is_one_clear_line(tmp_path: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        with pytest.raises(ServerError, match=f"port {port} .*choose another with --port") as error:
            start_server(tmp_path, port=port)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("port", [-1, 65536])
def test_an_impossible_port_is_one_clear_line(tmp_path: Path, port: int) -> None:
    with pytest.raises(ServerError, match=f"port {port}"):
        start_server(tmp_path, port=port)


def test_two_servers_never_share_a_directory(tmp_path: Path) -> None:
    with (
        start_server(tmp_path),
        pytest.raises(ServerError, match=r"another server uses .* --data"),
    ):
        start_server(tmp_path)


def test_a_directory_that_cannot_be_made_is_one_clear_line(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(ServerError, match=r"can't make the directory .* --data"):
        start_server(tmp_path / "file" / "data")


def test_a_database_that_cannot_be_opened_is_one_clear_line(tmp_path: Path) -> None:
    for url in ("nonsense", "sqlite:////nowhere/at/all.sqlite"):
        with pytest.raises(ServerError, match="can't open the database"):
            start_server(tmp_path, database=url)


def test_links_carry_the_public_address(tmp_path: Path) -> None:
    with start_server(tmp_path, public_url="https://hep.example/openml/") as server:
        assert server.server == "https://hep.example/openml/api/v1/xml"
        assert server.pages == "https://hep.example/openml/"


@pytest.mark.parametrize("how", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_the_server_cleanly(tmp_path: Path, how: signal.Signals) -> None:
    command = [sys.executable, "-m", "hepml_tasks.server", "--data", str(tmp_path), "--json"]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert set(json.loads(process.stdout.readline())) == {"server", "apikey", "pages"}
        process.send_signal(how)
        assert process.wait(20) == 0


def test_the_server_ends_when_its_parent_is_killed(tmp_path: Path) -> None:
    program = textwrap.dedent(
        f"""
        import time
        from pathlib import Path
        from hepml_tasks.server.process import start_server
        print(start_server(Path({str(tmp_path)!r})).pid, flush=True)
        time.sleep(100)
        """
    )
    with subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE) as parent:
        assert parent.stdout is not None
        pid = int(parent.stdout.readline())
        assert psutil.pid_exists(pid)
        os.kill(parent.pid, signal.SIGKILL)
        end = time.monotonic() + 20
        while psutil.pid_exists(pid):
            assert time.monotonic() < end
            time.sleep(0.1)


def test_a_read_only_server_refuses_all_writes(tmp_path: Path) -> None:
    with start_server(tmp_path) as server:
        key = server.apikey
    command = [sys.executable, "-m", "hepml_tasks.server", "--data", str(tmp_path), "--json"]
    with subprocess.Popen([*command, "--read-only"], stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        address = json.loads(process.stdout.readline())
        answer = requests.post(
            f"{address['server']}/data/tag",
            data={"api_key": key, "data_id": 1, "tag": "t"},
            timeout=60,
        )
        assert code_of(answer) == 104
        process.terminate()


def test_a_body_that_is_too_large_is_refused(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "hepml_tasks.server", "--data", str(tmp_path), "--json"]
    with subprocess.Popen([*command, "--max-upload", "100000"], stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        try:
            address = json.loads(process.stdout.readline())
            url = f"{address['server']}/data/"
            files = {"dataset": ("big.arff", b"x" * 200_000)}
            announced = requests.post(url, files=files, timeout=60)
            head = b'--b\r\nContent-Disposition: form-data; name="dataset"; filename="a"\r\n\r\n'
            chunked = [
                requests.post(
                    url,
                    data=iter([head, *[b"x" * 60_000] * parts]),
                    headers={"content-type": "multipart/form-data; boundary=b"},
                    timeout=60,
                )
                for parts in (2, 5)
            ]
        finally:
            process.terminate()
    assert announced.status_code == 413
    assert code_of(announced) == 130
    assert [answer.status_code for answer in chunked] == [413, 413]
    assert not list((tmp_path / "files" / "incoming").iterdir())
