from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import pytest

from hepml_tasks.data.checksum import checksum_of
from hepml_tasks.data.deposit.folder import (
    build_folder,
    data_names,
    file_names,
    known_files,
    strangers,
)
from hepml_tasks.data.table import load_table
from hepml_tasks.errors import OutputError
from hepml_tasks.formats.tables import read_table
from hepml_tasks.running.task import with_events
from hepml_tasks.spec import find_task

SPEC = with_events(find_task("toy-higgs"), 1500)


def contents(folder):
    return {p.name: (p.read_bytes(), p.stat().st_mtime_ns) for p in sorted(folder.iterdir())}


def test_the_folder_has_every_format_and_what_a_reader_needs(folder):
    there = {p.name for p in folder.iterdir() if not p.name.startswith(".")}
    assert there == set(file_names(SPEC))
    assert {
        "toy-higgs.csv.gz",
        "toy-higgs.parquet",
        "toy-higgs.arff",
        "toy-higgs.root",
        "toy-higgs.h5",
        "README.md",
        "croissant.json",
        "CITATION.bib",
        "LICENSE.txt",
        "SHA256SUMS",
        "MD5SUMS",
    } <= there


@pytest.mark.parametrize("name", data_names(SPEC))
def test_every_format_holds_the_same_events(folder, name):
    table = load_table(SPEC.dataset)
    read = read_table(folder / name)
    assert read.column_names == table.column_names
    for column in table.column_names:
        held = read[column].cast(table[column].type)
        assert held.combine_chunks().equals(table[column].combine_chunks()), column


def test_the_arff_is_plain_ascii_as_openml_wants_it_by_link(folder):
    text = (folder / "toy-higgs.arff").read_bytes()
    assert text.isascii()
    assert text.startswith((b"%", b"@"))


@pytest.mark.parametrize("tool", ["sha256sum", "md5sum"])
def test_the_checksums_are_those_that_the_tools_compute(folder, tool):
    sums = {"sha256sum": "SHA256SUMS", "md5sum": "MD5SUMS"}[tool]
    done = subprocess.run(
        [tool, "--strict", "-c", sums], cwd=folder, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout
    assert done.stdout.count(": OK") == len(file_names(SPEC)) - 2


def test_a_second_build_changes_no_byte(folder):
    before = contents(folder)
    files = build_folder(SPEC, folder)
    assert contents(folder) == before
    assert not any(f.made for f in files)
    assert known_files(SPEC, folder) == files


def test_a_file_that_was_only_touched_is_kept(folder):
    name = "toy-higgs.root"
    before = (folder / name).read_bytes()
    os.utime(folder / name, (1, 1))
    files = build_folder(SPEC, folder)
    assert (folder / name).read_bytes() == before
    assert not any(f.made for f in files)


@pytest.mark.parametrize("name", ["toy-higgs.csv.gz", "toy-higgs.h5", "README.md"])
def test_a_damaged_or_missing_file_is_made_again_and_no_other(folder, name):
    before = contents(folder)
    with (folder / name).open("r+b") as file:
        file.write(b"damage")
    assert known_files(SPEC, folder) is None
    made = [f.name for f in build_folder(SPEC, folder) if f.made]
    assert name in made
    data = [n for n in data_names(SPEC) if n != name]
    assert not set(made) & set(data)
    assert all((folder / n).read_bytes() == before[n][0] for n in data)
    (folder / name).unlink()
    assert name in [f.name for f in build_folder(SPEC, folder) if f.made]


@pytest.mark.parametrize("ending", [".csv.gz", ".parquet", ".arff"])
def test_formats_without_a_time_in_them_have_the_same_bytes_elsewhere(folder, tmp_path, ending):
    build_folder(SPEC, tmp_path / "elsewhere")
    name = f"toy-higgs{ending}"
    assert (tmp_path / "elsewhere" / name).read_bytes() == (folder / name).read_bytes()


def test_other_events_make_the_files_anew(folder):
    other = with_events(SPEC, 1000)
    files = {f.name: f for f in build_folder(other, folder)}
    assert all(files[name].made for name in data_names(SPEC))
    assert read_table(folder / "toy-higgs.parquet").num_rows == 1000


def test_files_of_an_older_name_are_removed_and_those_of_others_left_alone(folder):
    (folder / "notes.txt").write_text("mine")
    (folder / "toy-higgs.csv.gz").write_bytes(b"changed by hand")
    renamed = replace(SPEC, dataset=replace(SPEC.dataset, name="toy-2"))
    files = build_folder(renamed, folder)
    assert not (folder / "toy-higgs.parquet").exists()
    assert (folder / "toy-higgs.csv.gz").read_bytes() == b"changed by hand"
    assert (folder / "notes.txt").read_text() == "mine"
    assert strangers(folder, files) == ["notes.txt", "toy-higgs.csv.gz"]


def test_a_folder_of_something_else_is_left_as_it_is(tmp_path):
    (tmp_path / "thesis.tex").write_text("mine")
    with pytest.raises(OutputError, match=r"not empty, and no deposit .*--out"):
        build_folder(SPEC, tmp_path)
    with pytest.raises(OutputError, match="a file, not a folder"):
        build_folder(SPEC, tmp_path / "thesis.tex")
    assert [p.name for p in tmp_path.iterdir()] == ["thesis.tex"]


@pytest.mark.parametrize("content", ["{", "[]", '{"../x": {}}', '{"a": {"of": 1}}'])
def test_a_broken_manifest_is_told(folder, content):
    (folder / ".deposit.json").write_text(content)
    with pytest.raises(OutputError, match=r"\.deposit\.json: .*delete the folder"):
        build_folder(SPEC, folder)


def test_a_folder_that_cannot_be_written_is_told(hepml, small_task, tmp_path):
    closed = tmp_path / "closed"
    closed.mkdir(mode=0o555)
    done = hepml("data", "deposit", small_task, "--out", closed / "deposit", obey_permissions=True)
    assert done.returncode == 1
    assert "can't be written" in done.stderr
    assert "--out" in done.stderr
    assert "Traceback" not in done.stderr


def test_what_a_killed_build_left_half_written_is_cleared(folder):
    before = contents(folder)
    (folder / ".toy-higgs.arff.k1ll3d").write_text("@RELA")
    (folder / "..deposit.json.k1ll3d").write_text("{")
    build_folder(SPEC, folder)
    assert contents(folder).keys() == before.keys()


def test_a_build_that_is_killed_goes_on_with_what_is_done(small_task, tmp_path, hepml):
    out = tmp_path / "deposit"
    command = ["data", "deposit", str(small_task), "--out", str(out)]
    process = subprocess.Popen(
        [str(Path(sys.executable).parent / "hepml"), *command],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    deadline = time.monotonic() + 60
    while not (out / "toy-higgs.csv.gz").exists():
        assert time.monotonic() < deadline
        time.sleep(0.005)
    process.send_signal(signal.SIGKILL)
    process.wait()
    manifest = out / ".deposit.json"
    remembered = json.loads(manifest.read_text()) if manifest.is_file() else {}
    whole = {name: (out / name).read_bytes() for name in remembered}
    done = hepml(*command)
    assert done.returncode == 0, done.stderr
    assert {name: (out / name).read_bytes() for name in whole} == whole
    done = subprocess.run(
        ["sha256sum", "-c", "SHA256SUMS"], cwd=out, capture_output=True, check=False
    )
    assert done.returncode == 0


def test_real_data_are_deposited(real_mirror, real_task_file, tmp_path):
    spec = find_task(real_task_file)
    files = {f.name: f for f in build_folder(spec, tmp_path / "deposit")}
    table = read_table(tmp_path / "deposit" / "higgsml-18k.parquet")
    assert table.num_rows == 18000
    assert table["DER_mass_MMC"].null_count > 0
    name = "higgsml-18k.csv.gz"
    assert checksum_of(tmp_path / "deposit" / name, "md5") == f"md5:{files[name].md5}"
