"""The header of an ARFF file: its relation's name and what it declares of each column."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Literal

import pyarrow as pa

from hepml_tasks.errors import FormatError

AttributeType = Literal["numeric", "integer", "string", "nominal"]
_NUMERIC = {"numeric", "real", "integer"}
_NAME = re.compile(
    r"""@attribute\s+(?:'((?:[^'\\]|\\.)*)'|"((?:[^"\\]|\\.)*)"|(\S+))\s+(.*)$""",
    re.IGNORECASE,
)
_VALUE = re.compile(
    r"""\s*(?:'((?:[^'\\]|\\.)*)'|"((?:[^"\\]|\\.)*)"|([^,{}]*[^,{}\s])?)\s*(,|$)"""
)
_PLAIN = re.compile(r"[A-Za-z0-9_.+\-]+")
NOTE = "% hepml: "
"""How the comment starts that carries what ARFF has no place for."""


@dataclass(frozen=True)
class Attribute:
    """A column as the header declares it.

    Parameters
    ----------
    name : str
    type : {"numeric", "integer", "string", "nominal"}
        A file's header says ``INTEGER``, ``NUMERIC`` and so on; what is read is numeric for both.
    values : tuple of str, optional
        The allowed values of a nominal attribute, in the header's order.
    """

    name: str
    type: AttributeType
    values: tuple[str, ...] | None = None


@dataclass(frozen=True)
class Header:
    """What stands above the rows.

    Parameters
    ----------
    relation : str
    attributes : tuple of Attribute
    types : tuple of pyarrow.DataType
        What each column is read as.
    lines : int
        The number of the line with ``@DATA``.
    note : str
        The comment that a file written here carries, as `formats.notes` reads it.
    """

    relation: str
    attributes: tuple[Attribute, ...]
    types: tuple[pa.DataType, ...]
    lines: int
    note: str = ""


def read_header(file: IO[bytes], path: Path) -> Header:
    """Read an ARFF file up to its rows.

    Parameters
    ----------
    file : binary file
        At its start; left where the rows begin.
    path : Path
        What errors name.

    Raises
    ------
    FormatError
        Names the line that is no header's.
    """
    relation, note, attributes, types = "", "", [], []
    for number, raw in enumerate(file, start=1):
        try:
            line = raw.decode("utf-8").strip()
        except UnicodeDecodeError as error:
            raise FormatError(f"{path}, line {number}: not UTF-8 text ({error.reason})") from error
        keyword = line.split(None, 1)[0].casefold() if line else ""
        if not line or line.startswith("%"):
            note = line.removeprefix(NOTE) if line.startswith(NOTE) else note
            continue
        if keyword == "@relation":
            relation = _unquote(line[len("@relation") :].strip())
        elif keyword == "@attribute":
            attribute, type_ = _parse_attribute(line, path, number)
            attributes.append(attribute)
            types.append(type_)
        elif keyword == "@data":
            if not attributes:
                raise FormatError(f"{path}: no @ATTRIBUTE before @DATA; is this an ARFF file?")
            return Header(relation, tuple(attributes), tuple(types), number, note)
        else:
            raise FormatError(
                f"{path}, line {number}: expected @RELATION, @ATTRIBUTE or @DATA,"
                f" found {line[:40]!r}"
            )
    raise FormatError(f"{path}: ends before @DATA; the file is truncated or not ARFF")


def _parse_attribute(line: str, path: Path, number: int) -> tuple[Attribute, pa.DataType]:
    match = _NAME.match(line)
    if not match:
        raise FormatError(f"{path}, line {number}: no name and type in {line[:60]!r}")
    single, double, bare, declared = match.groups()
    name = bare if bare is not None else unescape(single if single is not None else double)
    declared = declared.strip()
    if declared.startswith("{"):
        if not declared.endswith("}"):
            raise FormatError(f"{path}, line {number}: nominal values without a closing brace")
        values = tuple(_split_values(declared[1:-1]))
        return Attribute(name, "nominal", values), pa.string()
    kind = declared.split()[0].casefold() if declared else ""
    if kind in _NUMERIC:
        return Attribute(name, "numeric"), pa.int64() if kind == "integer" else pa.float64()
    if kind in {"string", "date"}:
        return Attribute(name, "string"), pa.string()
    raise FormatError(
        f"{path}, line {number}: attribute {name!r} has unknown type {declared[:40]!r}"
    )


def _split_values(text: str) -> list[str]:
    values, position = [], 0
    while position < len(text):
        match = _VALUE.match(text, position)
        if not match:
            break
        single, double, bare, _ = match.groups()
        values.append(bare if bare is not None else unescape(single or double or ""))
        position = match.end()
    return values


def _unquote(text: str) -> str:
    if len(text) >= 2 and text[0] == text[-1] and text[0] in "'\"":
        return unescape(text[1:-1])
    return text


def unescape(text: str) -> str:
    """Read the text between quotes, where a backslash stands before what would end it."""
    return re.sub(r"\\(.)", r"\1", text)


def render_header(relation: str, attributes: Sequence[Attribute], comment: str = "") -> str:
    """Return all that stands above the rows, in plain ASCII.

    Parameters
    ----------
    relation : str
    attributes : sequence of Attribute
    comment : str
        Lines above the relation.

    Raises
    ------
    FormatError
        For text that isn't ASCII.
    """
    lines = [f"% {_ascii(line, 'comment')}" for line in comment.splitlines()]
    lines += [f"@RELATION {quote(relation)}", ""]
    lines += [f"@ATTRIBUTE {quote(a.name)} {_declared(a)}" for a in attributes]
    return "\n".join([*lines, "", "@DATA", ""])


def _declared(attribute: Attribute) -> str:
    if attribute.type == "nominal":
        return "{" + ", ".join(quote(v) for v in attribute.values or ()) + "}"
    return attribute.type.upper()


def quote(text: str) -> str:
    """Return a name or value as ARFF writes it, in quotes where it needs them.

    Raises
    ------
    FormatError
        If it isn't ASCII, or holds a control character.
    """
    _ascii(text, "name or value")
    if _PLAIN.fullmatch(text):
        return text
    if any(ord(c) < 32 for c in text):
        raise FormatError(f"{text!r} holds a control character, which ARFF can't say")
    escaped = text.replace("\\", "\\\\").replace("'", "\\'")
    return f"'{escaped}'"


def _ascii(text: str, what: str) -> str:
    if not text.isascii():
        raise FormatError(f"{what} {text!r} is not plain ASCII, which OpenML requires of ARFF")
    return text
