from __future__ import annotations

from pathlib import Path

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pyarrow import parquet

from hepml_tasks.errors import FormatError
from hepml_tasks.formats.jagged import flattened, padded
from hepml_tasks.formats.stream import TableStream, table_of
from hepml_tasks.formats.tables import read_table
from hepml_tasks.spec import TableSpec

lists = st.lists(st.none() | st.lists(st.none() | st.integers(-9, 9), max_size=5), max_size=8)


def stream(column: list, size: int) -> TableStream:
    table = pa.table({"row": range(len(column)), "x": pa.array(column, pa.list_(pa.int64()))})
    # slices of one array: their offsets don't start at 0
    return TableStream(table.schema, table.to_batches(max_chunksize=size), table.num_rows)


@given(column=lists, size=st.integers(1, 4))
def test_flattening_gives_each_element_a_row(column, size):
    source = stream(column, size)
    found = table_of(flattened(source, "t")).to_pylist()
    wanted = [{"row": i, "x": v} for i, x in enumerate(column) for v in x or []]
    assert found == wanted
    empty = sum(not x for x in column)
    assert source.left_out == ({"rows without elements": empty} if empty else {})


@given(column=lists, size=st.integers(1, 4), width=st.integers(1, 4))
def test_padding_gives_each_place_a_column(column, size, width):
    source = stream(column, size)
    found = table_of(padded(source, width, "t"))
    assert found.column_names == ["row", *(f"x_{i}" for i in range(width))]
    for i in range(width):
        wanted = [x[i] if x and len(x) > i else None for x in column]
        assert found[f"x_{i}"].to_pylist() == wanted
    over = sum(max(len(x or []) - width, 0) for x in column)
    assert sum(source.left_out.values()) == over


def test_arrays_of_one_length_are_padded_too():
    table = pa.table({"x": pa.array([[1, 2], None, [3, 4]], pa.list_(pa.int64(), 2))})
    source = TableStream(table.schema, table.slice(1).to_batches(), 2)
    found = table_of(padded(source, 3, "t"))
    assert found.to_pydict() == {"x_0": [None, 3], "x_1": [None, 4], "x_2": [None, None]}


def test_lists_of_different_length_cannot_share_rows(tmp_path: Path):
    table = pa.table({"jet": [[1.0], [2.0, 3.0]], "muon": [[1.0], [2.0]]})
    parquet.write_table(table, tmp_path / "t.parquet")
    with pytest.raises(FormatError, match=r"in row 1 'jet' has 2 elements and 'muon' has 1"):
        read_table(tmp_path / "t.parquet", TableSpec(flatten=True))


def test_a_padded_name_that_is_taken_is_refused():
    table = pa.table({"x": [[1.0]], "x_0": [1.0]})
    with pytest.raises(FormatError, match="two columns 'x_0'"):
        padded(TableStream(table.schema, table.to_batches()), 1, "t")


def test_lists_of_lists_are_refused():
    table = pa.table({"x": [[[1.0]]]})
    with pytest.raises(FormatError, match="lists of lists"):
        flattened(TableStream(table.schema, table.to_batches()), "t")
