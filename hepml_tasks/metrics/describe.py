"""What a metric's docstring says, taken apart: the pages and `hepml metrics show` read it here."""

from __future__ import annotations

import inspect
import re
from collections.abc import Mapping
from dataclasses import dataclass, field

from hepml_tasks.metrics.registry import Metric

_MATH = ".. math::"
_PHYSICIST, _ML = "For a physicist:", "For an ML reader:"


@dataclass(frozen=True)
class Description:
    """A metric's documentation by its parts, in the docstring's own markup.

    Parameters
    ----------
    summary : str
        One line.
    formula : str
        LaTeX, empty where there is none.
    symbols : str
        What the formula's letters are: the sentence that goes on after it.
    physicist, ml : str
        What the value means, told to each of its readers.
    details : tuple of str
        Further paragraphs.
    sections : mapping of str to str
        ``Parameters``, ``Notes``, ``Examples`` and the like.
    """

    summary: str
    formula: str = ""
    symbols: str = ""
    physicist: str = ""
    ml: str = ""
    details: tuple[str, ...] = ()
    sections: Mapping[str, str] = field(default_factory=dict)


def describe(metric: Metric) -> Description:
    """Take a metric's docstring apart.

    Parameters
    ----------
    metric : Metric

    Returns
    -------
    Description
        Parts that the docstring hasn't are empty.
    """
    head, *rest = re.split(r"^(\w[\w ]*)\n-{3,}\n", metric.documentation, flags=re.MULTILINE)
    sections = {name: text.strip() for name, text in zip(rest[::2], rest[1::2], strict=True)}
    paragraphs = [p for p in re.split(r"\n\s*\n", head.strip()) if p.strip()]
    found = {"formula": "", "symbols": "", "physicist": "", "ml": ""}
    details: list[str] = []
    expected = ""
    for paragraph in paragraphs[1:]:
        text = paragraph.strip()
        if text.startswith(_MATH):
            found["formula"] = inspect.cleandoc(text.removeprefix(_MATH))
            expected = "symbols" if found["formula"] else "formula"
        elif expected == "formula":
            found["formula"] = inspect.cleandoc(paragraph)
            expected = "symbols"
        elif expected == "symbols" and text[0].islower():
            found["symbols"] = _line(text)
            expected = ""
        elif text.startswith(_PHYSICIST):
            found["physicist"] = _line(text.removeprefix(_PHYSICIST))
        elif text.startswith(_ML):
            found["ml"] = _line(text.removeprefix(_ML))
        else:
            details.append(_line(text))
    return Description(
        summary=_line(paragraphs[0]), details=tuple(details), sections=sections, **found
    )


def _line(text: str) -> str:
    return " ".join(text.split())


def plain_text(text: str) -> str:
    """Return a text without the marks of its markup."""
    text = re.sub(r":math:`([^`]*)`", r"\1", text)
    text = re.sub(r":\w+:`~?(?:[\w.]*\.)?(\w+)`", r"\1", text)
    return re.sub(r"`+([^`]*)`+", r"\1", text)
