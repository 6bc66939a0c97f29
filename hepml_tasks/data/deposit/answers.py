"""What Zenodo's answers say: deposits, files, refusals and rate limits.

Two shapes are read: that of https://developers.zenodo.org, and that of the present service where it
differs.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import requests

from hepml_tasks.data.transports.http import retry_after
from hepml_tasks.errors import ServerError


@dataclass(frozen=True)
class StoredFile:
    """A file of a deposit, as the archive has it.

    Parameters
    ----------
    id : str
    name : str
    size : int
    md5 : str
        Hexadecimal; empty for a file whose upload was never finished.
    """

    id: str
    name: str
    size: int
    md5: str


@dataclass(frozen=True)
class Deposition:
    """A deposit as the archive has it.

    Parameters
    ----------
    id : int
    published : bool
    page : str
        Where its owner sees it.
    bucket : str
        Address below which its files are put.
    doi : str
        Reserved for a draft; empty where none is yet.
    metadata : mapping
    files : tuple of StoredFile
    """

    id: int
    published: bool
    page: str
    bucket: str
    doi: str
    metadata: Mapping[str, Any]
    files: tuple[StoredFile, ...]


def read_deposition(entry: Any, base: str) -> Deposition:
    """Read a deposit out of an answer of the server at `base`."""
    try:
        metadata, links = entry.get("metadata") or {}, entry.get("links") or {}
        reserved = metadata.get("prereserve_doi")
        doi = entry.get("doi") or (reserved.get("doi") if isinstance(reserved, dict) else "")
        return Deposition(
            id=int(entry["id"]),
            published=bool(entry.get("submitted")),
            page=links.get("record_html") or links.get("html") or "",
            bucket=links.get("bucket") or "",
            doi=doi or "",
            metadata=metadata,
            files=tuple(_stored(file) for file in entry.get("files") or ()),
        )
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise ServerError(
            f"{base}: its answer is no deposit ({type(error).__name__}: {error}); is it a"
            " Zenodo server (HEPML_ZENODO_URL)?"
        ) from error


def _stored(file: Mapping[str, Any]) -> StoredFile:
    name = str(file["filename"])
    size = int(file.get("filesize") or 0)
    return StoredFile(str(file.get("id") or name), name, size, md5(file.get("checksum")))


def md5(checksum: object) -> str:
    """Return an md5 in hexadecimal, with or without its name before it."""
    return str(checksum or "").removeprefix("md5:")


def asked_wait(answer: requests.Response) -> float:
    """Return the seconds that the server asks to wait for, by ``Retry-After`` or its own header."""
    asked = retry_after(answer.headers.get("Retry-After"))
    reset = answer.headers.get("X-RateLimit-Reset", "")
    if asked is None:
        return float(reset) - time.time() if reset.isdecimal() else 0.0
    return asked


def reason(answer: requests.Response) -> str:
    """Tell a refusal in one line, the fields that are wrong included."""
    try:
        told = answer.json()
    except requests.JSONDecodeError:
        told = None
    if not isinstance(told, dict):
        return f"status {answer.status_code} {answer.reason or ''}".rstrip()
    text = f"{answer.status_code} {told.get('message') or answer.reason or ''}".rstrip(" .")
    wrong = []
    for error in told.get("errors") or ():
        if not isinstance(error, dict):
            wrong.append(str(error))
            continue
        # the documentation has one message a field, the present service a list of them
        said = error.get("message") or "; ".join(map(str, error.get("messages") or ()))
        wrong.append(": ".join(str(part) for part in (error.get("field"), said) if part))
    return " ".join(f"{text}: {'; '.join(wrong)}".split()) if wrong else " ".join(text.split())
