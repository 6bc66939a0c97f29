"""Origins of web addresses: what decides whether a key may go there."""

from __future__ import annotations

from urllib.parse import urlsplit

from hepml_tasks.data.transports import shown
from hepml_tasks.errors import DataError

Origin = tuple[str, str, int | None]
"""Scheme, host and port."""

_PORTS = {"http": 80, "https": 443}
_LOOPBACK = frozenset({"localhost", "127.0.0.1", "::1"})


def origin_of(url: str) -> Origin:
    r"""Return the origin that a request to an address goes to.

    Parameters
    ----------
    url : str

    Raises
    ------
    DataError
        If it is no address, or one that can be read in two ways: ``https://foreign\@zenodo.org``
        is at zenodo.org for one library, and at the foreign host for the one that connects.
    """
    from urllib3.exceptions import LocationParseError
    from urllib3.util import parse_url

    try:
        parts, connected = urlsplit(url), parse_url(url)
        scheme, host, port = parts.scheme, parts.hostname or "", parts.port
    except (ValueError, LocationParseError) as error:
        raise DataError(f"{shown(url)}: is no address ({error}); correct it") from error
    there = (connected.host or "").strip("[]").lower()
    # a name outside ASCII is encoded by the one and not by the other: no two ways to read it
    if (there != host and host.isascii()) or connected.port != port:
        raise DataError(f"{shown(url)}: is no address that can be read in one way; correct it")
    return scheme, host, port or _PORTS.get(scheme)


def keeps_secrets(origin: Origin) -> bool:
    """Whether nobody on the way reads what goes there: https, or this machine itself."""
    scheme, host, _ = origin
    return scheme == "https" or (scheme == "http" and host in _LOOPBACK)
