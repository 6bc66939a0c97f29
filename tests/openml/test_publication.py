from __future__ import annotations

import contextlib
import itertools
import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression

import hepml_tasks as hep
from hepml_tasks.errors import FlowError, RunError
from hepml_tasks.flows import FLOWS, find_flow
from hepml_tasks.flows.description import describe, seeded
from hepml_tasks.openml.connection import Connection
from hepml_tasks.openml.details import parse_details, run_details
from hepml_tasks.openml.flows import as_flow, publish_flow, rebuild_estimator
from hepml_tasks.openml.publication import (
    publish_run,
    runs_on,
    wait_for_evaluation,
)
from hepml_tasks.openml.registration import register_dataset, register_suite, register_task
from hepml_tasks.running.task import task_of
from hepml_tasks.spec import SuiteSpec

from ..forks import start_server

# the client leaves files of its cache to the garbage collector
pytestmark = pytest.mark.filterwarnings("ignore:unclosed file:ResourceWarning")


SEEDS = itertools.count(100)


@pytest.fixture
def run(small_task: Path, tmp_path: Path) -> hep.Run:
    task = hep.load_task(small_task)
    # with a seed of its own: the server has no run of the same key yet
    seed = next(SEEDS)
    flow = find_flow("logistic").build()
    return hep.run(flow, task, name="logistic", seed=seed, spool=tmp_path / "spool")


def test_a_run_is_published_once_however_often_it_is_sent(connection, run, tmp_path):
    first = publish_run(connection, run.folder)
    again = publish_run(connection, run.folder)
    assert not first.was_there
    assert again.was_there
    assert again.run_id == first.run_id
    # a folder that was copied before it was marked, as after a crash between answer and mark
    shutil.rmtree(run.folder.path / "published")
    assert publish_run(connection, run.folder).run_id == first.run_id
    uuid = run.folder.description["uuid"]
    there = [d for d in runs_on(connection, first.task_id).values() if d.get("uuid") == uuid]
    assert len(there) == 1


def test_a_run_has_the_tags_by_which_it_is_found(connection, run):
    published = publish_run(connection, run.folder)
    found = connection.get(f"run/{published.run_id}")["oml:run"]["oml:tag"]
    assert set(found) == {"hepml_tasks", "hepml_toy-small_3-fold", "figure_of_merit_ams"}


def test_the_server_recomputes_the_scores_to_the_last_bit_and_finds_no_difference(connection, run):
    published = publish_run(connection, run.folder)
    state = wait_for_evaluation(connection, published.run_id)
    assert state["scores"] == run.folder.scores["scores"]
    assert state["differs"] == []
    assert state["claimed"]["ams"] == run.scores["ams"].value


def test_a_claim_that_was_tampered_with_is_flagged(connection, run):
    scores = run.folder.scores
    scores["scores"]["ams"]["value"] += 1.0
    (run.folder.path / "scores.json").write_text(json.dumps(scores))
    published = publish_run(connection, run.folder)
    state = wait_for_evaluation(connection, published.run_id)
    assert state["differs"] == ["ams"]
    assert state["scores"]["ams"]["value"] == pytest.approx(scores["scores"]["ams"]["value"] - 1)


def test_registering_again_finds_what_is_there(connection, small_task):
    task = hep.load_task(small_task, events=900)
    dataset_id = register_dataset(connection, task)
    task_id = register_task(connection, task, dataset_id)
    assert register_dataset(connection, task) == dataset_id
    assert register_task(connection, task, dataset_id) == task_id
    holdout = hep.load_task(small_task, events=900, split="holdout")
    other_id = register_task(connection, holdout, dataset_id)
    assert other_id != task_id
    suite = SuiteSpec(
        name="a-suite", title="A suite", description="Two tasks.", tasks=({"task": "toy-higgs"},)
    )
    suite_id = register_suite(connection, suite, [task_id])
    assert register_suite(connection, suite, [task_id, other_id]) == suite_id


def test_run_details_keep_to_the_characters_and_length_of_openml(run):
    text = run_details(run.folder)
    assert len(text) <= 1024
    assert set(text) <= set("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_-.,():")
    details = parse_details(text)
    assert details["uuid"] == run.folder.description["uuid"]
    assert details["flow"] == "logistic"
    assert float(details["ams"]) == pytest.approx(run.scores["ams"].value, rel=1e-5)


def test_upload_reads_only_the_folder_where_the_task_is_known(
    connection, run, tmp_path, monkeypatch
):
    task = task_of(run.folder)
    register_task(connection, task, register_dataset(connection, task))
    # where it is sent from there are no data, nor can they be had
    monkeypatch.setenv("HEPML_CACHE", str(tmp_path / "empty"))
    monkeypatch.setattr("hepml_tasks.data.simulators.simulate", None)
    elsewhere = tmp_path / "elsewhere"
    shutil.move(run.folder.path, elsewhere / run.folder.path.name)
    from hepml_tasks.running.folder import RunFolder

    folder = RunFolder(elsewhere / run.folder.path.name)
    published = publish_run(connection, folder)
    assert wait_for_evaluation(connection, published.run_id)["status"] == "done"


def test_data_that_changed_since_the_run_are_not_published_under_its_name(connection, run):
    record = run.folder.path / "run.json"
    changed = json.loads(record.read_text())
    changed["data"]["table_sha256"] = "0" * 64
    changed["task"]["evaluation"]["data_sha256"] = "0" * 64
    record.write_text(json.dumps(changed))
    with pytest.raises(RunError, match="are no longer those of the run"):
        publish_run(connection, run.folder)


def test_an_estimator_of_the_script_itself_is_refused_with_the_remedy():
    class Own(LogisticRegression):
        pass

    Own.__module__ = "__main__"
    with pytest.raises(FlowError, match="class Own is defined in the script itself.*into a module"):
        as_flow(Own())


@pytest.fixture(scope="module")
def first_servers(tmp_path_factory) -> Iterator[dict[str, Connection]]:
    """Give each flow a server on which it is the first of its classes.

    OpenML knows a flow by its classes and version: with other parameters it is the same flow, and
    they are in the setup of each run.
    """
    servers: list[tuple[Connection, dict[str, str]]] = []
    of_flow = {}
    with contextlib.ExitStack() as stack:
        for name, flow in FLOWS.items():
            parts = _parts(describe(flow.build()))
            for known, there in servers:
                if all(there.get(c, p) == p for c, p in parts.items()):
                    connection = known
                    break
            else:
                process = stack.enter_context(start_server(tmp_path_factory.mktemp("first")))
                connection, there = Connection(process.server, process.apikey), {}
                servers.append((connection, there))
            there |= parts
            of_flow[name] = connection
        yield of_flow


def _parts(described: Any) -> dict[str, str]:
    """Return the classes in a description, each with its parameters as text."""
    found = {}
    if isinstance(described, dict):
        if "class" in described:
            found[described["class"]] = repr(described)
        for value in described.values():
            found |= _parts(value)
    elif isinstance(described, list):
        for value in described:
            found |= _parts(value)
    return found


@pytest.mark.parametrize("name", FLOWS)
def test_a_flow_comes_back_from_the_server_as_an_equal_estimator(first_servers, name):
    connection = first_servers[name]
    sent = FLOWS[name].build()
    flow = publish_flow(connection, sent)
    back = rebuild_estimator(connection, flow.flow_id)
    assert type(back) is type(sent)
    assert repr(describe(back)) == repr(describe(sent))
    assert publish_flow(connection, sent).flow_id == flow.flow_id


_CARRIED = [
    n for n, f in FLOWS.items() if f.suits("binary-classification") or f.suits("regression")
]


@pytest.mark.parametrize("name", _CARRIED)
def test_a_rebuilt_flow_gives_the_same_predictions(connection, name, small_task, tmp_path):
    fits = find_flow(name).suits("binary-classification")
    task = hep.load_task(small_task if fits else "toy-higgs-mass", events=600)
    sent = find_flow(name).build()
    back = rebuild_estimator(connection, publish_flow(connection, sent).flow_id)
    one = hep.run(sent, task, spool=tmp_path / "one", n_jobs=1)
    two = hep.run(back, task, spool=tmp_path / "two", n_jobs=1)
    assert one.predictions.equals(two.predictions)


def test_all_comes_back_through_the_stock_client(connection, client, run):
    published = publish_run(connection, run.folder)
    wait_for_evaluation(connection, published.run_id)
    task = task_of(run.folder)

    theirs = client.tasks.get_task(published.task_id)
    splits = theirs.download_split().split[0]
    for split in task.splits:
        assert np.array_equal(np.sort(splits[split.fold][0].train), split.train)
        assert np.array_equal(np.sort(splits[split.fold][0].test), split.test)

    dataset = client.datasets.get_dataset(theirs.dataset_id, download_data=True)
    X, y, _, names = dataset.get_data(target=dataset.default_target_attribute)
    assert tuple(names) == task.events.features
    mine, labels, weight = task.data()
    assert np.array_equal(X.to_numpy(dtype=float), mine.to_numpy(), equal_nan=True)
    assert y.astype(str).tolist() == labels.tolist()
    everything = dataset.get_data(include_ignore_attribute=True, include_row_id=True)[0]
    assert np.array_equal(everything["Weight"].to_numpy(dtype=float), weight)

    flow = client.flows.get_flow(published.flow_id, reinstantiate=True)
    assert type(flow.model).__name__ == "WeightedClassifier"

    back = client.runs.get_run(published.run_id)
    assert back.flow_id == published.flow_id
    assert back.evaluations["ams"] == pytest.approx(run.scores["ams"].value)

    listed = client.evaluations.list_evaluations(
        "ams", runs=[published.run_id], output_format="dataframe"
    )
    assert listed["value"].tolist() == [run.scores["ams"].value]


def test_the_stock_client_reruns_a_flow_from_a_run(connection, client, run):
    published = publish_run(connection, run.folder)
    model = client.runs.initialize_model_from_run(published.run_id)
    sent = seeded(find_flow("logistic").build(), run.folder.description["seed"])
    assert repr(describe(model)) == repr(describe(sent))
