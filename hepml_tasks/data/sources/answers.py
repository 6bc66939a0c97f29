"""What archives answer: JSON, asked for again where a fault may pass."""

from __future__ import annotations

import json
import random
import time
from typing import Any
from urllib.parse import urlsplit

from hepml_tasks.data import download
from hepml_tasks.data.transports import PassingError, shown
from hepml_tasks.data.transports.http import USER_AGENT, RefusedError, answer_of, is_page
from hepml_tasks.errors import DataError

_LARGEST = 200_000_000
"""Bytes of an answer; the longest lists of files have some ten millions."""
_SECONDS = 300.0


def read_json(url: str, what: str, *, remedy: str = "") -> dict[str, Any]:
    """Return the JSON object at a web address.

    Parameters
    ----------
    url : str
    what : str
        What is asked for, in messages.
    remedy : str
        What to do where it is refused.

    Raises
    ------
    DataError
        Names the address, what came instead, and what to do.
    """
    content, content_type = _asked_again(url, what, remedy)
    if is_page(content, content_type, url):
        raise DataError(
            f"{shown(url)}: answers with a web page where {what} is expected (a login page, or a"
            " page that says what is wrong); look at it in a browser, and check the archive's"
            " address in the settings"
        )
    try:
        found = json.loads(content)
    except (ValueError, RecursionError) as error:
        raise DataError(
            f"{shown(url)}: answers with no JSON where {what} is expected ({content[:40]!r})"
        ) from error
    if not isinstance(found, dict):
        raise DataError(f"{shown(url)}: is not {what}: its answer is no object")
    return found


def _asked_again(url: str, what: str, remedy: str) -> tuple[bytes, str]:
    for attempt in range(1, download.ATTEMPTS + 1):
        try:
            return _asked(url, what)
        except RefusedError as error:
            raise DataError(_refusal(url, what, error, remedy)) from error
        except PassingError as error:
            if attempt == download.ATTEMPTS:
                raise DataError(f"{error} (asked {attempt} times); try again later") from error
            wait = error.wait
            if wait is None:
                wait = download.FIRST_DELAY * 2 ** (attempt - 1) * random.uniform(0.5, 1.0)
            if wait > download.LONGEST_WAIT:
                raise DataError(f"{error}, and asks to wait {wait:.0f} s; try then") from error
            time.sleep(wait)
    raise AssertionError  # the last attempt returns or raises


def _asked(url: str, what: str) -> tuple[bytes, str]:
    end = time.monotonic() + _SECONDS
    headers = {"User-Agent": USER_AGENT, "Accept": "application/json"}
    parts, size = [], 0
    with answer_of(url, headers) as answer:
        for block in answer.iter_content(1 << 16):
            parts.append(block)
            size += len(block)
            if size > _LARGEST or time.monotonic() > end:
                raise DataError(f"{shown(url)}: its answer has no end where {what} is expected")
        return b"".join(parts), answer.headers.get("Content-Type", "")


def _refusal(url: str, what: str, error: RefusedError, remedy: str) -> str:
    host = urlsplit(url).netloc.rpartition("@")[2]
    if error.status in {401, 403}:
        said = f"{what} is restricted ({error.status})"
        remedy = remedy or "ask its owners"
    elif error.status == 404:
        said, remedy = f"there is no {what} (404)", "check the address, and the archive"
    elif error.status == 410:
        said, remedy = f"{what} was withdrawn for good (410)", "look for a newer version of it"
    else:
        return f"{error}; check the address"
    return f"{shown(url)}: {host} says that {said}; {remedy}"
