from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import yaml

from hepml_tasks.data.table import load_table
from hepml_tasks.errors import FormatError, SpecError
from hepml_tasks.spec import DatasetSpec, FileSpec, TableSpec, find_task, read_task, to_mapping


@pytest.fixture
def dataset(real_data: Path) -> DatasetSpec:
    path = real_data / "root" / "uproot-HZZ.root"
    return DatasetSpec(
        name="hzz",
        version="1",
        description="Simulated events of CMS.",
        licence="CC0",
        creators=(),
        citation="",
        files=(FileSpec(name=path.name, urls=(str(path),)),),
        table=TableSpec(columns={"met": "hypot(MET_px, MET_py)", "Jet_E": "Jet_E"}, pad=2),
    )


def test_a_table_is_taken_out_of_a_root_file_as_the_spec_says(dataset: DatasetSpec):
    table = load_table(dataset)
    assert table.column_names == ["met", "Jet_E_0", "Jet_E_1"]
    assert table.num_rows == 2421
    assert table["Jet_E_1"].null_count > 0
    assert load_table(dataset).equals(table)


def test_another_way_to_take_it_is_another_table(dataset: DatasetSpec):
    first = load_table(dataset)
    columns = dict(reversed(dataset.table.columns.items()))
    other = replace(dataset, table=replace(dataset.table, columns=columns))
    assert load_table(other).column_names == ["Jet_E_0", "Jet_E_1", "met"]
    fewer = replace(dataset, table=replace(dataset.table, selection="NJet == 2"))
    assert 0 < load_table(fewer).num_rows < first.num_rows
    with pytest.raises(FormatError, match="--flatten"):
        load_table(replace(dataset, table=None))


@pytest.mark.parametrize(
    ("table", "told"),
    [
        ({"flatten": True, "pad": 2}, "table: give either flatten or pad, not both"),
        ({"pad": 0}, "table.pad"),
        ({"colums": {}}, "did you mean 'columns'"),
        ({"tree": ""}, "table.tree"),
    ],
)
def test_a_wrong_table_is_told_with_its_field(tmp_path: Path, table, told):
    data = to_mapping(find_task("higgsml"))
    data["dataset"]["table"] = table
    path = tmp_path / "task.yaml"
    path.write_text(yaml.safe_dump(data))
    with pytest.raises(SpecError) as caught:
        read_task(path)
    assert told in str(caught.value)


def test_a_simulated_dataset_has_no_file_to_take_a_table_from(tmp_path: Path):
    data = to_mapping(find_task("toy-higgs"))
    data["dataset"]["table"] = {"pad": 2}
    data["dataset"].pop("files")
    path = tmp_path / "task.yaml"
    path.write_text(yaml.safe_dump(data))
    with pytest.raises(SpecError, match="there is none"):
        read_task(path)
