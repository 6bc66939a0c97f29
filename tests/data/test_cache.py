from __future__ import annotations

import os
import time
from dataclasses import replace
from pathlib import Path

import pytest
from pyarrow import parquet

import hepml_tasks as hep
from hepml_tasks import settings
from hepml_tasks.data.cache import check, chosen, entries, prune
from hepml_tasks.data.fetch import fetch_file
from hepml_tasks.data.kept import kept_path, locked, record_path
from hepml_tasks.data.table import load_table
from hepml_tasks.errors import ChecksumError
from hepml_tasks.spec import DatasetSpec, FileSpec

from .conftest import CONTENT, Site

pytestmark = pytest.mark.usefixtures("at_once")
DAY = 86400


@pytest.fixture
def three(site: Site, file_at) -> list[FileSpec]:
    """Fetch three files, used one, two and three days ago."""
    files = []
    for day in (1, 2, 3):
        content = CONTENT * day
        site.files[f"/{day}.csv"] = content
        file = file_at(f"{site.url}/{day}.csv", content=content, name=f"{day}.csv")
        path = fetch_file(file, dataset="test-set")
        used = time.time() - day * DAY
        os.utime(record_path(path), (used, used))
        files.append(file)
    return files


def names() -> list[str]:
    return [entry.path.name for entry in entries()]


def test_an_empty_cache_is_listed_and_checked():
    assert entries() == []
    assert check() == []


def test_what_is_kept_is_listed_the_last_used_first(three):
    assert names() == ["1.csv", "2.csv", "3.csv"]
    first = entries()[0]
    assert (first.kind, first.dataset, first.state) == ("file", "test-set", "verified")
    assert first.checksum == three[0].checksum
    assert first.size == len(CONTENT)


def test_a_use_is_noted(three):
    fetch_file(three[2], dataset="test-set")
    assert names() == ["3.csv", "1.csv", "2.csv"]


def test_what_was_not_used_for_long_is_chosen(three):
    assert [e.path.name for e in chosen(unused_for=2.5)] == ["3.csv"]
    assert [e.path.name for e in chosen(unused_for=0.5)] == ["1.csv", "2.csv", "3.csv"]
    assert chosen(unused_for=4) == []
    # all three came just now
    assert chosen(older_than=1) == []


def test_what_was_used_last_stays_within_a_size(three):
    assert [e.path.name for e in chosen(max_size=3 * len(CONTENT))] == ["3.csv"]
    assert [e.path.name for e in chosen(max_size=0)] == ["1.csv", "2.csv", "3.csv"]


def test_what_is_pruned_is_gone_and_can_be_fetched_again(three):
    assert all(removed for _, removed in prune(chosen(unused_for=1.5)))
    assert names() == ["1.csv"]
    assert not kept_path(three[2], dataset="test-set").parent.exists()
    assert fetch_file(three[2], dataset="test-set").read_bytes() == CONTENT * 3


def test_what_another_process_works_on_is_left(three):
    path = kept_path(three[1], dataset="test-set")
    with locked(path):
        done = {entry.path.name: removed for entry, removed in prune(chosen(max_size=0))}
    assert done == {"1.csv": True, "2.csv": False, "3.csv": True}
    assert path.read_bytes() == CONTENT * 2


def test_the_first_download_is_remembered_beyond_a_prune(site: Site, file_at):
    file = file_at(f"{site.url}/data.csv", algorithm=None, size=None)
    fetch_file(file, dataset="test-set")
    assert [e.state for e in entries()] == ["unverified"]
    list(prune(chosen(max_size=0)))
    assert entries() == []
    site.files["/data.csv"] = CONTENT.replace(b"2", b"3")
    with pytest.raises(ChecksumError):
        fetch_file(file, dataset="test-set")


def test_what_bad_downloads_left_is_listed_and_pruned(site: Site, file_at):
    file = file_at(f"{site.url}/data.csv")
    site.files["/data.csv"] = CONTENT.replace(b"2", b"3")
    with pytest.raises(ChecksumError):
        fetch_file(file, dataset="test-set")
    kept = kept_path(file, dataset="test-set")
    kept.with_name(".data.csv.0123abcd.part").write_bytes(b"half")
    # what a process that was killed while it wrote a record leaves
    kept.with_name("..data.csv.json.a1b2c3d4").write_bytes(b"{")
    assert {e.state for e in entries()} == {"wrong", "partial"}
    assert len(entries()) == 4
    assert len(list(prune(chosen(rest=True)))) == 4
    assert not kept.parent.exists()


@pytest.mark.parametrize("same_stamp", [True, False])
def test_a_check_sets_aside_what_is_wrong(three, same_stamp):
    path = kept_path(three[1], dataset="test-set")
    stat = path.stat()
    content = bytearray(path.read_bytes())
    content[100] ^= 1
    path.write_bytes(content)
    if same_stamp:
        # as a disk's own fault, which size and time don't show
        os.utime(path, ns=(stat.st_atime_ns, stat.st_mtime_ns))
    ((found, why),) = check()
    assert found == path
    assert why.startswith("wrong checksum: sha256:")
    assert not path.exists()
    assert path.with_name("2.csv.wrong").read_bytes() == content
    assert "wrong checksum" in path.with_name("2.csv.wrong.txt").read_text()
    assert check() == []
    assert fetch_file(three[1], dataset="test-set").read_bytes() == CONTENT * 2


def test_a_check_reads_mirrors_too_and_leaves_their_files(tmp_path: Path, file_at, monkeypatch):
    path = tmp_path / "data.csv"
    path.write_bytes(CONTENT)
    monkeypatch.setenv("HEPML_MIRRORS", str(tmp_path))
    fetch_file(file_at(), dataset="test-set")
    assert check() == []
    path.write_bytes(CONTENT.replace(b"2", b"3"))
    ((found, _),) = check()
    assert found == path
    assert path.exists()


def table_of(path: Path, **more) -> DatasetSpec:
    file = FileSpec(name=path.name, urls=(str(path),), **more)
    return DatasetSpec(
        name="test-set", version="1", description="", licence="CC0", creators=(), citation="",
        files=(file,),
    )  # fmt: skip


def test_a_kept_table_that_changed_is_made_again(tmp_path: Path):
    (tmp_path / "data.csv").write_bytes(CONTENT)
    dataset = table_of(tmp_path / "data.csv")
    right = load_table(dataset)
    (kept,) = (settings.cache_dir() / "tables").glob("*.parquet")
    wrong = right.slice(0, 5)
    parquet.write_table(wrong, kept)
    assert load_table(dataset).equals(right)
    assert parquet.read_table(kept).equals(right)


def test_a_table_without_a_published_checksum_is_kept_by_what_was_read(tmp_path: Path):
    (tmp_path / "data.csv").write_bytes(CONTENT)
    dataset = table_of(tmp_path / "data.csv")
    assert load_table(dataset).num_rows == 1999
    assert [(e.kind, e.state) for e in entries()] == [("table", "verified")]
    other = tmp_path / "other"
    other.mkdir()
    (other / "data.csv").write_bytes(CONTENT + b"3,4\n")
    # the same name of dataset and file, from elsewhere: another table
    assert load_table(table_of(other / "data.csv")).num_rows == 2000


def test_a_check_finds_a_wrong_table(few_events):
    spec = few_events.spec.dataset
    right = load_table(spec)
    (path,) = (settings.cache_dir() / "tables").glob("*.parquet")
    stat = path.stat()
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)
    os.utime(path, ns=(stat.st_atime_ns, stat.st_mtime_ns))
    ((found, _),) = check()
    assert found == path
    assert load_table(spec).equals(right)


def test_other_events_are_another_table():
    spec = hep.load_task("toy-higgs", events=100).spec.dataset
    simulator = replace(spec.simulator, seed=spec.simulator.seed + 1)
    load_table(spec)
    load_table(replace(spec, simulator=simulator))
    assert len(entries()) == 2
