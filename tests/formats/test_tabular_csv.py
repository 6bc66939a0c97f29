from __future__ import annotations

import csv
import gzip
import zipfile
from pathlib import Path

import pyarrow as pa
import pytest

from hepml_tasks.errors import FormatError
from hepml_tasks.formats.stream import stream_of
from hepml_tasks.formats.tables import read_table, write_table
from hepml_tasks.spec import TableSpec


def read(tmp_path: Path, text: str | bytes) -> pa.Table:
    path = tmp_path / "t.csv"
    path.write_bytes(text.encode() if isinstance(text, str) else text)
    return read_table(path)


def test_a_column_is_what_all_of_its_values_are(tmp_path: Path):
    # the type changes far behind the first block of eight megabytes
    rows = ["1,2,x,true"] * 900_000 + ["1.5,2,7,false"]
    table = read(tmp_path, "a,b,c,d\n" + "\n".join(rows))
    assert table.schema.types == [pa.float64(), pa.int64(), pa.string(), pa.bool_()]
    assert table.num_rows == 900_001
    assert table["a"][900_000].as_py() == 1.5


def test_an_empty_field_is_undefined_and_a_quoted_one_is_empty_text(tmp_path: Path):
    table = read(tmp_path, 'a,b\n,\n1,""\n')
    assert table.to_pydict() == {"a": [None, 1], "b": [None, ""]}


def test_quoted_numbers_are_text_unless_everything_is_quoted(tmp_path: Path):
    assert read(tmp_path, 'id,x\n"007",1.5\n')["id"].to_pylist() == ["007"]
    assert read(tmp_path, '"id","x"\n"7","1.5"\n').to_pylist() == [{"id": 7, "x": 1.5}]


@pytest.mark.parametrize(
    "table",
    [
        pa.table({"1.5": ["05", "x y"], "2": [1, 2]}),
        pa.table({"1.5": ["05"]}),
        pa.table({"a b": ["x y"]}),
        pa.table({"a;b": ["x;y"]}),
        pa.table({"0": [1], "1": [2]}),
    ],
)
def test_names_that_look_otherwise_are_names(tmp_path: Path, table: pa.Table):
    write_table(stream_of(table), tmp_path / "t.csv")
    assert read_table(tmp_path / "t.csv").equals(table)


def test_dates_stay_text(tmp_path: Path):
    table = read(tmp_path, "day,time,x\n2014-06-01,12:00:00,1\n")
    assert table.to_pylist() == [{"day": "2014-06-01", "time": "12:00:00", "x": 1}]


def test_a_byte_order_mark_is_no_part_of_a_name(tmp_path: Path):
    assert read(tmp_path, b"\xef\xbb\xbfa,b\r\n1,2\r\n").column_names == ["a", "b"]


def test_one_column_keeps_its_undefined_values(tmp_path: Path):
    table = pa.table({"x": [None, 1.5, None]})
    write_table(stream_of(table), tmp_path / "t.csv")
    assert read_table(tmp_path / "t.csv").equals(table)


def test_a_file_without_rows_keeps_its_columns(tmp_path: Path):
    table = read(tmp_path, "a,b\n")
    assert (table.num_rows, table.column_names) == (0, ["a", "b"])


def test_python_reads_what_is_written(tmp_path: Path):
    table = pa.table({"a b": [1.25, None], 'c"': ['x,"y"', "é\n"]})
    write_table(stream_of(table), tmp_path / "t.csv")
    with (tmp_path / "t.csv").open(newline="", encoding="utf-8") as file:
        assert list(csv.reader(file)) == [["a b", 'c"'], ["1.25", 'x,"y"'], ["", "é\n"]]


def test_equal_tables_give_equal_bytes_compressed_too(tmp_path: Path):
    table = pa.table({"x": [1.5, 2.5], "y": ["a", "b"]})
    for name in ("t.csv.gz", "t.csv.zip"):
        write_table(stream_of(table), tmp_path / name)
        first = (tmp_path / name).read_bytes()
        write_table(stream_of(table), tmp_path / name)
        assert (tmp_path / name).read_bytes() == first
    text = gzip.decompress((tmp_path / "t.csv.gz").read_bytes())
    with zipfile.ZipFile(tmp_path / "t.csv.zip") as archive:
        assert archive.read("t.csv") == text == b'x,y\n1.5,"a"\n2.5,"b"\n'


def test_real_higgs_events_are_read(real_data: Path):
    path = real_data / "higgsml" / "atlas-higgs-challenge-2014-v2.first18000.csv.gz"
    table = read_table(path)
    assert (table.num_rows, table.num_columns) == (18_000, 35)
    assert table.schema.field("EventId").type == pa.int64()
    assert table.schema.field("PRI_jet_num").type == pa.int64()
    assert table.schema.field("Label").type == pa.string()


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("a,b\n1,2\n3\n4,5\n", "line 3: 1 fields where the header has 2"),
        ('a,b\n"x\ny",2\n3,4,5\n', "line 4: 3 fields where the header has 2"),
        ("a,b\n" + "1,2\n" * 3_000_000 + "1\n", "line 3000002: 1 fields"),
        ("a,a\n1,2\n", "two columns 'a'"),
        ("a,\n1,2\n", "column 2 has no name"),
        ("", "is empty"),
        ("\n\n", "is empty"),
        ("<!DOCTYPE html><html>no such file</html>", "is a web page"),
        ("1.0e+00,28.5\n0,-3\n", "its first line has numbers and no names; .*--names"),
        ("pt;eta\n1,5;2,0\n", "its fields stand between ';' and not between commas"),
        ("pt\teta\n1\t2\n", "its fields stand between '.t' and not between commas"),
        ("pt eta\n1 2\n", "its fields stand between spaces and not between commas"),
        (b"a,b\n\xff\xfe,1\n", "column 'a': .*UTF8"),
        (b"\x89HDF\r\n\x1a\n\xff\x00", "not UTF-8 text"),
    ],
)
def test_a_broken_file_is_named_with_the_line_and_the_problem(tmp_path: Path, text, problem):
    with pytest.raises(FormatError, match=f"t.csv.*{problem}"):
        read(tmp_path, text)


def test_columns_without_a_place_in_text_are_refused(tmp_path: Path):
    table = pa.table({"x": pa.array([[1, 2]])})
    with pytest.raises(FormatError, match=r"t.csv: column 'x' holds lists .*--pad N or --flatten"):
        write_table(stream_of(table), tmp_path / "t.csv")
    assert list(tmp_path.iterdir()) == []


def zipped(path: Path, **members: str) -> Path:
    with zipfile.ZipFile(path, "w") as archive:
        for name, text in members.items():
            archive.writestr(name.replace("__", "/").replace("_csv", ".csv"), text)
    return path


def test_a_file_in_a_zip_archive_is_named_where_there_are_several(tmp_path: Path):
    path = zipped(tmp_path / "t.zip", train_csv="x\n1\n", test_csv="x\n2\n")
    with pytest.raises(FormatError, match=r"holds train.csv, test.csv; name one .*member"):
        read_table(path)
    assert read_table(path, TableSpec(member="test.csv"))["x"].to_pylist() == [2]
    with pytest.raises(FormatError, match=r"no 'other.csv' among train.csv, test.csv"):
        read_table(path, TableSpec(member="other.csv"))


@pytest.mark.parametrize("name", ["../x.csv", "a/../x.csv", "/etc/x.csv", "..\\x.csv", "C:x.csv"])
def test_a_zip_archive_that_points_out_of_itself_is_refused(tmp_path: Path, name: str):
    with zipfile.ZipFile(tmp_path / "t.zip", "w") as archive:
        archive.writestr(name, "x\n1\n")
    with pytest.raises(FormatError, match="points out of the archive"):
        read_table(tmp_path / "t.zip")


@pytest.mark.parametrize("name", ["bomb.csv.gz", "bomb.zip"])
def test_a_bomb_is_refused_before_it_fills_the_memory(tmp_path: Path, name: str):
    path, piece = tmp_path / name, b"1,2\n" * 1_000_000
    if name.endswith(".gz"):
        path.write_bytes(gzip.compress(piece, 9) * 60)
    else:
        with (
            zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED, compresslevel=9) as archive,
            archive.open("x.csv", "w") as file,
        ):
            for _ in range(60):
                file.write(piece)
    with pytest.raises(FormatError, match="grows more than 200 times when it is decompressed"):
        read_table(path)


def test_a_damaged_or_locked_archive_is_refused(tmp_path: Path):
    path = zipped(tmp_path / "t.zip", x_csv="x\n" + "1\n" * 1000)
    (tmp_path / "cut.zip").write_bytes(path.read_bytes()[:-30])
    with pytest.raises(FormatError, match=r"cut.zip: can't be read as zip .*is the file whole"):
        read_table(tmp_path / "cut.zip")
    path = zipped(tmp_path / "t.zip", x_root="no text")
    with pytest.raises(FormatError, match=r"no .csv; unpack it"):
        read_table(path)


def named(tmp_path: Path, text: str, *names: str) -> pa.Table:
    path = tmp_path / "t.csv"
    path.write_text(text)
    return read_table(path, TableSpec(names=names))


def test_a_file_without_a_line_of_names_is_given_them(tmp_path: Path):
    table = named(tmp_path, "1.5,g\n2.5,h\n", "x", "class")
    assert table.to_pydict() == {"x": [1.5, 2.5], "class": ["g", "h"]}


@pytest.mark.parametrize(
    ("names", "problem"),
    [
        (("x",), "line 1: 2 fields where 1 names are given"),
        (("x", "y"), "line 1: has the columns' names itself; remove `names`"),
    ],
)
def test_names_have_to_fit_the_file(tmp_path: Path, names, problem):
    with pytest.raises(FormatError, match=problem):
        named(tmp_path, "x,y\n1,2\n", *names)


def test_names_are_for_formats_that_may_lack_them(tmp_path: Path):
    write_table(stream_of(pa.table({"x": [1]})), tmp_path / "t.parquet")
    with pytest.raises(FormatError, match="Parquet has the columns' names itself"):
        read_table(tmp_path / "t.parquet", TableSpec(names=("x",)))
