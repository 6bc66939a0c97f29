from __future__ import annotations

import re
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hepml_tasks.data.citation import bibtex, citation_key, publication_year
from hepml_tasks.spec import find_task

HIGGSML = find_task("higgsml").dataset


def test_an_entry_has_what_a_bibliography_needs():
    entry = bibtex(HIGGSML, title="HiggsML challenge 2014")
    assert entry.startswith("@misc{higgsml-2,\n")
    assert entry.endswith("}\n")
    assert "author  = {{ATLAS collaboration}}," in entry
    assert "title   = {{HiggsML challenge 2014}}," in entry
    assert "year    = {2014}," in entry
    assert "doi     = {10.7483/OPENDATA.ATLAS.ZBP2.M5T8}," in entry


def test_people_and_collaborations_are_told_apart():
    dataset = replace(HIGGSML, creators=("Doe, Jane", "CMS collaboration", "Smith, John and sons"))
    assert "Doe, Jane and {CMS collaboration} and {Smith, John and sons}" in bibtex(dataset)


@pytest.mark.parametrize(
    ("published", "collected", "year"),
    [("2014-05", "2012", "2014"), (None, "2012", "2012"), (None, "summer", None)],
)
def test_the_year_is_of_publication_or_else_of_collection(published, collected, year):
    dataset = replace(HIGGSML, published=published, collection_date=collected)
    assert publication_year(dataset) == year
    assert ("year" in bibtex(dataset)) == (year is not None)


@given(st.text(st.characters(codec="utf-8", exclude_categories=("Cc", "Cs")), max_size=60))
def test_no_text_breaks_the_entry(text):
    dataset = replace(HIGGSML, citation=text, creators=(text or "x",))
    entry = bibtex(dataset, title=text or "x")
    # every brace that is not a command's or escaped opens and closes fields
    plain = re.sub(r"\\text[a-z]+\{\}|\\[{}$&%#_]", "", entry)
    assert plain.count("{") == plain.count("}")
    assert not re.search(r"[$&%#~^\\]", plain)
    depth = 0
    for c in plain:
        depth += {"{": 1, "}": -1}.get(c, 0)
        assert depth >= 0


@given(st.from_regex(r"[A-Za-z0-9_\-.(),]{1,128}", fullmatch=True), st.text(max_size=20))
def test_a_key_is_one_word(name, version):
    key = citation_key(replace(HIGGSML, name=name, version=version))
    assert re.fullmatch(r"[A-Za-z0-9\-]*", key)
