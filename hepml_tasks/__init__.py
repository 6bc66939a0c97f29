"""Common machine-learning benchmarks for high-energy physics.

>>> import hepml_tasks as hep
>>> task = hep.load_task("toy-higgs")
>>> task.spec.metrics.primary
'ams'
"""

from __future__ import annotations

import importlib
from typing import Any

__version__ = "0.1.0"

_WHERE = {
    "Run": "hepml_tasks.api",
    "Task": "hepml_tasks.running.task",
    "load_private_task": "hepml_tasks.openml.private",
    "load_task": "hepml_tasks.running.task",
    "run": "hepml_tasks.api",
    "run_from_predictions": "hepml_tasks.api",
}

__all__ = [
    "Run",
    "Task",
    "__version__",
    "load_private_task",
    "load_task",
    "run",
    "run_from_predictions",
]


def __getattr__(name: str) -> Any:
    # Heavy libraries are imported when a name is used, so that the import itself is cheap.
    if name in _WHERE:
        return getattr(importlib.import_module(_WHERE[name]), name)
    raise AttributeError(f"module 'hepml_tasks' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted(__all__)
