"""Charts are well-formed, say what they show, and put things where the axis says."""

from __future__ import annotations

import math
from xml.etree.ElementTree import Element

import pytest
from defusedxml.ElementTree import fromstring
from hypothesis import given
from hypothesis import strategies as st

from hepml_tasks.pages.charts import Point, Scale, dot_plot, fold_strip, tick_label
from hepml_tasks.pages.model import FoldValue

FINITE = st.floats(allow_nan=False, allow_infinity=False)


def circles(svg: Element) -> list[float]:
    return [float(dot.attrib["cx"].rstrip("%")) for dot in svg.iter("circle")]


def bars(svg: Element) -> list[tuple[float, float]]:
    return [
        (float(line.attrib["x1"].rstrip("%")), float(line.attrib["x2"].rstrip("%")))
        for line in svg.iter("line")
        if line.attrib["class"] == "bar" and line.attrib["x1"] != line.attrib["x2"]
    ]


def test_a_dot_plot_has_title_description_and_each_value_as_text() -> None:
    points = [Point("a", 2.0, 1.5, 2.5, "2.00 ± 0.50"), Point("b", 1.0, text="1")]
    svg = fromstring(dot_plot(points, ident="x", title="AMS", description="two runs"))
    assert svg.attrib["role"] == "img"
    named = {e.attrib["id"]: e.text for e in svg if e.tag in {"title", "desc"}}
    assert [named[i] for i in svg.attrib["aria-labelledby"].split()] == ["AMS", "two runs"]
    words = [e.text for e in svg.iter("text")]
    assert {"a", "b", "2.00 ± 0.50", "1"} <= set(words)


def test_dots_lie_inside_their_error_bars_and_in_the_order_of_their_values() -> None:
    points = [Point("a", 2.0, 1.5, 2.25), Point("b", 1.0, 0.9, 1.3), Point("c", -1.0)]
    svg = fromstring(dot_plot(points, ident="x", title="", description=""))
    dots, errors = circles(svg), bars(svg)
    assert dots == sorted(dots, reverse=True)
    assert len(errors) == 2  # the third has no uncertainty, and no bar
    for dot, (low, high) in zip(dots, errors, strict=False):
        assert low < dot < high
    middle = (dots[0] + dots[2]) / 2
    assert Scale.over([2.25, -1.0]).percent(0.5) == pytest.approx(middle, abs=0.01)


def test_a_rule_separates_tied_groups() -> None:
    points = [Point(str(i), float(i), group=g) for i, g in enumerate([1, 1, 2, 3, 3])]
    svg = fromstring(dot_plot(points, ident="x", title="", description=""))
    assert sum(line.attrib["class"] == "rule" for line in svg.iter("line")) == 2


def test_hostile_text_stays_text() -> None:
    name = '</title><script>alert(1)</script>"'
    text = dot_plot([Point(name, 1.0)], ident="x", title=name, description=name)
    svg = fromstring(text)
    assert not list(svg.iter("script"))
    assert svg[0].text == name


def test_a_fold_strip_has_a_dot_per_fold_and_a_mean_per_repeat() -> None:
    folds = [FoldValue(r, f, 0.9 + 0.01 * f + 0.001 * r) for r in range(3) for f in range(5)]
    svg = fromstring(fold_strip(folds, ident="f", title="AUC"))
    assert len(circles(svg)) == 15
    means = [line for line in svg.iter("line") if line.attrib["class"] == "mean"]
    assert len(means) == 3
    assert "repeat 2 fold 4: 0.942" in (svg[1].text or "")


@given(st.lists(st.tuples(st.floats(), st.floats(), st.floats()), max_size=6))
def test_any_doubles_make_a_well_formed_chart_inside_its_frame(
    values: list[tuple[float, float, float]],
) -> None:
    points = [Point("run", v, low, high) for v, low, high in values]
    svg = fromstring(dot_plot(points, ident="x", title="", description=""))
    places = [*circles(svg), *(x for bar in bars(svg) for x in bar)]
    assert all(0 <= x <= 100 for x in places)
    folds = [FoldValue(0, i, v) for i, (v, _, _) in enumerate(values)]
    assert fromstring(fold_strip(folds, ident="f", title="")).tag == "svg"


@given(FINITE, FINITE)
def test_ticks_are_few_increasing_and_on_the_axis(a: float, b: float) -> None:
    scale = Scale.over([a, b])
    ticks = scale.ticks()
    assert 1 <= len(ticks) <= 5
    assert list(ticks) == sorted(set(ticks))
    slack = (scale.high / 2 - scale.low / 2) * 1e-6
    assert all(scale.low - slack <= tick <= scale.high + slack for tick in ticks)


@pytest.mark.parametrize(
    ("low", "high", "labels"),
    [
        (0.6, 3.0, ["1.0", "1.5", "2.0", "2.5", "3.0"]),
        (0.9, 0.95, ["0.90", "0.92", "0.94"]),
        (-1.0, 1.0, ["\N{MINUS SIGN}1.0", "\N{MINUS SIGN}0.5", "0.0", "0.5", "1.0"]),
        (0.0, 2000.0, ["0", "500", "1000", "1500", "2000"]),
    ],
)
def test_ticks_have_the_decimals_of_their_step(low: float, high: float, labels: list[str]) -> None:
    ticks = Scale(low, high).ticks()
    assert [tick_label(tick, ticks[1] - ticks[0]) for tick in ticks] == labels


def test_values_that_are_not_finite_have_no_dot() -> None:
    points = [Point("a", math.nan, 0.0, 1.0), Point("b", 1.0)]
    svg = fromstring(dot_plot(points, ident="x", title="", description=""))
    assert len(circles(svg)) == 1
