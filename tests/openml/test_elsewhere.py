from __future__ import annotations

import shutil
from pathlib import Path

import pytest
import requests
from pyarrow import csv

import hepml_tasks as hep
from hepml_tasks.openml.publication import publish_run, wait_for_evaluation
from hepml_tasks.running.folder import RunFolder

# the client leaves files of its cache to the garbage collector
pytestmark = pytest.mark.filterwarnings("ignore:unclosed file:ResourceWarning")

NAME, ABOUT = "another-net", "A network in another framework, by hand."


@pytest.fixture
def adopt(few_events, finished_run: Path, tmp_path: Path):
    path = tmp_path / "made.csv"
    csv.write_csv(RunFolder(finished_run).predictions.drop(["truth"]), path)
    return lambda: hep.run_from_predictions(
        path, few_events, name=NAME, about=ABOUT, spool=tmp_path / "spool"
    )


def test_it_is_published_once_under_a_plain_flow_and_the_pages_say_what_it_is(
    connection, client, scratch_server, adopt
):
    run = adopt()
    first = publish_run(connection, run.folder)
    # as from another machine, which has the same file and not the folder
    shutil.rmtree(run.folder.path)
    again = publish_run(connection, adopt().folder)
    assert (again.run_id, again.was_there) == (first.run_id, True)
    state = wait_for_evaluation(connection, first.run_id)
    assert state["scores"] == adopt().folder.scores["scores"]
    assert state["differs"] == []
    flow = client.flows.get_flow(first.flow_id)
    assert (flow.name, flow.description) == (NAME, ABOUT)
    assert not flow.components
    assert not flow.parameters
    assert "not_reproducible" in client.runs.get_run(first.run_id).tags
    page = requests.get(f"{scratch_server.pages}pages/run-{first.run_id}.html", timeout=60)
    assert "be reproduced from here" in page.text
