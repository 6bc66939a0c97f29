"""A table at several values of a nuisance: each is the derivation's own, one below the other."""

from __future__ import annotations

from pathlib import Path

import pyarrow as pa
import pytest

from hepml_tasks.data.derived import derive
from hepml_tasks.data.derived.across import derive_across
from hepml_tasks.data.simulators import simulate
from hepml_tasks.data.table import load_table, without_sentinel
from hepml_tasks.errors import DataError, SpecError
from hepml_tasks.spec import NuisanceSpec, find_task, read_task

TASKS = Path(__file__).resolve().parents[3] / "tasks"
TES = NuisanceSpec(name="tes", parameter="scale", values=(0.9, 1.0, 1.1), nominal=1.0)


@pytest.fixture(scope="module")
def source() -> pa.Table:
    return without_sentinel(simulate("toy-higgs", events=300, seed=1), -999.0)


def test_each_value_has_the_table_that_the_derivation_makes(source: pa.Table):
    table = derive_across(TES, "tau-energy-scale", source, seed=3, tau_pt_min=22.0)
    assert table.num_rows == 900
    for k, scale in enumerate(TES.values):
        part = table.slice(k * 300, 300)
        assert set(part["tes"].to_pylist()) == {scale}
        alone = derive("tau-energy-scale", source, seed=3, scale=scale, tau_pt_min=22.0)
        assert part.drop_columns(["tes"]).to_pydict() == alone.to_pydict()


def test_the_nominal_scale_goes_the_way_of_all_and_changes_nothing(source: pa.Table):
    table = derive_across(TES, "tau-energy-scale", source, seed=3, tau_pt_min=22.0)
    nominal = table.slice(300, 300)
    for name in source.column_names:
        if name not in {"DER_mass_MMC"}:
            assert nominal[name].to_pylist() == source[name].to_pylist()


def test_events_keep_their_ids_and_fall_below_the_threshold_by_scale(source: pa.Table):
    table = derive_across(TES, "tau-energy-scale", source, seed=3, tau_pt_min=22.0)
    ids = [table["EventId"].slice(k * 300, 300).to_pylist() for k in range(3)]
    assert ids[0] == ids[1] == ids[2] == source["EventId"].to_pylist()
    counts = [sum(table["Selected"].slice(k * 300, 300).to_pylist()) for k in range(3)]
    assert counts[0] < counts[1] < counts[2] <= 300


def test_a_function_without_the_parameter_is_refused(source: pa.Table):
    wrong = NuisanceSpec(name="tes", parameter="scal", values=(0.9, 1.0), nominal=1.0)
    with pytest.raises(DataError, match="no parameter 'scal'; did you mean 'scale'"):
        derive_across(wrong, "tau-energy-scale", source, seed=3)


def test_a_column_of_the_nuisances_name_is_refused(source: pa.Table):
    wrong = NuisanceSpec(name="Weight", parameter="scale", values=(0.9, 1.0), nominal=1.0)
    with pytest.raises(DataError, match="or a column 'Weight'"):
        derive_across(wrong, "tau-energy-scale", source, seed=3)


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        (("nominal: 1.0", "nominal: 1.2"), "1.2 is not among the values 0.9, 0.95, 1, 1.05, 1.1"),
        (("nominal: 1.0", "nominal: 1.0\n      train: [1.3]"), "1.3 is not among the values"),
        (("[0.9, 0.95, 1.0,", "[0.9, 0.9, 1.0,"), "a value is there twice"),
        (("tau_pt_min: 22.0", "tau_pt_min: 22.0\n      scale: 1.0"), "scale is the nuisance"),
        (("  nuisance: tes\n", ""), "needs nuisance, the column that dataset.derived.nuisance"),
        (("  group: EventId\n", ""), "needs group"),
        (("type: across-nuisance", "type: binary-classification"), "have no meaning"),
    ],
)
def test_a_file_that_contradicts_itself_is_refused(
    tmp_path: Path, change: tuple[str, str], problem: str
):
    text = (TASKS / "toy-higgs-tes.yaml").read_text()
    assert change[0] in text
    path = tmp_path / "task.yaml"
    path.write_text(text.replace(*change, 1))
    with pytest.raises(SpecError, match=problem):
        read_task(path)


def test_the_table_is_kept_in_the_cache_by_its_values():
    from dataclasses import replace

    dataset = find_task("toy-higgs-tes").dataset
    assert dataset.derived is not None
    assert dataset.derived.source.simulator is not None
    small = replace(dataset.derived.source.simulator, events=100)
    source = replace(dataset.derived.source, simulator=small, rows=100)
    derived = replace(dataset.derived, source=source, checksum=None)
    one = replace(dataset, rows=None, derived=derived)
    assert one.derived is not None
    other = replace(one, derived=replace(one.derived, nuisance=TES))
    assert load_table(one).num_rows == 500
    assert load_table(other).num_rows == 300
