"""Transports: each opens one kind of address at an offset and gives the bytes from there on."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Protocol

from hepml_tasks.errors import DataError

BLOCK = 1 << 20
"""Bytes that are asked for at once."""


class PassingError(DataError):
    """A fault that may be gone when the same is asked again.

    Parameters
    ----------
    message : str
        The address and what happened.
    wait : float, optional
        Seconds that the other side asks to wait.
    """

    def __init__(self, message: str, wait: float | None = None) -> None:
        super().__init__(message)
        self.wait = wait


class ChangedError(PassingError):
    """The bytes at hand are no beginning of the file that is there now."""


@dataclass(frozen=True)
class Opened:
    """A remote file, open at an offset.

    Parameters
    ----------
    offset : int
        Where `blocks` begins: what was asked for, or 0 where the file has to be read anew.
    size : int, optional
        Bytes of the whole file, where the other side tells.
    version : str, optional
        Stays the same as long as the file does.
    blocks : iterator of bytes
    end_is_told : bool
        Whether a cut connection can be told from the file's end.
    """

    offset: int
    size: int | None
    version: str | None
    blocks: Iterator[bytes]
    end_is_told: bool = True


class Transport(Protocol):
    """What a module of this package offers."""

    def open_at(
        self, address: str, offset: int, version: str | None
    ) -> AbstractContextManager[Opened]:
        """Open an address.

        Parameters
        ----------
        address : str
        offset : int
            The bytes before it are at hand already.
        version : str, optional
            What they are of: where the file is another by now, it is opened at 0.

        Raises
        ------
        PassingError
            To be tried again.
        DataError
            Not to be had from there.
        """


def transport_of(address: str) -> Transport | None:
    """Return the transport of a remote address; None for anything else, such as a path."""
    scheme = address.partition("://")[0].lower() if "://" in address else ""
    if scheme in {"http", "https"}:
        from hepml_tasks.data.transports import http

        return http
    if scheme in {"root", "roots", "xroot", "xroots"}:
        from hepml_tasks.data.transports import xrootd

        return xrootd
    return None


def shown(address: str) -> str:
    """Return an address as messages show it: without user, password and query."""
    if "://" not in address:
        return address
    # by hand, since what is no address at all has to be shown as well
    return re.sub(r"^(\w+://)[^/]*@", r"\1", re.split("[?#]", address, maxsplit=1)[0])
