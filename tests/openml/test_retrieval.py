from __future__ import annotations

import hashlib
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

import hepml_tasks as hep
from hepml_tasks.errors import ChecksumError, RunError, ServerError
from hepml_tasks.evaluation.claims import verify
from hepml_tasks.openml import rescoring
from hepml_tasks.openml.connection import Connection
from hepml_tasks.openml.predictions import render_predictions
from hepml_tasks.openml.publication import publish_run, wait_for_evaluation
from hepml_tasks.openml.registration import render_dataset
from hepml_tasks.openml.retrieval import fetch_run
from hepml_tasks.running.folder import RunFolder, write_json
from hepml_tasks.splits import write_split_arff


def keyless(connection: Connection) -> Connection:
    return Connection(connection.server)


def test_a_run_is_fetched_without_a_key_and_scored_to_the_last_bit(connection, run_folder):
    published = publish_run(connection, run_folder)
    report = wait_for_evaluation(connection, published.run_id)
    scores = fetch_run(keyless(connection), published.run_id).evaluate().to_json()
    assert scores == run_folder.scores
    assert scores["scores"] == report["scores"]


def test_what_uploader_details_and_server_say_is_verified(connection, run_folder):
    published = publish_run(connection, run_folder)
    wait_for_evaluation(connection, published.run_id)
    evidence = fetch_run(keyless(connection), published.run_id)
    assert {c.by for c in evidence.claims} == {
        "the uploader's claims",
        "the server's scores",
        "run_details",
    }
    verdict = verify(evidence)
    assert verdict.state == "verified"
    assert set(verdict.checked) == set(run_folder.scores["scores"])


def test_a_claim_that_was_tampered_with_differs_wherever_it_was_made(connection, run_folder):
    scores = run_folder.scores
    scores["scores"]["ams"]["value"] += 1.0
    write_json(run_folder.path / "scores.json", scores)
    published = publish_run(connection, run_folder)
    wait_for_evaluation(connection, published.run_id)
    verdict = verify(fetch_run(keyless(connection), published.run_id))
    assert verdict.state == "differs"
    assert [(d.metric, d.by) for d in verdict.differences] == [
        ("ams", "the uploader's claims"),
        ("ams", "run_details"),
    ]
    for difference in verdict.differences:
        assert difference.claimed is not None
        assert difference.recomputed is not None
        assert difference.claimed - difference.recomputed == pytest.approx(1.0, abs=1e-4)


def test_a_run_that_is_not_there_is_an_error(connection) -> None:
    with pytest.raises(ServerError, match=r"run/999999"):
        fetch_run(connection, 999999)


def test_a_server_scores_its_runs_again(connection, run_folder):
    published = publish_run(connection, run_folder)
    before = wait_for_evaluation(connection, published.run_id)
    seen = []
    scored = rescoring.rescore(
        connection, [published.task_id], on_run=lambda *numbers: seen.append(numbers)
    )
    (mine,) = [s for s in scored if s.run_id == published.run_id]
    assert mine.state is not None
    assert mine.state["scores"] == before["scores"]
    assert seen[-1] == (len(scored), len(scored))
    assert published.task_id in rescoring.task_ids(connection)


def test_only_an_administrator_lets_a_server_score_again(connection, run_folder):
    published = publish_run(connection, run_folder)
    with pytest.raises(ServerError, match="needs an API key"):
        rescoring.rescore(keyless(connection), [published.task_id])
    with pytest.raises(ServerError, match=r"\[102\]|\[103\]"):
        rescoring.rescore(Connection(connection.server, "0" * 32), [published.task_id])


class Foreign(ThreadingHTTPServer):
    """A server that speaks OpenML and is none of ours, with files on a second host name."""

    def __init__(self, files: dict[str, bytes]) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.files = files
        self.requests: list[str] = []


class _Handler(BaseHTTPRequestHandler):
    server: Foreign

    def do_GET(self) -> None:
        self.server.requests.append(f"{self.headers['Host']} {self.path}")
        content = self.server.files.get(self.path)
        self.send_response(404 if content is None else 200)
        self.end_headers()
        self.wfile.write(content or b"no")

    def log_message(self, *_: Any) -> None:
        pass


@pytest.fixture
def foreign(run_folder: RunFolder, few_events: hep.Task, tmp_path: Path) -> Iterator[Foreign]:
    """Serve a run as openml.org would: its engine's rounded values, no spec of ours."""
    task = few_events
    write_split_arff(tmp_path / "splits.arff", task.splits)
    dataset = render_dataset(task)
    server = Foreign(
        {
            "/predictions.arff": render_predictions(run_folder),
            "/splits.arff": (tmp_path / "splits.arff").read_bytes(),
            "/dataset.arff": dataset,
        }
    )
    files = f"http://localhost:{server.server_port}"
    auc = run_folder.scores["scores"]["area_under_roc_curve"]["value"]
    pages = {
        "run/7": "<oml:run><oml:task_id>5</oml:task_id><oml:output_data><oml:file>"
        f"<oml:name>predictions</oml:name><oml:url>{files}/predictions.arff</oml:url></oml:file>"
        f"<oml:evaluation><oml:name>area_under_roc_curve</oml:name><oml:value>{auc:.6f}</oml:value>"
        "<oml:array_data>[0.5,0.5]</oml:array_data></oml:evaluation>"
        "<oml:evaluation><oml:name>kappa</oml:name><oml:value>0.1</oml:value></oml:evaluation>"
        "</oml:output_data></oml:run>",
        "task/5": '<oml:task><oml:input name="source_data"><oml:data_set>'
        "<oml:data_set_id>3</oml:data_set_id></oml:data_set></oml:input>"
        '<oml:input name="estimation_procedure"><oml:estimation_procedure>'
        f"<oml:data_splits_url>{files}/splits.arff</oml:data_splits_url>"
        "</oml:estimation_procedure></oml:input></oml:task>",
        "data/3": "<oml:data_set_description>"
        f"<oml:url>{files}/dataset.arff</oml:url>"
        f"<oml:md5_checksum>{hashlib.md5(dataset).hexdigest()}</oml:md5_checksum>"
        "</oml:data_set_description>",
    }
    server.files |= {f"/api/v1/xml/{path}": text.encode() for path, text in pages.items()}
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield server
    server.shutdown()
    thread.join()
    server.server_close()


def connect_to(foreign: Foreign) -> Connection:
    return Connection(f"http://127.0.0.1:{foreign.server_port}/api/v1/xml", "a-secret-key")


def test_a_run_of_another_server_is_scored_by_the_spec_of_the_task(foreign, run_folder, few_events):
    spec = few_events.evaluation_spec()
    evidence = fetch_run(connect_to(foreign), 7, spec=spec)
    assert evidence.evaluate().to_json() == run_folder.scores
    verdict = verify(evidence)
    assert verdict.state == "verified"
    assert verdict.checked == ("area_under_roc_curve",)
    assert verdict.unchecked == {"kappa": "is not known here"}
    # files come from another host, and no key goes anywhere for a read
    assert any(r.startswith("localhost") for r in foreign.requests)
    assert not any("a-secret-key" in r for r in foreign.requests)


def test_a_run_of_another_server_without_a_task_is_refused_with_what_to_do(foreign):
    with pytest.raises(RunError, match="doesn't say how task 5 is scored: .* with --task"):
        fetch_run(connect_to(foreign), 7)


def test_a_run_of_another_server_is_scored_from_its_id_where_the_task_is_registered(
    foreign, run_folder
):
    page = foreign.files["/api/v1/xml/task/5"].decode()
    tagged = page.replace("</oml:task>", "<oml:tag>hepml_toy-higgs_4-fold</oml:tag></oml:task>")
    foreign.files["/api/v1/xml/task/5"] = tagged.encode()
    assert fetch_run(connect_to(foreign), 7).evaluate().to_json() == run_folder.scores


def test_a_dataset_that_was_changed_on_the_way_is_refused(foreign, few_events):
    foreign.files["/dataset.arff"] += b"% more\n"
    spec = few_events.evaluation_spec()
    with pytest.raises(ChecksumError, match="dataset 3 has md5"):
        fetch_run(connect_to(foreign), 7, spec=spec)


@pytest.mark.parametrize("url", ["file:///etc/passwd", "ftp://127.0.0.1/x"])
def test_a_file_that_is_not_on_the_web_is_not_opened(foreign, few_events, url):
    page = foreign.files["/api/v1/xml/run/7"].decode()
    address = f"http://localhost:{foreign.server_port}/predictions.arff"
    foreign.files["/api/v1/xml/run/7"] = page.replace(address, url).encode()
    spec = few_events.evaluation_spec()
    with pytest.raises(ServerError, match="which is no web address"):
        fetch_run(connect_to(foreign), 7, spec=spec)


def test_a_run_without_predictions_is_refused(foreign, few_events):
    page = foreign.files["/api/v1/xml/run/7"].decode()
    foreign.files["/api/v1/xml/run/7"] = page.replace(">predictions<", ">description<").encode()
    spec = few_events.evaluation_spec()
    with pytest.raises(RunError, match="run 7 has no predictions"):
        fetch_run(connect_to(foreign), 7, spec=spec)


def test_a_server_of_another_kind_is_not_asked_to_score_again(foreign):
    with pytest.raises(ServerError, match="no server of hepml_tasks"):
        rescoring.rescore(connect_to(foreign), [5])


def test_the_claims_of_a_report_are_those_that_were_uploaded(connection, run_folder):
    published = publish_run(connection, run_folder)
    report = wait_for_evaluation(connection, published.run_id)
    folds = len(run_folder.scores["folds"]["ams"])
    mine = [c for c in report["claims"] if c["measure"] == "ams"]
    assert len(mine) == 1 + folds
    assert mine[0]["value"] == run_folder.scores["scores"]["ams"]["value"]
