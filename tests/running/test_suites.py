from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from pyarrow import parquet

from hepml_tasks.data.checksum import table_sha256
from hepml_tasks.data.simulators import simulate
from hepml_tasks.data.table import load_table
from hepml_tasks.running.suites import capped, suite_tasks
from hepml_tasks.running.task import as_task
from hepml_tasks.spec import (
    FileSpec,
    TaskSpec,
    find_suite,
    find_task,
    from_mapping,
    read_task,
    task_names,
    to_mapping,
)


@pytest.fixture
def whole(real_task_file: Path, real_mirror: Path) -> TaskSpec:
    return read_task(real_task_file)


def test_a_capped_task_is_always_the_same_part_of_the_events(whole: TaskSpec):
    spec = capped(whole, 1000)
    assert (spec.name, spec.dataset.rows) == ("higgsml-18k-1000", 1000)
    task, again, full = as_task(spec), as_task(capped(whole, 1000)), as_task(whole)
    assert len(task.events) == 1000
    assert task.events.sha256 == again.events.sha256
    assert set(task.events.event_id) <= set(full.events.event_id)
    shares = [np.mean(t.events.y == "s") for t in (task, full)]
    assert shares[0] == pytest.approx(shares[1], abs=1e-3)
    # the physical weights still sum to the full luminosity
    assert task.events.class_sums == full.events.class_sums
    assert from_mapping(to_mapping(spec), TaskSpec, origin="json") == spec


def test_a_capped_task_keeps_the_parts_of_the_official_split(whole: TaskSpec):
    split = find_task("higgsml").splits[0]
    official = replace(split, train=("t",), test=("b",), unused=(), partitions={})
    spec = replace(whole, splits=(official,))
    marks = as_task(spec).events.table["KaggleSet"].to_pylist()
    assert set(marks) == {"t"}
    # the sample's rows are all of one set, and stay so
    assert set(as_task(capped(spec, 500)).events.table["KaggleSet"].to_pylist()) == {"t"}


def test_fewer_events_are_simulated_where_they_are_simulated():
    spec = capped(find_task("toy-higgs"), 500)
    assert spec.name == "toy-higgs"
    assert spec.dataset.simulator.events == 500
    assert capped(find_task("toy-higgs"), 10**6) == find_task("toy-higgs")
    assert capped(find_task("toy-higgs"), None) == find_task("toy-higgs")


def test_a_suite_gives_its_tasks_with_its_caps_and_splits():
    tasks = {t.name: t for t in suite_tasks(find_suite("hep-small"))}
    assert "uci-higgs-20000/official" in tasks
    assert tasks["uci-higgs-20000/official"].spec.dataset.derived.source.rows == 11_000_000
    assert "magic/holdout" in tasks


def test_all_of_hep_2026_that_openml_carries_is_in_its_suite_there():
    entries = find_suite("hep-2026").tasks
    carried = {(e.task, e.split) for e in entries if find_task(e.task).kind.openml is not None}
    assert {(e.task, e.split) for e in find_suite("hep-2026-openml").tasks} == carried


def test_events_of_several_rows_are_taken_whole(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    hits = simulate("toy-tracks", events=120, seed=1, particles=20)
    parquet.write_table(hits, tmp_path / "hits.parquet")
    monkeypatch.setenv("HEPML_MIRRORS", str(tmp_path))
    spec = find_task("toy-tracks")
    files = (FileSpec(name="hits.parquet", checksum="unknown"),)
    changes = {"simulator": None, "files": files, "rows": hits.num_rows, "content": None}
    spec = replace(spec, dataset=replace(spec.dataset, **changes))
    part = as_task(capped(spec, 100)).events
    kept = set(part.table["event"].to_pylist())
    assert len(kept) == 100
    assert part.table.equals(hits.filter(np.isin(hits["event"], list(kept))))
    assert capped(spec, hits.num_rows) == spec


def test_the_real_tracking_event_stays_whole(real_data: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("HEPML_MIRRORS", str(real_data / "trackml"))
    assert len(as_task(capped(find_task("trackml"), 1000)).events) == 5527


def test_events_at_several_values_of_a_nuisance_are_the_same_ones(whole: TaskSpec):
    spec = find_task("higgsml-tes")
    derived = replace(spec.dataset.derived, source=whole.dataset, checksum=None)
    (split,) = (s for s in whole.splits if s.name == "holdout")
    dataset = replace(spec.dataset, derived=derived, rows=None)
    spec = replace(spec, dataset=dataset, splits=(split,), class_sums=None)
    task = as_task(capped(spec, 500))
    events = task.events.table
    values = [0.9, 0.95, 1.0, 1.05, 1.1]
    ids = [events.filter(np.isclose(events["tes"], v))["EventId"].to_pylist() for v in values]
    assert 300 < len(ids[0]) <= 500
    assert all(i == ids[0] for i in ids)
    # what trains stays on its side, and only at the values that may
    (rows,) = task.splits
    group = task.events.group
    assert not set(group[rows.train]) & set(group[rows.test])
    assert capped(find_task("toy-higgs-tes"), 500).dataset.root.simulator.events == 500


@pytest.mark.parametrize("name", [n for n in task_names() if n.startswith("toy-")])
def test_the_content_that_the_authors_checked_is_what_is_simulated(name: str):
    spec = find_task(name)
    if spec.dataset.content is not None:
        found = table_sha256(load_table(spec.dataset))
        assert spec.dataset.content == f"sha256:{found}"
    # a derived table is compared with its checksum when it is made
    assert spec.dataset.checked is not None
