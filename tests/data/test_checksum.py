from __future__ import annotations

from pathlib import Path

import pyarrow as pa
import pytest

from hepml_tasks.data.checksum import checksum_of, table_sha256


@pytest.mark.parametrize(
    ("algorithm", "expected"),
    [
        ("adler32", "adler32:11e60398"),
        ("md5", "md5:25f9e794323b453885f5181f1b624d0b"),
        ("sha256", "sha256:15e2b0d3c33891ebb0f1ef609ec419420c20e320ce94c65fbc8c3312448eb225"),
    ],
)
def test_checksums_are_the_known_ones(tmp_path: Path, algorithm: str, expected: str):
    path = tmp_path / "x"
    path.write_bytes(b"123456789" if algorithm != "adler32" else b"Wikipedia")
    assert checksum_of(path, algorithm) == expected


def test_a_tables_checksum_does_not_depend_on_its_chunks():
    table = pa.table({"x": [1.0, None, 3.0], "Label": ["s", "b", None]})
    chunked = pa.concat_tables([table.slice(0, 1), table.slice(1)])
    assert table_sha256(table) == table_sha256(chunked)


@pytest.mark.parametrize(
    "other",
    [
        {"x": [1.0, 0.0, 3.0], "Label": ["s", "b", None]},
        {"x": [1.0, None, 3.5], "Label": ["s", "b", None]},
        {"y": [1.0, None, 3.0], "Label": ["s", "b", None]},
        {"x": [1.0, None, 3.0], "Label": ["s", "b", "b"]},
        {"x": [1.0, None, 3.0], "Label": ["sb", "", None]},
    ],
)
def test_a_tables_checksum_tells_other_contents_apart(other):
    table = pa.table({"x": [1.0, None, 3.0], "Label": ["s", "b", None]})
    assert table_sha256(table) != table_sha256(pa.table(other))
