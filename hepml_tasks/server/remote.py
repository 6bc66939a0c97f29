"""Fetching a dataset from the URL under which it was published."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from hepml_tasks.errors import DataError
from hepml_tasks.server.addresses import PublicOnly, refuse_private
from hepml_tasks.server.storage import Blob, FileStore

_MOST_REDIRECTS = 5


@dataclass
class _Paced:
    """A response's body, which ends in an error when it takes too long."""

    raw: Any
    deadline: float

    def read(self, size: int, /) -> bytes:
        if time.monotonic() > self.deadline:
            raise DataError("the host is too slow")
        data: bytes = self.raw.read(size, decode_content=True)
        return data


def fetch(
    url: str, files: FileStore, *, limit: int, seconds: float, allow_private: bool = False
) -> Blob:
    """Download a plain ARFF file into the store.

    Parameters
    ----------
    url : str
        http or https.
    files : FileStore
    limit : int
        Bytes at most.
    seconds : float
        Time allowed, all redirections included.
    allow_private : bool
        Whether the host may be one that the internet doesn't have: this machine, its network.

    Raises
    ------
    DataError
        If it can't be had, in one line.
    """
    import requests
    import urllib3

    deadline = time.monotonic() + seconds
    patience = (min(10.0, seconds), min(30.0, seconds))
    try:
        with requests.Session() as session:
            # No credentials of this machine's user may leave it for an address that came by XML.
            session.trust_env = False
            if not allow_private:
                for scheme in ("http://", "https://"):
                    session.mount(scheme, PublicOnly())
            for _ in range(_MOST_REDIRECTS + 1):
                if urlsplit(url).scheme not in {"http", "https"}:
                    raise DataError(f"{url!r} is neither http nor https")
                if not allow_private:
                    refuse_private(url)
                with session.get(
                    url,
                    stream=True,
                    timeout=patience,
                    allow_redirects=False,
                    # compressed on the way it would come without its length
                    headers={"accept-encoding": "identity"},
                ) as response:
                    if response.is_redirect:
                        url = requests.compat.urljoin(url, response.headers["location"])
                        continue
                    if response.status_code != 200:
                        raise DataError(f"{url} answers {response.status_code}")
                    for name in ("Content-Length", "Content-Type"):
                        if name not in response.headers:
                            raise DataError(f"{url} comes without the header {name}")
                    length = response.headers["content-length"]
                    if length.isdigit() and int(length) > limit:
                        raise DataError(f"{url} has {length} bytes, more than {limit}")
                    return files.add(_Paced(response.raw, deadline), ".arff", limit=limit)
            raise DataError(f"{url} redirects more than {_MOST_REDIRECTS} times")
    except (requests.RequestException, urllib3.exceptions.HTTPError, ValueError, OSError) as error:
        raise DataError(f"{url} can't be fetched: {type(error).__name__}") from error
