"""The page on new datasets, command by command, as a new user types them."""

from __future__ import annotations

import re
import shlex
import shutil
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest
import requests

from ..forks import run_hepml

PAGE = Path(__file__).resolve().parents[2] / "docs" / "new-dataset.md"
HEPML = Path(sys.executable).parent / "hepml"


def free_port() -> int:
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return int(s.getsockname()[1])


def commands(port: int) -> list[list[str]]:
    blocks = re.findall(r"^```sh\n(.*?)^```$", PAGE.read_text(), re.DOTALL | re.MULTILINE)
    lines = [line for block in blocks for line in block.splitlines()]
    return [shlex.split(line.replace("8080", str(port)))[1:] for line in lines]


@pytest.mark.slow
def test_every_command_of_the_page_on_new_datasets(real_data: Path, tmp_path: Path):
    shutil.copy(real_data / "magic" / "magic04_three_quarters.csv.gz", tmp_path)
    shutil.copy(real_data / "root" / "uproot-Zmumu.root", tmp_path)
    port = free_port()
    server = None
    told = {}
    try:
        for words in commands(port):
            if words[0] == "serve":
                command = [str(HEPML), *words]
                server = subprocess.Popen(command, cwd=tmp_path, stdout=subprocess.DEVNULL)
                wait_for(f"http://127.0.0.1:{port}/")
                continue
            done = run_hepml(*words, cwd=tmp_path)
            assert done.returncode == 0, (words, done.stdout, done.stderr)
            told[" ".join(words[:3])] = done.stdout
        page = requests.get(f"http://127.0.0.1:{port}/", timeout=60).text
    finally:
        if server is not None:
            server.send_signal(signal.SIGINT)
            # 130 where the interrupt comes while it still answers
            assert server.wait(timeout=60) in {0, 130}
    assert "0 errors" in told["tasks check my-magic.yaml"]
    assert "my-magic/5-fold: 14265 events, 10 features, 5 fits" in told["tasks check my-magic.yaml"]
    assert "Published as run" in told["run my-zmumu.yaml --flow"]
    assert "my-magic" in page
    assert "my-zmumu" in page
    assert (tmp_path / "my-pages" / "index.html").is_file()


def wait_for(address: str) -> None:
    for _ in range(300):
        try:
            requests.get(address, timeout=60)
        except requests.ConnectionError:
            time.sleep(0.2)
        else:
            return
    raise AssertionError(f"nothing answers at {address}")
