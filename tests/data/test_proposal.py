"""What `hepml new dataset` makes of files that nobody has described."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from hepml_tasks.data.looking import look
from hepml_tasks.data.proposal import Proposal, propose
from hepml_tasks.errors import ColumnError, DataError, OutputError
from hepml_tasks.evaluation.task_files import check_files
from hepml_tasks.formats.stream import stream_of
from hepml_tasks.formats.tables import write_table
from hepml_tasks.spec import TaskSpec, read_task

from ..archives import Archive, archive_at_settings

ROWS = 400


@pytest.fixture
def events() -> pa.Table:
    rng = np.random.default_rng(5)
    signal = rng.random(ROWS) < 0.3
    return pa.table(
        {
            "EventId": np.arange(ROWS) + 100,
            "mass": rng.normal(90, 9, ROWS) + 30 * signal,
            "jet_pt": np.where(rng.random(ROWS) < 0.4, -999.0, rng.exponential(50, ROWS) + 30),
            "charge": rng.choice([-1.0, 1.0], ROWS),
            "process": np.where(signal, 3, 7),
            "Weight": rng.random(ROWS),
            "KaggleWeight": rng.random(ROWS),
            "Set": rng.choice(["train", "test"], ROWS),
            "comment": ["x"] * ROWS,
            "Label": np.where(signal, "s", "b"),
        }
    )


def proposed(tmp_path: Path, table: pa.Table, ending: str, **options) -> tuple[Proposal, TaskSpec]:
    file = tmp_path / f"My_Events{ending}"
    write_table(stream_of(table), file)
    found = propose(str(file), out=tmp_path / "t.yaml", **options)
    (checked,) = check_files([found.path])
    assert not checked.is_wrong, checked.problems
    return found, read_task(found.path)


@pytest.mark.parametrize("ending", [".csv", ".csv.gz", ".parquet", ".arff", ".h5", ".root"])
def test_a_proposal_is_accepted_by_the_checker(tmp_path: Path, events, ending):
    found, spec = proposed(tmp_path, events, ending)
    assert spec.name == "my-events"
    roles = spec.roles
    assert (roles.target, roles.positive, roles.weight) == ("Label", "s", "Weight")
    assert (roles.event_id, roles.split) == ("EventId", "Set")
    assert roles.features == ("mass", "jet_pt", "charge")
    assert spec.dataset.undefined == -999.0
    assert (spec.dataset.rows, found.rows) == (ROWS, ROWS)
    assert (spec.splits[0].train, spec.splits[0].test) == (("train",), ("test",))
    reasons = {g.name: g.why for g in found.guesses.left_out}
    assert "another weight" in reasons["KaggleWeight"]
    assert "one class alone" in reasons["process"]
    assert set(reasons) == {"KaggleWeight", "process", "comment"}


def test_every_guess_says_why_in_a_comment(tmp_path: Path, events):
    found, _ = proposed(tmp_path, events, ".csv")
    text = found.path.read_text()
    for guess in ("target", "positive", "weight", "event_id", "split", "undefined"):
        assert re.search(rf"^ *# .*\n *{guess}: ", text, re.MULTILINE), guess
    # what only the author knows is told, and warned of
    left = [p.field for p in check_files([found.path])[0].problems if "fill in" in p.message]
    assert left == ["title", "about.physicist", "about.ml", *left[3:]]
    assert len(left) + 1 == len(found.left)


def test_another_column_may_be_what_is_predicted(tmp_path: Path, events):
    _, spec = proposed(tmp_path, events, ".parquet", target="mass")
    assert (spec.type, spec.roles.target, spec.roles.positive) == ("regression", "mass", None)
    with pytest.raises(ColumnError, match="has no column 'mas'; did you mean 'mass'"):
        propose(str(tmp_path / "My_Events.parquet"), out=tmp_path / "u.yaml", target="mas")


def test_what_is_there_is_never_overwritten(tmp_path: Path, events):
    found, _ = proposed(tmp_path, events, ".csv")
    before = found.path.read_bytes()
    with pytest.raises(OutputError, match="is there already"):
        propose(str(tmp_path / "My_Events.csv"), out=found.path)
    assert found.path.read_bytes() == before


def test_a_column_to_predict_that_is_not_found_is_left_to_fill_in(tmp_path: Path):
    write_table(stream_of(pa.table({"x": [1.5, 2.5, 3.5]})), tmp_path / "x.csv")
    found = propose(str(tmp_path / "x.csv"), out=tmp_path / "t.yaml")
    (checked,) = check_files([found.path])
    assert any(p.field == "roles.target" and p.level == "error" for p in checked.problems)
    assert any("roles.target" in left for left in found.left)


def test_a_file_without_names_is_given_some(tmp_path: Path):
    rows = "".join(f"{i + 0.5},{i * i},{i % 2}\n" for i in range(45))
    (tmp_path / "n.csv").write_text(rows)
    found = propose(str(tmp_path / "n.csv"), out=tmp_path / "t.yaml")
    spec = read_task(found.path)
    assert spec.dataset.table.names == ("column_1", "column_2", "column_3")
    assert spec.dataset.rows == 45
    assert spec.roles.target == "column_3"


@pytest.mark.parametrize(
    ("values", "sentinel"),
    [
        ([-25.0] * 40 + [30.0 + i for i in range(60)], -25.0),
        ([-25.0] * 40 + [-24.0 + i for i in range(60)], None),
        ([-1.0] * 40 + [0.5 + i for i in range(60)], -1.0),
        ([-1.0] * 50 + [1.0] * 50, None),
        ([-999.0] * 2 + [float(i) for i in range(98)], -999.0),
        ([-999.0] + [float(i) for i in range(99)], None),
    ],
)
def test_a_number_that_stands_apart_again_and_again_means_undefined(values, sentinel):
    assert look(pa.table({"x": values})).sentinel == sentinel


def test_lists_of_a_root_file_become_columns(real_data: Path, tmp_path: Path):
    found = propose(str(real_data / "root" / "uproot-HZZ.root"), out=tmp_path / "t.yaml")
    assert "pad: 2" in found.path.read_text()
    assert found.rows == 2421


@pytest.fixture
def archive(real_data: Path) -> Iterator[Archive]:
    with archive_at_settings(real_data) as archive:
        yield archive


def test_a_record_without_a_table_is_told(archive: Archive, tmp_path: Path):
    with pytest.raises(DataError, match=r"cernopendata:329: none of its files is a table"):
        propose("cernopendata:329", out=tmp_path / "t.yaml")
