"""Zenodo's records: of any version, by number, DOI or address.

Three shapes of the API's answers are read: that of before October 2023 (``files`` with
``links.self``), that which the same address gives since (zenodo-rdm's
``legacy/serializers/schemas/zenodojson.py``), and InvenioRDM's own
(https://inveniordm.docs.cern.ch/reference/rest_api_drafts_records/).
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote, unquote, urljoin, urlsplit

from hepml_tasks import settings
from hepml_tasks.data.sources.answers import read_json
from hepml_tasks.data.sources.choice import only
from hepml_tasks.data.sources.credentials import LET_IN
from hepml_tasks.data.sources.record import PublishedFile, Record, cite, file_specs, text
from hepml_tasks.data.transports import shown
from hepml_tasks.errors import DataError

HOME = "https://zenodo.org"
SANDBOX = "https://sandbox.zenodo.org"

_DOI = re.compile(
    r"(?:doi:|https?://(?:dx\.)?doi\.org/)?10\.(5281|5072)/zenodo\.(\d{1,18})/?", re.IGNORECASE
)
_PAGE = re.compile(
    r"(?:api/)?records?/(\d{1,18})(?:/files/(?P<file>.+?)(?:/content)?|/latest|/versions/latest)?/?"
)
_DOI_PAGE = re.compile(r"doi/10\.(?:5281|5072)/zenodo\.(\d{1,18})/?", re.IGNORECASE)


@dataclass(frozen=True)
class Asked:
    """What an address asks for: a record at a server, and of its files one or all."""

    base: str
    number: int
    file: str | None = None


class Zenodo:
    """Zenodo (``HEPML_ZENODO_URL``), its sandbox, or a server that behaves as it does."""

    def owns(self, address: str) -> bool:
        """Whether an address is one of Zenodo's records, or a file of one."""
        return _asked(address) is not None

    def locate(self, address: str) -> Record:
        """Return one version of a record: the newest, where an address stands for all of them.

        Raises
        ------
        DataError
            If there is no such record, or it isn't public.
        """
        asked = _asked(address)
        if asked is None:
            raise DataError(f"{shown(address)}: is no record of Zenodo")
        what = f"record {asked.number}"
        found = read_json(_api(asked.base, asked.number), what, remedy=LET_IN)
        try:
            record = _record(found, asked)
        except (AttributeError, KeyError, TypeError, ValueError) as error:
            raise DataError(
                f"{shown(_api(asked.base, asked.number))}: its answer is no record of Zenodo"
                f" ({type(error).__name__}: {text(error)[:100]}); is it a Zenodo server"
                " (HEPML_ZENODO_URL)?"
            ) from error
        return record if asked.file is None else only(record, asked.file)


def at_settings(url: str) -> str:
    """Return an address at zenodo.org where the settings have Zenodo, such as at a mirror of it."""
    base = settings.zenodo_url()
    below = re.fullmatch(r"https?://(?:www\.)?zenodo\.org(?::443)?(/.*)", url)
    return url if below is None or base == HOME else base + below[1]


def _asked(address: str) -> Asked | None:
    base = settings.zenodo_url()
    if found := re.fullmatch(r"zenodo:(\d{1,18})", address, re.IGNORECASE):
        return Asked(base, int(found[1]))
    if found := _DOI.fullmatch(address):
        # 10.5072 is the prefix of test DOIs
        elsewhere = found[1] == "5072" and base == HOME
        return Asked(SANDBOX if elsewhere else base, int(found[2]))
    for home, prefix in (
        (base, base),
        (base, HOME),
        (base, "http://zenodo.org"),
        (base, "https://www.zenodo.org"),
        (SANDBOX, SANDBOX),
    ):
        if not address.startswith(f"{prefix}/"):
            continue
        below = re.split("[?#]", address.removeprefix(f"{prefix}/"), maxsplit=1)[0]
        if found := _PAGE.fullmatch(below):
            return Asked(home, int(found[1]), unquote(found["file"]) if found["file"] else None)
        if found := _DOI_PAGE.fullmatch(below):
            return Asked(home, int(found[1]))
    return None


def _api(base: str, number: int | str) -> str:
    return f"{base}/api/records/{number}"


def _address(base: str, number: int | str) -> str:
    """Return what names a version: short at the settings' own server, in full elsewhere."""
    return f"zenodo:{number}" if base == settings.zenodo_url() else f"{base}/records/{number}"


def _record(found: Mapping[str, Any], asked: Asked) -> Record:
    number = int(found["id"])
    metadata = found["metadata"]
    concept = _concept(found)
    if asked.number not in {number, concept}:
        raise ValueError(f"record {number} was answered where {asked.number} was asked for")
    files, notices = file_specs(_files(found, asked.base, number))
    version = _optional(metadata.get("version"))
    own = _address(asked.base, number)
    label = f"{own} (version {version})" if version else own
    newest, newer = _newest(found, asked.base, number)
    if number != asked.number:
        notices.insert(0, f"zenodo {asked.number} stands for all versions: {label} is the newest")
    if newer:
        notices.insert(0, f"a newer version is there: {newest}; {label} is what was asked for")
    access, until = _access(found)
    if access != "open":
        ends = f" until {until}" if until else ""
        told = {"embargoed": f"under embargo{ends}"}.get(access, f"{access}{ends}")
        notices.append(f"the files of {own} are {told}; {LET_IN}")
    if not files and access == "open":
        notices.append(f"{own} has no files")
    title = text(metadata.get("title") or own)
    creators = tuple(_creators(metadata))
    doi = _optional(found.get("doi") or metadata.get("doi") or _pid(found))
    published = _optional(metadata.get("publication_date"))
    return Record(
        address=own,
        title=title,
        files=files,
        doi=doi,
        concept_doi=_optional(found.get("conceptdoi") or _pid(found.get("parent"))),
        version=version,
        newest=newest,
        licence=_licence(metadata),
        creators=creators,
        published=published,
        citation=cite(creators, title, "Zenodo", published=published, version=version, doi=doi),
        access=access,
        embargoed_until=until,
        relations=tuple(_relations(metadata)),
        notices=tuple(notices),
    )


def _files(found: Mapping[str, Any], base: str, number: int) -> Iterator[PublishedFile]:
    told = found.get("files") or ()
    if isinstance(told, dict):
        told = list((told.get("entries") or {}).values())
    for file in told:
        key = file.get("key") or file["filename"]
        links = file.get("links") or {}
        # InvenioRDM's own "self" is the file's description
        url = links.get("content") or links.get("self") or links.get("download")
        if not url:
            url = f"{_api(base, number)}/files/{quote(str(key))}/content"
        size = file.get("size", file.get("filesize"))
        yield PublishedFile(key, size, file.get("checksum"), (_link(url, base),))


def _link(url: str, base: str) -> str:
    url = at_settings(urljoin(f"{base}/", str(url)))
    if urlsplit(url).scheme not in {"http", "https"}:
        raise ValueError(f"{url!r} is no web address")
    return url


def _concept(found: Mapping[str, Any]) -> int | None:
    told = found.get("conceptrecid") or (found.get("parent") or {}).get("id")
    return int(told) if told else None


def _newest(found: Mapping[str, Any], base: str, number: int) -> tuple[str | None, bool]:
    """Return the newest version's address, and whether it is newer than this one."""
    relations = (found["metadata"].get("relations") or {}).get("version") or [{}]
    newest = (relations[0].get("last_child") or {}).get("pid_value")
    last = relations[0].get("is_last", (found.get("versions") or {}).get("is_latest"))
    if last or str(newest) == str(number):
        return _address(base, number), False
    if last is None and newest is None:
        return None, False
    if newest is None:
        # the present answers don't name it
        latest = read_json(f"{_api(base, number)}/versions/latest", "the newest version")
        newest = int(latest["id"])
    return _address(base, newest), True


def _access(found: Mapping[str, Any]) -> tuple[str, str | None]:
    metadata, own = found["metadata"], found.get("access") or {}
    embargo = own.get("embargo") or {}
    access = metadata.get("access_right") or own.get("status")
    if access not in {"open", "embargoed", "restricted", "closed"}:
        access = "restricted" if own.get("files") == "restricted" else "open"
    until = metadata.get("embargo_date") or (
        embargo.get("until") if embargo.get("active") else None
    )
    return access, None if access == "open" else _optional(until)


def _licence(metadata: Mapping[str, Any]) -> str | None:
    told = metadata.get("license") or next(iter(metadata.get("rights") or ()), None)
    return _optional(told.get("id") if isinstance(told, dict) else told)


def _creators(metadata: Mapping[str, Any]) -> Iterator[str]:
    for creator in metadata.get("creators") or ():
        name = creator.get("name") or (creator.get("person_or_org") or {}).get("name")
        if name:
            yield text(name)


def _relations(metadata: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    for related in metadata.get("related_identifiers") or ():
        relation = related.get("relation") or (related.get("relation_type") or {}).get("id")
        if relation and related.get("identifier"):
            yield text(relation), text(related["identifier"])


def _pid(found: Mapping[str, Any] | None) -> Any:
    return (((found or {}).get("pids") or {}).get("doi") or {}).get("identifier")


def _optional(value: object) -> str | None:
    return text(value) if value else None
