from __future__ import annotations

import math
from pathlib import Path

import arff as liac
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hepml_tasks.errors import FormatError
from hepml_tasks.formats.arff import Attribute, read_arff, write_arff

ascii_text = st.text(st.characters(min_codepoint=32, max_codepoint=126), min_size=1, max_size=12)
numbers = st.none() | st.floats(allow_nan=False, allow_infinity=False)


# liac-arff neither quotes nor unescapes some of the other marks as it should
plain_text = st.text("abcXYZ019 ,_-.()=<>", min_size=1, max_size=8).filter(lambda t: t == t.strip())


@st.composite
def tables(draw, ascii_text=ascii_text):
    rows = draw(st.integers(1, 6))
    names = draw(st.lists(ascii_text, min_size=1, max_size=4, unique=True))
    columns = []
    for _ in names:
        values = draw(st.sampled_from([numbers, st.none() | ascii_text]))
        column = draw(st.lists(values, min_size=rows, max_size=rows))
        texts = any(isinstance(v, str) for v in column)
        columns.append(pa.array(column, pa.string() if texts else pa.float64()))
    return pa.table(columns, names=names)


@given(table=tables())
def test_what_is_written_reads_back_equal(table: pa.Table, tmp_path_factory):
    path = tmp_path_factory.mktemp("arff") / "table.arff"
    write_arff(table, path, relation="a table")
    back = read_arff(path)
    assert back.relation == "a table"
    assert back.table.equals(table)


@given(table=tables(plain_text))
def test_liac_arff_reads_the_same_values(table: pa.Table, tmp_path_factory):
    path = tmp_path_factory.mktemp("arff") / "table.arff"
    write_arff(table, path, relation="a table")
    theirs = liac.loads(path.read_text())
    assert [name for name, _ in theirs["attributes"]] == table.column_names
    assert [tuple(row) for row in theirs["data"]] == [tuple(r.values()) for r in table.to_pylist()]


@given(table=tables(plain_text))
def test_what_liac_arff_writes_is_read(table: pa.Table, tmp_path_factory):
    path = tmp_path_factory.mktemp("arff") / "table.arff"
    write_arff(table, path, relation="a table")
    path.write_text(liac.dumps(liac.loads(path.read_text())))
    assert read_arff(path).table.to_pylist() == table.to_pylist()


def test_nan_and_null_are_both_written_as_undefined(tmp_path: Path):
    write_arff(pa.table({"x": [1.5, math.nan, None]}), tmp_path / "x.arff", relation="x")
    assert (tmp_path / "x.arff").read_text().endswith("@DATA\n1.5\n?\n?\n")


def test_a_production_dataset_is_read_with_its_declared_types(real_data: Path):
    file = read_arff(real_data / "openml_fixtures" / "datasets__2__dataset.arff")
    by_name = {a.name: a for a in file.attributes}
    assert by_name["carbon"] == Attribute("carbon", "numeric")
    assert by_name["class"].values == ("1", "2", "3", "4", "5", "U")
    assert file.table.num_rows == 898


def test_an_integer_column_stays_integer(tmp_path: Path):
    path = tmp_path / "x.arff"
    path.write_text(
        "% c\n@relation r\n@attribute n INTEGER\n@attribute 'a b' {x, 'y z'}\n"
        "@data\n% c\n1,x\n2,'y z'\n"
    )
    file = read_arff(path)
    assert file.table["n"].type == pa.int64()
    assert file.table["a b"].to_pylist() == ["x", "y z"]


def test_blanks_around_fields_and_both_kinds_of_quotes_are_read_as_liac_arff_does(tmp_path: Path):
    path = tmp_path / "x.arff"
    path.write_text(
        """@relation r
@attribute a string
@attribute c {"s x", 'b, c'}
@attribute d numeric
@data
"it's, ok" , 's x', 5
'say "hi"',"s x",\t?
  plain , 'b, c' , 7\t
 ? , ?, 3
"""
    )
    with path.open() as file:
        theirs = liac.load(file)["data"]
    assert [list(row.values()) for row in read_arff(path).table.to_pylist()] == theirs
    assert theirs[0] == ["it's, ok", "s x", 5.0]


@st.composite
def sparse_rows(draw):
    number = st.floats(allow_nan=False, allow_infinity=False, width=32)
    row = st.fixed_dictionaries(
        {}, optional={0: number, 1: st.sampled_from(["b c", "d'e"]), 2: st.integers(-9, 9)}
    )
    return draw(st.lists(row, min_size=1, max_size=5))


@given(rows=sparse_rows())
def test_sparse_rows_of_liac_arff_are_read_with_what_they_leave_out(rows, tmp_path_factory):
    path = tmp_path_factory.mktemp("arff") / "sparse.arff"
    kinds = [("x", "REAL"), ("k", ["a", "b c", "d'e"]), ("n", "INTEGER")]
    path.write_text(liac.dumps({"relation": "r", "attributes": kinds, "data": rows}))
    file = read_arff(path)
    assert file.sparse
    assert [tuple(row.values()) for row in file.table.to_pylist()] == [
        (row.get(0, 0.0), row.get(1, "a"), row.get(2, 0)) for row in rows
    ]


def test_sparse_rows_may_be_undefined_empty_and_commented(tmp_path: Path):
    path = tmp_path / "sparse.arff"
    head = "@relation r\n@attribute x real\n@attribute k {a,b}\n@attribute t string\n@data\n"
    path.write_text(head + "% a comment\n\n{ }\n{0 ?, 1 ?, 2 'some text'}\n{1 b}\n")
    assert read_arff(path).table.to_pydict() == {
        "x": [0.0, None, 0.0],
        "k": ["a", None, "b"],
        "t": [None, "some text", None],
    }


def test_few_bytes_of_sparse_rows_do_not_become_a_huge_table(tmp_path: Path):
    path = tmp_path / "sparse.arff"
    columns = "".join(f"@attribute x{i} real\n" for i in range(20_000))
    path.write_text(f"@relation r\n{columns}@data\n" + "{}\n" * 2501)
    with pytest.raises(FormatError, match="stand for more than 50000000 values"):
        read_arff(path)


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("@relation r\n@attribute x numeric\n", "ends before @DATA"),
        ("@relation r\n@attribute x numeric\n@data\n1,2\n", "[Ee]xpected 1 columns, got 2"),
        ("@relation r\n@attribute x numeric\n@data\none\n", "column 'x'"),
        ("@relation r\n@attribute x {a}\n@data\nb\n", "column 'x' holds 'b'"),
        ("@relation r\n@attribute x {a\n@data\na\n", "line 2: nominal values without"),
        ("@relation r\n@attribute x frobnicated\n@data\n1\n", "unknown type 'frobnicated'"),
        ("@relation r\n@attribute x numeric\n@data\n{0 1}\n2\n", "line 5: a dense row among"),
        ("@relation r\n@attribute x numeric\n@data\n{0 one}\n", "column 'x'"),
        ("@relation r\n@attribute x numeric\n@data\n{1 2}\n", "line 4: column 1, there are 0 to 0"),
        (
            "@relation r\n@attribute x numeric\n@data\n{0 1, 0 2}\n",
            "line 4: column 0 is given twice",
        ),
        ("@relation r\n@attribute x numeric\n@data\n{0 1, two}\n", "no column and value in 'two'"),
        ("<html>\n", "line 1: expected @RELATION"),
        ("", "ends before @DATA"),
    ],
)
def test_a_broken_file_is_named_with_the_place_and_the_problem(tmp_path: Path, text, problem):
    path = tmp_path / "broken.arff"
    path.write_text(text)
    with pytest.raises(FormatError, match=f"broken.arff.*{problem}"):
        read_arff(path)


def test_bytes_that_are_no_text_are_refused(tmp_path: Path):
    path = tmp_path / "x.arff"
    path.write_bytes(b"@relation \xff\xfe\n")
    with pytest.raises(FormatError, match="line 1: not UTF-8"):
        read_arff(path)


def test_an_infinite_value_is_refused_with_its_column(tmp_path: Path):
    with pytest.raises(FormatError, match="column 'x' holds an infinite value"):
        write_arff(pa.table({"x": [math.inf]}), tmp_path / "x.arff", relation="r")


def test_text_that_is_not_ascii_is_refused(tmp_path: Path):
    with pytest.raises(FormatError, match="not plain ASCII"):
        write_arff(pa.table({"x": ["é"]}), tmp_path / "x.arff", relation="r")
