from __future__ import annotations

from pathlib import Path

import arff as liac
import numpy as np
import pyarrow as pa
import pytest
from openml.datasets import OpenMLDataset

from hepml_tasks.errors import FormatError
from hepml_tasks.formats.arff import read_arff, render_arff, write_arff
from hepml_tasks.formats.stream import TableStream, stream_of, with_roles
from hepml_tasks.formats.tables import read_table, write_table

TABLE = pa.table(
    {
        "pt": pa.array([1.25, None, 0.1], pa.float32()),
        "n": [1, None, 3],
        "Label": ["s", "b", "s b"],
        "ok": [True, False, None],
    }
)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "events.arff"


def test_types_and_roles_are_kept_in_a_comment(path: Path):
    table = TABLE.cast(with_roles(TABLE.schema, {"Label": "target"}))
    write_table(stream_of(table), path)
    text = path.read_text("ascii")
    assert text.startswith("% hepml: {")
    assert "@RELATION events\n" in text
    assert "@ATTRIBUTE n INTEGER\n@ATTRIBUTE Label {b, s, 's b'}\n" in text
    assert read_table(path).schema.equals(table.schema, check_metadata=True)
    assert read_table(path).equals(table)


def test_liac_arff_reads_it(path: Path):
    write_table(stream_of(TABLE), path)
    found = liac.loads(path.read_text())
    assert [tuple(row) for row in found["data"]] == [
        (1.25, 1, "s", "true"),
        (None, None, "b", "false"),
        (0.1, 3, "s b", None),
    ]


def test_the_stock_client_reads_it(path: Path):
    write_table(stream_of(TABLE), path)
    dataset = OpenMLDataset("events", "none", data_format="arff", data_file=str(path))
    frame, *_ = dataset.get_data()
    assert list(frame.columns) == TABLE.column_names
    np.testing.assert_array_equal(frame["pt"].to_numpy(float), [1.25, np.nan, 0.1])
    np.testing.assert_array_equal(frame["n"].to_numpy(float), [1, np.nan, 3])
    assert frame["Label"].tolist() == ["s", "b", "s b"]
    assert list(frame["Label"].cat.categories) == ["b", "s", "s b"]


def test_text_of_many_values_is_a_string(path: Path):
    table = pa.table({"id": [f"event {i}" for i in range(3000)]})
    stream = TableStream(table.schema, iter(table.to_batches(max_chunksize=500)))
    write_table(stream, path)
    assert "@ATTRIBUTE id STRING\n" in path.read_text()
    assert read_table(path).equals(table)
    assert [p.name for p in path.parent.iterdir()] == [path.name]


def test_a_table_is_the_same_text_whatever_its_chunks_and_way(path: Path):
    rng = np.random.default_rng(0)
    rows = 50_000
    table = pa.table({"x": rng.normal(size=rows), "y": rng.choice(["a", "b c"], rows)})
    write_arff(table, path, relation="t")
    whole = path.read_bytes()
    pieces = pa.Table.from_batches(table.to_batches(max_chunksize=777))
    write_arff(pieces, path, relation="t")
    assert path.read_bytes() == whole
    with path.open("w", newline="\n") as file:
        render_arff(table, file, relation="t")
    assert path.read_bytes() == whole
    # the shortest text that is the number again, which is Python's own
    found = whole.decode().partition("@DATA\n")[2].splitlines()
    assert [float(line.partition(",")[0]) for line in found] == table["x"].to_pylist()


def test_a_file_of_many_blocks_is_read_whole(path: Path):
    rows = 600_000
    table = pa.table({"x": np.arange(rows) / 7, "c": np.where(np.arange(rows) % 3, "a", "b")})
    write_table(stream_of(table), path)
    assert path.stat().st_size > 8_000_000
    assert read_table(path).equals(table) == read_arff(path).table.equals(table)
    text = path.read_text()
    path.write_text(text[: text.rindex(",")] + ",c\n")
    with pytest.raises(FormatError, match=r"events.arff: column 'c' holds 'c', which its header"):
        read_table(path)


@pytest.mark.parametrize("note", ["{", "[]", '{"roles": 1}', '{"types": []}'])
def test_a_damaged_note_is_told(path: Path, note: str):
    path.write_text(f"% hepml: {note}\n@relation r\n@attribute x numeric\n@data\n1\n")
    with pytest.raises(FormatError, match=r"events.arff: the note of its columns"):
        read_table(path)


def test_a_note_that_tells_another_type_than_the_rows_have_is_told(path: Path):
    note = '{"types": {"x": "int8", "y": "binary"}}'
    text = "@relation r\n@attribute x numeric\n@attribute y numeric\n@data\n"
    path.write_text(f"% hepml: {note}\n{text}1,2\n")
    assert read_table(path).schema.types == [pa.int8(), pa.float64()]
    path.write_text(f"% hepml: {note}\n{text}1.5,2\n")
    with pytest.raises(FormatError, match=r"column 'x' is not the int8 that the file says"):
        read_table(path)
