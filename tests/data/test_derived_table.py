"""Derived datasets: loaded as any other, checked, recorded, and kept."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest

from hepml_tasks import settings
from hepml_tasks.data.cache import entries
from hepml_tasks.data.checksum import table_sha256
from hepml_tasks.data.derived import derive
from hepml_tasks.data.kept import record_path
from hepml_tasks.data.table import load_table
from hepml_tasks.errors import ChecksumError, DataError
from hepml_tasks.spec import DatasetSpec, DerivedSpec, find_task, read_task


@pytest.fixture
def source(small_task) -> DatasetSpec:
    return read_task(small_task).dataset


@pytest.fixture
def shifted(source) -> DatasetSpec:
    derived = DerivedSpec(
        source=source, function="tau-energy-scale", seed=3, parameters={"scale": 1.05}
    )
    return DatasetSpec(
        name="toy-small-up",
        version="1",
        description="shifted",
        licence="CC0",
        creators=("a",),
        citation="a",
        derived=derived,
    )


def checked(dataset: DatasetSpec, checksum: str) -> DatasetSpec:
    assert dataset.derived is not None
    return replace(dataset, derived=replace(dataset.derived, checksum=checksum))


def test_a_derived_table_is_the_function_of_its_source(source, shifted):
    made = derive("tau-energy-scale", load_table(source), seed=3, scale=1.05)
    assert load_table(shifted).equals(made)
    assert load_table(shifted).equals(made)  # and so is the kept one


def test_its_record_says_what_it_was_made_of(shifted):
    table = load_table(shifted)
    (path,) = (settings.cache_dir() / "tables").glob("toy-small-up-*.parquet")
    told = json.loads(record_path(path).read_text())
    assert told["derived"] == {
        "function": "tau-energy-scale",
        "version": "1",
        "seed": 3,
        "parameters": {"scale": 1.05},
        "relation": "IsDerivedFrom",
        "source": {"name": "toy-higgs", "doi": None},
        "table": f"sha256:{table_sha256(table)}",
    }
    assert {e.dataset for e in entries()} == {"toy-higgs", "toy-small-up"}


def test_a_table_with_another_checksum_is_refused_also_when_one_is_kept(shifted):
    right = f"sha256:{table_sha256(load_table(shifted))}"
    assert load_table(checked(shifted, right)).num_rows == 1500
    for _ in range(2):
        with pytest.raises(ChecksumError, match=f"gives a table with {right}, its file says"):
            load_table(checked(shifted, "sha256:" + "0" * 64))


def test_another_source_seed_or_parameter_is_another_table(source, shifted):
    derived = shifted.derived
    assert derived is not None
    other_source = replace(source, simulator=replace(source.simulator, seed=1))
    variants = [
        derived,
        replace(derived, source=other_source),
        replace(derived, seed=4),
        replace(derived, parameters={"scale": 0.95}),
    ]
    tables = [load_table(replace(shifted, derived=d)) for d in variants]
    assert len({table_sha256(t) for t in tables}) == 4


def test_a_wrong_number_of_events_is_told(shifted):
    with pytest.raises(DataError, match="1500 events where dataset toy-small-up has 1400"):
        load_table(replace(shifted, rows=1400))


def test_what_is_derived_can_be_derived_from(shifted):
    derived = shifted.derived
    assert derived is not None
    down = replace(derived, source=shifted, parameters={"scale": 0.95})
    back = replace(shifted, name="back", derived=down)
    assert back.root.simulator is not None
    assert load_table(back).num_rows == 1500


def test_the_skewed_toy_is_the_same_without_the_processors_vectors(tmp_path):
    expected = find_task("toy-higgs-skewed").dataset.derived.checksum
    code = (
        "from hepml_tasks.spec import find_task; from hepml_tasks.data.table import load_table;"
        "load_table(find_task('toy-higgs-skewed').dataset)"
    )
    assert expected is not None
    found = np.show_config(mode="dicts")["SIMD Extensions"]["found"]
    environment = {**os.environ, "NPY_DISABLE_CPU_FEATURES": " ".join(found)}
    environment["HEPML_CACHE"] = str(tmp_path)
    # it is compared with its checksum when it is made
    done = subprocess.run(
        [sys.executable, "-c", code],
        env=environment,
        capture_output=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
