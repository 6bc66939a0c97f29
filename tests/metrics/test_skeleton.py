from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from hepml_tasks.errors import OutputError, SpecError
from hepml_tasks.metrics.skeleton import write_package


def test_the_test_of_a_new_metric_passes_as_it_was_written(tmp_path: Path) -> None:
    folder = write_package("fresh_figure", tmp_path / "package")
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-W", "error", "tests"],
        cwd=folder,
        env={"PYTHONPATH": str(folder), "PATH": ""},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout
    assert " passed" in done.stdout


@pytest.mark.parametrize("name", ["Ams", "2jets", "a-b", "class", "x", "a b", "é1", "a/../b"])
def test_a_name_that_python_or_a_server_would_not_take_is_refused(
    name: str, tmp_path: Path
) -> None:
    with pytest.raises(SpecError, match="can't be a metric's name"):
        write_package(name, tmp_path / "package")


def test_a_name_that_a_metric_has_is_refused(tmp_path: Path) -> None:
    with pytest.raises(SpecError, match="'ams' already"):
        write_package("ams", tmp_path / "package")


def test_nothing_is_overwritten(tmp_path: Path) -> None:
    (tmp_path / "mine.txt").write_text("mine")
    with pytest.raises(OutputError, match="choose another with --out"):
        write_package("fresh_figure", tmp_path)
    assert [p.name for p in tmp_path.iterdir()] == ["mine.txt"]
