"""The filters of lists, which OpenML writes into the path: ``name/value/name/value``."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any, TypeVar

from sqlalchemy import ColumnElement, GenerativeSelect, select

from hepml_tasks.server.database import Tag
from hepml_tasks.server.errors import Refused

_Statement = TypeVar("_Statement", bound=GenerativeSelect)

# Production's idea of a value that is safe; it names ",-_" as a range, so that brackets are in.
_SAFE = re.compile(r"[a-zA-Z0-9 ,-_()]*")

MOST = 10_000
"""Items at most in one answer; the client asks for so many a page."""


@dataclass(frozen=True)
class Codes:
    """The error codes of one list.

    Parameters
    ----------
    illegal, value, offset : int
        For an unknown filter, for a value that it can't have, for an offset without a limit.
    limit : int, optional
        For a limit above `most`; without it such a limit is lowered.
    most : int
        Items at most in one answer.
    """

    illegal: int
    value: int
    offset: int
    limit: int | None = None
    most: int = MOST


@dataclass(frozen=True)
class Filters:
    """Filters that are known by name; their values are checked when they are asked for."""

    values: Mapping[str, str]
    codes: Codes

    def __bool__(self) -> bool:
        return bool(self.values)

    def refuse(self, name: str) -> Refused:
        """Make the error for a value that the filter can't have."""
        return Refused(self.codes.value, f"Filters with illegal values: {name}")

    def ids(self, name: str) -> list[int] | None:
        """Give a list of ids, or `None` where the filter is not set.

        The client writes some lists in Python's brackets, so they are allowed.
        """
        value = self.values.get(name)
        if value is None:
            return None
        parts = [part.strip() for part in value.strip("[]").split(",")]
        if not all(re.fullmatch(r"[0-9]{1,18}", part) for part in parts) or len(parts) > MOST:
            raise self.refuse(name)
        return [int(part) for part in parts if len(part) < 10]

    def text(self, name: str) -> str | None:
        """Give a text, or `None` where the filter is not set."""
        return self.values.get(name)

    def interval(self, name: str) -> tuple[float, float] | None:
        """Give the two ends of ``a..b`` (or ``a`` twice), or `None`."""
        value = self.values.get(name)
        if value is None:
            return None
        found = re.fullmatch(r"([0-9]{1,15})(?:\.\.([0-9]{1,15}))?", value)
        if not found:
            raise self.refuse(name)
        return float(found[1]), float(found[2] or found[1])

    def page(self, statement: _Statement) -> _Statement:
        """Apply limit and offset."""
        limit, offset = self._number("limit"), self._number("offset")
        if offset and limit is None:
            raise Refused(self.codes.offset)
        if limit is not None and limit > self.codes.most and self.codes.limit:
            raise Refused(self.codes.limit, f"at most {self.codes.most}")
        most = self.codes.most
        return statement.limit(most if limit is None else min(limit, most)).offset(offset or 0)

    def _number(self, name: str) -> int | None:
        value = self.values.get(name)
        if value is None:
            return None
        if not re.fullmatch(r"[0-9]{1,12}", value):
            raise self.refuse(name)
        return int(value)


def parse_filters(path: str, allowed: Collection[str], codes: Codes) -> Filters:
    """Read the filters at the end of a list's path.

    Raises
    ------
    Refused
        If one is unknown, twice there, or without a value.
    """
    parts = path.split("/") if path else []
    names = parts[::2]
    legal = {*allowed, "limit", "offset"}
    illegal = sorted(set(names) - legal)
    if illegal:
        raise Refused(
            codes.illegal,
            f"Legal filter operators: {','.join(sorted(legal))}. "
            f"Found illegal filter(s): {', '.join(illegal)}",
        )
    if len(parts) % 2 or len(set(names)) != len(names):
        raise Refused(codes.illegal, "each filter needs exactly one value")
    values = dict(zip(names, parts[1::2], strict=True))
    for name, value in values.items():
        if not value or len(value) > 100_000 or not _SAFE.fullmatch(value):
            raise Refused(codes.value, f"Filters with illegal values: {name}")
    return Filters(values, codes)


def tagged(kind: str, entity_id: Any, tag: str | None) -> list[ColumnElement[bool]]:
    """Give the condition that an entity bears a tag, or none for `None`."""
    if tag is None:
        return []
    bearers = select(Tag.entity_id).where(Tag.kind == kind, Tag.tag == tag)
    condition: ColumnElement[bool] = entity_id.in_(bearers)
    return [condition]
