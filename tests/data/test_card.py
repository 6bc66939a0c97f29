from __future__ import annotations

from dataclasses import replace

import pyarrow as pa
import pytest
import yaml

from hepml_tasks.data.card import card
from hepml_tasks.data.croissant import Distribution
from hepml_tasks.data.table import load_table
from hepml_tasks.running.task import with_events
from hepml_tasks.spec import ColumnSpec, find_task


def head_of(text):
    _, head, body = text.split("---\n", 2)
    return yaml.safe_load(head), body


def test_a_card_tells_all_that_a_reader_asks():
    spec = with_events(find_task("toy-higgs"), 1000)
    table = load_table(spec.dataset)
    head, body = head_of(card(spec, table))
    assert head["license"] == "cc0-1.0"
    assert head["size_categories"] == ["1K<n<10K"]
    assert spec.caveat in body
    assert "ranked by `ams`" in body
    for name in table.column_names:
        assert f"| `{name}` |" in body
    assert "| `Weight` | weight | float |" in body
    undefined = table["DER_mass_jet_jet"].null_count
    assert f"| {undefined} |" in body.split("`DER_mass_jet_jet`")[1].splitlines()[0]
    for section in (
        "Figure of merit",
        "Columns",
        "Classes and weights",
        "Splits",
        "How to load",
        "Provenance",
        "Licence",
        "Citation",
    ):
        assert f"\n## {section}\n" in body
    assert "simulator `toy-higgs`, 1000 events, seed 2014" in body
    assert "| `s` | 340 | 692 | 692 |" in body
    assert "@misc{toy-higgs-1," in body


def test_the_card_of_a_task_file_alone_says_so():
    spec = find_task("higgsml")
    head, body = head_of(card(spec, None))
    assert head["size_categories"] == ["100K<n<1M"]
    assert "From the task file alone" in body
    assert "| `PRI_*` | feature |" in body
    assert "KaggleSet = t trains, b, v tests; public is b; private is v" in body
    assert "none of them a run of this project" in body
    assert "3.80581" in body
    assert "adler32:e4717bbe" in body


def test_the_card_of_real_data_has_their_figures(real_mirror, real_task_file):
    spec = find_task(real_task_file)
    _, body = head_of(card(spec, load_table(spec.dataset)))
    assert "| `s` | 6136 |" in body
    assert "15.7453" in body
    assert "writes it as -999" in body


def test_units_and_meanings_are_shown_where_they_are_declared():
    spec = find_task("toy-higgs")
    columns = {"PRI_met": ColumnSpec(unit="GeV", description="missing | transverse momentum")}
    spec = replace(spec, dataset=replace(spec.dataset, columns=columns))
    table = pa.table({"PRI_met": [1.5, 30.25], "Label": ["s", "b"], "Weight": [1.0, 2.0]})
    text = card(spec, table)
    row = (
        r"| `PRI_met` | feature | float | GeV | 1.5 … 30.25 | 0 | missing \| transverse momentum |"
    )
    assert row in text
    assert "| `Label` | target | text |  | `b`, `s` | 0 |  |" in text


def test_files_beside_the_card_are_listed_and_how_each_is_loaded():
    spec = find_task("toy-higgs")
    files = [Distribution(f"toy-higgs{e}", "", 12, "0" * 64) for e in (".parquet", ".root")]
    text = card(spec, None, files)
    assert 'pd.read_parquet("toy-higgs.parquet")' in text
    assert 'uproot.open("toy-higgs.root:' in text
    assert f"| `toy-higgs.root` | 12 | `{'0' * 64}` |" in text


@pytest.mark.parametrize("licence", ["own licence", "CC0"])
def test_a_licence_is_told_in_the_publishers_words_where_it_is_not_known(licence):
    spec = find_task("toy-higgs")
    spec = replace(spec, dataset=replace(spec.dataset, licence=licence))
    head, body = head_of(card(spec, None))
    known = licence == "CC0"
    assert head["license"] == ("cc0-1.0" if known else "other")
    assert ("creativecommons.org" in body) == known
    assert (licence in body.split("## Licence")[1]) == (not known or "CC0" in body)
