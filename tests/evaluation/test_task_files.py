"""Everything that is wrong with a task file is told at once, with its place and its remedy."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from hepml_tasks.evaluation.task_files import FileProblem, check_files
from hepml_tasks.running.checked import who_checked
from hepml_tasks.spec import find_task, read_task, task_names, to_mapping
from hepml_tasks.spec.reading import TASKS

from ..archives import Archive, archive_at_settings

WRONG = """\
name: Bad Name
title: A search of my own
titel2: x
type: binary-classification
about:
  physicist: Select
  ml: Weighted
caveat: not for physics results.
dataset:
  name: my-search
  version: 1
  descripton: Simulated events of my search.
  creators: [A. Physicist]
  citation: A. Physicist, simulated events, 2026
  doi: nonsense
  files:
    - name: ../events.csv.gz
      checksum: sha256:dee8
  rows: many
  openml: {idd: 3}
  columns:
    mass: {min: 3, max: 1}
roles:
  target: class
  weight: w
  event_id: event
  features: [mass, w, event]
splits:
  - {name: 5-fold, kind: kfold, folds: 1, seed: 0}
  - {name: 5-fold, kind: official, train: [a], test: [a]}
metrics:
  primary: ams
  primary: amz
"""


def problems(path: Path, **options: object) -> list[FileProblem]:
    (checked,) = check_files([path], **options)
    return list(checked.problems)


def errors(path: Path, **options: object) -> list[tuple[str, str]]:
    return [(p.field, p.message) for p in problems(path, **options) if p.level == "error"]


def test_all_that_is_wrong_with_a_file_is_told_at_once(tmp_path: Path):
    path = tmp_path / "wrong.yaml"
    path.write_text(WRONG)
    found = problems(path)
    assert {p.level for p in found} == {"error"}
    assert [(p.line, p.column, p.field) for p in found] == [
        (1, 1, "name"),
        (3, 1, "titel2"),
        (9, 1, "dataset.licence"),
        (11, 3, "dataset.version"),
        (12, 3, "dataset.descripton"),
        (15, 3, "dataset.doi"),
        (17, 7, "dataset.files[0].name"),
        (18, 7, "dataset.files[0].checksum"),
        (19, 3, "dataset.rows"),
        (20, 12, "dataset.openml.idd"),
        (22, 5, "dataset.columns.mass"),
        (23, 1, "roles"),
        (27, 3, "roles.features"),
        (28, 1, "splits"),
        (29, 33, "splits[0].folds"),
        (30, 5, "splits[1]"),
        (32, 3, "metrics.primary"),
        (33, 3, "metrics.primary"),
    ]
    told = {p.field: p.message for p in found}
    assert "did you mean 'title'?" in told["titel2"]
    assert told["dataset.licence"] == "this field is required; give it, or `unknown`"
    assert "write it in quotes" in told["dataset.version"]
    assert "write a whole number" in told["dataset.rows"]
    assert told["roles.features"] == (
        "'w' is the weight and 'event' is the event_id and can't be a feature; take it out"
    )
    assert "stand-in" not in "".join(map(str, found))
    assert str(found[0]).startswith(f"{path}:1:1: error: name: ")


@pytest.fixture
def task_data(small_task: Path) -> dict:
    return yaml.safe_load(small_task.read_text())


def written(path: Path, data: dict) -> Path:
    path.write_text(yaml.safe_dump(data, sort_keys=False))
    return path


@pytest.mark.parametrize(
    ("change", "field", "told"),
    [
        ({"metrics": {"primary": "correlation_cvm"}}, "metrics.primary", "needs mass for each"),
        ({"metrics": {"primary": "trackml_score"}}, "metrics.primary", "needs tracks"),
        (
            {"metrics": {"primary": "ams", "also": ["roc_auk"]}},
            "metrics.also[0]",
            "did you mean 'roc_auc'",
        ),
        ({"roles": None}, "roles", "this field is required"),
        ({"class_sums": {"b": 1}}, "class_sums", "the signal class 's' is missing"),
        (
            {
                "splits": [
                    {
                        "name": "o",
                        "kind": "official",
                        "train": ["t"],
                        "test": ["v"],
                        "partitions": {"p": ["w"]},
                    }
                ]
            },
            "splits[0].partitions",
            "p has w, which is not in test",
        ),
    ],
)
def test_what_does_not_fit_together_is_told(small_task: Path, task_data, change, field, told):
    data = {k: v for k, v in {**task_data, **change}.items() if v is not None}
    found = dict(errors(written(small_task, data), data=False))
    assert told in found[field]


def test_yaml_that_cannot_be_read_is_told_with_its_place(tmp_path: Path):
    path = tmp_path / "t.yaml"
    path.write_text("name: x\ntitle: [\n")
    (problem,) = problems(path)
    assert (problem.line, problem.column) == (3, 1)
    path.write_text("- a\n")
    assert "has no fields" in problems(path)[0].message
    path.write_bytes(b"\xff\xfe\x00")
    assert "UTF-8" in problems(path)[0].message
    assert "no such file" in problems(tmp_path / "nowhere.yaml")[0].message


def test_two_files_may_not_hold_tasks_of_one_name(small_task: Path):
    other = small_task.with_name("other.yaml")
    other.write_text(small_task.read_text())
    first, second = check_files([small_task, other], data=False)
    assert not first.is_wrong
    (problem,) = second.problems
    assert (problem.field, problem.line) == ("name", 2)
    assert "toy-small.yaml holds a task of this name too" in problem.message


def test_data_that_contradict_the_file_are_told_with_the_field(small_task: Path, task_data):
    task_data["dataset"]["rows"] = 1400
    task_data["dataset"]["content"] = "sha256:" + "0" * 64
    task_data["dataset"]["columns"]["PRI_tau_pt"]["min"] = 40
    task_data["roles"]["features"] = ["DER_*", "PRI_*", "PRI_tau_pd"]
    task_data["roles"]["event_id"] = "PRI_jet_num"
    found = dict(errors(written(small_task, task_data)))
    assert "1500 where the spec says 1400" in found["dataset.rows"]
    assert "not the data that were checked" in found["dataset.content"]
    assert "outside 40 … inf" in found["dataset.columns.PRI_tau_pt"]
    assert "did you mean 'PRI_tau_pt'" in found["roles.features[2]"]
    assert "have the id of another" in found["roles.event_id"]
    assert all(";" in message for message in found.values())


def test_a_second_weight_or_event_number_among_the_features_is_warned_of(
    small_task: Path, task_data
):
    # as in the published file, where Weight and KaggleWeight both tell the class
    del task_data["roles"]["weight"], task_data["roles"]["event_id"]
    task_data["roles"]["features"] = ["DER_*", "PRI_*", "Weight", "EventId"]
    found = problems(written(small_task, task_data))
    warned = {p.field: p.message for p in found if p.level == "warning"}
    assert "'Weight' is a feature and is called like a weight" in warned["roles.features[2]"]
    assert "called like an event's number" in warned["roles.features[3]"]


def test_rows_that_a_split_forgets_or_lacks_are_told(small_task: Path, task_data):
    task_data["roles"]["split"] = "Process"
    task_data["splits"] = [
        {"name": "official", "kind": "official", "train": ["H", "Z"], "test": ["W", "X"]}
    ]
    ((field, told),) = errors(written(small_task, task_data))
    assert field == "splits[0]"
    assert "no part has the rows marked T: name them as unused" in told
    assert "no row is marked X" in told


def test_a_fact_that_nobody_knows_is_a_warning(tmp_path: Path):
    data = to_mapping(find_task("higgsml"))
    data["dataset"] |= {"licence": "unknown", "openml": "unknown"}
    data["dataset"]["files"][0]["checksum"] = "unknown"
    found = problems(written(tmp_path / "t.yaml", data))
    assert {(p.level, p.field) for p in found} == {
        ("warning", "dataset.licence"),
        ("warning", "dataset.openml"),
        ("warning", "dataset.files[0].checksum"),
    }
    assert read_task(tmp_path / "t.yaml").dataset.existing is None


def test_data_are_compared_where_they_are_at_hand(real_task_file: Path, real_data, monkeypatch):
    (before,) = check_files([real_task_file])
    assert before.told == ("task higgsml-18k is well formed",)
    spec = read_task(real_task_file)
    assert who_checked(spec) is None
    monkeypatch.setenv("HEPML_MIRRORS", str(real_data / "higgsml"))
    (after,) = check_files([real_task_file])
    assert not after.is_wrong
    assert "task higgsml-18k/10-fold: 18000 events, 30 features, 10 fits" in after.told
    assert who_checked(spec) == "here"


def test_a_task_with_its_content_in_the_file_was_checked_by_its_authors():
    assert who_checked(find_task("toy-higgs-skewed")) == "authors"
    assert who_checked(find_task("higgsml")) is None


@pytest.fixture
def archive(real_data: Path) -> Iterator[Archive]:
    with archive_at_settings(real_data) as archive:
        yield archive


def test_the_archive_says_whether_the_doi_is_that_of_the_files(archive: Archive, tmp_path: Path):
    data = to_mapping(find_task("higgsml"))
    path = written(tmp_path / "t.yaml", data)
    assert errors(path, archive=True) == []
    assert archive.asked
    data["dataset"]["files"][0] |= {"checksum": "adler32:00000001", "size": 7}
    found = dict(errors(written(path, data), archive=True))
    assert "adler32:e4717bbe: the DOI is that of another file" in found["dataset.files[0].checksum"]
    assert "65630848" in found["dataset.files[0].size"]
    data["dataset"]["files"][0]["name"] = "atlas-higgs-challenge-2014-v3.csv.gz"
    ((field, told),) = errors(written(path, data), archive=True)
    assert field == "dataset.doi"
    assert "did you mean 'atlas-higgs-challenge-2014-v2.csv.gz'" in told


def test_a_suite_names_tasks_and_splits_that_exist(tmp_path: Path):
    path = tmp_path / "s.yaml"
    path.write_text(
        "name: s\ntitle: S\ndescription: S.\ntasks:\n"
        "  - {task: toy-higs}\n  - {task: toy-higgs, split: 5-fold}\n  - {task: toy-higgs}\n"
    )
    found = problems(path)
    assert [(p.line, p.column, p.field) for p in found] == [
        (5, 6, "tasks[0].task"),
        (6, 23, "tasks[1].split"),
    ]
    assert "did you mean 'toy-higgs'" in found[0].message


@pytest.mark.parametrize("name", task_names())
def test_the_fields_of_every_task_of_the_package_are_right(name: str):
    assert errors(TASKS / f"{name}.yaml", data=False) == []


def test_a_script_reads_the_same_as_json(hepml, tmp_path: Path):
    path = tmp_path / "wrong.yaml"
    path.write_text(WRONG)
    done = hepml("tasks", "check", path, "--json")
    assert done.returncode == 1
    (told,) = json.loads(done.stdout)
    assert told["problems"][0] == {
        "file": str(path),
        "line": 1,
        "column": 1,
        "field": "name",
        "level": "error",
        "message": told["problems"][0]["message"],
    }


@pytest.mark.parametrize("name", [n for n in task_names() if n.startswith("toy-")])
def test_nothing_is_wrong_with_a_toy_task_of_the_package(name: str) -> None:
    assert problems(TASKS / f"{name}.yaml", data=False) == []
