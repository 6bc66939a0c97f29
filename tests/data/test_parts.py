"""Several files as one table, and rows that are marked by where they stand."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pyarrow as pa
import pytest

from hepml_tasks.data.parts import marked, stacked
from hepml_tasks.data.table import load_table
from hepml_tasks.errors import ColumnError, DataError, FormatError
from hepml_tasks.spec import DatasetSpec, FileSpec, PartsSpec

PARTS = PartsSpec(column="part")


@pytest.fixture
def dataset(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> DatasetSpec:
    monkeypatch.setenv("HEPML_MIRRORS", str(tmp_path))
    (tmp_path / "train.csv").write_text("y,x\n0,1\n1,2\n0,3\n")
    (tmp_path / "test.csv").write_text("x,y\n4.5,1\n5.5,0\n")
    return DatasetSpec(
        name="two",
        version="1",
        description="",
        licence="CC0",
        creators=(),
        citation="",
        files=(FileSpec(name="train.csv", part="train"), FileSpec(name="test.csv", part="test")),
        parts=PARTS,
        rows=5,
    )


def test_files_stand_below_each_other_with_their_parts_name(dataset: DatasetSpec):
    table = load_table(dataset)
    assert table["part"].to_pylist() == ["train"] * 3 + ["test"] * 2
    # columns are found by name, and whole numbers beside fractions are numbers
    assert table["x"].to_pylist() == [1.0, 2.0, 3.0, 4.5, 5.5]
    assert table["y"].to_pylist() == [0, 1, 0, 1, 0]
    assert load_table(dataset).equals(table)


def test_another_order_of_the_files_is_another_table(dataset: DatasetSpec):
    first = load_table(dataset)
    other = load_table(replace(dataset, files=tuple(reversed(dataset.files))))
    assert other["part"].to_pylist() == ["test"] * 2 + ["train"] * 3
    assert not other.equals(first)


def test_a_file_without_a_parts_name_is_named_as_itself(dataset: DatasetSpec):
    files = tuple(replace(f, part=None) for f in dataset.files)
    assert set(load_table(replace(dataset, files=files))["part"].to_pylist()) == {
        "train.csv",
        "test.csv",
    }


def test_files_of_other_columns_are_no_part_of_the_table(dataset: DatasetSpec, tmp_path: Path):
    (tmp_path / "test.csv").write_text("x,z\n4.5,1\n")
    with pytest.raises(ColumnError, match=r"test.csv: has no column 'y', which another file"):
        load_table(dataset)


def test_columns_of_other_kinds_are_no_part_of_the_table():
    tables = [pa.table({"x": [1.5]}), pa.table({"x": ["a"]})]
    with pytest.raises(FormatError, match=r"a.csv, b.csv: are not one table"):
        stacked(tables, ["a", "b"], PARTS, ["a.csv", "b.csv"])


def test_rows_are_marked_by_their_range():
    parts = PartsSpec(column="part", rows={"test": (3, 5), "train": (0, 3)})
    table = marked(pa.table({"x": range(5)}), parts, "t.csv")
    assert table["part"].to_pylist() == ["train"] * 3 + ["test"] * 2


@pytest.mark.parametrize("rows", [4, 6])
def test_ranges_have_to_end_where_the_rows_do(rows: int):
    parts = PartsSpec(column="part", rows={"train": (0, 3), "test": (3, 5)})
    with pytest.raises(DataError, match=rf"t.csv: {rows} rows where the parts in 'part' end at 5"):
        marked(pa.table({"x": range(rows)}), parts, "t.csv")


def test_the_column_of_the_parts_must_be_none_of_the_files():
    parts = PartsSpec(column="x", rows={"a": (0, 1)})
    with pytest.raises(ColumnError, match=r"t.csv: has a column 'x' itself"):
        marked(pa.table({"x": [1]}), parts, "t.csv")


@pytest.mark.parametrize(
    ("rows", "told"),
    [
        ({"a": (0, 3), "b": (2, 5)}, "b begins at 2, in a part that ends at 3"),
        ({"a": (0, 3), "b": (4, 5)}, "3 to 3 are in no part"),
        ({"a": (1, 3)}, "0 to 0 are in no part"),
        ({"a": (0, 0)}, "a has no row"),
    ],
)
def test_every_row_is_in_one_part(rows, told):
    with pytest.raises(ValueError, match=told):
        PartsSpec(column="part", rows=rows)


@pytest.mark.parametrize(
    ("fields", "told"),
    [
        ({"parts": None}, "files: several are one table with parts"),
        ({"parts": PartsSpec(column="p", rows={"a": (0, 5)})}, "none for several files"),
        ({"files": (FileSpec(name="a.csv"),)}, "give rows for one file"),
        (
            {
                "files": (FileSpec(name="a.csv"),),
                "parts": PartsSpec(column="p", rows={"a": (0, 6)}),
            },
            "rows ends at 6, and there are 5 rows",
        ),
    ],
)
def test_files_and_parts_fit_together(dataset: DatasetSpec, fields, told):
    with pytest.raises(ValueError, match=told):
        replace(dataset, **fields)


@pytest.fixture
def collisions(dataset: DatasetSpec, tmp_path: Path) -> DatasetSpec:
    (tmp_path / "hits2.csv").write_text("hit,x\n1,5.0\n2,6.0\n")
    (tmp_path / "truth2.csv").write_text("hit,particle\n2,27028813309280256\n1,0\n")
    (tmp_path / "hits10.csv").write_text("hit,x\n1,7.0\n")
    (tmp_path / "truth10.csv").write_text("hit,particle\n1,3\n")
    names = (("hits2", "2"), ("truth2", "2"), ("hits10", "10"), ("truth10", "10"))
    files = tuple(FileSpec(name=f"{n}.csv", part=p) for n, p in names)
    return replace(dataset, files=files, parts=PartsSpec(column="event", join=("hit",)), rows=3)


def test_files_of_a_part_stand_side_by_side_row_by_row(collisions: DatasetSpec):
    table = load_table(collisions)
    assert table.column_names == ["hit", "x", "particle", "event"]
    assert table["event"].to_pylist() == [2, 2, 10]
    assert table["x"].to_pylist() == [5.0, 6.0, 7.0]
    # more digits than a float64 has
    assert table["particle"].to_pylist() == [0, 27028813309280256, 3]


@pytest.mark.parametrize(
    ("truth", "message"),
    [
        ("hit,particle\n2,5\n3,0\n", "have not one partner each by hit"),
        ("hit,particle\n2,5\n2,0\n", "have not one partner each by hit"),
        ("hit,particle\n2,5\n", "have not one partner each by hit"),
        ("hits,particle\n2,5\n1,0\n", "no column 'hit', by which .* did you mean 'hits'"),
        ("hit,x\n2,5\n1,0\n", "column 'x' is in another file of its part too"),
    ],
)
def test_rows_without_one_partner_each_are_refused(
    collisions: DatasetSpec, tmp_path: Path, truth: str, message: str
):
    (tmp_path / "truth2.csv").write_text(truth)
    with pytest.raises((DataError, ColumnError), match=message):
        load_table(collisions)


def test_files_without_a_part_are_not_joined(collisions: DatasetSpec):
    files = (replace(collisions.files[0], part=None), *collisions.files[1:])
    with pytest.raises(ValueError, match="join needs the part of each file"):
        replace(collisions, files=files)
