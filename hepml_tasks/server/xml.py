"""OpenML's XML: writing answers, and reading descriptions that nobody vouches for."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from xml.sax.saxutils import escape, quoteattr

from hepml_tasks.errors import FormatError

if TYPE_CHECKING:
    from xml.etree.ElementTree import Element

NAMESPACE = "http://openml.org/openml"

# XML 1.0 can't carry these, not even escaped.
_FORBIDDEN = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\ufffe\uffff\ud800-\udfff]")


@dataclass(frozen=True)
class Node:
    """An element of an answer; its name is written with OpenML's prefix."""

    name: str
    content: str | tuple[Node, ...]
    attributes: Mapping[str, object]


Content = str | int | float | None | Node | Iterable[Node]


def node(name: str, /, *content: Content, **attributes: object) -> Node:
    """Make an element from a text, from a number, or from elements.

    Parameters
    ----------
    name : str
        Without prefix.
    *content
        One text or number (`None` gives an empty element), or any number of elements and
        iterables of elements.
    **attributes
        Written as they are named.
    """
    if len(content) == 1 and (content[0] is None or isinstance(content[0], str | int | float)):
        only = content[0]
        return Node(name, "" if only is None else str(only), attributes)
    return Node(name, tuple(_flat(content)), attributes)


def optional(name: str, value: str | float | None) -> Iterator[Node]:
    """Give the element, or nothing for `None`."""
    if value is not None:
        yield node(name, value)


def _flat(content: Iterable[Content]) -> Iterator[Node]:
    for item in content:
        if isinstance(item, Node):
            yield item
        elif item is None or isinstance(item, str | int | float):
            raise TypeError(f"text beside elements: {item!r}")
        else:
            yield from item


def render(root: Node) -> str:
    """Write an answer as text, with OpenML's namespace declared on its root."""
    pieces: list[str] = []
    _write(root, pieces, 0, f" xmlns:oml={quoteattr(NAMESPACE)}")
    return "".join(pieces)


def _write(item: Node, pieces: list[str], depth: int, declaration: str = "") -> None:
    indent = "  " * depth
    attributes = "".join(f" {k}={quoteattr(_clean(str(v)))}" for k, v in item.attributes.items())
    pieces.append(f"{indent}<oml:{item.name}{declaration}{attributes}>")
    if isinstance(item.content, str):
        pieces.append(escape(_clean(item.content), {"\r": "&#13;"}))
        indent = ""
    else:
        pieces.append("\n")
        for child in item.content:
            _write(child, pieces, depth + 1)
    pieces.append(f"{indent}</oml:{item.name}>\n")


def _clean(text: str) -> str:
    return _FORBIDDEN.sub("\N{REPLACEMENT CHARACTER}", text)


@dataclass(frozen=True)
class Field:
    """What a child of a description may be.

    Parameters
    ----------
    required, many : bool
        Whether it must be there, and whether it may be there more than once.
    longest : int, optional
        Characters at most.
    pattern : str, optional
        A regular expression for the whole text.
    ascii : bool
        Whether other characters are refused, as production does.
    nested : bool
        Whether it holds elements, which its reader checks.
    blank : bool
        Whether it may be there and be empty, though there are rules for its text.
    """

    required: bool = False
    many: bool = False
    longest: int | None = None
    pattern: str | None = None
    ascii: bool = False
    nested: bool = False
    blank: bool = False


# Production's kinds of text.
INTEGER = r"[0-9]{1,9}"
SYSTEM = r"[A-Za-z0-9_\-.]+"
CASUAL = r"[A-Za-z0-9_\-.(),]+"
CALL = r"[A-Za-z0-9_\-.,():=]+"


def parse(data: bytes, root: str) -> Element:
    """Read a description that came from outside.

    Parameters
    ----------
    data : bytes
        UTF-8 text. Document types, entities and references to other files are refused.
    root : str
        The name that its root must have, in OpenML's namespace.

    Raises
    ------
    FormatError
        If it is not XML, not safe, or something else than `root`.
    """
    from xml.etree.ElementTree import ParseError

    from defusedxml import DefusedXmlException
    from defusedxml.ElementTree import fromstring

    try:
        if "\0" in data.decode():
            raise ValueError("it holds NUL, as UTF-16 does; send UTF-8")
        element: Element = fromstring(data, forbid_dtd=True)
    except (ParseError, DefusedXmlException, ValueError, LookupError) as error:
        detail = str(error) or type(error).__name__
        raise FormatError(f"the description is not acceptable XML: {detail}") from error
    if element.tag != f"{{{NAMESPACE}}}{root}":
        raise FormatError(
            f"the description's root is {element.tag!r}; it must be {root!r} in {NAMESPACE}"
        )
    return element


def children(element: Element, name: str) -> list[Element]:
    """Give the children of that name in OpenML's namespace, in order."""
    return element.findall(f"{{{NAMESPACE}}}{name}")


def text(element: Element, name: str) -> str | None:
    """Give the text of a child, or `None` where it is missing or empty."""
    found = element.find(f"{{{NAMESPACE}}}{name}")
    return None if found is None else (found.text or None)


def texts(element: Element, name: str) -> list[str]:
    """Give the texts of all children of that name, empty ones left out."""
    return [child.text.strip() for child in children(element, name) if child.text]


def check(element: Element, fields: Mapping[str, Field]) -> None:
    """Check the children of an element, as production does with its XSD.

    Raises
    ------
    FormatError
        If a child is unknown, missing, repeated, too long or badly formed; the message names it.
    """
    seen: dict[str, int] = {}
    prefix = f"{{{NAMESPACE}}}"
    for child in element:
        name = str(child.tag).removeprefix(prefix)
        field = fields.get(name)
        if field is None or not str(child.tag).startswith(prefix):
            raise FormatError(f"element {name!r} is not expected")
        seen[name] = seen.get(name, 0) + 1
        if seen[name] > 1 and not field.many:
            raise FormatError(f"element {name!r} is given twice")
        _check_value(name, child, field)
    missing = [name for name, field in fields.items() if field.required and name not in seen]
    if missing:
        raise FormatError(f"element {missing[0]!r} is missing")


def _check_value(name: str, child: Element, field: Field) -> None:
    if field.nested:
        return
    if len(child):
        raise FormatError(f"element {name!r} must be text")
    value = (child.text or "").strip()
    ruled = field.required or field.pattern or field.longest or field.ascii
    if ruled and not field.blank and not (value if field.required else child.text):
        raise FormatError(f"element {name!r} is empty")
    if field.longest is not None and len(value) > field.longest:
        raise FormatError(
            f"element {name!r} has {len(value)} of at most {field.longest} characters"
        )
    if field.ascii and not value.isascii():
        raise FormatError(f"element {name!r} has other characters than ASCII")
    if value and field.pattern and not re.fullmatch(field.pattern, value):
        raise FormatError(f"element {name!r} is {value[:80]!r}, which must match {field.pattern}")


def attributes(element: Element) -> dict[str, Any]:
    """Give the attributes of an element."""
    return dict(element.attrib)
