"""The XML that OpenML takes, and the text that may stand in it."""

from __future__ import annotations

import unicodedata
from typing import Any

import xmltodict

NAMESPACE = {"@xmlns:oml": "http://openml.org/openml"}
"""To be merged into the root of every document."""


def render_xml(document: dict[str, Any]) -> str:
    """Return a document as XML without the declaration, which OpenML doesn't take."""
    return str(xmltodict.unparse(document, full_document=False, pretty=True))


def ascii_text(text: str) -> str:
    """Return text as OpenML takes it: ASCII, letters without accents, the rest as ``?``."""
    if text.isascii():
        return text
    plain = "".join(c for c in unicodedata.normalize("NFKD", text) if not unicodedata.combining(c))
    return plain.encode("ascii", "replace").decode("ascii")
