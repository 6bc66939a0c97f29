"""What is installed is what is in the repository."""

from __future__ import annotations

import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
PARTS = ("hepml_tasks", "tasks", "flows", "bots")


def test_a_wheel_has_every_file_of_the_package(tmp_path: Path) -> None:
    # of a copy: setuptools leaves its work beside the source
    source = tmp_path / "source"
    ignored = shutil.ignore_patterns("__pycache__")
    for name in PARTS:
        shutil.copytree(ROOT / name, source / name, symlinks=True, ignore=ignored)
    for name in ("setup.cfg", "pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, source / name)
    subprocess.run(
        [
            *(sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--no-index"),
            *("--no-build-isolation", "--wheel-dir", tmp_path, source),
        ],
        check=True,
    )
    (wheel,) = tmp_path.glob("*.whl")
    packed = {n for n in zipfile.ZipFile(wheel).namelist() if ".dist-info/" not in n}
    known = {
        str(
            path.relative_to(source)
            if name == PARTS[0]
            else Path(PARTS[0], path.relative_to(source))
        )
        for name in PARTS
        for path in (source / name).rglob("*")
        if path.is_file() and not path.parent.is_symlink()
    }
    assert packed == known
