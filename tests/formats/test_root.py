from __future__ import annotations

import shutil
from pathlib import Path

import awkward as ak
import numpy as np
import pyarrow as pa
import pytest
import uproot

from hepml_tasks.errors import FormatError
from hepml_tasks.formats.stream import stream_of, with_roles
from hepml_tasks.formats.tables import open_table, read_table, write_table
from hepml_tasks.spec import TableSpec


@pytest.fixture
def hzz(real_data: Path) -> Path:
    return real_data / "root" / "uproot-HZZ.root"


@pytest.fixture
def zmumu(real_data: Path) -> Path:
    return real_data / "root" / "uproot-Zmumu.root"


def make_tree(file, name: str, content: dict) -> None:
    types = {n: v.type if isinstance(v, ak.Array) else v.dtype for n, v in content.items()}
    file.mktree(name, types).extend(content)


def test_a_plain_tree_is_a_table_with_its_types(zmumu: Path):
    table = read_table(zmumu)
    assert table.num_rows == 2304
    assert table.schema.field("Type").type == pa.string()
    assert table.schema.field("Run").type == pa.int32()
    with uproot.open(zmumu) as file:
        theirs = file["events"].arrays(library="np")
    assert all(table[n].to_numpy().tolist() == v.tolist() for n, v in theirs.items())


def test_lists_of_any_length_need_a_rule(hzz: Path):
    with pytest.raises(FormatError, match=r"'Jet_Px' and 22 others hold .*--flatten .*--pad"):
        read_table(hzz)


def test_muons_are_flattened_as_awkward_does(hzz: Path):
    spec = TableSpec(
        columns={"pt": "sqrt(Muon_Px**2 + Muon_Py**2)", "charge": "Muon_Charge", "met": "MET_px"},
        selection="NMuon >= 2",
        flatten=True,
    )
    table = read_table(hzz, spec)
    with uproot.open(hzz) as file:
        a = file["events"].arrays()
    a = a[a.NMuon >= 2]
    pt = np.sqrt(a.Muon_Px**2 + a.Muon_Py**2)
    assert table["pt"].to_pylist() == ak.flatten(pt).to_list()
    assert table["charge"].to_pylist() == ak.flatten(a.Muon_Charge).to_list()
    assert table["met"].to_pylist() == ak.flatten(ak.broadcast_arrays(a.MET_px, pt)[0]).to_list()
    assert table.schema.field("pt").type == pa.float32()


def test_jets_are_padded_as_awkward_does_and_what_is_cut_is_counted(hzz: Path):
    spec = TableSpec(columns={"Jet_E": "Jet_E", "n": "len(Jet_E)"}, pad=2)
    with open_table(hzz, spec) as stream:
        table = pa.Table.from_batches(list(stream.batches))
        left_out = stream.left_out
    with uproot.open(hzz) as file:
        energies = file["events"]["Jet_E"].array()
    wanted = ak.pad_none(energies, 2, clip=True).to_list()
    assert [list(r) for r in zip(*table.select([0, 1]).to_pydict().values(), strict=True)] == wanted
    assert table["n"].to_pylist() == ak.num(energies).to_list()
    over = int(ak.sum(ak.num(energies)[ak.num(energies) > 2] - 2))
    assert left_out == {"elements of Jet_E beyond 2": over}


def test_only_the_branches_that_are_needed_are_read(real_data: Path, tmp_path: Path):
    path = tmp_path / "t.root"
    with uproot.recreate(path) as file:
        make_tree(file, "events", {"x": np.arange(3.0), "lists": ak.Array([[1], [], [2, 3]])})
    table = read_table(path, TableSpec(columns={"x": "x", "two": "2 * x"}))
    assert table.to_pydict() == {"x": [0, 1, 2], "two": [0, 2, 4]}


def test_one_of_several_trees_is_named(tmp_path: Path):
    path = tmp_path / "t.root"
    with uproot.recreate(path) as file:
        make_tree(file, "signal", {"x": np.array([1.0])})
        make_tree(file, "folder/background", {"x": np.array([2.0])})
    with pytest.raises(FormatError, match=r"holds trees .*signal.*--tree"):
        read_table(path)
    assert read_table(path, TableSpec(tree="signal"))["x"].to_pylist() == [1.0]
    assert read_table(path, TableSpec(tree="folder/background"))["x"].to_pylist() == [2.0]
    with pytest.raises(FormatError, match=r"no tree 'signals'; did you mean 'signal'"):
        read_table(path, TableSpec(tree="signals"))


def test_a_file_without_a_tree_says_what_it_holds(tmp_path: Path):
    with uproot.recreate(tmp_path / "t.root") as file:
        file["h"] = np.histogram([1.0, 2.0])
    with pytest.raises(FormatError, match=r"t.root: holds no TTree, but TH1D"):
        read_table(tmp_path / "t.root")


def test_an_rntuple_is_none_and_what_to_do_is_told(tmp_path: Path):
    with uproot.recreate(tmp_path / "t.root") as file:
        file.mkrntuple("events", {"x": np.arange(3.0)})
    with pytest.raises(FormatError, match=r"not from an RNTuple: write a TTree"):
        read_table(tmp_path / "t.root")


@pytest.mark.parametrize("name", ["root:/x/t.root", "https:/x/t.root"])
def test_a_path_that_begins_as_an_address_is_not_looked_for_elsewhere(
    zmumu: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
):
    monkeypatch.chdir(tmp_path)
    Path(name).parent.mkdir(parents=True)
    with pytest.raises(FormatError, match="t.root: no such file"):
        read_table(Path(name))
    shutil.copy(zmumu, name)
    assert read_table(Path(name)).num_rows == 2304


@pytest.mark.parametrize("name", ["t:events.root", "with space.root"])
def test_a_path_is_a_path_and_no_address_of_a_tree(zmumu: Path, tmp_path: Path, name: str):
    shutil.copy(zmumu, tmp_path / name)
    assert read_table(tmp_path / name).num_rows == 2304


@pytest.mark.parametrize("part", [0, 3, 50, 1000, 50_000, -100])
def test_a_file_cut_off_anywhere_is_one_clear_error(zmumu: Path, tmp_path: Path, part: int):
    (tmp_path / "t.root").write_bytes(zmumu.read_bytes()[:part])
    with pytest.raises(FormatError, match=r"t.root: can't be read as \w+ .*is the file whole"):
        read_table(tmp_path / "t.root")


def test_what_is_written_is_read_by_uproot_alone(tmp_path: Path):
    table = pa.table(
        {
            "x": pa.array([1.5, None, 2.5], pa.float32()),
            "n": pa.array([1, None, 3], pa.int16()),
            "s": ["a", "", "é" * 300],
            "shower": pa.array([[1.0, 2.0]] * 3, pa.list_(pa.float32(), 2)),
        }
    )
    schema = with_roles(table.schema, {"x": "feature"})
    write_table(stream_of(table.cast(schema)), tmp_path / "t.root")
    with uproot.open(tmp_path / "t.root") as file:
        assert file.keys(cycle=False) == ["hepml", "events"]
        tree = file["events"]
        assert tree["x"].typename == "float"
        np.testing.assert_array_equal(tree["x"].array(library="np"), [1.5, np.nan, 2.5])
        assert tree["n"].array().to_list() == [1, 0, 3]
        assert tree["n_undefined"].array().to_list() == [False, True, False]
        assert tree["s"].array().to_list() == ["a", "", "é" * 300]
        assert tree["shower"].array().to_list() == [[1.0, 2.0]] * 3
    assert read_table(tmp_path / "t.root").schema.equals(schema, check_metadata=True)


@pytest.mark.parametrize(
    ("column", "problem"),
    [
        (pa.array([[1, 2], []]), "holds lists"),
        (pa.array([[1, None], None], pa.list_(pa.int64(), 2)), "a list with an undefined int64"),
        (pa.array([["a"], ["b"]], pa.list_(pa.string(), 1)), "has no place in ROOT"),
        (pa.array([{"a": 1}, {"a": 2}]), "has no place in ROOT"),
        (pa.array([b"a", b"b"]), "has no place in ROOT"),
    ],
)
def test_columns_that_no_branch_can_hold_are_refused(tmp_path: Path, column, problem):
    with pytest.raises(FormatError, match=f"t.root: column 'x' .*{problem}"):
        write_table(stream_of(pa.table({"x": column})), tmp_path / "t.root")
    assert list(tmp_path.iterdir()) == []


def test_a_name_that_is_a_path_is_refused(tmp_path: Path):
    with pytest.raises(FormatError, match="column 'a/b': a branch's name has no '/'"):
        write_table(stream_of(pa.table({"a/b": [1]})), tmp_path / "t.root")
