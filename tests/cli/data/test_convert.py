from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import awkward as ak
import numpy as np
import pyarrow as pa
import pytest
import uproot

from hepml_tasks.formats.stream import TableStream, roles_in, stream_of, with_roles
from hepml_tasks.formats.tables import read_table, write_table

PLAIN = pa.table({"x": [1.5, None, 2.5], "n": [1, 2, 3], "label": ["s", "b", None]})


@pytest.fixture
def source(tmp_path: Path) -> Path:
    write_table(stream_of(PLAIN), tmp_path / "in.csv")
    return tmp_path / "in.csv"


def test_a_file_is_converted_and_told(hepml, source: Path, tmp_path: Path):
    done = hepml("data", "convert", source, tmp_path / "out.root")
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout == f"{tmp_path / 'out.root'}: 3 rows, 3 columns\n"
    assert read_table(tmp_path / "out.root").equals(PLAIN)


def test_lists_are_padded_or_flattened_and_what_is_left_out_is_told(
    hepml, real_data: Path, tmp_path: Path
):
    source, target = real_data / "root" / "uproot-HZZ.root", tmp_path / "out.parquet"
    done = hepml("data", "convert", source, target)
    assert done.returncode == 1
    assert "--flatten" in done.stderr
    assert not target.exists()
    columns = ["--column", "met=hypot(MET_px, MET_py)", "--column", "Jet_E"]
    done = hepml("data", "convert", source, target, "--pad", 1, *columns, "--json")
    told = json.loads(done.stdout)
    assert (told["rows"], told["columns"]) == (2421, ["met", "Jet_E_0"])
    with uproot.open(source) as file:
        jets = ak.num(file["events"]["Jet_E"].array())
    assert told["left_out"] == {"elements of Jet_E beyond 1": int(ak.sum(jets[jets > 1] - 1))}
    done = hepml(
        "data", "convert", source, target, "--flatten", *columns, "--select", "NJet > 0", "--json"
    )
    told = json.loads(done.stdout)
    assert (told["rows"], told["columns"]) == (int(ak.sum(jets)), ["met", "Jet_E"])
    assert told["left_out"] == {}


def test_roles_are_kept_where_the_format_can(hepml, tmp_path: Path):
    table = PLAIN.cast(with_roles(PLAIN.schema, {"label": "target", "x": "feature"}))
    write_table(stream_of(table), tmp_path / "a.parquet")
    for first, second in (("parquet", "root"), ("root", "h5"), ("h5", "arff"), ("arff", "parquet")):
        done = hepml("data", "convert", tmp_path / f"a.{first}", tmp_path / f"a.{second}")
        assert done.returncode == 0, done.stderr
    found = read_table(tmp_path / "a.parquet")
    assert roles_in(found.schema) == {"label": "target", "x": "feature"}
    assert found.equals(table)


def test_a_csv_file_without_names_gets_them(hepml, tmp_path: Path):
    (tmp_path / "in.csv").write_text("1.0e+00,0.5\n0.0e+00,1.5\n")
    done = hepml("data", "convert", tmp_path / "in.csv", tmp_path / "o.h5", "--names", "label, pt")
    assert done.returncode == 0, done.stderr
    assert read_table(tmp_path / "o.h5").to_pydict() == {"label": [1.0, 0.0], "pt": [0.5, 1.5]}


@pytest.mark.parametrize(
    ("table", "ending", "problem"),
    [
        (pa.table({"x": [float("inf")]}), ".arff", "column 'x' holds an infinite value"),
        (pa.table({"x": [2**53 + 1]}), ".arff", "column 'x' holds 9007199254740993, which"),
        (pa.table({"x": ["é"]}), ".arff", "'é' is not plain ASCII"),
        (pa.table({"é": ["x"]}), ".arff", "'é' is not plain ASCII"),
        (pa.table({"x": [[1.0], []]}), ".csv", "column 'x' holds lists"),
        (pa.table({"x": [[1.0], []]}), ".root", "column 'x' holds lists"),
        (pa.table({"x": [[1.0], []]}), ".h5", "column 'x' holds lists"),
        (pa.table({"x": [b"\0"]}), ".h5", "column 'x' of type binary has no place in HDF5"),
        (pa.table({"a/b": [1]}), ".h5", "column 'a/b'"),
    ],
)
def test_what_would_be_lost_is_refused_and_nothing_is_written(
    hepml, tmp_path: Path, table: pa.Table, ending: str, problem: str
):
    write_table(stream_of(table), tmp_path / "in.parquet")
    target = tmp_path / f"out{ending}"
    target.write_text("what was there")
    done = hepml("data", "convert", tmp_path / "in.parquet", target)
    assert done.returncode == 1
    assert done.stderr.startswith(f"hepml: error: {target}: ")
    assert problem in done.stderr
    assert done.stderr.count("\n") == 1
    assert target.read_text() == "what was there"
    assert sorted(p.name for p in tmp_path.iterdir()) == ["in.parquet", target.name]


@pytest.mark.parametrize(
    ("arguments", "code", "problem"),
    [
        (["in.csv", "out.xyz"], 1, "out.xyz: its ending is none of"),
        (["none.csv", "out.h5"], 1, "none.csv: no such file"),
        (["ragged.csv", "out.h5"], 1, "ragged.csv, line 3: 1 fields where the header has 2"),
        (["in.csv", "out.h5", "--flatten", "--pad", "2"], 2, "either --flatten or --pad"),
        (["in.csv", "out.h5", "--pad", "0"], 2, "--pad"),
        (["in.csv", "out.h5", "--column", "y"], 1, "in.csv: expression 'y': no column 'y'"),
        (["in.csv", "out.h5", "--column", "=x"], 2, "write NAME or NAME=EXPRESSION"),
        (["in.csv", "out.h5", "--column", "y=x.real"], 1, "is not allowed"),
        (["in.csv", "folder/no/x.h5"], 1, "can't be written"),
        (["in.csv", "in.csv"], 1, "in.csv: is the file to read"),
        (["root://eospublic.cern.ch//x.root", "o.h5"], 2, "is an address and no file"),
        (["in.csv", "https://zenodo.org/o.h5"], 2, "is an address and no file"),
        (["in.csv", "out.h5", "--names", "a,b,a"], 2, "--names has 'a' twice"),
    ],
)
def test_what_was_typed_wrongly_is_told_in_one_line(
    hepml, source: Path, tmp_path: Path, arguments, code, problem
):
    (tmp_path / "ragged.csv").write_text("a,b\n1,2\n3\n")
    (tmp_path / "folder").write_text("a file")
    done = hepml("data", "convert", *arguments, cwd=tmp_path)
    assert done.returncode == code
    assert problem in done.stderr
    assert "Traceback" not in done.stderr
    assert read_table(source).equals(PLAIN)


def test_a_full_disk_is_one_clear_error(source: Path):
    # /dev/full is what a full disk is
    done = subprocess.run(
        [sys.executable, "-c", FULL, str(source)], capture_output=True, text=True, check=False
    )
    assert "OutputError" in done.stdout, done.stderr
    assert "No space left" in done.stdout


FULL = """
import sys
from pathlib import Path
from contextlib import contextmanager
from hepml_tasks.formats import tables

@contextmanager
def full(path):
    yield Path("/dev/full")

tables.atomic_path = full
try:
    tables.convert_table(Path(sys.argv[1]), Path("out.csv"))
except Exception as error:
    print(type(error).__name__, error)
"""

LIMITED = """
import resource, sys
from pathlib import Path
from hepml_tasks.formats.tables import convert_table

small, big, target, room = *map(Path, sys.argv[1:4]), int(sys.argv[4])
# what the libraries take, once, is no matter of the file's size
convert_table(small, target)
taken = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
resource.setrlimit(resource.RLIMIT_AS, (taken + room, taken + room))
print(convert_table(big, target).rows)
"""


def make(path: Path, batches: int) -> int:
    rng = np.random.default_rng(0)
    rows = 20_000
    columns = {f"x{i}": np.round(rng.normal(0, 100, rows), 4) for i in range(32)}
    batch = pa.RecordBatch.from_pydict(
        {
            **columns,
            "n": pa.array(np.arange(rows), mask=rng.random(rows) < 0.1),
            "label": np.where(rng.random(rows) < 0.5, "s", "b"),
        }
    )
    write_table(TableStream(batch.schema, (batch for _ in range(batches))), path)
    return batches * rows


def convert_limited(folder: Path, first: str, second: str, batches: int, room: int) -> None:
    small, big = folder / f"small{first}", folder / f"big{first}"
    make(small, 3)
    rows = make(big, batches)
    command = [sys.executable, "-c", LIMITED, small, big, folder / f"out{second}", room]
    done = subprocess.run([*map(str, command)], capture_output=True, text=True, check=False)
    assert done.stdout == f"{rows}\n", done.stderr[-2000:]


@pytest.mark.slow
@pytest.mark.parametrize(("first", "second"), [(".csv", ".parquet"), (".parquet", ".arff")])
def test_a_table_much_larger_than_the_memory_is_converted(tmp_path: Path, first, second):
    room = 100_000_000
    convert_limited(tmp_path, first, second, 60, room)
    held = 60 * 20_000 * 33 * 8
    assert held > 3 * room


@pytest.mark.campaign
@pytest.mark.parametrize(
    ("first", "second"),
    [(".csv", ".parquet"), (".parquet", ".arff"), (".arff", ".h5"), (".h5", ".root")],
)
def test_a_file_ten_times_the_memory_is_converted(tmp_path: Path, first: str, second: str):
    room = 100_000_000
    convert_limited(tmp_path, first, second, 260, room)
    size = (tmp_path / f"big{first}").stat().st_size
    assert (260 * 20_000 * 33 * 8 if first == ".parquet" else size) > 10 * room
