from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path

import pytest

HEAVY = {"numpy", "pandas", "sklearn", "pyarrow", "openml", "xgboost", "scipy", "fastapi"}


def test_importing_the_package_loads_no_heavy_library():
    code = "import sys, hepml_tasks; print(*{m.partition('.')[0] for m in sys.modules})"
    loaded = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    )
    assert not HEAVY & set(loaded.stdout.split())


@pytest.mark.parametrize(
    ("command", "limit"),
    [
        ([sys.executable, "-c", "import hepml_tasks"], 0.3),
        ([str(Path(sys.executable).parent / "hepml"), "--help"], 0.5),
    ],
    ids=["import hepml_tasks", "hepml --help"],
)
def test_start_up_stays_short(command: list[str], limit: float):
    # the interpreter's own start is not ours to shorten, and the best of many is the machine's
    def seconds(what: list[str]) -> float:
        start = time.perf_counter()
        subprocess.run(what, capture_output=True, check=True)
        return time.perf_counter() - start

    bare = min(seconds([sys.executable, "-c", "pass"]) for _ in range(5))
    assert any(seconds(command) - bare < limit for _ in range(30))


def test_public_names_are_all_there():
    import hepml_tasks as hep

    assert set(dir(hep)) == set(hep.__all__)
    for name in hep.__all__:
        assert getattr(hep, name) is not None
    with pytest.raises(AttributeError, match="no attribute 'lode_task'"):
        _ = hep.lode_task
