"""The pictures of the metrics' pages, as SVG: drawn from formulas, the same on every machine.

Scores are normal with deviation 1, of background around 0 and of signal around 1.5.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from statistics import NormalDist

_WIDTH, _HEIGHT = 420, 260
_LEFT, _RIGHT, _TOP, _BOTTOM = 52, 18, 14, 42
_BLUE, _ORANGE, _GREY = "#1f6feb", "#d1590a", "#57606a"
_SIGNAL, _BACKGROUND = NormalDist(1.5), NormalDist(0)

Points = Sequence[tuple[float, float]]


@dataclass(frozen=True)
class Line:
    """A curve, with a name beside its last point or where `at` says."""

    points: Points
    colour: str = _BLUE
    name: str = ""
    at: tuple[float, float] | None = None
    fill: bool = False
    dashed: bool = False


def chart(
    lines: Sequence[Line],
    *,
    x: tuple[float, float],
    y: tuple[float, float],
    labels: tuple[str, str],
    marks: Points = (),
) -> str:
    """Draw lines over two linear axes."""

    def place(point: tuple[float, float]) -> str:
        across = (point[0] - x[0]) / (x[1] - x[0])
        up = (min(max(point[1], y[0]), y[1]) - y[0]) / (y[1] - y[0])
        left = _LEFT + across * (_WIDTH - _LEFT - _RIGHT)
        top = _HEIGHT - _BOTTOM - up * (_HEIGHT - _TOP - _BOTTOM)
        return f"{left:.1f},{top:.1f}"

    def text(where: str, words: str, anchor: str = "middle", colour: str = _GREY) -> str:
        left, top = where.split(",")
        return f'<text x="{left}" y="{top}" text-anchor="{anchor}" fill="{colour}">{words}</text>'

    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH} {_HEIGHT}"'
        f' width="{_WIDTH}" height="{_HEIGHT}" font-family="sans-serif" font-size="12">',
        f'<rect width="{_WIDTH}" height="{_HEIGHT}" fill="white"/>',
    ]
    for line in lines:
        points = " ".join(map(place, line.points))
        if line.fill:
            corners = [(line.points[-1][0], y[0]), (line.points[0][0], y[0])]
            area = " ".join([points, *map(place, corners)])
            parts.append(f'<polygon points="{area}" fill="{line.colour}" fill-opacity="0.15"/>')
        dashes = ' stroke-dasharray="5 4"' if line.dashed else ""
        parts.append(
            f'<polyline points="{points}" fill="none" stroke="{line.colour}"'
            f' stroke-width="2"{dashes}/>'
        )
        if line.name:
            where = place(line.at or line.points[-1])
            parts.append(text(where, line.name, "start", line.colour))
    for mark in marks:
        left, top = place(mark).split(",")
        parts.append(f'<circle cx="{left}" cy="{top}" r="4" fill="{_ORANGE}"/>')
    corner = [place((x[0], y[1])), place((x[0], y[0])), place((x[1], y[0]))]
    parts.append(f'<polyline points="{" ".join(corner)}" fill="none" stroke="{_GREY}"/>')
    for k in range(5):
        at_x, at_y = (low + k / 4 * (high - low) for low, high in (x, y))
        left, bottom = place((at_x, y[0])).split(",")
        parts.append(text(f"{left},{float(bottom) + 15:.1f}", f"{at_x:.3g}"))
        left, top = place((x[0], at_y)).split(",")
        parts.append(text(f"{float(left) - 5:.1f},{float(top) + 4:.1f}", f"{at_y:.3g}", "end"))
    parts.append(text(f"{(_LEFT + _WIDTH) / 2:.1f},{_HEIGHT - 8}", labels[0]))
    parts.append(
        f'<text transform="translate(12 {_HEIGHT / 2:.0f}) rotate(-90)" text-anchor="middle"'
        f' fill="{_GREY}">{labels[1]}</text>'
    )
    return "\n".join([*parts, "</svg>"]) + "\n"


def _grid(low: float, high: float, n: int = 100) -> list[float]:
    return [low + k / n * (high - low) for k in range(n + 1)]


def _roc() -> list[tuple[float, float]]:
    """Signal efficiency over background efficiency."""
    cuts = _grid(6, -5, 200)
    return [(0.0, 0.0), *((1 - _BACKGROUND.cdf(t), 1 - _SIGNAL.cdf(t)) for t in cuts), (1.0, 1.0)]


def _ams(s: float, b: float, regular: float = 10.0) -> float:
    b += regular
    return math.sqrt(2 * ((s + b) * math.log1p(s / b) - s))


def _ams_over_cut() -> list[tuple[float, float]]:
    return [
        (t, _ams(700 * (1 - _SIGNAL.cdf(t)), 400_000 * (1 - _BACKGROUND.cdf(t))))
        for t in _grid(0, 5)
    ]


def ams() -> str:
    """Draw AMS over the cut on the score."""
    line = Line(_ams_over_cut(), name="of the events above the cut", at=(0.3, 2.6))
    return chart([line], x=(0, 5), y=(0, 3), labels=("cut on the score", "AMS"))


def ams_maximum() -> str:
    """Draw AMS over the cut, with its largest value."""
    points = _ams_over_cut()
    best = max(points, key=lambda p: p[1])
    return chart(
        [Line(points)], x=(0, 5), y=(0, 3), labels=("cut on the score", "AMS"), marks=[best]
    )


def asimov() -> str:
    """Draw the significance over the background for three uncertainties of it."""

    def z(s: float, b: float, sigma: float) -> float:
        if sigma == 0:
            return _ams(s, b, 0.0)
        v = sigma * sigma
        first = (s + b) * math.log((s + b) * (b + v) / (b * b + (s + b) * v))
        return math.sqrt(2 * (first - b * b / v * math.log(1 + v * s / (b * (b + v)))))

    lines = [
        Line(
            [(b, z(10, b, part * b)) for b in _grid(2, 100)],
            colour,
            f"σ = {part:g} b",  # noqa: RUF001 - the formula's letter
            at=(28, z(10, 28, part * 28) + 0.12),
        )
        for part, colour in ((0, _BLUE), (0.2, _ORANGE), (0.5, _GREY))
    ]
    return chart(lines, x=(0, 100), y=(0, 5), labels=("background b, for s = 10", "Z"))


def roc() -> str:
    """Draw the ROC curve with the area below it."""
    chance = Line([(0, 0), (1, 1)], _GREY, dashed=True)
    area = Line(_roc(), fill=True)
    return chart(
        [area, chance], x=(0, 1), y=(0, 1), labels=("background efficiency", "signal efficiency")
    )


def rejection(efficiency: float) -> Callable[[], str]:
    """Give what draws the rejection over signal efficiency, with the working point."""

    def draw() -> str:
        points = [(s, math.log10(1 / b)) for b, s in _roc() if b > 0 and s > 0.03]
        mark = 1 - _BACKGROUND.cdf(_SIGNAL.inv_cdf(1 - efficiency))
        return chart(
            [Line(points)],
            x=(0, 1),
            y=(0, 4),
            labels=("signal efficiency", "log10 of the rejection"),
            marks=[(efficiency, -math.log10(mark))],
        )

    return draw


def efficiency(background: float) -> Callable[[], str]:
    """Give what draws the signal efficiency over log10 of the background's, with the point."""

    def draw() -> str:
        points = [(math.log10(b), s) for b, s in _roc() if b > 1e-3]
        mark = 1 - _SIGNAL.cdf(_BACKGROUND.inv_cdf(1 - background))
        return chart(
            [Line(points)],
            x=(-3, 0),
            y=(0, 1),
            labels=("log10 of the background efficiency", "signal efficiency"),
            marks=[(math.log10(background), mark)],
        )

    return draw


def _sic_points() -> list[tuple[float, float]]:
    return [(s, s / math.sqrt(b)) for b, s in _roc() if b > 1e-3 and s < 1]


def sic() -> str:
    """Draw the improvement over signal efficiency, with the working point."""
    b = 1 - _BACKGROUND.cdf(_SIGNAL.inv_cdf(0.7))
    return chart(
        [Line(_sic_points()), Line([(0, 1), (1, 1)], _GREY, dashed=True)],
        x=(0, 1),
        y=(0, 3),
        labels=("signal efficiency", "significance improvement"),
        marks=[(0.3, 0.3 / math.sqrt(b))],
    )


def sic_maximum() -> str:
    """Draw the improvement over signal efficiency, with its largest value."""
    points = _sic_points()
    return chart(
        [Line(points), Line([(0, 1), (1, 1)], _GREY, dashed=True)],
        x=(0, 1),
        y=(0, 3),
        labels=("signal efficiency", "significance improvement"),
        marks=[max(points, key=lambda p: p[1])],
    )


def truncated() -> str:
    """Draw the ROC curve with the ends of its bands."""
    bands = [Line([(0, k / 5), (1, k / 5)], _GREY, dashed=True) for k in range(1, 5)]
    names = [
        Line([(0.97, k / 5)], _ORANGE, f"{w:g}", at=(0.93, k / 5 + 0.08))
        for k, w in enumerate((2, 1.5, 1, 0.5, 0))
    ]
    return chart(
        [Line(_roc()), *bands, *names],
        x=(0, 1),
        y=(0, 1),
        labels=("background efficiency", "signal efficiency, weight of its band"),
    )


def _two_distributions(names: tuple[str, str]) -> tuple[list[Line], NormalDist, NormalDist]:
    first, second = NormalDist(0), NormalDist(0.6, 1.1)
    grid = _grid(-3, 4)
    lines = [
        Line([(t, first.cdf(t)) for t in grid], _BLUE, names[0], at=(-1.6, 0.45)),
        Line([(t, second.cdf(t)) for t in grid], _ORANGE, names[1], at=(1.5, 0.7)),
    ]
    return lines, first, second


def agreement() -> str:
    """Draw two distribution functions, and where they are farthest apart."""
    lines, first, second = _two_distributions(("simulation", "data"))
    worst = max(_grid(-3, 4), key=lambda t: abs(first.cdf(t) - second.cdf(t)))
    ends = [(worst, first.cdf(worst)), (worst, second.cdf(worst))]
    lines.append(Line(ends, _GREY, dashed=True))
    return chart(lines, x=(-3, 4), y=(0, 1), labels=("score", "distribution function"), marks=ends)


def wasserstein() -> str:
    """Draw two distribution functions, and the area between them."""
    lines, first, second = _two_distributions(("simulated", "generated"))
    between = [
        Line([(t, first.cdf(t)), (t, second.cdf(t))], _GREY, dashed=False)
        for t in _grid(-2.8, 3.8, 66)
    ]
    return chart(
        [*between, *lines], x=(-3, 4), y=(0, 1), labels=("feature", "distribution function")
    )


def calibration() -> str:
    """Draw the share of signal over predicted probability."""
    grid = _grid(0.02, 0.98, 12)
    bent = [(p, 1 / (1 + ((1 - p) / p) ** 0.5)) for p in grid]
    gaps = [Line([(p, p), (p, q)], _GREY) for p, q in bent]
    ideal = Line([(0, 0), (1, 1)], _GREY, "calibrated", at=(0.72, 0.5), dashed=True)
    over = Line(bent, _BLUE, "too sure of itself", at=(0.05, 0.62))
    return chart(
        [*gaps, ideal, over],
        x=(0, 1),
        y=(0, 1),
        labels=("predicted probability", "share of signal"),
    )


def brier() -> str:
    """Draw the penalty of a predicted probability for either class."""
    grid = _grid(0, 1)
    lines = [
        Line([(p, (1 - p) ** 2) for p in grid], _BLUE, "signal", at=(0.05, 0.95)),
        Line([(p, p**2) for p in grid], _ORANGE, "background", at=(0.74, 0.95)),
    ]
    return chart(lines, x=(0, 1), y=(0, 1), labels=("predicted probability", "penalty"))


def log_loss() -> str:
    """Draw the logarithmic penalty of a predicted probability for either class."""
    grid = _grid(0.01, 0.99)
    lines = [
        Line([(p, -math.log(p)) for p in grid], _BLUE, "signal", at=(0.1, 3)),
        Line([(p, -math.log(1 - p)) for p in grid], _ORANGE, "background", at=(0.68, 3)),
    ]
    return chart(lines, x=(0, 1), y=(0, 4), labels=("predicted probability", "penalty in nats"))


def resolution() -> str:
    """Draw the distribution of the response with its central 68 %."""
    response = NormalDist(1.02, 0.1)
    whole = Line([(r, response.pdf(r)) for r in _grid(0.6, 1.4)])
    middle = Line([(r, response.pdf(r)) for r in _grid(0.92, 1.12)], fill=True)
    name = Line([(1.14, 3)], _BLUE, "68.27 %", at=(1.14, 3))
    return chart(
        [whole, middle, name],
        x=(0.6, 1.4),
        y=(0, 5),
        labels=("predicted over true energy", "density"),
    )


def pinball() -> str:
    """Draw the loss over the miss for three quantiles."""
    grid = _grid(-2, 2)
    lines = [
        Line([(m, max(a * m, (a - 1) * m)) for m in grid], colour, f"α = {a:g}", at=at)  # noqa: RUF001 - the formula's letter
        for a, colour, at in (
            (0.16, _GREY, (-1.15, 1.15)),
            (0.5, _BLUE, (1.3, 0.42)),
            (0.84, _ORANGE, (0.55, 1.15)),
        )
    ]
    return chart(lines, x=(-2, 2), y=(0, 2), labels=("true value less prediction", "loss"))


def interval() -> str:
    """Draw the penalty on the coverage of 1000 experiments, as it lowers the score."""
    level, sigma = 0.6827, math.sqrt(0.6827 * 0.3173 / 1000)

    def loss(c: float) -> float:
        if c < level - 2 * sigma:
            return -math.log(1 + ((level - 2 * sigma - c) / sigma) ** 4)
        if c > level + 2 * sigma:
            return -math.log(1 + ((c - level - 2 * sigma) / sigma) ** 3)
        return 0.0

    line = Line([(c, loss(c)) for c in _grid(0.58, 0.78, 200)])
    return chart(
        [line],
        x=(0.58, 0.78),
        y=(-7, 1),
        labels=("coverage of 1000 experiments", "added to the score"),
    )


PICTURES: dict[str, tuple[Callable[[], str], str]] = {
    "ams": (ams, "AMS over the cut on the score: it rises to a maximum and falls"),
    "ams_maximum": (ams_maximum, "AMS over the cut on the score, a dot on its maximum"),
    "asimov_significance": (asimov, "Significance over background for three uncertainties"),
    "roc_auc": (roc, "A ROC curve with the area below it shaded"),
    "area_under_roc_curve": (roc, "A ROC curve with the area below it shaded"),
    "background_rejection_30": (rejection(0.3), "Rejection over signal efficiency, dot at 0.3"),
    "background_rejection_50": (rejection(0.5), "Rejection over signal efficiency, dot at 0.5"),
    "efficiency_at_background_1": (
        efficiency(0.01),
        "Signal efficiency over background efficiency, dot at 0.01",
    ),
    "efficiency_at_background_2": (
        efficiency(0.02),
        "Signal efficiency over background efficiency, dot at 0.02",
    ),
    "efficiency_at_background_5": (
        efficiency(0.05),
        "Signal efficiency over background efficiency, dot at 0.05",
    ),
    "efficiency_at_background_10": (
        efficiency(0.1),
        "Signal efficiency over background efficiency, dot at 0.1",
    ),
    "efficiency_at_background_20": (
        efficiency(0.2),
        "Signal efficiency over background efficiency, dot at 0.2",
    ),
    "sic": (sic, "Significance improvement over signal efficiency, dot at 0.3"),
    "sic_maximum": (sic_maximum, "Significance improvement, a dot on its maximum"),
    "truncated_auc": (truncated, "A ROC curve cut into five bands of signal efficiency"),
    "agreement_ks": (agreement, "Two distribution functions and their largest distance"),
    "wasserstein": (wasserstein, "Two distribution functions and the area between them"),
    "calibration_error": (calibration, "Share of signal over predicted probability"),
    "brier_score": (brier, "Squared penalty over predicted probability"),
    "log_loss": (log_loss, "Logarithmic penalty over predicted probability"),
    "energy_resolution": (resolution, "Distribution of the response, the central 68 % shaded"),
    "pinball_loss": (pinball, "Pinball loss for three quantiles"),
    "interval_score": (interval, "Penalty over coverage: flat in a band, steep outside"),
}
"""What draws each picture, and the words for those who can't see it."""
