"""Charts as inline SVG: no script, no network, colours from the page's style sheet.

Widths are percentages and text keeps its size, so that a chart is as readable on a phone as on a
wide screen. Classes (``dot``, ``bar``, ``grid`` …) are coloured by ``style.css`` for light and
dark; without it everything is drawn in the colour of the text around.
"""

from __future__ import annotations

import math
import sys
from collections.abc import Sequence
from dataclasses import dataclass

from markupsafe import Markup, escape

from hepml_tasks.pages.model import FoldValue
from hepml_tasks.pages.numbers import plain

_ROW = 40  # px: a line of text above a line with its dot
_AXIS = 34
_LEFT, _RIGHT = 1.5, 98.5  # per cent, so that dots at the ends are whole
_LABEL = 46  # characters of label and value together, at 340 px


@dataclass(frozen=True)
class Point:
    """A line of a dot plot.

    Parameters
    ----------
    label : str
        What stands above the line on the left, shortened where it is long.
    value : float
        Where the dot is; a line whose value isn't finite has no dot.
    low, high : float, optional
        Ends of the error bar; no bar where one is missing.
    text : str
        The value as it is printed on the right.
    group : int, optional
        A thin rule separates neighbours of different groups.
    """

    label: str
    value: float
    low: float | None = None
    high: float | None = None
    text: str = ""
    group: int | None = None


@dataclass(frozen=True)
class Scale:
    """A linear axis over what it has to show.

    Parameters
    ----------
    low, high : float
        Finite, `low` ≤ `high`.
    """

    low: float
    high: float

    @classmethod
    def over(cls, values: Sequence[float]) -> Scale:
        """Cover the finite values with a margin, or 0 to 1 where there are none."""
        finite = [v for v in values if math.isfinite(v)]
        if not finite:
            return cls(0.0, 1.0)
        low, high = min(finite), max(finite)
        margin = (high / 2 - low / 2) * 0.08 or abs(low) * 0.05 or 0.5
        limit = sys.float_info.max
        return cls(max(low - margin, -limit), min(high + margin, limit))

    def percent(self, value: float) -> float:
        """Return where a value is across the chart, in per cent of its width."""
        span = self.high / 2 - self.low / 2  # halves: the difference of two doubles may overflow
        part = (value / 2 - self.low / 2) / span if span > 0 else 0.5
        return round(_LEFT + (_RIGHT - _LEFT) * min(max(part, 0.0), 1.0), 3)

    def ticks(self, most: int = 5) -> tuple[float, ...]:
        """Return at most `most` round values (1, 2 or 5 times a power of ten) on the axis."""
        span = self.high - self.low
        magnitude = max(abs(self.low), abs(self.high))
        if not math.isfinite(span) or span <= magnitude * 1e-12 or span < 1e-300:
            return (self.low,)
        power = 10.0 ** math.floor(math.log10(span / most))
        for step in (power, 2 * power, 5 * power, 10 * power, 20 * power):
            first, last = math.ceil(self.low / step), math.floor(self.high / step)
            if last - first < most:
                return tuple(i * step for i in range(first, last + 1))
        return (self.low,)  # not reached for a finite span


def dot_plot(
    points: Sequence[Point], *, ident: str, title: str, description: str, direction: str = ""
) -> Markup:
    """Draw values with horizontal error bars, a line each, in the order given.

    Parameters
    ----------
    points : sequence of Point
    ident : str
        Unique on the page: the chart's title and description are found by it.
    title, description : str
        What a screen reader says of the chart.
    direction : str
        What the axis means, e.g. ``"higher is better"``.

    Returns
    -------
    Markup
        An ``<svg>`` element.
    """
    scale = Scale.over([x for p in points for x in (p.value, p.low, p.high) if x is not None])
    bottom = len(points) * _ROW + 4
    parts = [_grid(scale, 0, bottom)]
    for i, point in enumerate(points):
        if i and point.group != points[i - 1].group:
            parts.append(_line("rule", 0, 100, i * _ROW + 1))
        parts.append(_point(point, scale, i * _ROW))
    if direction:
        parts.append(_words("axis", 100, bottom + 31, direction, anchor="end"))
    height = bottom + _AXIS + (4 if direction else -10)
    return _svg(parts, height=height, ident=ident, title=title, description=description)


def fold_strip(
    folds: Sequence[FoldValue], *, ident: str, title: str, description: str = ""
) -> Markup:
    """Draw the values on single folds, a line per repeat, with the mean of each repeat.

    Parameters
    ----------
    folds : sequence of FoldValue
    ident, title, description : str
        As in `dot_plot`; without description one is made of the values.

    Returns
    -------
    Markup
        An ``<svg>`` element.
    """
    repeats = sorted({fold.repeat for fold in folds})
    scale = Scale.over([fold.value for fold in folds])
    top, row = 4, 22
    bottom = top + row * max(len(repeats), 1)
    parts = [_grid(scale, 0, bottom)]
    for i, repeat in enumerate(repeats):
        y = top + i * row + row // 2
        here = [fold for fold in folds if fold.repeat == repeat and math.isfinite(fold.value)]
        parts.append(_line("track", _LEFT, _RIGHT, y))
        if here:
            x = scale.percent(sum(fold.value / len(here) for fold in here))
            parts.append(
                Markup('<line class="mean" x1="{0}%" x2="{0}%" y1="{1}" y2="{2}" {3}/>').format(
                    x, y - 8, y + 8, Markup('stroke="currentColor"')
                )
            )
        parts += [
            _dot(
                "fold",
                scale.percent(fold.value),
                y,
                f"repeat {fold.repeat}, fold {fold.fold}: {fold.value!r}",
            )
            for fold in here
        ]
    said = description or "; ".join(
        f"repeat {fold.repeat} fold {fold.fold}: {plain(fold.value)}" for fold in folds
    )
    return _svg(parts, height=bottom + 22, ident=ident, title=title, description=said)


def _point(point: Point, scale: Scale, top: int) -> Markup:
    text, y = top + 16, top + 29
    parts = [
        _words("label", 0, text, _short(point.label, _LABEL - len(point.text))),
        _words("value", 100, text, point.text or plain(point.value), anchor="end"),
    ]
    ends = [x for x in (point.low, point.high) if x is not None and not math.isnan(x)]
    if len(ends) == 2 and math.isfinite(point.value):
        low, high = sorted(scale.percent(x) for x in ends)
        parts.append(_line("bar", low, high, y, width=2))
        parts += [
            Markup('<line class="bar" x1="{0}%" x2="{0}%" y1="{1}" y2="{2}" {3}/>').format(
                x, y - 4, y + 4, Markup('stroke="currentColor" stroke-width="2"')
            )
            for x in (low, high)
        ]
    if math.isfinite(point.value):
        parts.append(
            _dot("dot", scale.percent(point.value), y, f"{point.label}: {point.text}", radius=5)
        )
    return Markup("<g>{}</g>").format(Markup("").join(parts))


def _grid(scale: Scale, top: int, bottom: int) -> Markup:
    ticks = scale.ticks()
    step = ticks[1] - ticks[0] if len(ticks) > 1 else 0.0
    parts = []
    for tick in ticks:
        x = scale.percent(tick)
        anchor = "start" if x < 6 else "end" if x > 94 else "middle"
        parts.append(
            Markup('<line class="grid" x1="{0}%" x2="{0}%" y1="{1}" y2="{2}" {3}/>').format(
                x, top, bottom, Markup('stroke="currentColor" stroke-opacity="0.15"')
            )
        )
        parts.append(_words("axis", x, bottom + 15, tick_label(tick, step), anchor=anchor))
    return Markup("").join(parts)


def tick_label(value: float, step: float) -> str:
    """Write a tick with the decimals that its step needs."""
    if (value and not 1e-3 <= abs(value) < 1e6) or not 1e-5 <= step < 1e6:
        return plain(value)
    decimals = max(0, -math.floor(math.log10(step) + 1e-9))
    text = f"{value:.{decimals}f}"
    return text.replace("-", "\N{MINUS SIGN}") if float(text) else text.replace("-", "")


def _svg(
    parts: Sequence[Markup], *, height: int, ident: str, title: str, description: str
) -> Markup:
    return Markup(
        '<svg class="chart" role="img" width="100%" height="{height}" '
        'aria-labelledby="{ident}-title {ident}-desc" fill="currentColor" font-size="13">'
        '<title id="{ident}-title">{title}</title><desc id="{ident}-desc">{description}</desc>'
        "{parts}</svg>"
    ).format(
        height=height,
        ident=ident,
        title=title,
        description=description,
        parts=Markup("").join(parts),
    )


def _line(kind: str, x1: float, x2: float, y: float, *, width: float = 1) -> Markup:
    return Markup(
        '<line class="{}" x1="{}%" x2="{}%" y1="{y}" y2="{y}" stroke="currentColor" '
        'stroke-width="{}"/>'
    ).format(kind, x1, x2, width, y=y)


def _dot(kind: str, x: float, y: float, title: str, *, radius: float = 4.5) -> Markup:
    return Markup('<circle class="{}" cx="{}%" cy="{}" r="{}"><title>{}</title></circle>').format(
        kind, x, y, radius, title
    )


def _words(kind: str, x: float, y: float, text: str, *, anchor: str = "start") -> Markup:
    return Markup('<text class="{}" x="{}%" y="{}" text-anchor="{}">{}</text>').format(
        kind, x, y, anchor, escape(text)
    )


def _short(label: str, most: int) -> str:
    return label if len(label) <= most else label[: max(most - 1, 8)] + "\N{HORIZONTAL ELLIPSIS}"
