"""XRootD: ``root://`` addresses, by the project's own client, which is an extra."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from hepml_tasks.data.transports import BLOCK, Opened, PassingError, shown
from hepml_tasks.errors import DataError

TIMEOUT = 60
"""Seconds for one answer."""

_FINAL = {
    3001: "says that the address is wrong",
    3010: "does not let you read the file; it may want a ticket (kinit) or a proxy certificate",
    3011: "has no such file",
    3016: "has a folder there and no file",
}
"""The protocol's error numbers (XRootD protocol specification, ``XErrorCode``) that stay."""

_PLAIN = {"Operation expired": "no answer in time", "Connection error": "does not answer"}

# The client's own defaults wait for many minutes where nobody answers.
_LIMITS = {"ConnectionWindow": 5, "ConnectionRetry": 1, "StreamTimeout": TIMEOUT}


@contextmanager
def open_at(address: str, offset: int, version: str | None) -> Iterator[Opened]:
    """Open a ``root://`` address, as `hepml_tasks.data.transports.Transport` says."""
    client = _client()
    file = client.File()
    try:
        status, _ = file.open(address, timeout=TIMEOUT)
        _check(status, address)
        status, stat = file.stat(timeout=TIMEOUT)
        _check(status, address)
        now = f"{stat.modtime} {stat.size}"
        begin = offset if version == now else 0
        yield Opened(begin, stat.size, now, _blocks(file, address, begin))
    finally:
        if file.is_open():
            file.close(timeout=TIMEOUT)


def _blocks(file: Any, address: str, offset: int) -> Iterator[bytes]:
    while True:
        status, block = file.read(offset, BLOCK, timeout=TIMEOUT)
        _check(status, address)
        if not block:
            return
        yield block
        offset += len(block)


def _check(status: Any, address: str) -> None:
    if status.ok:
        return
    if status.errno in _FINAL:
        raise DataError(f"{shown(address)}: the server {_FINAL[status.errno]}")
    what = " ".join(status.message.split()).partition("] ")[2] or "the client gives no reason"
    what = _PLAIN.get(what, what)
    raise PassingError(f"{shown(address)}: {what}")


def _client() -> Any:
    # A bearer token in the environment would go to whichever host asks for it (protocol ztn).
    os.environ.setdefault("XrdSecPROTOCOL", "krb5,gsi,unix,host")
    # Its handler of forks waits for ever in a forked process that has closed its files, as the one
    # that keeps flows apart has; none of those reads from a server.
    os.environ.setdefault("XRD_RUNFORKHANDLER", "0")
    try:
        from XRootD import client
    except ImportError as error:
        raise DataError(
            "root:// addresses need the package xrootd; install it with:"
            " pip install 'hepml_tasks[xrootd]'"
        ) from error
    found: Any = client
    for name, seconds in _LIMITS.items():
        if f"XRD_{name.upper()}" not in os.environ:
            found.env.EnvPutInt(name, seconds)
    return found
