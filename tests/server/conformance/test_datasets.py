"""`openml.datasets`: every function that talks to a server, and every error it can meet."""

from __future__ import annotations

import openml
import pytest
import scipy.sparse
from openml.datasets import functions

from .conftest import (
    NOBODY_HAS_IT,
    WITH_CLIENT,
    World,
    acting_as,
    frame,
    new_dataset,
    new_task,
    not_authorised,
    refused,
)

pytestmark = WITH_CLIENT
DATABASES = ("sqlite", "postgresql")


def test_list_qualities() -> None:
    assert {"NumberOfInstances", "NumberOfClasses"} <= set(openml.datasets.list_qualities())


@pytest.mark.parametrize(
    ("filters", "found"),
    [
        ({}, True),
        ({"data_name": "world"}, True),
        ({"data_name": "nobody"}, False),
        ({"data_version": 1}, True),
        ({"data_version": 77}, False),
        ({"tag": "world"}, True),
        ({"tag": "nobody"}, False),
        ({"status": "active"}, True),
        ({"status": "all"}, True),
        ({"status": "deactivated"}, False),
        ({"status": "in_preparation"}, False),
        ({"status": "asleep"}, False),
        ({"uploader": 1}, True),
        ({"uploader": 77}, False),
        ({"number_instances": 60}, True),
        ({"number_instances": "50..70"}, True),
        ({"number_instances": "61..70"}, False),
        ({"number_features": "4..4"}, True),
        ({"number_features": 5}, False),
        ({"number_classes": 2}, True),
        ({"number_classes": "3..9"}, False),
        ({"number_missing_values": 0}, True),
        ({"number_missing_values": "1..2"}, False),
        ({"size": 10_000, "offset": 0}, True),
        ({"size": 0}, False),
    ],
)
def test_list_datasets(world: World, filters: dict[str, object], found: bool) -> None:
    given = {"data_id": [world.dataset], **filters}
    listed = openml.datasets.list_datasets(output_format="dataframe", **given)
    assert list(listed.index) == ([world.dataset] if found else [])
    if found:
        row = listed.loc[world.dataset]
        assert (row["name"], row["version"], row["format"]) == ("world", 1, "ARFF")
        assert (row["NumberOfInstances"], row["NumberOfClasses"]) == (60, 2)


def test_list_datasets_in_pages(world: World) -> None:
    ids = [world.dataset, world.regression]
    first = openml.datasets.list_datasets(data_id=ids, size=1, output_format="dataframe")
    assert list(first.index) == ids[:1]
    both = openml.datasets.list_datasets(data_id=ids, batch_size=1, output_format="dataframe")
    assert list(both["did"]) == ids
    rest = openml.datasets.list_datasets(data_id=ids, offset=1, size=9, output_format="dataframe")
    assert list(rest.index) == ids[1:]


@pytest.mark.parametrize(
    ("filters", "code"),
    [({"surprise": 1}, 370), ({"data_version": "first"}, 371), ({"tag": "' or ''='"}, 371)],
)
def test_list_datasets_refuses(filters: dict[str, object], code: int) -> None:
    with refused(code):
        openml.datasets.list_datasets(output_format="dataframe", **filters)


def test_list_datasets_with_too_long_an_address() -> None:
    with pytest.raises(openml.exceptions.OpenMLServerError, match="URI too long!"):
        openml.datasets.list_datasets(data_id=list(range(10_000)), output_format="dataframe")


def test_check_datasets_active(world: World) -> None:
    inactive = new_dataset("inactive")
    openml.datasets.status_update(inactive, "deactivated")
    asked = [world.dataset, inactive, NOBODY_HAS_IT]
    got = openml.datasets.check_datasets_active(asked, raise_error_if_not_exist=False)
    assert got == {world.dataset: True, inactive: False}
    with pytest.raises(ValueError, match="Could not find dataset"):
        openml.datasets.check_datasets_active(asked)


def test_get_dataset(world: World) -> None:
    by_name = openml.datasets.get_dataset("world")
    assert by_name.dataset_id == world.dataset
    dataset = openml.datasets.get_dataset(
        world.dataset,
        download_data=True,
        download_qualities=True,
        download_features_meta_data=True,
    )
    assert (dataset.name, dataset.version, dataset.licence) == ("world", 1, "CC0")
    assert dataset.creator == ["A. Physicist", "B. Physicist"]
    assert dataset.tag == "world"
    assert dataset.qualities is not None
    assert dataset.qualities["NumberOfInstances"] == 60


def test_get_dataset_refuses() -> None:
    with refused(111):
        openml.datasets.get_dataset(NOBODY_HAS_IT)
    with pytest.raises(RuntimeError, match="No active datasets exist with name 'nobody'"):
        openml.datasets.get_dataset("nobody")


def test_get_datasets(world: World) -> None:
    got = openml.datasets.get_datasets([world.dataset, world.regression])
    assert [dataset.name for dataset in got] == ["world", "world-regression"]
    with refused(111):
        openml.datasets.get_datasets([world.dataset, NOBODY_HAS_IT])


def test_dataset_features_and_qualities(world: World) -> None:
    dataset = openml.datasets.get_dataset(world.dataset)
    assert [feature.name for feature in dataset.features.values()] == list(frame().columns)
    assert dataset.features[3].nominal_values == ["b", "s"]
    assert dataset.qualities is not None
    assert dataset.qualities["NumberOfClasses"] == 2
    assert dataset.get_features_by_type("numeric") == [0, 1]  # the weight is ignored
    assert dataset.retrieve_class_labels("Label") == ["b", "s"]
    with refused(271):
        functions._get_dataset_features_file(None, NOBODY_HAS_IT)
    with refused(361):
        openml._api_calls._perform_api_call(f"data/qualities/{NOBODY_HAS_IT}", "get")


def test_dataset_data(world: World) -> None:
    dataset = openml.datasets.get_dataset(world.dataset)
    table, target, _, names = dataset.get_data(target="Label")
    assert names == ["mass", "pt"]
    assert (len(table), list(target)) == (60, list(frame()["Label"]))
    with refused(113):
        openml._api_calls._download_text_file(openml._api_calls._file_id_to_url(NOBODY_HAS_IT))


def local_dataset(**changes: object) -> openml.datasets.OpenMLDataset:
    options: dict[str, object] = {
        "name": "local",
        "description": "d",
        "data_format": "arff",
        "dataset": "@RELATION r\n@ATTRIBUTE x REAL\n@ATTRIBUTE Label {b,s}\n@DATA\n1,b\n2,s\n",
        "default_target_attribute": "Label",
    }
    return openml.datasets.OpenMLDataset(**{**options, **changes})


def test_dataset_publish() -> None:
    first, second = local_dataset().publish(), local_dataset().publish()
    assert second.dataset_id > first.dataset_id
    assert openml.datasets.get_dataset(second.dataset_id).version == 2


def test_dataset_publish_of_sparse_rows() -> None:
    matrix = scipy.sparse.coo_matrix(([1.5, 2.0, 3.0], ([0, 1, 3], [0, 2, 1])), shape=(4, 3))
    made = openml.datasets.create_dataset(
        name="sparse",
        description="d",
        creator=None,
        contributor=None,
        collection_date=None,
        language="English",
        licence=None,
        attributes=[("x", "REAL"), ("y", "REAL"), ("z", "REAL")],
        data=matrix,
        default_target_attribute="z",
        ignore_attribute=None,
        citation="none",
    ).publish()
    got = openml.datasets.get_dataset(made.dataset_id, download_data=True)
    assert got.format == "sparse_arff"
    assert functions._get_online_dataset_arff(made.dataset_id) == made._dataset
    assert (got.qualities["NumberOfInstances"], got.qualities["NumberOfFeatures"]) == (4, 3)
    table, *_ = got.get_data()
    assert table.sparse.to_dense().to_numpy().tolist() == matrix.toarray().tolist()


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"licence": "l" * 65}, 131),
        ({"data_format": "parquet"}, 133),
        ({"dataset": None, "url": "http://127.0.0.1:1/x.arff"}, 136),
        ({"url": "http://127.0.0.1:1/x.arff"}, 140),
        ({"default_target_attribute": "Lable"}, 143),
        ({"dataset": "a,b\n1,2\n"}, 145),
        ({"data_format": "sparse_arff"}, 145),
    ],
)
def test_dataset_publish_refuses(changes: dict[str, object], code: int) -> None:
    with refused(code):
        local_dataset(**changes).publish()


def test_dataset_publish_needs_a_key() -> None:
    with acting_as("f" * 32), refused(103):
        local_dataset().publish()
    with acting_as(""), not_authorised():
        local_dataset().publish()


def test_dataset_tags(world: World) -> None:
    dataset = openml.datasets.get_dataset(world.dataset)
    dataset.push_tag("for-a-while")
    with refused(473):
        dataset.push_tag("for-a-while")
    with acting_as(world.other_key), refused(476):
        dataset.remove_tag("for-a-while")
    dataset.remove_tag("for-a-while")
    with refused(475):
        dataset.remove_tag("for-a-while")
    for tag in ("illegal_tag&", "t" * 65):
        with refused(477):
            dataset.push_tag(tag)
    with refused(471):
        dataset.push_tag("")
    dataset.dataset_id = NOBODY_HAS_IT
    with refused(472):
        dataset.push_tag("for-a-while")


def test_status_update(world: World) -> None:
    dataset_id = new_dataset("status")
    openml.datasets.status_update(dataset_id, "active")  # as on a server that doesn't by itself
    openml.datasets.status_update(dataset_id, "deactivated")
    openml.datasets.status_update(dataset_id, "active")
    with refused(694):
        openml.datasets.status_update(dataset_id, "active")
    with refused(692):
        openml.datasets.status_update(NOBODY_HAS_IT, "active")
    with acting_as(world.other_key):
        with refused(693):
            openml.datasets.status_update(dataset_id, "deactivated")
        own = new_dataset("status")
        openml.datasets.status_update(own, "deactivated")
        with refused(696):
            openml.datasets.status_update(own, "active")
    with refused(691):
        data = {"data_id": dataset_id, "status": "in_preparation"}
        openml._api_calls._perform_api_call("data/status/update", "post", data=data)


def test_edit_dataset(world: World) -> None:
    dataset_id = new_dataset("edited")
    changes = {"description": "Better.", "creator": "C", "citation": "c", "language": "German"}
    assert openml.datasets.edit_dataset(dataset_id, **changes) == dataset_id
    got = openml.datasets.get_dataset(dataset_id)
    assert (got.description, got.creator, got.citation) == ("Better.", "C", "c")
    openml.datasets.edit_dataset(dataset_id, default_target_attribute="pt")
    got = openml.datasets.get_dataset(dataset_id, force_refresh_cache=True)
    assert got.default_target_attribute == "pt"
    with acting_as(world.other_key):
        openml.datasets.edit_dataset(dataset_id, description="By another user.")


def test_edit_dataset_refuses(world: World) -> None:
    with refused(1060):
        openml.datasets.edit_dataset(world.dataset, language="not a language")
    with refused(1063):
        openml.datasets.edit_dataset(NOBODY_HAS_IT, description="d")
    with refused(1064):
        openml.datasets.edit_dataset(world.dataset)
    with acting_as(world.other_key), refused(1065):
        openml.datasets.edit_dataset(world.dataset, default_target_attribute="pt")
    with refused(1066):
        openml.datasets.edit_dataset(world.dataset, default_target_attribute="pt")
    call = openml._api_calls._perform_api_call
    with refused(1061):
        call("data/edit", "post", data={"data_id": world.dataset})
    with refused(1062):
        edit = '<oml:data_edit_parameters xmlns:oml="http://openml.org/openml"/>'
        call("data/edit", "post", file_elements={"edit_parameters": ("d.xml", edit)})


def test_fork_dataset(world: World) -> None:
    with acting_as(world.other_key):
        fork_id = openml.datasets.fork_dataset(world.dataset)
        openml.datasets.edit_dataset(fork_id, default_target_attribute="pt")
    fork, original = (openml.datasets.get_dataset(i) for i in (fork_id, world.dataset))
    assert (fork.name, fork.md5_checksum) == (original.name, original.md5_checksum)
    assert fork.version == original.version + 1
    with refused(1071):
        openml.datasets.fork_dataset(NOBODY_HAS_IT)
    with refused(1070):
        openml._api_calls._perform_api_call("data/fork", "post", data={"data_id": "none"})


def test_data_feature_add_ontology(world: World) -> None:
    address = "https://example.org/mass"
    assert functions.data_feature_add_ontology(world.dataset, 0, address)
    got = openml.datasets.get_dataset(world.dataset, force_refresh_cache=True)
    assert got.features[0].ontologies == address
    assert got.features[1].ontologies is None
    with refused(1101):
        functions.data_feature_add_ontology(world.dataset, 0, address)
    with refused(1102):
        functions.data_feature_add_ontology(world.dataset, 77, address)
    with refused(1105):
        functions.data_feature_add_ontology(world.dataset, 0, address + "m" * 257)
    with refused(1106):
        functions.data_feature_add_ontology(world.dataset, 0, "not_a_url")
    with refused(1100):
        functions.data_feature_add_ontology(world.dataset, 0, "")


def test_data_feature_remove_ontology(world: World) -> None:
    address = "https://example.org/pt"
    functions.data_feature_add_ontology(world.dataset, 1, address)
    with acting_as(world.other_key), refused(1104):
        functions.data_feature_remove_ontology(world.dataset, 1, address)
    assert functions.data_feature_remove_ontology(world.dataset, 1, address)
    got = openml.datasets.get_dataset(world.dataset, force_refresh_cache=True)
    assert got.features[1].ontologies is None
    with refused(1103):
        functions.data_feature_remove_ontology(world.dataset, 1, address)
    with refused(1103):
        functions.data_feature_remove_ontology(NOBODY_HAS_IT, 1, address)


def test_topics(world: World) -> None:
    dataset_id = new_dataset("topics")
    assert functions._topic_add_dataset(dataset_id, "physics") == dataset_id
    with refused(1083):
        functions._topic_add_dataset(dataset_id, "physics")
    with acting_as(world.other_key), refused(1082):
        functions._topic_delete_dataset(dataset_id, "physics")
    assert functions._topic_delete_dataset(dataset_id, "physics") == dataset_id
    with refused(1085):
        functions._topic_delete_dataset(dataset_id, "physics")
    with refused(1081):
        functions._topic_add_dataset(NOBODY_HAS_IT, "physics")
    with refused(1080):
        functions._topic_add_dataset(dataset_id, "")


def test_delete_dataset(world: World) -> None:
    dataset_id = new_dataset("deleted")
    task_id = new_task(dataset_id)
    with acting_as(world.other_key), refused(353):
        openml.datasets.delete_dataset(dataset_id)
    with refused(354):
        openml.datasets.delete_dataset(dataset_id)
    with acting_as(""), not_authorised():
        openml.datasets.delete_dataset(dataset_id)
    openml.tasks.delete_task(task_id)
    assert openml.datasets.delete_dataset(dataset_id)
    with refused(352):
        openml.datasets.delete_dataset(dataset_id)
    with refused(111):
        openml.datasets.get_dataset(dataset_id)
