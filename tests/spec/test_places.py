from __future__ import annotations

from pathlib import Path

import pytest

from hepml_tasks.spec.places import field_name, line_of

TEXT = """\
# a comment
name: x
dataset:
  creators: [A, B]
  files:
    - name: a.csv

    - name: b.csv
      urls:
        - http://h/b.csv
"""


@pytest.mark.parametrize(
    ("field", "line"),
    [
        (("name",), 2),
        (("dataset",), 3),
        (("dataset", "creators", 1), 4),
        (("dataset", "files", 1, "urls", 0), 10),
        (("dataset", "licence"), 3),
        (("nowhere",), 2),
    ],
)
def test_a_field_is_found_on_its_line_or_on_that_of_what_holds_it(tmp_path: Path, field, line):
    path = tmp_path / "task.yaml"
    path.write_text(TEXT)
    assert line_of(path, field) == line


def test_a_file_that_can_not_be_read_has_no_lines(tmp_path: Path):
    (tmp_path / "bad.yaml").write_text("a: [")
    assert line_of(tmp_path / "bad.yaml", ("a",)) is None
    assert line_of(tmp_path / "none.yaml", ("a",)) is None


def test_a_field_is_written_as_error_messages_do():
    assert field_name(("dataset", "files", 0, "urls", 2)) == "dataset.files[0].urls[2]"
