from __future__ import annotations

import gzip
from pathlib import Path

import pyarrow as pa
import pytest
from pyarrow import csv, parquet

from hepml_tasks.errors import FormatError
from hepml_tasks.formats.arff import write_arff
from hepml_tasks.formats.tables import FORMATS, read_table

TABLE = pa.table({"x": [1.5, 2.25], "Label": ["s", "b"]})


def write_gzipped(table: pa.Table, path: Path) -> None:
    with gzip.open(path, "wb") as file:
        csv.write_csv(table, file)


WRITERS = {
    "t.csv": csv.write_csv,
    "t.csv.gz": write_gzipped,
    "t.parquet": parquet.write_table,
    "t.arff": lambda table, path: write_arff(table, path, relation="t"),
}


@pytest.mark.parametrize("name", WRITERS)
def test_a_table_is_read_by_the_ending_of_its_name(tmp_path: Path, name: str):
    WRITERS[name](TABLE, tmp_path / name)
    assert read_table(tmp_path / name).equals(TABLE)


@pytest.mark.parametrize("name", ["t.csv.gz", "t.parquet"])
def test_a_file_cut_short_is_an_error_and_not_fewer_events(tmp_path: Path, name: str):
    WRITERS[name](TABLE, tmp_path / name)
    whole = (tmp_path / name).read_bytes()
    (tmp_path / name).write_bytes(whole[:-6])
    with pytest.raises(FormatError, match=rf"{name}: can't be read .*is the file whole\?"):
        read_table(tmp_path / name)


@pytest.mark.parametrize("ending", FORMATS)
def test_a_web_page_instead_of_a_table_is_told(tmp_path: Path, ending: str):
    path = tmp_path / f"t{ending}"
    path.write_text("<!DOCTYPE html><html>Sign in</html>")
    with pytest.raises(FormatError, match="is a web page and not a table; fetch the file itself"):
        read_table(path)


def test_another_ending_is_refused_with_those_that_are_known(tmp_path: Path):
    with pytest.raises(
        FormatError, match=r"its ending is none of .*.csv, .*.parquet, .arff, .root"
    ):
        read_table(tmp_path / "t.pkl")
