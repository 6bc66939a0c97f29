"""What production takes, checked before anything is sent, with the place in the YAML file at fault.

The limits are those of openml.org's XML schemas. They hold for every server, so that a task that
is registered on one can be registered on all of them.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from hepml_tasks.openml.connection import NAMED
from hepml_tasks.openml.descriptions import LONGEST_SUITE_TEXT, dataset_text
from hepml_tasks.spec import NAMED_ROLES, SuiteSpec, TaskSpec
from hepml_tasks.spec.places import Steps, field_name, line_of

CASUAL = r"[A-Za-z0-9_\-.(),]+"
SYSTEM = r"[A-Za-z0-9_\-.]+"
_ALIAS = r"[A-Za-z0-9_\-.]*[A-Za-z_\-.][A-Za-z0-9_\-.]*"
_ADDRESS = r"https?://[^\s/]+\S*"

_SAID = {
    CASUAL: "only letters, digits and _-.(),",
    SYSTEM: "only letters, digits and _-.",
    _ALIAS: "only letters, digits and _-. and not digits alone",
    _ADDRESS: "an http(s) address without blanks",
}


@dataclass(frozen=True)
class Limit:
    """What a text may be.

    Parameters
    ----------
    longest : int
        Characters at most.
    pattern : str, optional
        For the whole text; without it any ASCII is allowed.
    """

    longest: int
    pattern: str | None = None


DATASET = {
    "name": Limit(128, CASUAL),
    "description": Limit(16384),
    "creator": Limit(128),
    "collection_date": Limit(128),
    "licence": Limit(64),
    "url": Limit(2048, _ADDRESS),
    "default_target_attribute": Limit(1024, CASUAL),
    "row_id_attribute": Limit(128, CASUAL),
    "ignore_attribute": Limit(128, CASUAL),
    "version_label": Limit(128, CASUAL),
    "citation": Limit(1024),
    "tag": Limit(64, SYSTEM),
    "original_data_url": Limit(2048),
}
"""By the element of a dataset's description."""

STUDY = {
    "alias": Limit(32, _ALIAS),
    "name": Limit(256),
    "description": Limit(LONGEST_SUITE_TEXT),
}
"""By the element of a suite's or a study's description."""


@dataclass(frozen=True)
class Problem:
    """A field that production would refuse.

    Parameters
    ----------
    file : str
    line : int, optional
        Counted from 1.
    field : str
        Such as ``dataset.creators[0]``.
    message : str
    """

    file: str
    line: int | None
    field: str
    message: str

    def __str__(self) -> str:
        line = "" if self.line is None else f", line {self.line}"
        return f"{self.file}{line}: {self.field}: {self.message}"


def check_task(
    spec: TaskSpec, path: Path, *, columns: Sequence[str] | None = None
) -> list[Problem]:
    """Check what a task and its dataset would send.

    Parameters
    ----------
    spec : TaskSpec
    path : Path
        The spec's file, for messages.
    columns : sequence of str, optional
        Those of the data; without them the columns that roles name are checked alone.

    Returns
    -------
    list of Problem
        Empty where production takes it all.
    """
    found = [*_of_dataset(spec), *_of_columns(spec, columns)]
    return [_placed(path, field, message) for field, message in found]


def check_suite(suite: SuiteSpec, path: Path) -> list[Problem]:
    """Check what a suite would send, as `check_task` does."""
    fields = {"name": suite.name, "title": suite.title, "description": suite.description}
    limits = {"name": "alias", "title": "name", "description": "description"}
    found: list[tuple[Steps, str]] = []
    for field, text in fields.items():
        found += [((field,), m) for m in _wrong(text, STUDY[limits[field]])]
    found += [(("report",), m) for m in _wrong(suite.report, DATASET["url"])]
    return [_placed(path, field, message) for field, message in found]


def _placed(path: Path, field: Steps, message: str) -> Problem:
    return Problem(str(path), line_of(path, field), field_name(field), message)


def version_label(spec: TaskSpec) -> str:
    """Return a dataset's version as OpenML takes it: without blanks."""
    return re.sub(r"\s+", "_", spec.dataset.version)


def _of_dataset(spec: TaskSpec) -> Iterator[tuple[Steps, str]]:
    dataset = spec.dataset
    fields: list[tuple[Steps, str | None, str]] = [
        (("dataset", "name"), dataset.name, "name"),
        (("dataset", "version"), version_label(spec), "version_label"),
        (("dataset", "licence"), dataset.licence, "licence"),
        (("dataset", "citation"), dataset.citation, "citation"),
        (("dataset", "collection_date"), dataset.collection_date, "collection_date"),
        (("report",), spec.report, "url"),
    ]
    fields += [(("dataset", "creators", i), c, "creator") for i, c in enumerate(dataset.creators)]
    fields += [(field, text, "description") for field, text in _texts(spec)]
    if dataset.doi:
        fields.append((("dataset", "doi"), dataset.doi, "original_data_url"))
    for field, text, element in fields:
        for message in _wrong(text, DATASET[element]):
            yield field, message
    whole = dataset_text(spec)
    if len(whole) > DATASET["description"].longest and all(
        len(t) <= DATASET["description"].longest for _, t in _texts(spec)
    ):
        yield (
            ("dataset", "description"),
            f"with all that is said of the task it has {len(whole)} of at most"
            f" {DATASET['description'].longest} characters",
        )
    if dataset.arff is not None:
        yield from _of_arff(spec)
    if dataset.existing is not None and dataset.existing.server not in NAMED:
        for message in _wrong(dataset.existing.server, DATASET["url"]):
            yield ("dataset", "openml", "server"), f"{message}, or {' or '.join(NAMED)}"


def _texts(spec: TaskSpec) -> list[tuple[Steps, str]]:
    return [
        (("dataset", "description"), spec.dataset.description),
        (("about", "physicist"), spec.about.physicist),
        (("about", "ml"), spec.about.ml),
        (("caveat",), spec.caveat),
        (("title",), spec.title),
    ]


def _of_arff(spec: TaskSpec) -> Iterator[tuple[Steps, str]]:
    arff = spec.dataset.arff
    assert arff is not None  # noqa: S101 - its caller looked
    if not arff.name.endswith(".arff"):
        yield (
            ("dataset", "arff", "name"),
            f"{arff.name!r} is no plain .arff: no other format is taken from an address",
        )
    for number, url in enumerate(arff.urls):
        for message in _wrong(url, DATASET["url"]):
            yield ("dataset", "arff", "urls", number), message


def _of_columns(spec: TaskSpec, columns: Sequence[str] | None) -> Iterator[tuple[Steps, str]]:
    roles = spec.roles
    elements = {"target": "default_target_attribute", "event_id": "row_id_attribute"}
    named = {}
    for role in NAMED_ROLES:
        column = getattr(roles, role)
        if column is not None:
            named[column] = role
            for message in _wrong(column, DATASET[elements.get(role, "ignore_attribute")]):
                yield ("roles", role), message
    features = set(roles.features_among(columns or ()))
    origin: Steps = ("dataset", "simulator" if spec.dataset.simulator else "files")
    for column in columns or ():
        if column in named:
            continue
        limit = Limit(128) if column in features else DATASET["ignore_attribute"]
        field: Steps = ("roles", "features") if column in features else origin
        for message in _wrong(column, limit):
            yield field, f"column {column!r}: {message}"


def _wrong(text: str | None, limit: Limit) -> Iterator[str]:
    if text is None:
        return
    if not text.strip():
        yield "is empty"
    elif len(text) > limit.longest:
        yield f"has {len(text)} of at most {limit.longest} characters"
    if not text.isascii():
        strange = next(c for c in text if not c.isascii())
        yield f"holds {strange!r}; OpenML takes ASCII only"
    elif any(ord(c) < 32 and c not in "\n\t" for c in text):
        yield "holds a control character"
    elif text.strip() and limit.pattern and not re.fullmatch(limit.pattern, text):
        yield f"is {text[:60]!r}; OpenML takes {_SAID[limit.pattern]}"
