"""Tasks with a split and an evaluation of their own, and what the evaluator makes of runs."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import numpy as np
import openml
import pytest
import requests

from .conftest import (
    Wire,
    code_of,
    dataset_description,
    description,
    id_in,
    make_arff,
    task_description,
)

DATABASES = ("sqlite", "postgresql")
ROWS = 120
CUSTOM = 16

SPEC = {
    "task": "toy",
    "split": "official",
    "title": "A toy",
    "description": "Signal from background.",
    "target": "Label",
    "positive": "s",
    "weight": "Weight",
    "event_id": "EventId",
    "class_sums": {"s": 10.0, "b": 1000.0},
    "metrics": ["ams", "roc_auc", "predictive_accuracy"],
    "primary": "ams",
    "partitions": None,
    "doi": "10.5281/zenodo.1",
    "citation": "none",
}


def splits_arff(train: range, test: range, *, fold: int = 0) -> str:
    header = (
        "@RELATION splits\n@ATTRIBUTE type {TRAIN,TEST}\n@ATTRIBUTE rowid NUMERIC\n"
        "@ATTRIBUTE repeat NUMERIC\n@ATTRIBUTE fold NUMERIC\n@DATA\n"
    )
    rows = [("TRAIN", row) for row in train] + [("TEST", row) for row in test]
    return header + "".join(f"{kind},{row},0,{fold}\n" for kind, row in rows)


def predictions_arff(rows: range, *, seed: int = 0, **changes: str) -> str:
    """Random scores; a selected event has a score above one half. `changes` replace lines."""
    random = np.random.default_rng(seed)
    lines = [
        "@RELATION predictions",
        "@ATTRIBUTE repeat NUMERIC",
        "@ATTRIBUTE fold NUMERIC",
        "@ATTRIBUTE row_id NUMERIC",
        "@ATTRIBUTE prediction {b,s}",
        "@ATTRIBUTE confidence.b NUMERIC",
        "@ATTRIBUTE confidence.s NUMERIC",
        "@DATA",
    ]
    for row in rows:
        score = round(float(np.clip(random.normal(0.4 + 0.2 * (row % 2), 0.2), 0, 1)), 6)
        line = f"0,0,{row},{'s' if score > 0.5 else 'b'},{1 - score:.6f},{score}"
        lines.append(changes.get(f"row{row}", line))
    return "\n".join(line for line in lines if line) + "\n"


def run_description(task_id: int, flow_id: int, content: str = "") -> str:
    return description(
        "run",
        f"<oml:task_id>{task_id}</oml:task_id><oml:flow_id>{flow_id}</oml:flow_id>{content}",
    )


@pytest.fixture
def flow(wire: Wire) -> int:
    """A flow without parameters."""
    fields = {"name": "toy.Flow", "external_version": "toy==1", "description": "A toy."}
    known = wire.post("flow/exists", **fields)
    if "<oml:exists>true" in known.text:
        return id_in(known, "flow_exists")
    content = "".join(f"<oml:{k}>{v}</oml:{k}>" for k, v in fields.items())
    return id_in(wire.post("flow/", {"description": description("flow", content)}), "upload_flow")


@pytest.fixture
def official(wire: Wire, new_dataset: Callable[..., int]) -> int:
    """A task whose last 40 rows are tested, scored with weights."""
    answer = wire.post(
        "task/",
        {
            "description": task_description(new_dataset(), CUSTOM),
            "splits": ("splits.arff", splits_arff(range(80), range(80, ROWS))),
            "spec": ("spec.json", json.dumps(SPEC)),
        },
    )
    return id_in(answer, "upload_task")


def upload(wire: Wire, task: int, flow: int, predictions: str, content: str = "") -> Any:
    return wire.post(
        "run/",
        {
            "description": run_description(task, flow, content),
            "predictions": ("predictions.arff", predictions),
        },
    )


@pytest.mark.usefixtures("client")
@pytest.mark.filterwarnings("ignore:unclosed file:ResourceWarning")
def test_the_client_gets_the_official_split(official: int) -> None:
    task = openml.tasks.get_task(official)
    task.download_split()
    train, test = task.get_train_test_split_indices()
    assert (list(train), list(test)) == (list(range(80)), list(range(80, ROWS)))
    assert task.estimation_procedure["type"] == "customholdout"
    assert task.estimation_procedure["parameters"]["number_folds"] == "1"


def test_the_spec_comes_back_as_it_was(wire: Wire, official: int) -> None:
    answer = requests.get(f"{wire.server.pages}hepml/task/{official}/spec", timeout=60)
    assert answer.json() == SPEC


def test_metrics_are_computed_from_predictions_and_weights(
    wire: Wire, official: int, flow: int
) -> None:
    rows = range(80, ROWS)
    answer = upload(wire, official, flow, predictions_arff(rows))
    report = wire.evaluated(id_in(answer, "upload_run", "run_id"))
    assert report["status"] == "done", report
    assert set(report["scores"]) == set(SPEC["metrics"])
    data = [line.split(",") for line in make_arff().splitlines()[9:]][80:]
    made = [line.split(",") for line in predictions_arff(rows).splitlines()[8:]]
    weight = np.array([float(row[3]) for row in data])
    signal = np.array([row[4] == "s" for row in data])
    selected = np.array([row[3] == "s" for row in made])
    s = 10 * weight[selected & signal].sum() / weight[signal].sum()
    b = 1000 * weight[selected & ~signal].sum() / weight[~signal].sum()
    expected = np.sqrt(2 * ((s + b + 10) * np.log1p(s / (b + 10)) - s))
    assert report["scores"]["ams"]["value"] == pytest.approx(expected)
    low, high = report["scores"]["ams"]["interval"]
    assert low < expected < high


def test_one_changed_prediction_changes_the_scores(wire: Wire, official: int, flow: int) -> None:
    rows = range(80, ROWS)
    flipped = {"row81": "0,0,81,b,1.0,0.0", "row83": "0,0,83,b,1.0,0.0"}
    accuracies = [
        wire.evaluated(id_in(upload(wire, official, flow, file), "upload_run", "run_id"))["scores"][
            "predictive_accuracy"
        ]["value"]
        for file in (predictions_arff(rows), predictions_arff(rows, **flipped))
    ]
    assert accuracies[1] < accuracies[0]


def claim(measure: str, value: float, where: str = "") -> str:
    return (
        f"<oml:evaluation{where}><oml:name>{measure}</oml:name>"
        f"<oml:value>{value!r}</oml:value></oml:evaluation>"
    )


def test_a_claim_that_differs_is_flagged(wire: Wire, official: int, flow: int) -> None:
    predictions = predictions_arff(range(80, ROWS))
    first = wire.evaluated(id_in(upload(wire, official, flow, predictions), "upload_run", "run_id"))
    truth = first["scores"]["predictive_accuracy"]["value"]
    fold = ' repeat="0" fold="0"'
    honest = claim("predictive_accuracy", truth, fold) + claim("usercpu_time_millis", 5.0, fold)
    boastful = honest + claim("ams", 99.0)
    for claims, differs in ((honest, []), (boastful, ["ams"])):
        answer = upload(
            wire, official, flow, predictions, f"<oml:output_data>{claims}</oml:output_data>"
        )
        report = wire.evaluated(id_in(answer, "upload_run", "run_id"))
        assert report["differs"] == differs
        assert report["claimed"]["predictive_accuracy"] == truth
        assert report["claimed"]["usercpu_time_millis"] == 5.0


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"row80": ""}, "have no prediction, the first is row_id 80"),
        ({"row81": "0,0,80,s,0,1"}, "row_id 80 in repeat 0, fold 0 is predicted twice"),
        ({"row80": "0,0,3,s,0,1"}, "row_id 3 in repeat 0, fold 0 is not in the"),
        ({"row80": "0,0,999999,s,0,1"}, "row_id 999999 in repeat 0, fold 0 is not in the"),
        ({"row80": "0,1,80,s,0,1"}, "row_id 80 in repeat 0, fold 1 is not in the"),
        ({"row80": "0,0,-80,s,0,1"}, "must hold row numbers; data row 1"),
        ({"row80": "0,0,80.5,s,0,1"}, "must hold row numbers; data row 1"),
        ({"row80": "0,0,80,s,?,1"}, "undefined or infinite in data row 1"),
        ({"row80": "0,0,80,s,NaN,1"}, "undefined or infinite in data row 1"),
        ({"row80": "0,0,80,s,0.5,inf"}, "undefined or infinite in data row 1"),
        ({"row80": "0,0,80,s,0.5,0.9"}, "sum to 1.4"),
        ({"row80": "0,0,80,s,-0.5,1.5"}, "0 to 1 is allowed"),
        ({"row80": "0,0,80,tau,0,1"}, "'tau'"),
        ({"row80": "0,0,80,?,0,1"}, "undefined in 1 rows"),
        ({"row80": "0,0,80,s,0"}, "Expected 6 columns"),
    ],
)
def test_faulty_predictions_are_refused_and_leave_nothing(
    wire: Wire, official: int, flow: int, changes: dict[str, str], says: str
) -> None:
    answer = upload(wire, official, flow, predictions_arff(range(80, ROWS), **changes))
    assert code_of(answer) == 209
    assert says in answer.text.replace("&#39;", "'")
    assert code_of(wire.get(f"run/list/task/{official}")) == 512


@pytest.mark.parametrize(
    ("content", "code"),
    [
        ("<oml:run_details>has spaces</oml:run_details>", 202),
        ("<oml:tast>5</oml:tast>", 202),
        ("<oml:setup_string>" + "x" * 2049 + "</oml:setup_string>", 202),
        (
            "<oml:parameter_setting><oml:name>nope</oml:name><oml:value>1</oml:value>"
            "</oml:parameter_setting>",
            213,
        ),
        ("<oml:output_data>" + claim("no_such_measure", 1) + "</oml:output_data>", 217),
        ("<oml:output_data>" + claim("ams", 1, ' repeat="0" fold="4"') + "</oml:output_data>", 216),
        ("<oml:output_data>" + claim("ams", 1, ' fold="0"') + "</oml:output_data>", 216),
        ("<oml:output_data>" + claim("ams", 1, ' fold="x"') + "</oml:output_data>", 202),
    ],
)
def test_faulty_run_descriptions_are_refused(
    wire: Wire, official: int, flow: int, content: str, code: int
) -> None:
    answer = upload(wire, official, flow, predictions_arff(range(80, ROWS)), content)
    assert code_of(answer) == code
    assert code_of(wire.get(f"run/list/task/{official}")) == 512


def test_a_run_needs_its_parts(wire: Wire, official: int, flow: int) -> None:
    assert code_of(wire.post("run/", {"description": run_description(official, flow)})) == 206
    assert code_of(upload(wire, 99_999, flow, predictions_arff(range(80, ROWS)))) == 204
    assert code_of(upload(wire, official, 99_999, predictions_arff(range(80, ROWS)))) == 205
    nameless = {
        "description": run_description(official, flow),
        "predictions": ("predictions", predictions_arff(range(80, ROWS))),
    }
    assert code_of(wire.post("run/", nameless)) == 206
    assert code_of(wire.post("run/", {"predictions": ("predictions.arff", "x")})) == 201


def test_further_files_and_details_are_kept(wire: Wire, official: int, flow: int) -> None:
    details = "ams:3.612,ams_err:0.041,uuid:0b5e"
    answer = wire.post(
        "run/",
        {
            "description": run_description(
                official, flow, f"<oml:run_details>{details}</oml:run_details>"
            ),
            "predictions": ("predictions.arff", predictions_arff(range(80, ROWS))),
            "metrics": ("../../metrics.json", '{"ams": 3.612}'),
        },
    )
    run_id = id_in(answer, "upload_run", "run_id")
    assert wire.report(run_id)["details"] == details
    assert details in wire.get(f"run/list/run/{run_id}").text
    text = wire.get(f"run/{run_id}").text
    assert f"<oml:run_details>{details}</oml:run_details>" in text
    url = text.split("<oml:name>metrics</oml:name>")[1].split("<oml:url>")[1].split("<")[0]
    assert ".." not in url
    assert requests.get(url, timeout=60).json() == {"ams": 3.612}


def test_a_run_that_failed_is_kept_and_hidden(wire: Wire, official: int, flow: int) -> None:
    content = "<oml:error_message>out of memory</oml:error_message>"
    answer = wire.post("run/", {"description": run_description(official, flow, content)})
    run_id = id_in(answer, "upload_run", "run_id")
    assert code_of(wire.get(f"run/list/run/{run_id}")) == 512
    assert "out of memory" in wire.get(f"run/list/run/{run_id}/show_errors/true").text
    assert wire.report(run_id)["status"] == "failed"


def test_only_what_differs_makes_another_task(wire: Wire, new_dataset: Callable[..., int]) -> None:
    dataset = new_dataset()
    files = {
        "description": task_description(dataset, CUSTOM),
        "splits": ("splits.arff", splits_arff(range(80), range(80, ROWS))),
        "spec": ("spec.json", json.dumps(SPEC)),
    }
    first = id_in(wire.post("task/", files), "upload_task")
    again = wire.post("task/", files)
    assert code_of(again) == 614
    assert f"matched id(s): [{first}]" in again.text
    other_split = files | {"splits": ("splits.arff", splits_arff(range(60), range(60, ROWS)))}
    other_spec = files | {"spec": ("spec.json", json.dumps(SPEC | {"metrics": ["ams"]}))}
    ids = {id_in(wire.post("task/", f), "upload_task") for f in (other_split, other_spec)}
    assert len(ids | {first}) == 3


@pytest.mark.parametrize(
    ("train", "test", "says"),
    [
        (range(80), range(79, ROWS), "trains and is tested"),
        (range(80), range(80, ROWS + 1), "rows must be 0 to 119"),
        (range(-1, 80), range(80, ROWS), "rows must be 0 to 119"),
        (range(80), range(0), "no test rows"),
    ],
)
def test_faulty_splits_are_refused(
    wire: Wire, new_dataset: Callable[..., int], train: range, test: range, says: str
) -> None:
    files = {
        "description": task_description(new_dataset(), CUSTOM),
        "splits": ("splits.arff", splits_arff(train, test)),
    }
    answer = wire.post("task/", files)
    assert code_of(answer) == 615
    assert says in answer.text


def test_a_custom_procedure_needs_splits(wire: Wire, new_dataset: Callable[..., int]) -> None:
    answer = wire.post("task/", {"description": task_description(new_dataset(), CUSTOM)})
    assert code_of(answer) == 615
    assert "splits" in answer.text


@pytest.mark.parametrize(
    "spec",
    [
        "",
        "{",
        "[1]",
        "[" * 100_000,
        '{"metrics": 3}',
        *(
            json.dumps(SPEC | change)
            for change in (
                {"metrics": ["no_such"]},
                {"weight": "Wait"},
                {"positive": "signal"},
                {"target": "x0"},
                {"title": "NUL \0"},
            )
        ),
    ],
)
def test_a_faulty_spec_is_refused(wire: Wire, new_dataset: Callable[..., int], spec: str) -> None:
    files = {"description": task_description(new_dataset()), "spec": ("spec.json", spec)}
    assert code_of(wire.post("task/", files)) == 615


def test_runs_are_evaluated_again_when_an_administrator_says_so(
    wire: Wire, official: int, flow: int, other_key: str
) -> None:
    run_id = id_in(
        upload(wire, official, flow, predictions_arff(range(80, ROWS))), "upload_run", "run_id"
    )
    before = wire.evaluated(run_id)
    url = f"{wire.server.pages}hepml/task/{official}/rescore"
    answer = requests.post(url, data={"api_key": wire.server.apikey}, timeout=60)
    assert answer.json() == {"task_id": official, "waiting": 1}
    assert wire.evaluated(run_id)["scores"] == before["scores"]
    assert code_of(requests.post(url, data={"api_key": other_key}, timeout=60)) == 106


def test_pages_show_the_task_and_the_run(wire: Wire, official: int, flow: int) -> None:
    run_id = id_in(
        upload(wire, official, flow, predictions_arff(range(80, ROWS))), "upload_run", "run_id"
    )
    wire.evaluated(run_id)
    site = requests.get(f"{wire.server.pages}hepml/site.json", timeout=60).json()
    board = next(task for task in site["tasks"] if task["task_id"] == official)
    assert (board["title"], board["doi"], board["rows_in_dataset"]) == (
        "A toy",
        "10.5281/zenodo.1",
        ROWS,
    )
    assert [m["name"] for m in board["measures"] if m["primary"]] == ["ams"]
    assert board["rows"][0]["cells"]["ams"]["uncertainty"] > 0
    assert requests.get(wire.server.pages, timeout=60).url.endswith("/pages/index.html")
    for name, kind in (
        ("index.html", "text/html"),
        (f"task-{official}.csv", "text/csv"),
        (f"task-{official}.html", "text/html"),
        (f"run-{run_id}.html", "text/html"),
    ):
        page = requests.get(f"{wire.server.pages}pages/{name}", timeout=60)
        assert page.status_code == 200, name
        assert page.headers["content-type"].startswith(kind)
    for name in ("nothing.html", "..%2f..%2fapikey", "%2e%2e/%2e%2e/apikey"):
        answer = requests.get(f"{wire.server.pages}pages/{name}", timeout=60)
        assert answer.status_code in {404, 412}


def test_a_regression_task_is_split_and_accepted(wire: Wire, flow: int) -> None:
    numeric = dataset_description("regression", target="x1")
    dataset = id_in(
        wire.post("data/", {"description": numeric, "dataset": ("toy.arff", make_arff())}),
        "upload_data_set",
    )
    inputs = {"source_data": dataset, "estimation_procedure": 12, "target_feature": "x1"}
    content = "<oml:task_type_id>2</oml:task_type_id>" + "".join(
        f'<oml:input name="{name}">{value}</oml:input>' for name, value in inputs.items()
    )
    task = id_in(
        wire.post("task/", {"description": description("task_inputs", content)}), "upload_task"
    )
    splits = requests.get(
        f"{wire.server.pages}api_splits/get/{task}/Task_{task}_splits.arff", timeout=60
    ).text
    tested = [line.split(",")[1] for line in splits.splitlines() if line.startswith("TEST")]
    # 33 % of 120, rounded down as production does
    assert len(tested) == 39
    header = "@RELATION p\n" + "".join(
        f"@ATTRIBUTE {name} NUMERIC\n" for name in ("repeat", "fold", "row_id", "prediction")
    )
    file = header + "@DATA\n" + "".join(f"0,0,{row},0.5\n" for row in tested)
    run_id = id_in(upload(wire, task, flow, file), "upload_run", "run_id")
    report = wire.evaluated(run_id)
    assert report["status"] == "done"
    assert set(report["scores"]) == {"mean_absolute_error", "root_mean_squared_error"}


def test_pages_name_a_flow_as_its_run_does(wire: Wire, official: int, flow: int) -> None:
    details = "<oml:run_details>uuid:0b5e,flow:xgboost,seed:3</oml:run_details>"
    predictions = predictions_arff(range(80, ROWS))
    told = id_in(upload(wire, official, flow, predictions, details), "upload_run", "run_id")
    plain = id_in(upload(wire, official, flow, predictions), "upload_run", "run_id")
    site = requests.get(f"{wire.server.pages}hepml/site.json", timeout=60).json()
    names = {run["run_id"]: run["flow"] for run in site["runs"]}
    assert (names[told], names[plain]) == ("xgboost", "toy.Flow")
