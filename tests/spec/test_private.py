"""Task files that withhold labels."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from hepml_tasks.data.table import load_table
from hepml_tasks.errors import DataError, SpecError
from hepml_tasks.spec import PrivateSpec, TaskSpec, from_mapping, to_mapping

ROOT = Path(__file__).resolve().parent.parent.parent


@pytest.fixture
def data() -> dict[str, Any]:
    data: dict[str, Any] = yaml.safe_load((ROOT / "tasks" / "toy-higgs.yaml").read_text())
    data["splits"] = [{"name": "challenge", "kind": "holdout", "fraction": 0.5}]
    data["private"] = {"public": 0.3}
    del data["dataset"]["simulator"]["seed"]
    return data


def read(data: dict[str, Any]) -> TaskSpec:
    return from_mapping(data, TaskSpec, origin="task.yaml")


def test_a_task_may_withhold_labels(data: dict[str, Any]) -> None:
    spec = read(data)
    assert spec.private == PrivateSpec(public=0.3)
    assert read(to_mapping(spec)) == spec
    with pytest.raises(DataError, match="made by a server, with a seed of its own"):
        load_table(spec.dataset)


def test_without_withheld_labels_a_simulator_needs_its_seed(data: dict[str, Any]) -> None:
    del data["private"]
    with pytest.raises(SpecError, match=r"dataset\.simulator\.seed: this field is required"):
        read(data)


def test_a_seed_that_can_be_read_withholds_nothing(data: dict[str, Any]) -> None:
    data["dataset"]["simulator"]["seed"] = 1
    with pytest.raises(SpecError, match="leave the seed out, the server draws its own"):
        read(data)


def test_class_sums_would_tell_what_withheld_events_weigh(data: dict[str, Any]) -> None:
    del data["class_sums"]
    with pytest.raises(SpecError, match="class_sums: a task with withheld labels needs them"):
        read(data)


def test_a_private_task_has_one_holdout(data: dict[str, Any]) -> None:
    data["splits"] = [{"name": "a", "kind": "kfold", "folds": 3}]
    with pytest.raises(SpecError, match="has one, of kind holdout"):
        read(data)


@pytest.mark.parametrize(
    ("field", "value"),
    [("public", 0), ("public", 1), ("per_day", 0), ("digits", 1), ("digits", 18), ("seed", 3)],
)
def test_a_wrong_field_is_named(data: dict[str, Any], field: str, value: float) -> None:
    data["private"][field] = value
    with pytest.raises(SpecError, match=f"task.yaml: private.{field}"):
        read(data)
