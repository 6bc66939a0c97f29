from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from hepml_tasks import settings
from hepml_tasks.data.table import load_table
from hepml_tasks.spec import find_task


@pytest.fixture
def table(small_task) -> Path:
    """Have one table in the cache, and what a killed process left beside it."""
    load_table(find_task(str(small_task)).dataset)
    (path,) = (settings.cache_dir() / "tables").glob("*.parquet")
    path.with_name(f".{path.name}.a1b2c3d4").write_bytes(b"half")
    return path


def test_list_says_what_how_large_and_whether_verified(hepml, table):
    done = hepml("cache", "list")
    assert done.returncode == 0, done.stderr
    assert table.name in done.stdout
    assert "verified" in done.stdout
    assert str(settings.cache_dir()) in done.stdout
    found = {e["kind"]: e for e in json.loads(hepml("cache", "list", "--json").stdout)}
    assert found["table"]["size"] == table.stat().st_size
    assert found["table"]["state"] == "verified"
    assert found["rest"]["state"] == "partial"


def test_prune_asks_nothing_and_removes_only_with_yes(hepml, table):
    for arguments in ([], ["--dry-run"]):
        done = hepml("cache", "prune", "--partials", *arguments)
        assert done.returncode == 0
        assert "would remove 4 B" in done.stdout
        assert len(list(table.parent.glob(".*.parquet.a1*"))) == 1
    done = hepml("cache", "prune", "--partials", "--yes", "--json")
    assert [Path(e["path"]).name for e in json.loads(done.stdout)["removed"]] == [
        f".{table.name}.a1b2c3d4"
    ]
    assert table.exists()
    assert hepml("cache", "prune", "--max-size", "1k", "--yes").returncode == 0
    assert not table.exists()
    assert json.loads(hepml("cache", "list", "--json").stdout) == []


@pytest.mark.parametrize(
    ("arguments", "remedy"),
    [
        ([], "--unused-for"),
        (["--max-size", "lots"], "500M"),
        (["--partials", "--yes", "--dry-run"], "opposite"),
    ],
)
def test_a_prune_that_is_typed_wrongly_says_how(hepml, arguments, remedy):
    done = hepml("cache", "prune", *arguments)
    assert done.returncode == 2
    assert remedy in done.stderr


def test_check_exits_with_3_when_something_is_wrong(hepml, table):
    done = hepml("cache", "check")
    assert (done.returncode, done.stdout.strip()) == (0, "every file is right")
    stat = table.stat()
    content = bytearray(table.read_bytes())
    content[-20] ^= 1
    table.write_bytes(content)
    os.utime(table, ns=(stat.st_atime_ns, stat.st_mtime_ns))
    done = hepml("cache", "check", "--json")
    assert done.returncode == 3
    (wrong,) = json.loads(done.stdout)["wrong"]
    assert wrong["path"] == str(table)
    assert not table.exists()
    assert table.with_name(f"{table.name}.wrong").exists()
    assert hepml("cache", "check").returncode == 0


def test_a_cache_that_may_not_be_changed_is_one_line(hepml, table):
    folders = [settings.cache_dir(), *(p for p in settings.cache_dir().rglob("*") if p.is_dir())]
    for folder in folders:
        folder.chmod(0o555)
    try:
        done = hepml("cache", "prune", "--max-size", "0", "--yes", obey_permissions=True)
    finally:
        for folder in folders:
            folder.chmod(0o755)
    assert done.returncode == 1
    (line,) = done.stderr.strip().splitlines()
    assert "Permission denied" in line
    assert table.exists()


def test_the_list_of_tasks_says_whether_their_data_are_at_hand(hepml):
    listed = {t["name"]: t["data"] for t in json.loads(hepml("tasks", "--json").stdout)}
    assert listed["toy-higgs"] == "simulated"
    assert listed["higgsml"] == "absent"
