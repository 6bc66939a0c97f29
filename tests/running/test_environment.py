from __future__ import annotations

import json
from importlib.metadata import version

import pytest

from hepml_tasks.running.environment import begin_session, environment
from hepml_tasks.running.folder import RunFolder


def test_the_environment_is_plain_data_with_installed_versions():
    record = json.loads(json.dumps(environment()))
    assert record["packages"]["scikit-learn"] == version("scikit-learn")
    assert record["hardware"]["memory_bytes"] > 1e8


def test_commit_and_image_can_be_told_where_they_cannot_be_found_out(
    monkeypatch: pytest.MonkeyPatch,
):
    monkeypatch.setenv("HEPML_COMMIT", "abc123")
    monkeypatch.setenv("HEPML_IMAGE", "hepml:0.1.0")
    record = environment()
    assert (record["commit"], record["image"]) == ("abc123", "hepml:0.1.0")


def test_every_session_of_a_run_is_kept(tmp_path, monkeypatch: pytest.MonkeyPatch):
    folder = RunFolder(tmp_path)
    for image in ("one", "two", "three"):
        monkeypatch.setenv("HEPML_IMAGE", image)
        begin_session(folder)
    record = folder.environment
    assert record["image"] == "three"
    assert [e["image"] for e in record["earlier"]] == ["one", "two"]
