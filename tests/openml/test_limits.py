from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hepml_tasks.openml import limits
from hepml_tasks.openml.documents import NAMESPACE as OPENML
from hepml_tasks.openml.documents import render_xml
from hepml_tasks.openml.limits import check_suite, check_task
from hepml_tasks.openml.registration import describe_dataset
from hepml_tasks.running.task import load_task
from hepml_tasks.server import datasets as server
from hepml_tasks.server import studies
from hepml_tasks.server.xml import check, parse
from hepml_tasks.spec import (
    find_suite,
    find_task,
    read_suite,
    read_task,
    suite_names,
    suite_path,
    task_names,
    task_path,
)

LONG = "x" * 20000


@pytest.mark.parametrize("name", task_names())
def test_every_task_of_the_package_is_within_the_limits(name):
    assert check_task(find_task(name), task_path(name)) == []


@pytest.mark.parametrize("name", suite_names())
def test_every_suite_of_the_package_is_within_the_limits(name):
    assert check_suite(find_suite(name), suite_path(name)) == []


def test_the_limits_are_those_of_the_server_that_follows_productions_schemas():
    for ours, theirs in ((limits.DATASET, server.FIELDS), (limits.STUDY, studies._FIELDS)):
        for element, limit in ours.items():
            assert theirs[element].longest == limit.longest, element
            if element not in {"url", "original_data_url"}:
                assert theirs[element].pattern == limit.pattern, element


@given(element=st.sampled_from(sorted(limits.DATASET)), text=st.text(max_size=200))
def test_what_passes_here_passes_the_servers_check_of_xml(element, text):
    required = {"name": "n", "description": "d", "format": "ARFF"}
    given = {**required, element: text}
    fields = {f"oml:{name}": given[name] for name in server.FIELDS if name in given}
    if not list(limits._wrong(text, limits.DATASET[element])):
        document = render_xml({"oml:data_set_description": {**OPENML, **fields}})
        check(parse(document.encode(), "data_set_description"), server.FIELDS)


def test_a_description_has_the_elements_in_the_order_of_productions_schema(few_events):
    text = describe_dataset(few_events, url="http://h/a.arff")
    element = parse(text.encode(), "data_set_description")
    check(element, server.FIELDS)
    order = list(server.FIELDS)
    found = [order.index(str(child.tag).rpartition("}")[2]) for child in element]
    assert found == sorted(found)


@pytest.mark.parametrize(
    ("old", "new", "field", "message"),
    [
        ("creators: [hepml_tasks]", "creators: [ok, Müller]", "dataset.creators[1]", "'ü'"),
        ("creators: [hepml_tasks]", f"creators: [{'y' * 129}]", "dataset.creators[0]", "129 of"),
        ('version: "1"', 'version: "1/2"', "dataset.version", "is '1/2'; OpenML takes only"),
        ('version: "1"', f'version: "{"9" * 129}"', "dataset.version", "129 of at most 128"),
        ('collection_date: "2026"', f'collection_date: "{"2" * 129}"', "collection_date", "129"),
        ("licence: CC0", "licence: «CC0»", "dataset.licence", "'«'"),
        ("citation: hepml_tasks", "citation: Ångström", "dataset.citation", "'Å'"),
        ("title: Toy H", "title: Toy η", "title", "'η'"),
        ("    A toy, made", "    A töy, made", "caveat", "'ö'"),
        ("  A toy, made", f"  {LONG} A toy, made", "caveat", "of at most 16384"),
    ],
)
def test_what_production_refuses_is_told_with_file_line_and_field(
    small_task: Path, old, new, field, message
):
    text = small_task.read_text().replace("\n  A toy", "\n    A toy")
    assert old in text
    small_task.write_text(text.replace(old, new, 1))
    (problem,) = check_task(read_task(small_task), small_task)
    assert problem.field.endswith(field)
    assert message in problem.message
    # the line is that of the field's name in the file
    name = field.rpartition(".")[2].partition("[")[0]
    assert problem.line is not None
    assert f"{name}:" in small_task.read_text().splitlines()[problem.line - 1]
    assert str(problem).startswith(f"{small_task}, line {problem.line}: {problem.field}: ")


def test_texts_that_are_too_long_together_are_told_once(small_task: Path):
    text = small_task.read_text()
    for key in ("physicist: >-\n", "ml: >-\n"):
        text = text.replace(key, f"{key}    {'word ' * 1800}\n", 1)
    small_task.write_text(text)
    (problem,) = check_task(read_task(small_task), small_task)
    assert problem.field == "dataset.description"
    assert "with all that is said of the task" in problem.message


def test_columns_that_can_not_be_named_are_told_by_their_role(small_task: Path):
    small_task.write_text(small_task.read_text().replace("weight: Weight", "weight: my weight"))
    spec = read_task(small_task)
    found = check_task(spec, small_task, columns=["DER_a b", "other column", "Läbel", "my weight"])
    assert [(p.field, p.message.partition(":")[0]) for p in found] == [
        ("roles.weight", "is 'my weight'; OpenML takes only letters, digits and _-.(),"),
        ("dataset.simulator", "column 'other column'"),
        ("dataset.simulator", "column 'Läbel'"),
    ]


def test_an_arff_in_the_archive_is_plain_and_has_an_address(small_task: Path):
    text = small_task.read_text().replace(
        "  rows: 1500\n",
        "  rows: 1500\n"
        "  arff:\n"
        "    name: toy.arff.gz\n"
        "    urls: ['ftp://h/toy.arff']\n"
        "  openml: {id: 3, server: openml.com}\n",
        1,
    )
    small_task.write_text(text)
    found = check_task(read_task(small_task), small_task)
    assert [p.field for p in found] == [
        "dataset.arff.name",
        "dataset.arff.urls[0]",
        "dataset.openml.server",
    ]


def test_a_suite_is_checked_too(tmp_path: Path):
    path = tmp_path / "suite.yaml"
    path.write_text(
        f"name: '{'1' * 33}'\ntitle: Süite\ndescription: {'d' * 4097}\n"
        "tasks:\n  - {task: toy-higgs}\n"
    )
    found = check_suite(read_suite(path), path)
    assert [(p.field, p.line) for p in found] == [
        ("name", 1),
        ("name", 1),
        ("title", 2),
        ("description", 3),
    ]


def test_a_task_description_names_its_figure_of_merit_and_how_it_is_computed():
    text = describe_dataset(load_task("toy-higgs", events=1000))
    assert "Figure of merit: Approximate median significance (AMS) (ams), higher is better" in text
    assert r"\sqrt{2\left[(s+b+b_r)" in text
    assert "column Weight" in text
    assert text.isascii()
