from __future__ import annotations

import pytest
import yaml

from hepml_tasks.errors import SpecError
from hepml_tasks.spec import find_task, read_task, to_mapping


@pytest.fixture
def with_columns(tmp_path):
    """Read the toy task with other declarations of columns."""

    def read(columns, **dataset):
        data = to_mapping(find_task("toy-higgs"))
        data["dataset"] |= {"columns": columns, **dataset}
        data["dataset"].pop("files")
        path = tmp_path / "task.yaml"
        path.write_text(yaml.safe_dump({k: v for k, v in data.items() if v is not None}))
        return read_task(path)

    return read


def test_a_column_may_be_declared_in_part(with_columns):
    declared = with_columns({"PRI_met": {"unit": "GeV"}, "Label": {}}).dataset.columns
    assert declared["PRI_met"].unit == "GeV"
    assert declared["PRI_met"].min is None
    assert declared["Label"].undefined


@pytest.mark.parametrize(
    ("column", "told"),
    [
        ({"min": 2, "max": 1}, "min 2 is above max 1"),
        ({"type": "text", "min": 0}, "a column of type text has no min and no max"),
        ({"type": "number"}, "columns.PRI_met.type"),
        ({"untis": "GeV"}, "did you mean 'unit'"),
        ({"min": "low"}, "columns.PRI_met.min"),
        ({"max": float("inf")}, "columns.PRI_met.max"),
    ],
)
def test_a_wrong_declaration_is_told_with_its_column(with_columns, column, told):
    with pytest.raises(SpecError) as caught:
        with_columns({"PRI_met": column})
    assert told in str(caught.value)
    assert "PRI_met" in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("date", ["2014", "2014-05", "2014-05-27"])
def test_a_date_of_publication_may_be_a_year(with_columns, date):
    assert with_columns({}, published=date).dataset.published == date


def test_a_date_of_another_form_is_told(with_columns):
    with pytest.raises(SpecError, match="published"):
        with_columns({}, published="May 2014")
