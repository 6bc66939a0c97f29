from __future__ import annotations

import pickle
from pathlib import Path

import h5py
import numpy as np
import pyarrow as pa
import pytest

from hepml_tasks.errors import FormatError
from hepml_tasks.formats.hdf5_pandas import texts_of_pickle
from hepml_tasks.formats.stream import stream_of
from hepml_tasks.formats.tables import convert_table, read_table, write_table
from hepml_tasks.spec import TableSpec

HERE = Path(__file__).parent


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "t.h5"


def test_a_dataset_a_column_is_a_table(path: Path):
    with h5py.File(path, "w") as file:
        file["x"] = np.arange(3, dtype=">f4")
        file["n"] = np.arange(3, dtype="i2")
        file["ok"] = np.array([True, False, True])
        file["s"] = np.array([b"a", b"", "é".encode()])
        file["t"] = ["a", "b", "c"]
    table = read_table(path)
    assert table.to_pydict() == {
        "n": [0, 1, 2],
        "ok": [True, False, True],
        "s": ["a", "", "é"],
        "t": ["a", "b", "c"],
        "x": [0.0, 1.0, 2.0],
    }
    assert table.schema.field("x").type == pa.float32()


def test_a_compound_dataset_is_a_table(path: Path):
    rows = np.zeros(4, [("pt", "f8"), ("id", "S3"), ("p", "f4", (2,))])
    rows["pt"], rows["id"], rows["p"] = [1, 2, np.nan, 4], b"ab", [1, 2]
    with h5py.File(path, "w") as file:
        file["group/events"] = rows
    table = read_table(path)
    assert table["pt"].to_pylist() == [1, 2, None, 4]
    assert table["id"].to_pylist() == ["ab"] * 4
    assert table["p"].to_pylist() == [[1, 2]] * 4
    assert read_table(path, TableSpec(member="group/events")).equals(table)


def test_showers_are_lists_of_one_length_and_keep_their_shape(path: Path, tmp_path: Path):
    showers = np.random.default_rng(0).random((50, 4, 3), dtype="f4")
    with h5py.File(path, "w") as file:
        file["showers"] = showers
        file["incident_energies"] = np.arange(50.0).reshape(-1, 1)
    table = read_table(path)
    assert table.schema.field("showers").type == pa.list_(pa.float32(), 12)
    assert table["incident_energies"].to_pylist() == list(range(50))
    for way in ([".h5"], [".parquet", ".h5"], [".root", ".h5"]):
        last = path
        for number, ending in enumerate(way):
            convert_table(last, tmp_path / f"{number}{ending}")
            last = tmp_path / f"{number}{ending}"
        with h5py.File(last) as file:
            np.testing.assert_array_equal(
                file["showers"][:].reshape(50, -1), showers.reshape(50, -1)
            )
            assert file["showers"].shape[0] == 50
    convert_table(path, tmp_path / "t.csv", TableSpec(pad=12))
    assert read_table(tmp_path / "t.csv").num_columns == 13


@pytest.mark.parametrize("name", ["table", "data_columns", "fixed"])
def test_a_table_of_pandas_is_read(name: str):
    # written by pandas 3.1.1 and PyTables 3.11.1; pandas needs PyTables to read it, we don't
    table = read_table(HERE / "pandas" / f"{name}.h5")
    wanted = {
        "pt": pa.array([1.5, None, 3.0]),
        "eta": pa.array([0.5, 1.0, 2.0], pa.float32()),
        "n": pa.array([1, 2, 3]),
        "label": pa.array(["s", "b", None]),
        "phi": pa.array([0.1, 0.2, 0.3]),
        "ok": pa.array([True, False, True]),
    }
    if name == "fixed":
        del wanted["label"]
    assert table.equals(pa.table(wanted))


class Evil:
    def __reduce__(self):
        return (print, ("unpickled",))


@pytest.mark.parametrize("value", [Evil(), ["a", Evil()], {"a": 1}, [1, 2], b"\x80\x04junk"])
def test_a_pickle_of_anything_but_text_is_not_unpickled(value, capsys):
    raw = value if isinstance(value, bytes) else pickle.dumps(value)
    with pytest.raises(FormatError, match="pickle of more than text"):
        texts_of_pickle(raw, "t.h5")
    assert capsys.readouterr().out == ""


@pytest.mark.parametrize("protocol", range(6))
def test_names_in_a_pickle_are_read_without_unpickling(protocol: int):
    names = ["pt", "ηµ", "a b", "n" * 300]
    assert texts_of_pickle(pickle.dumps(names, protocol), "t.h5") == names


def other_file(path: Path) -> Path:
    other = path.with_name("other.h5")
    with h5py.File(other, "w") as file:
        file["x"] = [1.0, 2.0]
    return other


def external_link(file: h5py.File, other: Path) -> None:
    file["x"] = h5py.ExternalLink(str(other), "/x")


def soft_link_through_an_external_one(file: h5py.File, other: Path) -> None:
    file["out"] = h5py.ExternalLink(str(other), "/")
    file["group/x"] = h5py.SoftLink("/out/x")


def external_storage(file: h5py.File, other: Path) -> None:
    file.create_dataset("x", (2,), "f8", external=[(str(other), 0, 16)])


def virtual_dataset(file: h5py.File, other: Path) -> None:
    layout = h5py.VirtualLayout((2,), "f8")
    layout[:] = h5py.VirtualSource(str(other), "x", (2,))
    file.create_virtual_dataset("x", layout)


@pytest.mark.parametrize("make", [external_link, soft_link_through_an_external_one])
def test_a_link_out_of_the_file_is_refused(path: Path, make):
    with h5py.File(path, "w") as file:
        make(file, other_file(path))
    for member in (None, "x", "group/x", "group"):
        with pytest.raises(FormatError, match=r"t.h5: .*(link to another file|no 'x'|no 'group')"):
            read_table(path, TableSpec(member=member))


@pytest.mark.parametrize("make", [external_storage, virtual_dataset])
def test_values_in_another_file_are_refused(path: Path, make):
    with h5py.File(path, "w") as file:
        make(file, other_file(path))
    with pytest.raises(FormatError, match=r"t.h5: /x keeps its values in other files"):
        read_table(path)


def test_a_soft_link_within_the_file_is_followed(path: Path):
    with h5py.File(path, "w") as file:
        file["data/x"] = [1.0, 2.0]
        file["link"] = h5py.SoftLink("/data/x")
        file["round"] = h5py.SoftLink("/round")
    assert read_table(path, TableSpec(member="link"))["x"].to_pylist() == [1.0, 2.0]
    with pytest.raises(FormatError, match="leads to itself"):
        read_table(path, TableSpec(member="round"))


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        ({"x": [1.0, 2.0], "y": [1.0]}, "different numbers of rows .*/x 2, /y 1"),
        ({"x": [1.0, 2.0], "y": 1.0}, "different numbers of rows .*one value"),
        ({"a/x": [1.0], "b/x": [1.0]}, "holds groups a, b; name one"),
        ({"x": np.zeros(2, "c16")}, "'x' holds complex128"),
        ({"x": np.zeros((2, 0))}, "'x' holds float64 of shape"),
        ({}, "no dataset in /"),
    ],
)
def test_what_is_no_table_is_refused_with_what_is_there(path: Path, content, problem):
    with h5py.File(path, "w") as file:
        for name, values in content.items():
            file[name] = values
    with pytest.raises(FormatError, match=f"t.h5: .*{problem}"):
        read_table(path)


def test_columns_that_belong_together_are_chosen_by_expressions(path: Path):
    with h5py.File(path, "w") as file:
        file["x"], file["y"], file["edges"] = [1.0, 2.0], [3.0, 4.0], [0.0, 1.0, 2.0]
    table = read_table(path, TableSpec(columns={"s": "x + y"}))
    assert table.to_pydict() == {"s": [4.0, 6.0]}


@pytest.mark.parametrize("part", [0, 100, 1500])
def test_a_file_cut_off_is_one_clear_error(path: Path, part: int):
    write_table(stream_of(pa.table({"x": np.arange(1000.0)})), path)
    path.write_bytes(path.read_bytes()[:part])
    with pytest.raises(FormatError, match=r"t.h5: can't be read as h5 .*is the file whole"):
        read_table(path)


def test_what_is_written_is_read_by_h5py_alone(path: Path):
    table = pa.table({"x": [1.5, None], "n": [1, None], "s": ["é", None], "ok": [True, False]})
    write_table(stream_of(table), path)
    with h5py.File(path) as file:
        assert list(file) == ["x", "n", "s", "ok", "n_undefined", "s_undefined"]
        np.testing.assert_array_equal(file["x"][:], [1.5, np.nan])
        assert file["n_undefined"][:].tolist() == [False, True]
        assert file["s"].asstr()[:].tolist() == ["é", ""]
    assert read_table(path).equals(table)


def test_text_of_any_length_is_kept(path: Path):
    table = pa.table({"s": ["a" * 100_000, "", None, "b"]})
    write_table(stream_of(table), path)
    assert read_table(path).equals(table)


@pytest.mark.parametrize(
    ("table", "problem"),
    [
        (pa.table({"a/b": [1]}), "'/' stands between groups"),
        (pa.table({"x": ["a\0b"]}), "a zero byte"),
        (pa.table({"x": [[1], []]}), "holds lists"),
    ],
)
def test_columns_that_no_dataset_can_hold_are_refused(path: Path, table, problem):
    with pytest.raises(FormatError, match=f"t.h5: column .*{problem}"):
        write_table(stream_of(table), path)
    assert not path.exists()
