from __future__ import annotations

from dataclasses import replace

import pytest

from hepml_tasks.data.deposit.metadata import RELATIONS, parse_relation, zenodo_metadata
from hepml_tasks.errors import SpecError
from hepml_tasks.spec import find_task


def test_a_dataset_with_a_doi_is_what_the_deposit_derives_from():
    metadata = zenodo_metadata(find_task("higgsml"), related=["isSupplementTo:10.1234/paper"])
    assert metadata["related_identifiers"] == [
        {"relation": "isDerivedFrom", "identifier": "10.7483/OPENDATA.ATLAS.ZBP2.M5T8"},
        {"relation": "isSupplementTo", "identifier": "10.1234/paper"},
    ]
    assert metadata["creators"] == [{"name": "ATLAS collaboration"}]
    assert metadata["upload_type"] == "dataset"
    assert metadata["version"] == "2"


def test_without_a_doi_nothing_is_derived():
    assert "related_identifiers" not in zenodo_metadata(find_task("toy-higgs"))


def test_text_is_no_markup():
    spec = find_task("toy-higgs")
    spec = replace(spec, caveat="a < b & <script>c</script>")
    described = zenodo_metadata(spec)["description"]
    assert "<p>a &lt; b &amp; &lt;script&gt;c&lt;/script&gt;</p>" in described


@pytest.mark.parametrize(
    ("said", "sent"),
    [("CC0", "cc0-1.0"), ("CC BY 4.0", "cc-by-4.0"), ("MIT", "mit"), ("cc-by-4.0", "cc-by-4.0")],
)
def test_a_licence_is_called_as_zenodo_does(said, sent):
    spec = find_task("toy-higgs")
    spec = replace(spec, dataset=replace(spec.dataset, licence=said))
    assert zenodo_metadata(spec)["license"] == sent


def test_a_licence_that_is_not_known_is_told():
    spec = find_task("toy-higgs")
    spec = replace(spec, dataset=replace(spec.dataset, licence="CC-BY-4"))
    with pytest.raises(SpecError, match=r"licence 'CC-BY-4' .*did you mean 'CC-BY-4\.0'"):
        zenodo_metadata(spec)


@pytest.mark.parametrize("relation", RELATIONS)
def test_every_relation_of_zenodo_can_be_said(relation):
    text = f"{relation}:https://arxiv.org/abs/1902.09914"
    assert parse_relation(text) == {
        "relation": relation,
        "identifier": "https://arxiv.org/abs/1902.09914",
    }


@pytest.mark.parametrize("text", ["", "cites", "cites:", "cites: ", "cites:a b", ":10.1/x"])
def test_a_relation_without_both_parts_is_told(text):
    with pytest.raises(SpecError, match="relation"):
        parse_relation(text)
