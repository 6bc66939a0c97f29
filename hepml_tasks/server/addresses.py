"""Which hosts a dataset may be fetched from: those of the internet, not those beside the server.

Whoever may publish a dataset by its URL has the server fetch it. A server that others reach must
not read for them what only its own network can: other services of the machine, a cloud's metadata.
"""

from __future__ import annotations

import ipaddress
import socket
from typing import Any
from urllib.parse import urlsplit

import urllib3
from requests.adapters import HTTPAdapter
from urllib3.connection import HTTPConnection, HTTPSConnection

from hepml_tasks.errors import DataError

_NAT64 = ipaddress.ip_network("64:ff9b::/96")


def is_public(address: str) -> bool:
    """Say whether an IP address is one of the internet, also where it wraps one of IPv4."""
    try:
        found = ipaddress.ip_address(address.partition("%")[0])
    except ValueError:
        return False
    inner: list[ipaddress.IPv4Address | None] = []
    if isinstance(found, ipaddress.IPv6Address):
        inner = [found.ipv4_mapped, found.sixtofour, *(found.teredo or ())]
        if found in _NAT64:
            inner.append(ipaddress.IPv4Address(int(found) & 0xFFFFFFFF))
        if found.ipv4_mapped is not None:
            return is_public(str(found.ipv4_mapped))
    return (
        found.is_global
        and not found.is_multicast
        and all(is_public(str(wrapped)) for wrapped in inner if wrapped is not None)
    )


def refuse_private(url: str) -> None:
    """Refuse a URL whose host has any address that isn't public.

    Raises
    ------
    DataError
    """
    parts = urlsplit(url)
    try:
        found = socket.getaddrinfo(
            parts.hostname or "", parts.port or parts.scheme, type=socket.SOCK_STREAM
        )
    except (OSError, ValueError) as error:
        raise DataError(f"{url}: the host {parts.hostname!r} can't be found") from error
    if not found or not all(is_public(str(address[0])) for *_, address in found):
        raise _private(parts.hostname or "")


def _private(host: str) -> DataError:
    return DataError(
        f"the host {host!r} is in the server's own network, from where nothing is fetched; "
        "upload the file, or let the server's operator start it with --allow-private-urls"
    )


class _HTTP(HTTPConnection):
    def _new_conn(self) -> socket.socket:
        return _checked(super()._new_conn(), self.host)


class _HTTPS(HTTPSConnection):
    def _new_conn(self) -> socket.socket:
        return _checked(super()._new_conn(), self.host)


def _checked(connected: socket.socket, host: str) -> socket.socket:
    """Refuse the address that was really reached: the name may have been looked up twice."""
    if is_public(str(connected.getpeername()[0])):
        return connected
    connected.close()
    raise _private(host)


class _HTTPPool(urllib3.HTTPConnectionPool):
    ConnectionCls = _HTTP


class _HTTPSPool(urllib3.HTTPSConnectionPool):
    ConnectionCls = _HTTPS


class PublicOnly(HTTPAdapter):
    """Connects `requests` to public addresses only, before a byte is sent."""

    def init_poolmanager(self, *arguments: Any, **options: Any) -> None:
        """Make the pools of connections; called by `requests`."""
        super().init_poolmanager(*arguments, **options)
        self.poolmanager.pool_classes_by_scheme = {"http": _HTTPPool, "https": _HTTPSPool}
