from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from hepml_tasks.formats.stream import TableStream, roles_in, stream_of, with_roles
from hepml_tasks.formats.tables import convert_table, read_table, write_table
from hepml_tasks.spec import TableSpec

ENDINGS = (".csv", ".csv.gz", ".csv.zip", ".parquet", ".arff", ".root", ".h5")
TYPED = (".parquet", ".arff", ".root", ".h5")
"""Formats that keep types and roles."""

WITH_ARRAYS = (".parquet", ".root", ".h5")

names = st.text("abcXYZ019_ .-()é,'", min_size=1, max_size=6).filter(
    lambda n: n.strip() == n and not n.endswith(".")
)
ascii_names = names.filter(str.isascii)
# what some format can't say is refused, which is tested where the format is
texts = st.text(st.characters(min_codepoint=32, max_codepoint=126), max_size=6)
EXACT = 2**53


def numbers(kind: pa.DataType) -> st.SearchStrategy:
    if pa.types.is_boolean(kind):
        return st.booleans()
    if pa.types.is_floating(kind):
        return st.floats(width=kind.bit_width, allow_nan=False, allow_infinity=False)
    bounds = np.iinfo(kind.to_pandas_dtype())
    return st.integers(max(int(bounds.min), -EXACT), min(int(bounds.max), EXACT))


KINDS = (
    *(pa.int8(), pa.int16(), pa.int32(), pa.int64()),
    *(pa.uint8(), pa.uint16(), pa.uint32(), pa.uint64()),
    *(pa.float16(), pa.float32(), pa.float64(), pa.bool_()),
)


@st.composite
def tables(draw, arrays: bool = False) -> pa.Table:
    rows = draw(st.integers(0, 7))
    columns = {}
    for name in draw(st.lists(ascii_names, min_size=1, max_size=4, unique=True)):
        kind = draw(st.sampled_from([*KINDS, pa.string(), "category"]))
        values = texts if kind in (pa.string(), "category") else numbers(kind)
        if arrays and kind in KINDS and draw(st.booleans()):
            # an undefined integer within a list has no place in some formats
            inner = st.none() | values if pa.types.is_floating(kind) else values
            size = draw(st.integers(1, 3))
            values, kind = st.lists(inner, min_size=size, max_size=size), pa.list_(kind, size)
        column = draw(st.lists(st.none() | values, min_size=rows, max_size=rows))
        if kind == "category":
            columns[name] = pa.array(column, pa.string()).dictionary_encode()
        elif kind == pa.float16():
            halves = [None if v is None else np.float16(v) for v in column]
            columns[name] = pa.array(halves, kind)
        else:
            columns[name] = pa.array(column, kind)
    table = pa.table(columns)
    roles = {name: draw(st.sampled_from(["feature", "weight"])) for name in table.column_names[:2]}
    return table.cast(with_roles(table.schema, roles))


def in_batches(table: pa.Table, size: int) -> TableStream:
    # an iterator, as when a file is read: it can't be read twice
    batches = iter(table.to_batches(max_chunksize=size))
    return TableStream(table.schema, batches, table.num_rows)


def without_categories(table: pa.Table) -> pa.Table:
    fields = [
        f.with_type(pa.string()) if pa.types.is_dictionary(f.type) else f for f in table.schema
    ]
    return table.cast(pa.schema(fields))


def assert_same(found: pa.Table, table: pa.Table, *, typed: bool) -> None:
    assert found.column_names == table.column_names
    table, found = without_categories(table), without_categories(found)
    if typed:
        assert found.schema.types == table.schema.types
        assert roles_in(found.schema) == roles_in(table.schema)
    else:
        columns = zip(found.columns, table.schema, strict=True)
        found = pa.table([c.cast(f.type, safe=False) for c, f in columns], schema=table.schema)
    assert found.to_pydict() == table.to_pydict()


FEW = settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.too_slow])


@pytest.mark.parametrize("ending", ENDINGS)
@given(table=tables(), size=st.integers(1, 4))
@FEW
def test_what_is_written_reads_back_equal(tmp_path_factory, ending: str, table, size):
    path = tmp_path_factory.mktemp("t") / f"table{ending}"
    write_table(in_batches(table, size), path)
    assert_same(read_table(path), table, typed=ending in TYPED)


@given(table=tables(), first=st.sampled_from(ENDINGS), second=st.sampled_from(ENDINGS))
@settings(FEW, max_examples=80)
def test_any_format_is_converted_to_any(tmp_path_factory, table, first, second):
    folder = tmp_path_factory.mktemp("t")
    write_table(stream_of(table), folder / f"a{first}")
    done = convert_table(folder / f"a{first}", folder / f"b{second}")
    assert (done.rows, done.columns) == (table.num_rows, tuple(table.column_names))
    both = first in TYPED and second in TYPED
    assert_same(read_table(folder / f"b{second}"), table, typed=both)


@given(
    table=tables(arrays=True),
    first=st.sampled_from(WITH_ARRAYS),
    second=st.sampled_from(WITH_ARRAYS),
)
@settings(FEW, max_examples=60)
def test_arrays_of_one_length_are_kept(tmp_path_factory, table, first, second):
    folder = tmp_path_factory.mktemp("t")
    write_table(stream_of(table), folder / f"a{first}")
    convert_table(folder / f"a{first}", folder / f"b{second}")
    assert_same(read_table(folder / f"b{second}"), table, typed=True)


@pytest.mark.parametrize("ending", ENDINGS)
def test_nan_is_undefined_in_every_format(tmp_path: Path, ending: str):
    table = pa.table({"x": [1.0, math.nan, None], "n": [1, 2, 3]})
    write_table(stream_of(table), tmp_path / f"t{ending}")
    assert read_table(tmp_path / f"t{ending}")["x"].to_pylist() == [1.0, None, None]


@pytest.mark.parametrize("ending", [e for e in ENDINGS if e != ".arff"])
def test_infinite_values_and_large_integers_are_kept(tmp_path: Path, ending: str):
    table = pa.table(
        {
            "x": [math.inf, -math.inf, None],
            "n": [2**63 - 1, -(2**63), 0],
            "u": pa.array([2**64 - 1, 2**53 + 1, 0], pa.uint64()),
        }
    )
    write_table(stream_of(table), tmp_path / f"t{ending}")
    assert read_table(tmp_path / f"t{ending}").equals(table)


@pytest.mark.parametrize("ending", [e for e in ENDINGS if e != ".arff"])
def test_text_of_any_kind_is_kept(tmp_path: Path, ending: str):
    values = [
        "é ∑ 漢",
        "",
        None,
        '"',
        "a,b\nc\r\nd",
        " x ",
        "NA",
        "null",
        "?",
        "007",
        "1e5",
        "\\",
        "true",
    ]
    table = pa.table({"é": values, "n": list(range(len(values)))})
    write_table(stream_of(table), tmp_path / f"t{ending}")
    assert read_table(tmp_path / f"t{ending}").to_pydict() == table.to_pydict()


@pytest.mark.parametrize("ending", ENDINGS)
@pytest.mark.parametrize("name", ["uproot-Zmumu", "uproot-HZZ"])
def test_a_real_root_file_goes_to_each_format_and_back(
    real_data: Path, tmp_path: Path, name: str, ending: str
):
    source = real_data / "root" / f"{name}.root"
    table = read_table(source, TableSpec(pad=3))
    convert_table(source, tmp_path / f"t{ending}", TableSpec(pad=3))
    convert_table(tmp_path / f"t{ending}", tmp_path / "back.root")
    back = read_table(tmp_path / "back.root")
    assert table.num_rows > 2000
    if ending in TYPED:
        assert back.schema == table.schema
    assert back.cast(table.schema).equals(table)


@pytest.fixture(scope="module")
def nanoaod(real_data: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, pa.Table]:
    """Convert a NanoAOD file once: uproot takes seconds for its thousand branches."""
    source = real_data / "root" / "nanoAOD_2015_CMS_Open_Data_ttbar.root"
    path = tmp_path_factory.mktemp("nanoaod") / "t.parquet"
    convert_table(source, path, TableSpec(pad=1))
    table = read_table(source, TableSpec(pad=1))
    assert table.num_columns > 900
    assert read_table(path).equals(table)
    return path, table


@pytest.mark.slow
@pytest.mark.parametrize("ending", ENDINGS)
def test_a_real_nanoaod_file_goes_to_each_format_and_back(
    nanoaod: tuple[Path, pa.Table], tmp_path: Path, ending: str
):
    source, table = nanoaod
    convert_table(source, tmp_path / f"t{ending}")
    back = read_table(tmp_path / f"t{ending}")
    if ending in TYPED:
        assert back.schema == table.schema
    assert back.cast(table.schema).equals(table)
