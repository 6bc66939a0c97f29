"""Single files, on a server or on this machine: no archive tells anything of them."""

from __future__ import annotations

import re
from pathlib import Path
from urllib.parse import unquote, urlsplit

from hepml_tasks.data.kept import absolute
from hepml_tasks.data.origins import origin_of
from hepml_tasks.data.sources.record import PublishedFile, Record, file_specs
from hepml_tasks.data.transports import shown, transport_of
from hepml_tasks.data.transports.local import local_path
from hepml_tasks.errors import DataError

_DOI_PAGE = re.compile(r"https?://(?:dx\.)?doi\.org/", re.IGNORECASE)


class RemoteFile:
    """A file at an ``http(s)://`` or ``root://`` address."""

    def owns(self, address: str) -> bool:
        """Whether there is a transport for it; what a DOI leads to is a page and no file."""
        return transport_of(address) is not None and not _DOI_PAGE.match(address)

    def locate(self, address: str) -> Record:
        """Return a record of this one file, with nothing to verify it by.

        Raises
        ------
        DataError
            If the address names no file.
        """
        origin_of(address)
        name = unquote(urlsplit(address).path.rstrip("/").rpartition("/")[2])
        if not name:
            raise DataError(f"{shown(address)}: names no file; give the whole address")
        files, notices = file_specs([PublishedFile(name, None, None, (address,))])
        return Record(shown(address), name, files, notices=tuple(notices))


class LocalFile:
    """A file on this machine, a mounted ``/eos`` included: it is read where it is."""

    def owns(self, address: str) -> bool:
        """Whether it is written as a path, or there is such a file."""
        if address.startswith("file://"):
            return True
        if "://" in address or not address:
            return False
        return address.startswith(("/", "./", "../", "~")) or Path(address).exists()

    def locate(self, address: str) -> Record:
        """Return a record of this one file, with nothing to verify it by.

        Raises
        ------
        DataError
            If it can't be read.
        """
        path = absolute(local_path(address))
        published = PublishedFile(path.name, path.stat().st_size, None, (str(path),))
        files, notices = file_specs([published])
        return Record(str(path), path.name, files, notices=tuple(notices))
