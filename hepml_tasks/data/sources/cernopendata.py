"""Records of the CERN Open Data portal, by number, DOI or address.

The API is that which the portal's own client reads (cernopendata-client, ``searcher.py``): files
are ``root://eospublic.cern.ch//eos/…`` in a record, and the portal has each of them under its own
address too. Long lists of files are in index files of a record, or in its ``_file_indices``.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote, unquote

from hepml_tasks import settings
from hepml_tasks.data.sources.answers import read_json
from hepml_tasks.data.sources.choice import only
from hepml_tasks.data.sources.record import PublishedFile, Record, cite, file_specs, text
from hepml_tasks.data.transports import shown, transport_of
from hepml_tasks.errors import DataError

HOME = "https://opendata.cern.ch"

_DOI = re.compile(r"(?:doi:|https?://(?:dx\.)?doi\.org/)?(10\.7483/[A-Z0-9._\-]+)", re.IGNORECASE)
_PAGE = re.compile(r"(?:api/)?records?/(\d{1,18})(?:/files/(?:[^/]+/)*(?P<file>[^/]+))?/?")
_EOS = re.compile(r"root://eospublic\.cern\.ch(?::1094)?//?(?=eos/)")


@dataclass(frozen=True)
class Asked:
    """What an address asks for: a record by number or DOI, and of its files one or all."""

    number: int | None
    doi: str | None = None
    file: str | None = None


class CernOpenData:
    """The CERN Open Data portal, or a server that behaves as it does (HEPML_CERNOPENDATA_URL)."""

    def owns(self, address: str) -> bool:
        """Whether an address is one of the portal's records, or a file of one."""
        return _asked(address) is not None

    def locate(self, address: str) -> Record:
        """Return a record, its long lists of files included.

        Raises
        ------
        DataError
            If there is no such record.
        """
        asked = _asked(address)
        if asked is None:
            raise DataError(f"{shown(address)}: is no record of the CERN Open Data portal")
        number = _number_of(asked.doi) if asked.number is None else asked.number
        url = f"{settings.cernopendata_url()}/api/records/{number}"
        found = read_json(url, f"record {number}")
        try:
            record = _record(found["metadata"], asked, number)
        except (AttributeError, KeyError, TypeError, ValueError) as error:
            raise _no_record(url, error) from error
        return record if asked.file is None else only(record, asked.file)


def at_settings(url: str) -> str:
    """Return an address at opendata.cern.ch where the settings have the portal."""
    base = settings.cernopendata_url()
    below = re.fullmatch(r"https?://opendata\.cern\.ch(?::443)?(/.*)", url)
    return url if below is None or base == HOME else base + below[1]


def _asked(address: str) -> Asked | None:
    if found := re.fullmatch(r"cernopendata:(\d{1,18})", address, re.IGNORECASE):
        return Asked(int(found[1]))
    if found := _DOI.fullmatch(address):
        # DOIs are of either case, and the portal's index has them in capitals
        return Asked(None, doi=found[1].upper())
    for prefix in (settings.cernopendata_url(), HOME, "http://opendata.cern.ch"):
        if address.startswith(f"{prefix}/"):
            below = re.split("[?#]", address.removeprefix(f"{prefix}/"), maxsplit=1)[0]
            if found := _PAGE.fullmatch(below):
                return Asked(int(found[1]), file=unquote(found["file"]) if found["file"] else None)
    return None


def _number_of(doi: str | None) -> int:
    asked = quote(f'"{doi}"', safe="")
    url = f"{settings.cernopendata_url()}/api/records?page=1&size=1&q=doi:{asked}"
    found = read_json(url, f"list of the records with DOI {doi}")
    try:
        hits = found["hits"]["hits"]
        if hits:
            return int(hits[0]["id"])
    except (KeyError, TypeError, ValueError) as error:
        raise _no_record(url, error) from error
    raise DataError(
        f"{doi}: {settings.cernopendata_url()} has no record with this DOI; check it, or give the"
        " record's number, such as cernopendata:328"
    )


def _record(metadata: Mapping[str, Any], asked: Asked, number: int) -> Record:
    own = f"cernopendata:{number}"
    doi = text(metadata["doi"]) if metadata.get("doi") else None
    if asked.doi is not None and (doi or "").upper() != asked.doi:
        raise ValueError(f"record {number} has the DOI {doi}, and {asked.doi} was asked for")
    if int(metadata.get("recid", number)) != number:
        raise ValueError(f"record {metadata['recid']} was answered where {number} was asked for")
    files, notices = file_specs(_files(metadata))
    if not files:
        notices.append(f"{own} has no files")
    where = metadata.get("availability")
    if where not in {None, "online"}:
        notices.append(
            f"{own} is {text(where)}: some files are brought from tape only when the portal is"
            " asked to"
        )
    title = text(metadata["title"])
    creators = tuple(_creators(metadata))
    published = text(metadata["date_published"]) if metadata.get("date_published") else None
    version = text(metadata["version"]) if metadata.get("version") else None
    licence = (metadata.get("license") or {}).get("attribution")
    return Record(
        address=own,
        title=title,
        files=files,
        doi=doi,
        version=version,
        licence=text(licence) if licence else None,
        creators=creators,
        published=published,
        citation=cite(
            creators,
            title,
            text(metadata.get("publisher") or "CERN Open Data Portal"),
            published=published,
            version=version,
            doi=doi,
        ),
        relations=tuple(_relations(metadata)),
        notices=tuple(notices),
    )


def _files(metadata: Mapping[str, Any]) -> Iterator[PublishedFile]:
    told = metadata.get("files") or ()
    indices = metadata.get("_file_indices") or ()
    for index in indices:
        yield from map(_file, index["files"])
    for file in told:
        kind = file.get("type")
        if kind not in {"index.json", "index.txt"}:
            yield _file(file)
        elif kind == "index.json" and not indices:
            # index.txt has the same files without their checksums
            yield from map(_file, _index(file))


def _file(file: Mapping[str, Any]) -> PublishedFile:
    uri = str(file["uri"])
    if transport_of(uri) is None:
        raise ValueError(f"{uri!r} is no address of a file")
    urls: tuple[str, ...] = (at_settings(uri),)
    if below := _EOS.match(uri):
        # plain HTTP passes firewalls, and needs no client of its own
        urls = (f"{settings.cernopendata_url()}/{quote(uri[below.end() :])}", uri)
    name = file.get("filename") or uri.partition("?")[0].rpartition("/")[2]
    return PublishedFile(name, file.get("size"), file.get("checksum"), urls)


def _index(file: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    from hepml_tasks.data.fetch import fetch_file

    ((spec,), _) = file_specs([_file(file)])
    path = fetch_file(spec, dataset="cernopendata")
    try:
        listed = json.loads(path.read_bytes())
    except (ValueError, RecursionError) as error:
        raise DataError(f"{spec.urls[0]}: is no list of files ({text(error)})") from error
    if not isinstance(listed, list):
        raise DataError(f"{spec.urls[0]}: is no list of files")
    return listed


def _creators(metadata: Mapping[str, Any]) -> Iterator[str]:
    for author in metadata.get("authors") or ():
        yield text(author["name"])
    collaboration = (metadata.get("collaboration") or {}).get("name")
    if collaboration and not metadata.get("authors"):
        yield text(collaboration)


def _relations(metadata: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    for related in metadata.get("relations") or ():
        if related.get("recid") or related.get("doi"):
            other = related.get("doi") or f"cernopendata:{related['recid']}"
            yield text(related.get("type") or "isRelatedTo"), text(other)


def _no_record(url: str, error: Exception) -> DataError:
    return DataError(
        f"{shown(url)}: its answer is no record of CERN Open Data"
        f" ({type(error).__name__}: {text(error)[:100]}); is it its portal"
        " (HEPML_CERNOPENDATA_URL)?"
    )
