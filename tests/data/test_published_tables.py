"""The published tasks on real rows in their publishers' form: no header, several files, zip."""

from __future__ import annotations

import gzip
import zipfile
from dataclasses import replace
from pathlib import Path

import pytest

from hepml_tasks.data.events import load_events
from hepml_tasks.running.task import as_task
from hepml_tasks.spec import PartsSpec, TaskSpec, find_task


@pytest.fixture
def mirror(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("HEPML_MIRRORS", str(tmp_path))
    return tmp_path


def of_fewer_rows(name: str, rows: int, tested: int) -> TaskSpec:
    spec = find_task(name)
    parts = spec.dataset.parts
    if parts is not None and parts.rows:
        marks = {"train": (0, rows - tested), "test": (rows - tested, rows)}
        parts = PartsSpec(column=parts.column, rows=marks)
    (*files,) = (replace(file, size=None) for file in spec.dataset.files)
    return replace(spec, dataset=replace(spec.dataset, rows=rows, files=tuple(files), parts=parts))


def test_uci_higgs_on_real_rows_without_a_header(real_data: Path, mirror: Path):
    source = real_data / "uci_higgs" / "higgs_first8000.csv.gz"
    header, *lines = gzip.decompress(source.read_bytes()).decode().splitlines()
    rows = [line.rpartition(",") for line in lines]
    published = [f"{float(label):.18e},{values}" for values, _, label in rows]
    with gzip.open(mirror / "HIGGS.csv.gz", "wt") as file:
        file.write("\n".join(published) + "\n")
    spec = of_fewer_rows("uci-higgs", 8000, 1000)
    # the sample's own header names the columns as the task does
    assert list(spec.dataset.table.names) == ["label", *header.split(",")[:-1]]
    task = as_task(spec)
    assert len(task.events.features) == 28
    assert sorted(set(task.events.y)) == ["0", "1"]
    (split,) = task.splits
    assert list(split.test) == list(range(7000, 8000))
    assert len(split.train) == 7000


def test_magic_on_real_rows_in_its_archive(real_data: Path, mirror: Path):
    source = real_data / "magic" / "magic04_three_quarters.csv.gz"
    text = gzip.decompress(source.read_bytes()).decode()
    header, _, rows = text.partition("\n")
    with zipfile.ZipFile(mirror / "magic+gamma+telescope.zip", "w") as archive:
        archive.writestr("magic04.data", rows)
        archive.writestr("magic04.names", (real_data / "magic" / "magic04.names").read_text())
    spec = of_fewer_rows("magic", 14265, 0)
    assert [n.lower() for n in spec.dataset.table.names] == header.lower().split(",")
    events = load_events(spec)
    assert len(events) == 14265
    assert len(events.features) == 10
    assert sorted(set(events.y)) == ["g", "h"]


def test_hepmass_is_split_by_file(mirror: Path):
    header = ",".join(["# label", *(f"f{i}" for i in range(27)), "mass"])
    for name, rows in (("all_train", 6), ("all_test", 4)):
        with gzip.open(mirror / f"{name}.csv.gz", "wt") as file:
            file.write(header + "\n")
            for i in range(rows):
                values = [f"{i % 2:.18e}", *(f"{i + j / 7:.6e}" for j in range(28))]
                file.write(",".join(values) + "\n")
    task = as_task(of_fewer_rows("hepmass", 10, 4))
    assert len(task.events.features) == 28
    (split,) = task.splits
    assert (list(split.train), list(split.test)) == (list(range(6)), list(range(6, 10)))
