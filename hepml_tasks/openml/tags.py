"""Tags, by which datasets, tasks and runs are found again."""

from __future__ import annotations

from collections.abc import Iterable

from hepml_tasks.errors import ServerError
from hepml_tasks.openml.connection import Connection, as_list

_TAGGED_ALREADY = 473
_ROOTS = {"data": "data_set_description", "task": "task", "run": "run"}


def tags_of(connection: Connection, kind: str, number: int) -> set[str]:
    """Return the tags of a dataset (``data``), a task or a run."""
    if kind == "task" and connection.is_ours():
        # OpenML's own answer is for tasks that it can carry
        return set(connection.get_json(f"task/{number}")["tags"])
    found = connection.get(f"{kind}/{number}")[f"oml:{_ROOTS[kind]}"]
    return {str(tag) for tag in as_list(found.get("oml:tag"))}


def missing_tags(
    connection: Connection, kind: str, number: int, wanted: Iterable[str]
) -> list[str]:
    """Return the tags that a thing lacks, in order."""
    there = tags_of(connection, kind, number)
    return [tag for tag in dict.fromkeys(wanted) if tag not in there]


def add_tag(connection: Connection, kind: str, number: int, tag: str) -> None:
    """Tag a thing; one that has the tag keeps it."""
    try:
        connection.post(f"{kind}/tag", {f"{kind}_id": str(number), "tag": tag})
    except ServerError as error:
        if error.code != _TAGGED_ALREADY:
            raise


def remove_tag(connection: Connection, kind: str, number: int, tag: str) -> None:
    """Take a tag away that this user has given."""
    connection.post(f"{kind}/untag", {f"{kind}_id": str(number), "tag": tag})
