"""Tasks that OpenML can't carry: registered, run, scored, fetched and verified all the same."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.compute as pc
import pytest
import requests

import hepml_tasks as hep
from hepml_tasks.bot.plan import plan
from hepml_tasks.data.checksum import table_sha256
from hepml_tasks.data.manifest import manifest
from hepml_tasks.errors import RunError, ServerError
from hepml_tasks.evaluation.claims import verify
from hepml_tasks.flows import find_flow
from hepml_tasks.openml.connection import Connection
from hepml_tasks.openml.publication import publish_run, runs_on, wait_for_evaluation
from hepml_tasks.openml.register import Registration, register
from hepml_tasks.openml.registration import find_study, register_dataset, register_task
from hepml_tasks.openml.rescoring import rescore, task_ids
from hepml_tasks.openml.retrieval import fetch_run
from hepml_tasks.openml.targets import read_targets
from hepml_tasks.running.task import Task

# the client leaves files of its cache to the garbage collector
pytestmark = pytest.mark.filterwarnings("ignore:unclosed file:ResourceWarning")


@pytest.fixture(scope="module")
def task() -> Task:
    return hep.load_task("toy-tracks", events=8)


@pytest.fixture
def run(task: Task, tmp_path: Path) -> hep.Run:
    build = find_flow("azimuth-clusters").build
    return hep.run(build(), task, name="azimuth-clusters", spool=tmp_path / "spool", n_jobs=1)


@pytest.fixture
def elsewhere(scratch_server: Any, monkeypatch: pytest.MonkeyPatch) -> Connection:
    """The server as one that is not of this package: nothing at /hepml/ answers."""
    monkeypatch.setattr(Connection, "is_ours", lambda _self: False)
    return Connection(scratch_server.server, scratch_server.apikey)


def test_a_manifest_has_a_row_a_collision_event_with_a_checksum_of_its_hits(task: Task):
    told = manifest(task.events, task.spec)
    assert told.column_names == ["event", "rows", "sha256"]
    assert told["event"].to_pylist() == list(range(8))
    assert sum(told["rows"].to_pylist()) == len(task.events)
    third = task.events.table.filter(pc.equal(task.events.table["event"], 3))
    assert told["sha256"][3].as_py() == table_sha256(third)


def test_a_run_is_published_once_and_the_server_finds_the_same_scores(connection, run):
    first = publish_run(connection, run.folder)
    # a folder that was copied before it was marked, as after a crash between answer and mark
    shutil.rmtree(run.folder.path / "published")
    again = publish_run(connection, run.folder)
    assert again.was_there
    assert again.run_id == first.run_id
    state = wait_for_evaluation(connection, first.run_id)
    assert state["scores"] == run.folder.scores["scores"]
    assert state["folds"] == run.folder.scores["folds"]
    assert state["differs"] == []
    assert run.scores["trackml_score"].uncertainty > 0


def test_a_run_that_is_fetched_again_is_verified(connection, run):
    published = publish_run(connection, run.folder)
    wait_for_evaluation(connection, published.run_id)
    evidence = fetch_run(connection, published.run_id)
    assert verify(evidence).state == "verified"
    assert evidence.evaluate().to_json()["scores"] == run.folder.scores["scores"]


def test_its_dataset_is_an_ordinary_one_for_the_stock_client(connection, client, task):
    dataset_id = register_dataset(connection, task)
    assert register_dataset(connection, task) == dataset_id
    found = client.datasets.get_dataset(dataset_id)
    frame, _, _, names = found.get_data()
    assert names == ["event", "rows", "sha256"]
    assert int(frame["rows"].sum()) == len(task.events)


def test_the_stock_client_never_meets_what_it_cannot_read(connection, client, small_task, run):
    published = publish_run(connection, run.folder)
    carried = hep.load_task(small_task)
    carried_id = register_task(connection, carried, register_dataset(connection, carried))
    listed = set(client.tasks.list_tasks(output_format="dataframe")["tid"])
    assert carried_id in listed
    assert published.task_id not in listed
    with pytest.raises(client.exceptions.OpenMLServerException, match="OpenML can't carry"):
        client.tasks.get_task(published.task_id)
    assert client.runs.list_runs(task=[published.task_id], output_format="dataframe").empty
    assert published.run_id in runs_on(connection, published.task_id)


def test_a_bot_finds_its_run_on_the_server(connection, run, task, tmp_path):
    publish_run(connection, run.folder)
    flow = find_flow("azimuth-clusters")
    (job,) = plan([task], [flow], spool=tmp_path / "other", connection=connection)
    assert job.state == "published"


def test_all_of_its_runs_can_be_scored_again(connection, run):
    published = publish_run(connection, run.folder)
    assert published.task_id in task_ids(connection)
    scored = rescore(connection, [published.task_id])
    mine = next(s for s in scored if s.run_id == published.run_id)
    assert mine.state is not None
    assert mine.state["scores"] == run.folder.scores["scores"]


def test_a_task_is_made_once_and_is_in_suites_beside_others(connection, tmp_path, small_task):
    # a task of its own: on the shared one other tests have runs, which make a study
    alone = tmp_path / "toy-alone.yaml"
    alone.write_text(small_task.read_text().replace("name: toy-small", "name: toy-alone"))
    suite = tmp_path / "both.yaml"
    suite.write_text(
        "name: both-kinds\ntitle: Both kinds\ndescription: Carried by OpenML and not.\n"
        f"tasks:\n  - {{task: toy-tracks}}\n  - {{task: {alone}}}\n"
    )
    work = Registration(connection, tmp_path / "lock.json")
    register(work, read_targets([str(suite)]))
    again = Registration(connection, tmp_path / "lock.json")
    steps = register(again, read_targets([str(suite)]))
    assert [step for step in steps if step.change != "same"] == []
    study = find_study(connection, "both-kinds")
    assert study is not None
    assert len(study.members) == 2
    told = connection.get("study/both-kinds")["oml:study"]["oml:tasks"]["oml:task_id"]
    carried = hep.load_task(alone)
    assert told == str(register_task(connection, carried, register_dataset(connection, carried)))


def test_its_page_is_as_any_other(connection, scratch_server, run):
    published = publish_run(connection, run.folder)
    wait_for_evaluation(connection, published.run_id)
    page = requests.get(f"{scratch_server.pages}pages/task-{published.task_id}.html", timeout=60)
    assert page.status_code == 200
    assert "TrackML score" in page.text
    assert "azimuth-clusters" in page.text
    assert f"{run.predictions.num_rows:,}" in page.text


def test_elsewhere_the_manifest_is_registered_and_the_task_refused_in_a_line(elsewhere, tmp_path):
    work = Registration(elsewhere, tmp_path / "lock.json")
    with pytest.raises(ServerError, match="of type tracking, which OpenML can't carry"):
        register(work, read_targets(["toy-tracks"]))
    assert [step.subject for step in work.steps if step.subject.startswith("dataset")]
    assert not [step for step in work.steps if step.subject.startswith("task")]


def test_elsewhere_no_run_is_published(elsewhere, run):
    with pytest.raises(RunError, match="which OpenML can't carry"):
        publish_run(elsewhere, run.folder)


def test_the_same_splits_come_back(connection, task, run):
    published = publish_run(connection, run.folder)
    evidence = fetch_run(connection, published.run_id)
    for theirs, mine in zip(evidence.splits, task.splits, strict=True):
        assert np.array_equal(theirs.train, mine.train)
        assert np.array_equal(theirs.test, mine.test)


def test_a_task_registers_the_same_twice(connection, task):
    dataset_id = register_dataset(connection, task)
    assert register_task(connection, task, dataset_id) == register_task(
        connection, task, dataset_id
    )
