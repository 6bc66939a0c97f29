"""Bots that share a queue: a run is one bot's at a time, and a dead bot's is another's."""

from __future__ import annotations

import json
import threading
import time
from typing import Any

import pytest

from hepml_tasks.server.process import ServerProcess

from .conftest import Wire, code_of

DATABASES = ["sqlite", "postgresql"]


@pytest.fixture
def queue(server: ServerProcess) -> Any:
    import requests

    def ask(path: str, names: object, holder: str, seconds: object = 60, **fields: str) -> Any:
        sent = {"names": json.dumps(names), "holder": holder, "seconds": str(seconds)}
        data = {"api_key": server.apikey, **sent, **fields}
        return requests.post(f"{server.pages}hepml/{path}", data=data, timeout=60)

    return ask


def listed(wire: Wire) -> dict[str, str]:
    import requests

    told = requests.get(f"{wire.server.pages}hepml/leases", timeout=60).json()
    return {entry["name"]: entry["holder"] for entry in told["leases"]}


def test_a_run_is_one_holders_until_it_gives_it_back(queue, wire) -> None:
    assert queue("leases", ["a", "b"], "one").json() == {"granted": ["a", "b"], "refused": []}
    assert queue("leases", ["b", "c"], "two").json() == {"granted": ["c"], "refused": ["b"]}
    # its own is renewed
    assert queue("leases", ["a"], "one").json() == {"granted": ["a"], "refused": []}
    assert listed(wire) == {"a": "one", "b": "one", "c": "two"}
    # nobody gives back what is another's
    queue("leases/release", ["a", "b", "c"], "two")
    assert listed(wire) == {"a": "one", "b": "one"}
    queue("leases/release", ["a", "b"], "one")
    assert listed(wire) == {}


def test_a_lease_that_is_not_renewed_is_another_ones(queue) -> None:
    queue("leases", ["dead"], "one", 60)
    assert queue("leases", ["dead"], "two").json()["refused"] == ["dead"]
    # a renewal counts from now: no slow answer can outlive what is asserted above
    queue("leases", ["dead"], "one", 1)
    time.sleep(2.1)
    assert queue("leases", ["dead"], "two").json()["granted"] == ["dead"]
    assert queue("leases", ["dead"], "one").json()["refused"] == ["dead"]
    queue("leases/release", ["dead"], "two")


def test_of_many_that_ask_at_once_one_has_it(queue) -> None:
    granted: list[str] = []

    def ask(holder: str) -> None:
        if queue("leases", ["wanted"], holder).json()["granted"]:
            granted.append(holder)

    threads = [threading.Thread(target=ask, args=(f"h{n}",)) for n in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(granted) == 1
    queue("leases/release", ["wanted"], granted[0])


@pytest.mark.parametrize(
    ("names", "holder", "seconds"),
    [
        ("a", "h", 60),
        ([], "h", 60),
        ([1], "h", 60),
        (["a" * 401], "h", 60),
        (["a\x07"], "h", 60),
        (["a"] * 1001, "h", 60),
        (["a"], "", 60),
        (["a"], "h", 0),
        (["a"], "h", 3601),
        (["a"], "h", "soon"),
    ],
)
def test_what_is_no_request_is_refused(queue, names, holder, seconds) -> None:
    assert code_of(queue("leases", names, holder, seconds)) == 100


def test_nobody_without_a_key_takes_a_run(queue) -> None:
    assert code_of(queue("leases", ["a"], "h", api_key="0" * 32)) == 103


def test_a_key_of_another_user_is_another_holder(queue, other_key) -> None:
    queue("leases", ["mine"], "h")
    assert queue("leases", ["mine"], "h", api_key=other_key).json()["refused"] == ["mine"]
    queue("leases/release", ["mine"], "h", api_key=other_key)
    assert queue("leases", ["mine"], "other").json()["refused"] == ["mine"]
    queue("leases/release", ["mine"], "h")
