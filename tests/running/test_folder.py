from __future__ import annotations

import json
from pathlib import Path

import pytest

from hepml_tasks.errors import RunError
from hepml_tasks.running.folder import RunFolder, folders_in, open_folder


def test_a_folder_keeps_its_uuid_when_it_is_opened_again(tmp_path: Path):
    first = open_folder(tmp_path, "a-run", {"seed": 0}).description
    assert open_folder(tmp_path, "a-run", {"seed": 0}).description == first
    assert [f.path.name for f in folders_in(tmp_path)] == ["a-run"]


def test_a_layout_of_the_future_is_refused(tmp_path: Path):
    folder = open_folder(tmp_path, "a-run", {})
    record = folder.path / "run.json"
    record.write_text(json.dumps({**json.loads(record.read_text()), "layout": 99}))
    with pytest.raises(RunError, match="layout 99 is not 1; use the version"):
        _ = folder.description


@pytest.mark.parametrize("text", ["", "{", "[]"])
def test_a_broken_record_names_its_file(tmp_path: Path, text: str):
    (tmp_path / "run.json").write_text(text)
    with pytest.raises(RunError, match="run.json"):
        _ = RunFolder(tmp_path).description


def test_an_unfinished_run_has_no_predictions(tmp_path: Path):
    folder = open_folder(tmp_path, "a-run", {})
    assert not folder.is_complete
    with pytest.raises(RunError, match="is the run finished"):
        _ = folder.predictions
