from __future__ import annotations

import json


def test_a_card_is_printed_or_written_with_its_metadata(hepml, small_task, tmp_path):
    printed = hepml("data", "card", small_task)
    assert printed.returncode == 0, printed.stderr
    assert "# Toy H -> tau tau search" in printed.stdout
    assert "| `s` | 510 |" in printed.stdout
    document = json.loads(hepml("data", "card", small_task, "--format", "croissant").stdout)
    assert document["name"] == "toy-higgs"
    done = hepml("data", "card", small_task, "--out", tmp_path / "card")
    names = ["CITATION.bib", "README.md", "croissant.json"]
    assert sorted(p.name for p in (tmp_path / "card").iterdir()) == names
    assert done.stdout.count("\n") == 3
    assert (tmp_path / "card" / "README.md").read_text() == printed.stdout
    one = hepml("data", "card", small_task, "--out", tmp_path / "one", "--format", "bibtex")
    assert one.returncode == 0
    assert [p.name for p in (tmp_path / "one").iterdir()] == ["CITATION.bib"]


def test_a_card_can_be_made_where_the_data_cannot_be_had(hepml, real_task_file):
    done = hepml("data", "card", real_task_file)
    assert done.returncode == 0
    assert "the card tells what the task's file says alone" in done.stderr
    assert "From the task file alone" in done.stdout
    silent = hepml("data", "card", "higgsml", "--no-data")
    assert silent.returncode == 0
    assert silent.stderr == ""
    assert "adler32:e4717bbe" in silent.stdout


def test_a_file_with_wrong_bytes_makes_no_card(hepml, real_task_file, tmp_path, monkeypatch):
    wrong = tmp_path / "atlas-higgs-challenge-2014-v2.first18000.csv.gz"
    wrong.write_bytes(b"\0" * 1439959)
    monkeypatch.setenv("HEPML_MIRRORS", str(tmp_path))
    done = hepml("data", "card", real_task_file)
    assert done.returncode == 1
    assert "wrong checksum" in done.stderr
    assert done.stdout == ""


def test_a_folder_that_is_a_file_is_told(hepml, tmp_path):
    (tmp_path / "file").write_text("")
    done = hepml("data", "card", "higgsml", "--no-data", "--out", tmp_path / "file")
    assert done.returncode != 0
    assert "Traceback" not in done.stderr
