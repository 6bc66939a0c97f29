from __future__ import annotations

import contextlib
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pyarrow import parquet

from hepml_tasks.errors import FormatError
from hepml_tasks.formats.expressions import parse
from hepml_tasks.formats.tables import read_table
from hepml_tasks.spec import TableSpec

TABLE = pa.table(
    {
        "px": pa.array([3.0, -1.0, None], pa.float32()),
        "py": pa.array([4.0, 0.0, 1.0], pa.float32()),
        "n": [2, 0, 5],
        "my jet": [[1.0, 2.0], [], [5.0]],
        "label": ["s", "b", "s"],
        "ok": [True, None, False],
    }
)


def compute(tmp_path: Path, expression: str, selection: str | None = None) -> list:
    parquet.write_table(TABLE, tmp_path / "t.parquet")
    spec = TableSpec(columns={"x": expression}, selection=selection)
    return read_table(tmp_path / "t.parquet", spec)["x"].to_pylist()


@pytest.mark.parametrize(
    ("expression", "values"),
    [
        ("sqrt(px**2 + py**2)", [5.0, 1.0, None]),
        ("-px + 1", [-2.0, 2.0, None]),
        ("n // 2 % 2", [1, 0, 0]),
        ("log(px) * 0 + 1", [1.0, None, None]),
        ("n > 1 and px < 4", [True, False, None]),
        ("(n > 1) & ~(py == 4) | (label == 'b')", [False, True, True]),
        ("n > 1 and not py == 4 or label == 'b'", [False, True, True]),
        ("(n & 4) > 0", [False, False, True]),
        ("((n) ^ 1) == 3", [True, False, False]),
        ("pow(px, 2)", [9.0, 1.0, None]),
        ("0 < n <= 2", [True, False, False]),
        ("not ok", [False, None, True]),
        ("where(n > 1, py, -1)", [4.0, -1.0, 1.0]),
        ("defined(px)", [True, True, False]),
        ("len(`my jet`)", [2, 0, 1]),
        ("sum(`my jet`) + n", [5.0, 0.0, 10.0]),
        ("max(`my jet`)", [2.0, None, 5.0]),
        ("any(`my jet` > 1)", [True, False, True]),
        ("`my jet` * 2", [[2.0, 4.0], [], [10.0]]),
        ("my jet", [[1.0, 2.0], [], [5.0]]),
        ("label", ["s", "b", "s"]),
        ("1", [1, 1, 1]),
        ("hypot(3, 4) + 2**3", [13.0, 13.0, 13.0]),
    ],
)
def test_an_expression_gives_what_its_mathematics_say(tmp_path: Path, expression, values):
    assert compute(tmp_path, expression) == values


def test_rows_are_kept_where_the_selection_is_true(tmp_path: Path):
    assert compute(tmp_path, "n", "px > -5") == [2, 0]
    assert compute(tmp_path, "n", "ok") == [2]
    assert compute(tmp_path, "n", "n > 99") == []


def test_single_precision_stays_single(tmp_path: Path):
    parquet.write_table(TABLE, tmp_path / "t.parquet")
    spec = TableSpec(columns={"pt": "2 * px + 1.5", "px": "px"})
    table = read_table(tmp_path / "t.parquet", spec)
    assert table.schema.types == [pa.float32(), pa.float32()]


@pytest.mark.parametrize(
    ("expression", "problem"),
    [
        ("__import__('os').system('true')", "not allowed"),
        ("px.__class__", "not allowed"),
        ("[x for x in px]", "not allowed"),
        ("lambda: 1", "not allowed"),
        ("px[0]", "not allowed; a list's first elements become columns with --pad"),
        ("open('x')", "no function 'open'"),
        ("f'{px}'", "not allowed"),
        ("(px := 1)", "not allowed"),
        ("sqrt(*px)", "not allowed"),
        ("sqrt(px, out=py)", "not allowed"),
        ("1j * px", "not allowed"),
        ("px if ok else py", "not allowed"),
        ("px @ py", "not allowed"),
        ("n << 99999999999", "not allowed"),
        ("px; py", "can't be read"),
        ("import os", "can't be read"),
        ("px +", "can't be read"),
        ("(" * 500 + "px" + ")" * 500, "can't be read"),
        ("px" + "+px" * 1000, "more than 2000 characters"),
        ("pz + 1", "no column 'pz'; did you mean"),
        ("arctan2(px)", "takes 2 arguments"),
        ("label + 1", "can't be computed"),
        ("sum(px)", "can't be computed.*elements of a list"),
        ("9**9**9**9", "can't be computed"),
        ("'x' * 9999999999", "can't be computed .there is no arithmetic of text"),
        ("px^2", r"can't be computed .*write \*\* for a power"),
        ("n > 1 && px > 2", "can't be read .*for '&&' write and"),
        ("n > 1 || px > 2", "can't be read .*for '\\|\\|' write or"),
        ("!ok", "can't be read .*for '!' write not"),
        ("TMath::Abs(px)", "can't be read .*without its class"),
        ("n > 1 & n < 4", "put parentheses around each comparison"),
        ("n & 1 == 0", "put parentheses around each comparison"),
        ("(n > 1) & (px > 2) == True", "put parentheses around each comparison"),
        ("any(`my jet` > 1 | `my jet` < 0)", "put parentheses around each comparison"),
    ],
)
def test_what_is_no_expression_of_columns_is_refused(tmp_path: Path, expression, problem):
    with pytest.raises(FormatError, match=f"t.parquet: expression .*{problem}"):
        compute(tmp_path, expression)


@pytest.mark.parametrize("selection", ["n", "`my jet` > 1", "1.5"])
def test_a_selection_is_one_truth_a_row(tmp_path: Path, selection: str):
    with pytest.raises(FormatError, match="not true or false for each row"):
        compute(tmp_path, "n", selection)


@given(st.text(max_size=40))
def test_any_text_is_read_or_refused(text: str):
    with contextlib.suppress(FormatError):
        parse(text, ["px", "n"], "t")


numbers = st.lists(st.floats(-1e6, 1e6), min_size=1, max_size=5)


@given(a=numbers, b=st.floats(-10, 10), c=st.floats(0.5, 3))
def test_results_are_numpys(tmp_path_factory, a, b, c):
    path = tmp_path_factory.mktemp("t") / "t.parquet"
    parquet.write_table(pa.table({"a": a}), path)
    text = f"abs(a * {b!r}) ** {c!r} - a / {c!r}"
    found = read_table(path, TableSpec(columns={"x": text}))["x"].to_pylist()
    x = np.asarray(a)
    wanted = np.abs(x * b) ** c - x / c
    assert np.allclose(found, wanted, rtol=1e-12, atol=1e-9)
