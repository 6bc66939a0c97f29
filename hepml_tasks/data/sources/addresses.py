"""Which source an address belongs to."""

from __future__ import annotations

import re

from hepml_tasks.data.sources import cernopendata, zenodo
from hepml_tasks.data.sources.record import Record, Source
from hepml_tasks.data.sources.single import LocalFile, RemoteFile
from hepml_tasks.data.transports import shown, transport_of
from hepml_tasks.errors import DataError
from hepml_tasks.spec import FileSpec

ARCHIVES: tuple[Source, ...] = (zenodo.Zenodo(), cernopendata.CernOpenData())
SOURCES: tuple[Source, ...] = (*ARCHIVES, RemoteFile(), LocalFile())
"""The first that owns an address answers for it."""


def locate(address: str) -> Record:
    """Return what is published at an address, as `hepml_tasks.data.sources.locate` says."""
    address = address.strip()
    for source in SOURCES:
        if source.owns(address):
            return source.locate(address)
    raise DataError(f"{shown(address)!r}: {_remedy(address)}")


def places_of(address: str, file: FileSpec) -> tuple[str, ...]:
    """Return the addresses at which the bytes of a file are, where a record may be named for it.

    Parameters
    ----------
    address : str
        A record of an archive that has the file, or the file's own address.
    file : FileSpec

    Raises
    ------
    DataError
        If the archive doesn't tell, or the record has no file of this name or checksum.
    """
    if transport_of(address) is not None:
        return (at_settings(address),)
    for archive in ARCHIVES:
        if archive.owns(address):
            record = archive.locate(address)
            same = [f for f in record.files if f.checksum and f.checksum == file.checksum]
            named = [f for f in record.files if f.name == file.name]
            if not (same or named):
                raise DataError(f"{record.address} has no file {file.name}")
            return (same or named)[0].urls
    return (address,)


def at_settings(url: str) -> str:
    """Return an address at an archive where the settings have that archive."""
    return zenodo.at_settings(cernopendata.at_settings(url))


def is_record(address: str) -> bool:
    """Whether an address is a record of an archive, and not a file's own."""
    return transport_of(address) is None and any(a.owns(address) for a in ARCHIVES)


def _remedy(address: str) -> str:
    if address.isdecimal():
        return f"of which archive? Write zenodo:{address} or cernopendata:{address}"
    if meant := re.fullmatch(r"(zenodo|cernopendata)\W+(\d+)", address, re.IGNORECASE):
        return f"is no address; did you mean {meant[1].lower()}:{meant[2]}?"
    if address.lower().removeprefix("doi:").startswith("10.") or "doi.org/10." in address:
        return (
            "a DOI of no archive that is known here (10.5281/zenodo.… and 10.7483/OPENDATA.… are);"
            " give the record's address, such as zenodo:4924875, or that of the file"
        )
    return (
        "is no address, and no file of this name is here; an address is a record such as"
        " zenodo:4924875, cernopendata:328 or a DOI, or the http(s):// or root:// address of a"
        " file, or a path"
    )
