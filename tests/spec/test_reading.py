from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from hepml_tasks.errors import SpecError, UnknownNameError
from hepml_tasks.spec import (
    TaskSpec,
    find_suite,
    find_task,
    from_mapping,
    read_task,
    suite_names,
    task_names,
    to_mapping,
)


@pytest.mark.parametrize("name", task_names())
def test_every_task_of_the_package_is_well_formed_and_named_as_its_file(name: str):
    spec = find_task(name)
    assert spec.name == name
    assert "not for physics results" in spec.caveat


@pytest.mark.parametrize("name", suite_names())
def test_every_suite_names_tasks_and_splits_that_exist(name: str):
    for entry in find_suite(name).tasks:
        spec = find_task(entry.task)
        assert entry.split is None or entry.split in [s.name for s in spec.splits]


def test_the_official_task_is_record_328_with_its_split():
    spec = find_task("higgsml")
    (file,) = spec.dataset.files
    assert (file.size, file.checksum) == (65630848, "adler32:e4717bbe")
    assert spec.dataset.source == "cernopendata:328"
    (official,) = spec.splits
    assert (official.train, official.test) == (("t",), ("b", "v"))
    assert official.partitions == {"public": ("b",), "private": ("v",)}


def test_a_spec_survives_json():
    spec = find_task("toy-higgs")
    assert from_mapping(to_mapping(spec), TaskSpec, origin="json") == spec


def changed(path: Path, **fields: object) -> Path:
    data = yaml.safe_load(path.read_text())
    for name, value in fields.items():
        target = data
        *parents, last = name.split("__")
        for parent in parents:
            target = target[parent]
        if value is None:
            del target[last]
        else:
            target[last] = value
    path.write_text(yaml.safe_dump(data))
    return path


@pytest.mark.parametrize(
    ("fields", "problem"),
    [
        ({"titel": "x"}, r"titel: unknown field; did you mean 'title'\?"),
        ({"dataset__licens": "x"}, r"dataset.licens: unknown field; did you mean 'licence'\?"),
        ({"title": None}, "title: this field is required"),
        ({"roles__features": ["Label"]}, "roles.features: 'Label' is the target"),
        ({"type": "clustering"}, "type: .*'binary-classification'"),
        ({"dataset__simulator": None}, "dataset: give either files or a simulator or derived"),
        ({"dataset__doi": "nonsense"}, "dataset.doi: "),
        (
            {"splits": [{"kind": "kfold", "name": "x", "fold": 3}]},
            r"splits.0.fold: unknown field; did you mean 'folds'",
        ),
        (
            {"splits": [{"kind": "kfold", "name": "x", "folds": 1}]},
            "splits.0.folds: .*greater than or equal to 2",
        ),
        (
            {"splits": [{"kind": "official", "name": "x", "train": ["t"], "test": ["b"]}]},
            "splits: .* needs roles.split",
        ),
        ({"class_sums": {"b": 1.0}}, "class_sums: the signal class 's' is missing"),
    ],
    ids=lambda value: next(iter(value)) if isinstance(value, dict) else "",
)
def test_a_wrong_field_is_named_with_its_file(small_task: Path, fields, problem):
    with pytest.raises(SpecError, match=f"toy-small.yaml: {problem}"):
        read_task(changed(small_task, **fields))


def test_a_file_name_may_not_lead_out_of_its_folder(small_task: Path):
    file = {"name": "../../etc/passwd", "checksum": "md5:" + "0" * 32}
    with pytest.raises(SpecError, match=r"dataset.files.0.name"):
        read_task(changed(small_task, dataset__simulator=None, dataset__files=[file]))


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("a: [", "line 1: "),
        ("- a\n- b\n", "expected fields such as `name:`, found list"),
        ("!!python/object/apply:os.system ['true']", "could not determine a constructor"),
    ],
)
def test_what_is_no_task_file_is_refused(tmp_path: Path, text, problem):
    path = tmp_path / "task.yaml"
    path.write_text(text)
    with pytest.raises(SpecError, match=problem):
        read_task(path)


def test_a_missing_file_and_an_unknown_name_are_told_apart():
    with pytest.raises(SpecError, match="nowhere.yaml: no such file"):
        find_task("nowhere.yaml")
    with pytest.raises(
        UnknownNameError, match="no task is called 'higsml'; did you mean 'higgsml'"
    ):
        find_task("higsml")
    with pytest.raises(
        UnknownNameError, match="no suite is called 'hep-tou'; did you mean 'hep-toy'"
    ):
        find_suite("hep-tou")


def derived(path: Path, source: object, **more: object) -> Path:
    fields = {"source": source, "function": "tau-energy-scale", "seed": 1, **more}
    return changed(path, dataset__simulator=None, dataset__undefined=None, dataset__derived=fields)


@pytest.fixture
def other_task(small_task: Path) -> Path:
    path = small_task.with_name("other.yaml")
    path.write_text(small_task.read_text())
    return path


@pytest.mark.parametrize("source", ["toy-higgs", "toy-small.yaml"])
def test_the_source_of_derived_data_is_a_task_or_a_file_beside(small_task, other_task, source):
    spec = read_task(derived(other_task, source))
    assert spec.dataset.derived is not None
    assert spec.dataset.derived.source.simulator is not None
    assert spec.dataset.root == spec.dataset.derived.source
    assert from_mapping(to_mapping(spec), TaskSpec, origin="json") == spec


@pytest.mark.parametrize(
    ("source", "more", "problem"),
    [
        ("toy-higs", {}, "dataset.derived.source: no task is called 'toy-higs'; did you mean"),
        ("nowhere.yaml", {}, "nowhere.yaml: no such file"),
        ("toy-small.yaml", {}, "'toy-small.yaml' is derived from this dataset itself"),
        (None, {}, "dataset.derived.source: "),
        ("toy-higgs", {"seeds": 1}, "dataset.derived.seeds: unknown field; did you mean 'seed'"),
        ("toy-higgs", {"seed": -1}, "dataset.derived.seed: .*greater than or equal to 0"),
        ("toy-higgs", {"checksum": "md5:0"}, "dataset.derived.checksum: "),
        ("toy-higgs", {"relation": "IsFriendOf"}, "dataset.derived.relation: .*'IsDerivedFrom'"),
    ],
)
def test_a_wrong_derivation_is_named_with_its_file(small_task, source, more, problem):
    with pytest.raises(SpecError, match=problem):
        read_task(derived(small_task, source, **more))


def test_two_files_that_are_derived_from_each_other_are_told(small_task, other_task):
    derived(small_task, "other.yaml")
    with pytest.raises(SpecError, match="is derived from this dataset itself"):
        read_task(derived(other_task, "toy-small.yaml"))


def test_undefined_belongs_to_the_source(small_task):
    path = changed(derived(small_task, "toy-higgs"), dataset__undefined=-999.0)
    with pytest.raises(SpecError, match="dataset.undefined: belongs to the source"):
        read_task(path)
