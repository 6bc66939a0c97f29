"""What a dataset, a task and a suite is: validated, frozen values read from YAML."""

from hepml_tasks.spec.evaluation import EvaluationSpec, Partitions
from hepml_tasks.spec.reading import (
    find_suite,
    find_task,
    from_mapping,
    read_suite,
    read_task,
    suite_names,
    task_names,
    to_mapping,
)
from hepml_tasks.spec.task import (
    ColumnSpec,
    DatasetSpec,
    FileSpec,
    HoldOut,
    KFold,
    Metrics,
    Official,
    Roles,
    SimulatorSpec,
    SplitSpec,
    SuiteSpec,
    TableSpec,
    TaskSpec,
)

__all__ = [
    "ColumnSpec",
    "DatasetSpec",
    "EvaluationSpec",
    "FileSpec",
    "HoldOut",
    "KFold",
    "Metrics",
    "Official",
    "Partitions",
    "Roles",
    "SimulatorSpec",
    "SplitSpec",
    "SuiteSpec",
    "TableSpec",
    "TaskSpec",
    "find_suite",
    "find_task",
    "from_mapping",
    "read_suite",
    "read_task",
    "suite_names",
    "task_names",
    "to_mapping",
]
