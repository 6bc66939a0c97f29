"""The pages of the metrics are what their docstrings say, and tell what each reader needs."""

from __future__ import annotations

import json
import re
import runpy
from pathlib import Path
from xml.etree import ElementTree

import pytest

from hepml_tasks.metrics import all_metrics
from hepml_tasks.metrics.describe import describe, plain_text
from hepml_tasks.metrics.registry import Metric

DOCS = Path(__file__).resolve().parent.parent / "docs"
METRICS = {name: m for name, m in all_metrics().items() if not m.is_added}
every_metric = pytest.mark.parametrize("metric", METRICS.values(), ids=METRICS)


def test_the_pages_of_the_metrics_are_what_the_metrics_say(monkeypatch) -> None:
    monkeypatch.syspath_prepend(DOCS)
    files = runpy.run_path(str(DOCS / "generate_metrics.py"))["render"]()
    written = {p.name: p.read_text("utf-8") for p in (DOCS / "metrics").iterdir()}
    assert set(written) == set(files), "run: python docs/generate_metrics.py"
    for name, text in files.items():
        assert written[name] == text, f"{name}: run: python docs/generate_metrics.py"


@every_metric
def test_a_metric_has_a_formula_and_tells_each_reader_what_it_means(metric: Metric) -> None:
    about = describe(metric)
    assert about.formula
    assert about.formula.count("{") == about.formula.count("}")
    assert about.formula.count(r"\left") == about.formula.count(r"\right")
    assert len(about.physicist.split()) > 3
    assert len(about.ml.split()) > 3
    assert "Parameters" in about.sections


@every_metric
def test_a_page_has_an_example_with_its_result_and_a_reference(metric: Metric) -> None:
    page = (DOCS / "metrics" / f"{metric.name}.md").read_text("utf-8")
    assert page.startswith(f"# {metric.title}\n")
    assert re.search(r"```text\n\S+ ± \S+\n", page)
    assert metric.source in page
    # nothing of the docstring's own markup is left
    assert not re.search(r":\w+:`|(?<!`)``\w", page)


@pytest.mark.parametrize("page", sorted((DOCS / "metrics").glob("*.md")), ids=lambda p: p.stem)
def test_every_link_of_a_page_leads_somewhere(page: Path) -> None:
    for link in re.findall(r"\]\(([^)\s]+)\)", page.read_text("utf-8")):
        assert (page.parent / link).exists(), link


@pytest.mark.parametrize("path", sorted((DOCS / "metrics").glob("*.svg")), ids=lambda p: p.stem)
def test_a_picture_is_a_whole_drawing_of_numbers(path: Path) -> None:
    text = path.read_text("utf-8")
    assert ElementTree.fromstring(text).tag.endswith("svg")
    assert "nan" not in text
    assert "inf" not in text


def test_a_docstring_is_taken_apart_and_its_markup_can_be_dropped() -> None:
    about = describe(METRICS["ams"])
    assert about.summary == "Approximate median significance of a selection."
    assert about.formula.startswith(r"\sqrt{2\left[")
    assert about.symbols == "with s and b the weighted sums of selected signal and background."
    assert about.details[0].startswith("The formula is evaluated")
    assert plain_text("of :func:`~hepml_tasks.metrics.ams` at :math:`b_r` and ``x``") == (
        "of ams at b_r and x"
    )


def test_the_command_line_prints_the_short_of_a_page(hepml) -> None:
    printed = hepml("metrics", "show", "background_rejection_50").stdout
    assert r"\frac{1}{\epsilon_B(\epsilon_S)}" in printed
    assert "for a physicist   one background event passes in so many." in printed
    assert "signal_efficiency=0.5" in printed
    assert "arXiv:1902.09914" in printed
    told = json.loads(hepml("metrics", "show", "ams", "--json").stdout)
    assert told["options"] == "b_reg=10.0"
    assert told["for_an_ML_reader"].startswith("a figure of merit")
