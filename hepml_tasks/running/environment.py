"""What a run was made with: versions, commit, container image, hardware."""

from __future__ import annotations

import importlib.metadata
import os
import platform
import subprocess
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from typing import Any

from hepml_tasks.running.folder import RunFolder, write_json

_PACKAGES = (
    "hepml_tasks",
    "numpy",
    "scipy",
    "pandas",
    "pyarrow",
    "scikit-learn",
    "joblib",
    "openml",
    "xgboost",
    "xgboost-cpu",
    "lightgbm",
    "catboost",
)


def environment() -> dict[str, Any]:
    """Record the environment of this process.

    Returns
    -------
    dict
        JSON data: ``python``, ``packages``, ``commit``, ``image``, ``platform``, ``hardware``.
        ``commit`` and ``image`` are null where there is none; ``HEPML_COMMIT`` and
        ``HEPML_IMAGE`` name them where they can't be found out, as inside a container.
    """
    return {
        "python": platform.python_version(),
        "packages": package_versions(),
        "commit": os.environ.get("HEPML_COMMIT") or _commit(),
        "image": os.environ.get("HEPML_IMAGE") or _image(),
        "platform": platform.platform(),
        "hardware": _hardware(),
    }


def begin_session(folder: RunFolder) -> None:
    """Record the environment in which a run is begun, or gone on with.

    Parameters
    ----------
    folder : RunFolder
        Its environment.json describes this process from now on; what it said before, of a run that
        was interrupted, is the last of ``earlier``.
    """
    path = folder.path / "environment.json"
    now = environment() | {"begun": datetime.now(UTC).isoformat(timespec="seconds")}
    if path.is_file():
        before = folder.environment
        earlier = before.pop("earlier", [])
        now["earlier"] = [*earlier, before]
    write_json(path, now)


def package_versions() -> dict[str, str]:
    """Return the installed versions of the packages that decide what a run computes."""
    return dict(_versions())


# What is imported stays what it is: a process looks once, not once a run.
@cache
def _versions() -> dict[str, str]:
    versions = {}
    for name in _PACKAGES:
        try:
            versions[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            continue
    return versions


@cache
def _commit() -> str | None:
    folder = Path(__file__).resolve().parent
    try:
        answer = subprocess.run(
            ["git", "-C", folder, "describe", "--always", "--dirty", "--abbrev=40", "--exclude=*"],
            capture_output=True,
            text=True,
            check=True,
            timeout=10,
        )
    except (OSError, subprocess.SubprocessError):
        return None
    return answer.stdout.strip() or None


def _image() -> str | None:
    # podman writes the image's name where a container can read it
    record = Path("/run/.containerenv")
    try:
        lines = record.read_text().splitlines()
    except OSError:
        return None
    values = dict(line.split("=", 1) for line in lines if "=" in line)
    return values.get("image", "").strip('"') or "unknown"


def _hardware() -> dict[str, Any]:
    import psutil

    model = platform.processor()
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
        model = next(x.split(":", 1)[1].strip() for x in lines if x.startswith("model name"))
    except (OSError, StopIteration):
        pass
    return {
        "processor": model or platform.machine(),
        "cores": os.cpu_count(),
        "memory_bytes": psutil.virtual_memory().total,
    }
