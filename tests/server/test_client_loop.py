"""What a physicist does with the stock `openml` client, from dataset to leaderboard."""

from __future__ import annotations

import http.server
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import openml
import pandas as pd
import pytest
from openml.extensions.sklearn import SklearnExtension
from openml.tasks import TaskType
from sklearn.impute import SimpleImputer
from sklearn.metrics import accuracy_score, roc_auc_score
from sklearn.model_selection import StratifiedKFold
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import MaxAbsScaler, StandardScaler
from sklearn.tree import DecisionTreeClassifier

from hepml_tasks.server.process import ServerProcess

from .conftest import Wire, make_arff

pytestmark = [
    pytest.mark.usefixtures("client"),
    # the client leaves the splits file open
    pytest.mark.filterwarnings("ignore:unclosed file:ResourceWarning"),
]

DATABASES = ("sqlite", "postgresql")


@pytest.fixture
def host(tmp_path: Path) -> Iterator[str]:
    """A web server that offers one ARFF file, as an archive does; it records what it is asked."""
    (tmp_path / "toy.arff").write_text(make_arff(seed=5))
    (tmp_path / "toy.csv").write_text("a,b\n1,2\n")

    class Handler(http.server.SimpleHTTPRequestHandler):
        def __init__(self, *args: object) -> None:
            super().__init__(*args, directory=str(tmp_path))  # type: ignore[arg-type]

        def log_message(self, *args: object) -> None:
            asked.append(self.path)

    asked: list[str] = []
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as web:
        threading.Thread(target=web.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{web.server_address[1]}"
        web.shutdown()
    assert not [path for path in asked if "api_key" in path]


def frame(rows: int = 120, seed: int = 1) -> pd.DataFrame:
    random = np.random.default_rng(seed)
    label = np.array(["b", "s"])[np.arange(rows) % 2]
    table = pd.DataFrame(
        random.normal(size=(rows, 3)) + (label == "s")[:, None], columns=["mass", "pt", "eta"]
    )
    table.loc[3, "mass"] = np.nan
    table["Weight"] = random.uniform(0.5, 2, rows)
    table["Label"] = pd.Categorical(label, categories=["b", "s"])
    return table


def publish_dataset(name: str = "loop", seed: int = 1) -> int:
    dataset = openml.datasets.create_dataset(
        name=name,
        description="A toy, with its DOI.",
        creator=["A. Physicist", "B. Physicist"],
        contributor=None,
        collection_date="2026",
        language="English",
        licence="CC0",
        attributes="auto",
        data=frame(seed=seed),
        default_target_attribute="Label",
        ignore_attribute=["Weight"],
        citation="none",
        original_data_url="https://doi.org/10.5281/zenodo.1",
    )
    published = dataset.publish()
    assert isinstance(published.dataset_id, int)
    return published.dataset_id


def publish_task(dataset_id: int, procedure: int = 1, measure: str | None = None) -> int:
    task = openml.tasks.create_task(
        TaskType.SUPERVISED_CLASSIFICATION,
        dataset_id=dataset_id,
        target_name="Label",
        estimation_procedure_id=procedure,
        evaluation_measure=measure,
    )
    return int(task.publish().task_id)


def pipeline(depth: int = 3) -> object:
    return make_pipeline(
        SimpleImputer(), StandardScaler(), DecisionTreeClassifier(max_depth=depth, random_state=0)
    )


def run_and_publish(task_id: int, depth: int = 3) -> openml.runs.OpenMLRun:
    task = openml.tasks.get_task(task_id)
    run = openml.runs.run_model_on_task(
        pipeline(depth), task, avoid_duplicate_runs=False, upload_flow=True
    )
    run.tags = [*(run.tags or []), "loop"]
    published = run.publish()
    assert isinstance(published, openml.runs.OpenMLRun)
    return published


def test_a_script_of_the_client_alone_leaves_nothing_behind(
    client: ServerProcess, host: str, tmp_path: Path
) -> None:
    script = Path(__file__).with_name("openml_only.py")
    arguments = [client.server, client.apikey, str(tmp_path / "cache"), f"{host}/toy.arff"]
    done = subprocess.run(
        [sys.executable, str(script), *arguments],
        capture_output=True,
        text=True,
        env={**os.environ, "HOME": str(tmp_path)},
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout == "all was published, listed, got and deleted\n"


def test_a_dataset_by_file_comes_back_equal() -> None:
    dataset = openml.datasets.get_dataset(publish_dataset(), download_data=True)
    assert (dataset.name, dataset.format.lower()) == ("loop", "arff")
    assert dataset.creator == ["A. Physicist", "B. Physicist"]
    assert dataset.original_data_url == "https://doi.org/10.5281/zenodo.1"
    assert dataset.default_target_attribute == "Label"
    got, target, categorical, names = dataset.get_data(target="Label")
    assert names == ["mass", "pt", "eta"]
    assert categorical == [False, False, False]
    expected = frame()
    pd.testing.assert_frame_equal(got, expected[names], check_dtype=False)
    assert list(target) == list(expected["Label"])
    everything, *_ = dataset.get_data(include_ignore_attribute=True)
    np.testing.assert_allclose(everything["Weight"], expected["Weight"])


def test_qualities_and_features_are_counted_when_the_dataset_is_published() -> None:
    dataset = openml.datasets.get_dataset(publish_dataset(), download_qualities=True)
    assert dataset.qualities is not None
    expected = {
        "NumberOfInstances": 120,
        "NumberOfFeatures": 5,
        "NumberOfClasses": 2,
        "NumberOfMissingValues": 1,
        "NumberOfInstancesWithMissingValues": 1,
        "NumberOfNumericFeatures": 4,
        "NumberOfSymbolicFeatures": 1,
        "MajorityClassSize": 60,
        "MinorityClassSize": 60,
    }
    assert expected.items() <= dataset.qualities.items()
    label = dataset.features[4]
    assert (label.name, label.data_type, label.nominal_values) == ("Label", "nominal", ["b", "s"])
    assert dataset.features[0].number_missing_values == 1
    assert "NumberOfInstances" in openml.datasets.list_qualities()


def test_a_dataset_by_url_is_fetched_once_and_served_by_the_server(host: str) -> None:
    dataset = openml.datasets.OpenMLDataset(
        name="by-url",
        description="A toy by URL.",
        data_format="arff",
        url=f"{host}/toy.arff",
        default_target_attribute="Label",
        row_id_attribute="EventId",
        ignore_attribute=["Weight"],
    )
    got = openml.datasets.get_dataset(dataset.publish().dataset_id, download_data=True)
    table, *_ = got.get_data()
    assert list(table.columns) == ["x0", "x1", "Label"]
    assert len(table) == 120
    assert got.url is not None
    assert host not in got.url  # the client would send its key there


@pytest.mark.parametrize(("name", "code"), [("nope.arff", 136), ("toy.csv", 145)])
def test_a_dataset_by_url_that_is_not_arff_is_refused(host: str, name: str, code: int) -> None:
    dataset = openml.datasets.OpenMLDataset(
        name="by-url", description="d", data_format="arff", url=f"{host}/{name}"
    )
    with pytest.raises(openml.exceptions.OpenMLServerException) as refused:
        dataset.publish()
    assert refused.value.code == code


def test_a_new_dataset_of_the_same_name_is_a_new_version() -> None:
    first, second = (
        openml.datasets.get_dataset(publish_dataset("versions", seed)) for seed in (1, 2)
    )
    assert (first.version, second.version) == (1, 2)


def test_a_task_comes_back_with_scikit_learns_folds() -> None:
    dataset_id = publish_dataset()
    task_id = publish_task(dataset_id, measure="area_under_roc_curve")
    task = openml.tasks.get_task(task_id, download_splits=True)
    assert (task.dataset_id, task.target_name) == (dataset_id, "Label")
    assert task.evaluation_measure == "area_under_roc_curve"
    assert task.class_labels == ["b", "s"]
    assert task.estimation_procedure["type"] == "crossvalidation"
    assert task.get_split_dimensions() == (1, 10, 1)
    expected = StratifiedKFold(10, shuffle=True, random_state=0)
    labels = frame()["Label"].astype(str)
    for fold, (train, test) in enumerate(expected.split(np.zeros((120, 1)), labels)):
        got = task.get_train_test_split_indices(fold=fold)
        np.testing.assert_array_equal(got[0], train)
        np.testing.assert_array_equal(got[1], test)


def test_a_hold_out_task_tests_a_third() -> None:
    task = openml.tasks.get_task(publish_task(publish_dataset(), procedure=6))
    train, test = task.get_train_test_split_indices()
    assert (len(train), len(test)) == (81, 39)  # rounded down, as production does
    assert not set(train) & set(test)
    assert task.evaluation_measure is None


def test_a_flow_is_rebuilt_as_an_equal_estimator() -> None:
    extension = SklearnExtension()
    model = make_pipeline(MaxAbsScaler(), DecisionTreeClassifier(max_depth=4, random_state=0))
    flow = extension.model_to_flow(model)
    flow.publish()
    got = openml.flows.get_flow(flow.flow_id)
    openml.flows.assert_flows_equal(flow, got, check_description=False)
    assert got.description == flow.description
    assert list(got.parameters) == list(flow.parameters)
    rebuilt = openml.flows.get_flow(flow.flow_id, reinstantiate=True).model
    assert repr(rebuilt) == repr(model)
    assert openml.flows.flow_exists(flow.name, flow.external_version) == flow.flow_id
    assert not openml.flows.flow_exists(flow.name, "other==1")
    again = extension.model_to_flow(model).publish()
    assert again.flow_id == flow.flow_id
    with pytest.raises(openml.exceptions.PyOpenMLError, match="already exists"):
        extension.model_to_flow(model).publish(raise_error_if_exists=True)


def test_a_run_is_scored_by_the_server(client: ServerProcess, wire: Wire) -> None:
    task_id = publish_task(publish_dataset())
    run = run_and_publish(task_id)
    report = wire.evaluated(run.run_id)
    assert report["status"] == "done", report
    predictions = pd.DataFrame(
        run.data_content,
        columns=["repeat", "fold", "sample", "row", "prediction", "correct", "b", "s"],
    )
    accuracy = accuracy_score(predictions["correct"], predictions["prediction"])
    area = roc_auc_score(predictions["correct"] == "s", predictions["s"].astype(float))
    assert report["scores"]["predictive_accuracy"]["value"] == pytest.approx(accuracy)
    assert report["scores"]["area_under_roc_curve"]["value"] == pytest.approx(area)
    assert report["scores"]["area_under_roc_curve"]["uncertainty"] > 0
    assert len(report["folds"]["predictive_accuracy"]) == 10
    assert report["differs"] == []

    got = openml.runs.get_run(run.run_id, ignore_cache=True)
    assert (got.task_id, got.flow_id, got.setup_string) == (task_id, run.flow_id, run.setup_string)
    assert got.evaluations["predictive_accuracy"] == pytest.approx(accuracy)
    for fold, value in got.fold_evaluations["predictive_accuracy"][0].items():
        assert value == pytest.approx(run.fold_evaluations["predictive_accuracy"][0][fold])
    assert {"loop", "openml-python"} <= set(got.tags)
    assert set(got.output_files) == {"description", "predictions"}
    np.testing.assert_allclose(got.get_metric_fn(accuracy_score), run.get_metric_fn(accuracy_score))

    listed = openml.evaluations.list_evaluations(
        "area_under_roc_curve", tasks=[task_id], output_format="dataframe"
    )
    assert list(listed["run_id"]) == [run.run_id]
    assert listed["value"][0] == pytest.approx(area)
    per_fold = openml.evaluations.list_evaluations(
        "predictive_accuracy", tasks=[task_id], per_fold=True, output_format="object"
    )
    assert len(per_fold[run.run_id].values) == 10

    rebuilt = openml.runs.initialize_model_from_run(run.run_id)
    assert repr(rebuilt) == repr(pipeline(3))


def test_setups_are_found_by_their_parameters(wire: Wire) -> None:
    task_id = publish_task(publish_dataset())
    first, same, other = (run_and_publish(task_id, depth) for depth in (2, 2, 5))
    setup_ids = [openml.runs.get_run(run.run_id).setup_id for run in (first, same, other)]
    assert setup_ids[0] == setup_ids[1] != setup_ids[2]
    flow = openml.flows.get_flow(first.flow_id)
    flow.model = pipeline(5)
    assert openml.setups.setup_exists(flow) == setup_ids[2]
    flow.model = pipeline(17)
    assert openml.setups.setup_exists(flow) is False
    setup = openml.setups.get_setup(setup_ids[2])
    depth = next(p for p in setup.parameters.values() if p.parameter_name == "max_depth")
    assert depth.value == "5"
    assert repr(openml.setups.initialize_model(setup_ids[2])) == repr(pipeline(5))
    listed = openml.setups.list_setups(flow=first.flow_id, output_format="object")
    assert {setup_ids[0], setup_ids[2]} <= set(listed)
    wire.evaluated(other.run_id)
    with_setups = openml.evaluations.list_evaluations_setups(
        "predictive_accuracy", tasks=[task_id], output_format="dataframe"
    )
    assert len(with_setups) == 3


def test_a_search_comes_back_with_its_trace() -> None:
    from sklearn.model_selection import GridSearchCV

    task = openml.tasks.get_task(publish_task(publish_dataset(), procedure=6))
    search = GridSearchCV(
        make_pipeline(SimpleImputer(), DecisionTreeClassifier(random_state=0)),
        {"decisiontreeclassifier__max_depth": [1, 2]},
        cv=2,
    )
    run = openml.runs.run_model_on_task(search, task, avoid_duplicate_runs=False)
    run.publish()
    trace = openml.runs.get_run_trace(run.run_id)
    assert set(trace.trace_iterations) == {(0, 0, 0), (0, 0, 1)}
    assert trace.get_selected_iteration(0, 0) in {0, 1}
    for key, iteration in trace.trace_iterations.items():
        sent = run.trace.trace_iterations[key]
        assert list(iteration.get_parameters()) == list(sent.get_parameters())
        assert iteration.evaluation == pytest.approx(sent.evaluation)


def test_a_search_over_several_grids_comes_back_as_a_model() -> None:
    from sklearn.model_selection import GridSearchCV

    task = openml.tasks.get_task(publish_task(publish_dataset(), procedure=6))
    search = GridSearchCV(
        make_pipeline(SimpleImputer(), DecisionTreeClassifier(random_state=0)),
        [
            {"decisiontreeclassifier__max_depth": [1, 2]},
            {"decisiontreeclassifier__min_samples_leaf": [3]},
        ],
        cv=2,
    )
    run = openml.runs.run_model_on_task(search, task, avoid_duplicate_runs=False).publish()
    trace = openml.runs.get_run_trace(run.run_id)
    last = trace.trace_iterations[(0, 0, 2)].get_parameters()
    assert last == {"decisiontreeclassifier__min_samples_leaf": 3}
    model = openml.runs.initialize_model_from_trace(run.run_id, repeat=0, fold=0, iteration=2)
    assert model[-1].min_samples_leaf == 3


def test_a_suite_and_a_study_come_back_equal() -> None:
    task_ids = [publish_task(publish_dataset(), procedure) for procedure in (1, 6)]
    suite = openml.study.create_benchmark_suite(
        name="Toys", description="Two tasks.", task_ids=task_ids, alias="toys-2026"
    )
    suite.publish()
    got = openml.study.get_suite("toys-2026")
    assert (got.id, got.name, got.description) == (suite.id, "Toys", "Two tasks.")
    assert (got.tasks, got.status) == (task_ids, "in_preparation")
    assert openml.study.get_suite(suite.id).data == got.data

    runs = [run_and_publish(task_ids[1], depth).run_id for depth in (1, 2)]
    study = openml.study.create_study(name="Runs", description="Some runs.", run_ids=runs[:1])
    study.publish()
    assert openml.study.attach_to_study(study.id, runs[1:]) == 2
    got_study = openml.study.get_study(study.id)
    assert (got_study.runs, got_study.tasks) == (runs, [task_ids[1]])
    assert openml.study.detach_from_study(study.id, runs[:1]) == 1
    listed = openml.runs.list_runs(study=study.id, output_format="dataframe")
    assert list(listed["run_id"]) == runs[1:]

    assert openml.study.update_suite_status(suite.id, "active") is None
    suites = openml.study.list_suites(output_format="dataframe")
    assert suite.id in set(suites["id"])
    studies = openml.study.list_studies(status="all", output_format="dataframe")
    assert study.id in set(studies["id"])
    assert openml.study.delete_study(study.id)
    with pytest.raises(openml.exceptions.OpenMLNotAuthorizedError, match="in preparation"):
        openml.study.delete_suite(suite.id)


def test_everything_can_be_listed() -> None:
    dataset_id = publish_dataset("listed")
    task_id = publish_task(dataset_id)
    run = run_and_publish(task_id)
    datasets = openml.datasets.list_datasets(
        data_name="listed", number_instances="100..200", output_format="dataframe"
    )
    assert dataset_id in set(datasets["did"])
    assert set(datasets["NumberOfInstances"]) == {120}
    assert openml.datasets.check_datasets_active([dataset_id]) == {dataset_id: True}
    tasks = openml.tasks.list_tasks(
        TaskType.SUPERVISED_CLASSIFICATION, data_name="listed", output_format="dataframe"
    )
    assert task_id in set(tasks["tid"])
    assert set(tasks["estimation_procedure"]) == {"10-fold Crossvalidation"}
    flows = openml.flows.list_flows(output_format="dataframe")
    assert run.flow_id in set(flows["id"])
    runs = openml.runs.list_runs(
        task=[task_id], flow=[run.flow_id], uploader=[1], tag="loop", output_format="dataframe"
    )
    assert list(runs["run_id"]) == [run.run_id]
    assert {"area_under_roc_curve", "ams", "roc_auc"} <= set(
        openml.evaluations.list_evaluation_measures()
    )
    assert "33% Holdout set" in openml.evaluations.functions.list_estimation_procedures()


def test_lists_are_paged() -> None:
    ids = [publish_dataset("paged", seed) for seed in range(5)]
    got = openml.datasets.list_datasets(
        data_name="paged", offset=1, size=3, batch_size=2, output_format="dataframe"
    )
    assert list(got["did"]) == ids[1:4]


@pytest.mark.parametrize(
    "tagged",
    ["dataset", "task", "flow", "run"],
)
def test_tags_are_set_and_taken_off(tagged: str) -> None:
    dataset_id = publish_dataset()
    if tagged == "dataset":
        thing: object = openml.datasets.get_dataset(dataset_id)
    else:
        task_id = publish_task(dataset_id, procedure=6)
        if tagged == "task":
            thing = openml.tasks.get_task(task_id)
        else:
            run = run_and_publish(task_id)
            thing = run if tagged == "run" else openml.flows.get_flow(run.flow_id)
    thing.push_tag("mine-2026")  # type: ignore[attr-defined]
    with pytest.raises(openml.exceptions.OpenMLServerException) as refused:
        thing.push_tag("mine-2026")  # type: ignore[attr-defined]
    assert refused.value.code == 473
    thing.remove_tag("mine-2026")  # type: ignore[attr-defined]
    with pytest.raises(openml.exceptions.OpenMLServerException) as refused:
        thing.remove_tag("mine-2026")  # type: ignore[attr-defined]
    assert refused.value.code == 475


def test_things_are_deleted_from_the_last_to_the_first() -> None:
    dataset_id = publish_dataset("deleted")
    task_id = publish_task(dataset_id)
    run = run_and_publish(task_id)
    for delete, entity in (
        (openml.datasets.delete_dataset, dataset_id),
        (openml.tasks.delete_task, task_id),
        (openml.flows.delete_flow, run.flow_id),
    ):
        with pytest.raises(openml.exceptions.OpenMLNotAuthorizedError, match="associated"):
            delete(entity)
    assert openml.runs.delete_run(run.run_id)
    assert openml.tasks.delete_task(task_id)
    assert openml.datasets.delete_dataset(dataset_id)
    with pytest.raises(openml.exceptions.OpenMLServerException) as gone:
        openml.runs.get_run(run.run_id, ignore_cache=True)
    assert gone.value.code == 236
    with pytest.raises(openml.exceptions.OpenMLServerException) as gone:
        openml.datasets.delete_dataset(dataset_id)
    assert gone.value.code == 352


def test_a_dataset_is_deactivated_and_activated() -> None:
    dataset_id = publish_dataset()
    openml.datasets.status_update(dataset_id, "deactivated")
    with pytest.raises(openml.exceptions.OpenMLServerException) as refused:
        publish_task(dataset_id)
    assert refused.value.code == 623
    openml.datasets.status_update(dataset_id, "active")
    assert publish_task(dataset_id)


def test_an_empty_list_is_no_error_for_the_client() -> None:
    assert openml.runs.list_runs(task=[999_999], output_format="dataframe").empty
    assert openml.evaluations.list_evaluations("ams", tasks=[999_999], output_format="object") == {}
    assert openml.datasets.list_datasets(tag="nobody-has-it", output_format="dataframe").empty
    assert openml.tasks.list_tasks(tag="nobody-has-it", output_format="dataframe").empty
    assert openml.flows.list_flows(tag="nobody-has-it", output_format="dataframe").empty
    assert openml.setups.list_setups(tag="nobody-has-it", output_format="object") == {}


def test_wrong_and_missing_keys_are_told_apart() -> None:
    openml.config.apikey = "f" * 32
    with pytest.raises(openml.exceptions.OpenMLServerException) as refused:
        publish_dataset()
    assert refused.value.code == 103
    openml.config.apikey = ""
    with pytest.raises(openml.exceptions.OpenMLNotAuthorizedError):
        publish_dataset()


def test_a_dataset_is_edited_and_forked(other_key: str) -> None:
    dataset_id = publish_dataset("edited")
    assert (
        openml.datasets.edit_dataset(dataset_id, description="Better.", creator="C") == dataset_id
    )
    edited = openml.datasets.get_dataset(dataset_id)
    assert (edited.description, edited.creator) == ("Better.", "C")
    publish_task(dataset_id)
    openml.config.apikey = other_key
    fork_id = openml.datasets.fork_dataset(dataset_id)
    openml.datasets.edit_dataset(fork_id, ignore_attribute=["pt", "Weight"])
    forked = openml.datasets.get_dataset(fork_id)
    assert (forked.name, forked.version, forked.ignore_attribute) == ("edited", 2, ["pt", "Weight"])
    assert list(forked.get_data()[0].columns) == ["mass", "eta", "Label"]


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({}, "Please provide atleast one field"),
        ({"data_id": 999_999, "description": "d"}, "Unknown dataset"),
        ({"default_target_attribute": "mass"}, "only be edited for datasets without any tasks"),
        ({"default_target_attribute": "mass", "other": True}, "edited only by the owner"),
    ],
)
def test_a_dataset_is_edited_by_production_s_rules(
    other_key: str, changes: dict[str, object], says: str
) -> None:
    dataset_id = publish_dataset("rules")
    publish_task(dataset_id)
    changes = dict(changes)  # the parameters of the next test too
    if changes.pop("other", False):
        openml.config.apikey = other_key
    with pytest.raises(openml.exceptions.OpenMLServerException, match=says):
        openml.datasets.edit_dataset(**{"data_id": dataset_id, **changes})
