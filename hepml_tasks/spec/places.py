"""Where a field stands in its file, for messages that name line and column."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import yaml

Steps = Sequence[str | int]
"""The way to a field: names of mappings' keys and positions in lists."""


@dataclass(frozen=True)
class Place:
    """A place in a file, line and column counted from 1."""

    line: int
    column: int


def place_in(root: yaml.Node | None, field: Steps) -> Place:
    """Return where a field stands in a YAML document.

    Parameters
    ----------
    root : yaml.Node, optional
        From `yaml.compose`; None for an empty document.
    field : sequence of str or int
        Such as ``("dataset", "creators", 0)``. Where the file lacks it, the place of the nearest
        field that holds it.
    """
    mark = None if root is None else root.start_mark
    node = root
    for step in field:
        found = None if node is None else _below(node, step)
        if found is None:
            break
        key, node = found
        mark = key.start_mark
    return Place(1, 1) if mark is None else Place(mark.line + 1, mark.column + 1)


def repeated_keys(
    node: yaml.Node | None, above: tuple[str | int, ...] = ()
) -> Iterator[tuple[tuple[str | int, ...], Place, Place]]:
    """Go through the fields that stand twice in their mapping.

    Yields
    ------
    field : tuple of str or int
    again, first : Place
    """
    if isinstance(node, yaml.MappingNode):
        seen: dict[str, yaml.Node] = {}
        for key, value in node.value:
            steps = (*above, str(key.value))
            if key.value in seen:
                first = seen[key.value].start_mark
                again = key.start_mark
                yield (
                    steps,
                    Place(again.line + 1, again.column + 1),
                    Place(first.line + 1, first.column + 1),
                )
            seen.setdefault(key.value, key)
            yield from repeated_keys(value, steps)
    elif isinstance(node, yaml.SequenceNode):
        for number, item in enumerate(node.value):
            yield from repeated_keys(item, (*above, number))


def line_of(path: str | os.PathLike[str], field: Steps) -> int | None:
    """Return the line on which a field of a YAML file stands, counted from 1.

    Parameters
    ----------
    path : path-like
    field : sequence of str or int
        As of `place_in`.

    Returns
    -------
    int or None
        None where the file can't be read.
    """
    try:
        node = yaml.compose(Path(path).read_text("utf-8"), Loader=yaml.SafeLoader)
    except (OSError, UnicodeDecodeError, yaml.YAMLError):
        return None
    return None if node is None else place_in(node, field).line


def field_name(field: Steps) -> str:
    """Write a field as error messages do, such as ``dataset.creators[0]``."""
    text = ""
    for step in field:
        text += f"[{step}]" if isinstance(step, int) else f".{step}" if text else step
    return text


def _below(node: yaml.Node, step: str | int) -> tuple[yaml.Node, yaml.Node] | None:
    if isinstance(node, yaml.MappingNode):
        return next(((key, value) for key, value in node.value if key.value == step), None)
    if isinstance(node, yaml.SequenceNode) and isinstance(step, int) and step < len(node.value):
        return node.value[step], node.value[step]
    return None
