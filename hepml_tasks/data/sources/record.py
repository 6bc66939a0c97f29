"""What an archive says of a record, and the files that it publishes."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Protocol

from hepml_tasks.spec import FileSpec

_LONGEST_NAME = 200
"""Characters: the cache puts some of its own around a name."""
_LENGTHS = {"md5": 32, "sha256": 64, "adler32": 8}


@dataclass(frozen=True)
class Record:
    """A version of a record in an archive, or a single file elsewhere.

    Parameters
    ----------
    address : str
        What names this version and no other, such as ``zenodo:4924875``.
    title : str
    files : tuple of FileSpec
        With the checksums and sizes that the archive publishes.
    doi, concept_doi : str, optional
        This version's, and that which stands for all versions.
    version : str, optional
        The publisher's label.
    newest : str, optional
        The address of the newest version, where the archive tells.
    licence : str, optional
    creators : tuple of str
    published : str, optional
        A year or a date.
    citation : str
        One line; empty where nothing is known.
    access : str
        ``open``, ``embargoed``, ``restricted`` or ``closed``.
    embargoed_until : str, optional
        The date on which its files become public.
    relations : tuple of (str, str)
        Such as ``("isDerivedFrom", "10.7483/OPENDATA.ATLAS.ZBP2.M5T8")``.
    notices : tuple of str
        What whoever fetches it has to know.
    """

    address: str
    title: str
    files: tuple[FileSpec, ...]
    doi: str | None = None
    concept_doi: str | None = None
    version: str | None = None
    newest: str | None = None
    licence: str | None = None
    creators: tuple[str, ...] = ()
    published: str | None = None
    citation: str = ""
    access: str = "open"
    embargoed_until: str | None = None
    relations: tuple[tuple[str, str], ...] = ()
    notices: tuple[str, ...] = ()

    @property
    def dataset(self) -> str:
        """The name of its folder in a mirror, such as ``zenodo-4924875``."""
        return re.sub(r"[^A-Za-z0-9_.\-]+", "-", self.address).strip("-.")[-128:]


class Source(Protocol):
    """An archive, or another kind of place."""

    def owns(self, address: str) -> bool:
        """Whether an address is one of its records."""

    def locate(self, address: str) -> Record:
        """Return what is published at an address that it owns."""


@dataclass(frozen=True)
class PublishedFile:
    """A file as an archive's answer has it: nothing in it is to be relied on yet."""

    name: object
    size: object
    checksum: object
    urls: tuple[str, ...]


def file_specs(published: Iterable[PublishedFile]) -> tuple[tuple[FileSpec, ...], list[str]]:
    """Return files under names that are safe on any disk, and what there is to say of them.

    A name keeps its letters, digits and ``_.+-``; all else, such as the ``/`` of a folder, becomes
    ``_``. Two files of the same name are told apart by their folders, else by a number.
    """
    found: dict[str, FileSpec] = {}
    notices = []
    unverified = []
    for file in published:
        told = str(file.name)
        name = _free(_safe(told), file.urls, found)
        checksum = _checksum(file.checksum)
        if checksum is None:
            unverified.append(name)
        if name != told:
            notices.append(f"the file {text(told)!r} is called {name} here")
        size = int(str(file.size)) if file.size is not None else None
        # none is given for an empty file: a spec's size is that of something
        found[name] = FileSpec(name=name, size=size or None, checksum=checksum, urls=file.urls)
    if unverified:
        listed = ", ".join(unverified[:3]) + (" …" if len(unverified) > 3 else "")
        notices.append(f"unverified, since no checksum is published: {listed}")
    return tuple(found.values()), notices


def text(value: object) -> str:
    """Return one line that is safe to print: without controls of a terminal."""
    words = " ".join(str(value).split())
    return "".join(c for c in words if c.isprintable())


def cite(
    creators: Iterable[str],
    title: str,
    publisher: str,
    *,
    published: str | None,
    version: str | None,
    doi: str | None,
) -> str:
    """Return a citation as DataCite recommends it: creators (year): title, version, publisher."""
    who = "; ".join(creators)
    year = f" ({published[:4]})" if published else ""
    parts = (f"{who}{year}: {title}" if who else f"{title}{year}", version and f"version {version}")
    where = (publisher, doi and f"https://doi.org/{doi}")
    return ". ".join(p for p in (", ".join(p for p in parts if p), *where) if p)


def _safe(name: str) -> str:
    safe = re.sub(r"[^A-Za-z0-9_.+\-]", "_", name)
    if not re.match(r"[A-Za-z0-9_]", safe):
        safe = f"_{safe}"
    return safe[-_LONGEST_NAME:].lstrip(".+-") if len(safe) > _LONGEST_NAME else safe


def _free(name: str, urls: tuple[str, ...], taken: dict[str, FileSpec]) -> str:
    if name not in taken:
        return name
    folders = urls[0].partition("?")[0].split("/")[:-1] if urls else []
    for folder in reversed(folders):
        if folder and (longer := _safe(f"{folder}_{name}")) not in taken:
            return longer
    number = 2
    while f"{number}_{name}" in taken:
        number += 1
    return f"{number}_{name}"


def _checksum(told: object) -> str | None:
    """Return a checksum that can be compared; none for an algorithm that is not known here."""
    algorithm, _, digest = str(told or "").strip().lower().rpartition(":")
    algorithm = algorithm or "md5"
    if algorithm == "adler32":
        digest = digest.zfill(8)
    length = _LENGTHS.get(algorithm)
    if length is None or not re.fullmatch(rf"[0-9a-f]{{{length}}}", digest):
        return None
    return f"{algorithm}:{digest}"
