from __future__ import annotations

import json
import shutil
from dataclasses import replace

import pyarrow as pa
import pytest

from hepml_tasks.data.columns import Column, describe_columns
from hepml_tasks.data.croissant import Distribution, croissant, published_files
from hepml_tasks.data.deposit.folder import build_folder
from hepml_tasks.data.table import load_table
from hepml_tasks.running.task import with_events
from hepml_tasks.spec import ColumnSpec, find_task

# rdflib, which mlcroissant reads JSON-LD with
pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning")


def issues_of(document, folder):
    """Return what mlcroissant says of a document, and the dataset that it reads from it."""
    import mlcroissant

    path = folder / "croissant.json"
    path.write_text(json.dumps(document))
    dataset = mlcroissant.Dataset(jsonld=str(path))
    issues = dataset.metadata.ctx.issues
    return issues.errors, issues.warnings, dataset


@pytest.fixture(scope="module")
def deposit(tmp_path_factory):
    with pytest.MonkeyPatch.context() as environment:
        environment.setenv("HEPML_CACHE", str(tmp_path_factory.mktemp("cache")))
        spec = with_events(find_task("toy-higgs"), 1000)
        folder = tmp_path_factory.mktemp("deposits") / "built"
        build_folder(spec, folder)
        return folder, load_table(spec.dataset)


def test_a_deposit_is_valid_croissant_without_a_warning(deposit, tmp_path):
    document = json.loads((deposit[0] / "croissant.json").read_text())
    errors, warnings, _ = issues_of(document, tmp_path)
    assert not errors
    assert not warnings


def test_the_events_are_read_through_croissant(deposit, tmp_path):
    folder, table = deposit
    shutil.copytree(folder, tmp_path / "copy")
    document = json.loads((folder / "croissant.json").read_text())
    _, _, dataset = issues_of(document, tmp_path / "copy")
    records = list(dataset.records("events"))
    assert len(records) == table.num_rows
    first, expected = records[0], table.slice(0, 1).to_pylist()[0]
    assert set(first) == {f"events/{name}" for name in table.column_names}
    assert first["events/Label"].decode() == expected["Label"]
    assert first["events/Weight"] == pytest.approx(expected["Weight"])
    assert first["events/EventId"] == expected["EventId"]


def test_every_file_has_both_checksums_and_its_media_type(deposit):
    document = json.loads((deposit[0] / "croissant.json").read_text())
    media = {f["name"]: f["encodingFormat"] for f in document["distribution"]}
    assert media["toy-higgs.csv.gz"] == ["text/csv", "application/gzip"]
    assert media["toy-higgs.parquet"] == "application/x-parquet"
    for file in document["distribution"]:
        assert len(file["sha256"]) == 64
        assert len(file["md5"]) == 32
        assert file["contentSize"].endswith(" B")


def test_a_task_file_alone_is_valid_too(tmp_path):
    spec = find_task("higgsml")
    document = croissant(spec, describe_columns(spec, None), ())
    errors, warnings, _ = issues_of(document, tmp_path)
    assert not errors
    assert not warnings
    assert document["license"] == "https://creativecommons.org/publicdomain/zero/1.0/"
    assert document["url"] == "https://doi.org/10.7483/OPENDATA.ATLAS.ZBP2.M5T8"
    assert "recordSet" not in document


def test_real_data_are_described_by_the_publishers_own_file(real_mirror, real_task_file, tmp_path):
    spec = find_task(real_task_file)
    table = load_table(spec.dataset)
    document = croissant(spec, describe_columns(spec, table), published_files(spec.dataset))
    errors, _, _ = issues_of(document, tmp_path)
    assert not errors
    (file,) = document["distribution"]
    assert file["sha256"] == spec.dataset.files[0].checksum.partition(":")[2]
    assert len(document["recordSet"][0]["field"]) == 35


def test_a_checksum_that_croissant_has_no_place_for_leaves_the_file_out():
    spec = find_task("higgsml")
    (file,) = published_files(spec.dataset)
    assert file.sha256 is None
    assert "distribution" not in croissant(spec, [], [file])


def test_what_is_declared_of_a_column_is_told():
    spec = find_task("toy-higgs")
    declared = {"PRI_met": ColumnSpec(description="missing transverse momentum", unit="GeV")}
    spec = replace(spec, dataset=replace(spec.dataset, columns=declared))
    table = pa.table({"PRI_met": [1.5], "Label": ["s"], "Weight": [1.0], "odd name": [True]})
    file = Distribution("a.parquet", "a.parquet", 10, sha256="0" * 64)
    document = croissant(spec, describe_columns(spec, table), [file])
    fields = {f["name"]: f for f in document["recordSet"][0]["field"]}
    assert fields["PRI_met"]["description"] == "missing transverse momentum (feature), in GeV"
    assert fields["PRI_met"]["dataType"] == "sc:Float"
    assert fields["Label"]["dataType"] == "sc:Text"
    assert fields["odd name"]["dataType"] == "sc:Boolean"
    assert fields["odd name"]["@id"] == "events/odd%20name"


def test_a_type_that_croissant_does_not_have_leaves_the_records_out():
    spec = find_task("toy-higgs")
    column = Column("jets", "", "list<item: float>", "", "")
    file = Distribution("a.parquet", "a.parquet", 10, sha256="0" * 64)
    assert "recordSet" not in croissant(spec, [column], [file])
