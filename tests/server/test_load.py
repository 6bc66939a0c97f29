"""The load that a server must stand, as benchmarks/server.py puts it on one."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from ..conftest import ROOT


@pytest.mark.campaign
@pytest.mark.parametrize("part", ["clients", "list", "large"])
@pytest.mark.parametrize(
    "kind", ["sqlite", pytest.param("postgresql", marks=pytest.mark.needs("postgresql"))]
)
def test_the_goals_are_met(part: str, kind: str, request: pytest.FixtureRequest) -> None:
    environment = {k: v for k, v in os.environ.items() if k != "HEPML_DATABASE"}
    if kind == "postgresql":
        environment["HEPML_DATABASE"] = request.getfixturevalue("cluster").new_database()
    done = subprocess.run(
        [sys.executable, str(ROOT / "benchmarks" / "server.py"), part],
        capture_output=True,
        text=True,
        env=environment,
        timeout=1800,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
