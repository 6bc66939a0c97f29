"""Where a field stands in its file, for messages that name the line."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

import yaml

Steps = Sequence[str | int]
"""The way to a field: names of mappings' keys and positions in lists."""


def line_of(path: str | os.PathLike[str], field: Steps) -> int | None:
    """Return the line on which a field of a YAML file stands, counted from 1.

    Parameters
    ----------
    path : path-like
    field : sequence of str or int
        Such as ``("dataset", "creators", 0)``. Where the file lacks it, the line of the nearest
        field that holds it.

    Returns
    -------
    int or None
        None where the file can't be read.
    """
    try:
        node = yaml.compose(Path(path).read_text("utf-8"), Loader=yaml.SafeLoader)
    except (OSError, UnicodeDecodeError, yaml.YAMLError):
        return None
    if node is None:
        return None
    line = node.start_mark.line
    for step in field:
        found = _below(node, step)
        if found is None:
            break
        key, node = found
        line = key.start_mark.line
    return int(line) + 1


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
