"""Batch systems and containers: real ones, started for the tests."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from ..data.conftest import xrootd  # noqa: F401 - a fixture
from .slurm import Slurm, running


@pytest.fixture(scope="module")
def slurm(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Slurm]:
    """Start Slurm; not below pytest's own folder, which only its user may enter."""
    home = Path(tempfile.mkdtemp(prefix="hepml-slurm-"))
    try:
        with running(home) as system:
            yield system
    finally:
        shutil.rmtree(home, ignore_errors=True)
