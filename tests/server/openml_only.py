"""A script that uses the stock `openml` client alone: publish, list, get and delete everything.

    python openml_only.py SERVER KEY CACHE URL_OF_AN_ARFF

It ends with an AssertionError, or the client's error, where a server does something else.
"""

from __future__ import annotations

import sys

import openml
import pandas as pd
from sklearn.tree import DecisionTreeClassifier

openml.config.server, openml.config.apikey, cache, url = sys.argv[1:]
openml.config.set_root_cache_directory(cache)
openml.config.set_retry_policy("human", 1)

by_url = openml.datasets.OpenMLDataset(
    name="only-by-url",
    description="A dataset by its address.",
    data_format="arff",
    url=url,
    default_target_attribute="Label",
).publish()
table = pd.DataFrame({"x": [float(i % 7) for i in range(60)], "Label": ["b", "s"] * 30})
table["Label"] = table["Label"].astype("category")
by_file = openml.datasets.create_dataset(
    name="only-by-file",
    description="A dataset by its file.",
    creator="A. Physicist",
    contributor=None,
    collection_date="2026",
    language="English",
    licence="CC0",
    attributes="auto",
    data=table,
    default_target_attribute="Label",
    ignore_attribute=None,
    citation="none",
).publish()
datasets = [by_url.dataset_id, by_file.dataset_id]
listed = openml.datasets.list_datasets(data_id=datasets, output_format="dataframe")
assert list(listed["name"]) == ["only-by-url", "only-by-file"]
assert openml.datasets.get_dataset(datasets[0], download_data=True).get_data()[0].shape[0] > 0
got, *_ = openml.datasets.get_dataset(datasets[1], download_data=True).get_data()
assert got["x"].tolist() == table["x"].tolist()

task = openml.tasks.create_task(
    openml.tasks.TaskType.SUPERVISED_CLASSIFICATION,
    dataset_id=datasets[1],
    target_name="Label",
    estimation_procedure_id=1,
).publish()
listed = openml.tasks.list_tasks(task_id=[task.task_id], output_format="dataframe")
assert list(listed["did"]) == [datasets[1]]
task = openml.tasks.get_task(task.task_id)
assert task.get_split_dimensions() == (1, 10, 1)

model = DecisionTreeClassifier(max_depth=2, random_state=0)
flow = openml.extensions.get_extension_by_model(model).model_to_flow(model).publish()
assert flow.flow_id in openml.flows.list_flows(output_format="dataframe")["id"].tolist()
assert openml.flows.get_flow(flow.flow_id, reinstantiate=True).model.max_depth == 2

run = openml.runs.run_model_on_task(model, task, avoid_duplicate_runs=False).publish()
listed = openml.runs.list_runs(task=[task.task_id], output_format="dataframe")
assert listed["run_id"].tolist() == [run.run_id]
got = openml.runs.get_run(run.run_id)
assert (got.flow_id, len(got.predictions)) == (flow.flow_id, 60)

study = openml.study.create_study("only", "All of it.", run_ids=[run.run_id]).publish()
listed = openml.study.list_studies(status="in_preparation", output_format="dataframe")
assert study.study_id in listed["id"].tolist()
assert openml.study.get_study(study.study_id).runs == [run.run_id]

assert openml.study.delete_study(study.study_id)
assert openml.runs.delete_run(run.run_id)
assert openml.flows.delete_flow(flow.flow_id)
assert openml.tasks.delete_task(task.task_id)
assert all(openml.datasets.delete_dataset(dataset) for dataset in datasets)
assert openml.datasets.list_datasets(data_id=datasets, output_format="dataframe").empty
sys.stdout.write("all was published, listed, got and deleted\n")
