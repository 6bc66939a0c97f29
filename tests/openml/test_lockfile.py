from __future__ import annotations

from pathlib import Path

import pytest

from hepml_tasks import settings
from hepml_tasks.errors import OutputError, SpecError
from hepml_tasks.openml.lockfile import default_lock, entry_of, keep_entry, read_lock

ROOT = "https://www.openml.org"


def test_what_is_kept_is_found_again_by_server_kind_and_name(tmp_path: Path):
    path = tmp_path / "new" / "openml.lock"
    assert read_lock(path) == {}
    assert keep_entry(path, ROOT, "tasks", "b/c@1", {"id": 2})
    assert keep_entry(path, ROOT, "tasks", "a/c@1", {"id": 1})
    assert keep_entry(path, "http://h:1", "tasks", "a/c@1", {"id": 7})
    assert entry_of(path, ROOT, "tasks", "a/c@1") == {"id": 1}
    assert entry_of(path, "http://h:1", "tasks", "a/c@1") == {"id": 7}
    assert entry_of(path, ROOT, "datasets", "a/c@1") is None
    # sorted, so that a change is a small diff
    assert path.read_text().index("a/c@1") < path.read_text().index("b/c@1")


def test_what_is_known_already_leaves_the_file_alone(tmp_path: Path):
    path = tmp_path / "openml.lock"
    keep_entry(path, ROOT, "suites", "s", {"id": 2})
    before = path.stat().st_mtime_ns
    assert not keep_entry(path, ROOT, "suites", "s", {"id": 2})
    assert path.stat().st_mtime_ns == before


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("a: [", "it is not YAML"),
        ("[1]", "`servers:` is missing"),
        ("servers: 3", "`servers:` is missing"),
        ("servers: {h: {what: {}}}", "other fields than"),
        ("servers: {h: {tasks: {a: 3}}}", "tasks: a has no id"),
        ("servers: {h: {tasks: [a]}}", "has no id"),
    ],
)
def test_what_is_no_lock_file_is_an_error_with_what_to_do(tmp_path: Path, text, reason):
    path = tmp_path / "openml.lock"
    path.write_text(text)
    with pytest.raises(SpecError, match=reason) as caught:
        read_lock(path)
    assert "take it from version control again" in str(caught.value)


def test_a_folder_that_can_not_be_written_is_an_error_with_another_way(tmp_path: Path):
    (tmp_path / "file").write_text("")
    with pytest.raises(OutputError, match="name another file with --lock"):
        keep_entry(tmp_path / "file" / "openml.lock", ROOT, "tasks", "a", {"id": 1})


def test_ids_of_a_server_on_this_machine_are_kept_apart_from_what_is_committed(tmp_path: Path):
    task = tmp_path / "tasks" / "t.yaml"
    suite = tmp_path / "tasks" / "suites" / "s.yaml"
    assert default_lock(ROOT, task) == tmp_path / "tasks" / "openml.lock"
    assert default_lock(ROOT, suite) == tmp_path / "tasks" / "openml.lock"
    for root in ("http://127.0.0.1:80", "http://localhost:80", "http://[::1]:80"):
        assert default_lock(root, task) == settings.state_dir() / "openml.lock"
