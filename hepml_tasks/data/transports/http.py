"""HTTP: ranges, redirects that carry no key to another host, and answers that are no data.

Statuses, ranges, validators and ``Retry-After`` are those of RFC 9110.
"""

from __future__ import annotations

import contextlib
import itertools
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from http import HTTPStatus
from typing import TYPE_CHECKING, Any
from urllib.parse import urljoin, urlsplit

from hepml_tasks import __version__
from hepml_tasks.data.origins import origin_of
from hepml_tasks.data.sources.credentials import headers_for, remedy_for
from hepml_tasks.data.transports import BLOCK, ChangedError, Opened, PassingError, shown
from hepml_tasks.errors import DataError

if TYPE_CHECKING:
    import requests

USER_AGENT = f"hepml_tasks/{__version__} (+https://pypi.org/project/hepml-tasks/)"
TIMEOUT = (10.0, 60.0)
"""Seconds until a connection stands, and between two pieces of an answer."""

_REDIRECTS = 10
_BROKEN = {408, 425, 429, 500, 502, 503, 504}
_REASONS = {
    401: "asks who you are (401); the file is restricted",
    403: "refuses the file (403); it is restricted, or the address is wrong",
    404: "has no such file (404)",
    410: "says that the file is gone for good (410)",
    429: "is asked too often (429)",
}


class RefusedError(DataError):
    """An answer that asking again doesn't change.

    Parameters
    ----------
    message : str
    status : int
        Its HTTP status.
    """

    def __init__(self, message: str, status: int) -> None:
        super().__init__(message)
        self.status = status


@contextmanager
def open_at(address: str, offset: int, version: str | None) -> Iterator[Opened]:
    """Open a web address, as `hepml_tasks.data.transports.Transport` says."""
    headers = {"User-Agent": USER_AGENT, "Accept-Encoding": "identity"}
    if offset:
        headers["Range"] = f"bytes={offset}-"
        if version is not None:
            headers["If-Range"] = version
    with answer_of(address, headers) as answer:
        yield _opened(answer, address, offset, version)


@contextmanager
def answer_of(address: str, headers: Mapping[str, str]) -> Iterator[requests.Response]:
    """Get a web address: a key is sent to its own archive alone, however often it redirects.

    Parameters
    ----------
    address : str
    headers : mapping
        Of the request; none of them a key.

    Raises
    ------
    PassingError
        If it may be had later.
    DataError
        If not.
    """
    import requests
    import urllib3

    try:
        with _session() as session, _follow(session, address, headers) as answer:
            yield answer
    except requests.exceptions.InvalidSchema as error:
        # a proxy's scheme is meant: ours was looked at before
        raise DataError(f"{shown(address)}: {error}") from error
    except (requests.exceptions.InvalidURL, requests.exceptions.MissingSchema) as error:
        raise DataError(f"{shown(address)}: is no address; correct it") from error
    except (requests.RequestException, urllib3.exceptions.HTTPError) as error:
        raise PassingError(f"{shown(address)}: {_reason(error)}") from error


def _session() -> requests.Session:
    import requests

    class Plain(requests.Session):
        """Leaves redirects to us: requests reads all of a redirect's body, however long."""

        def get_redirect_target(self, resp: requests.Response) -> None:  # noqa: ARG002 - their name
            return None

    return Plain()


def _follow(session: requests.Session, address: str, headers: Mapping[str, str]) -> Any:
    """Get an address and follow redirects; a key goes no further than the first origin."""
    origin, seen = origin_of(address), {address}
    url, trusted = address, True
    for _ in range(_REDIRECTS):
        trusted = trusted and origin_of(url) == origin
        secret = headers_for(url) if trusted else {}
        answer = session.get(
            url,
            headers={**headers, **secret},
            stream=True,
            timeout=TIMEOUT,
            allow_redirects=False,
            # given so that requests doesn't look for passwords in ~/.netrc
            auth=password_of(url) if trusted else _nobody,
        )
        if not (answer.is_redirect or answer.is_permanent_redirect):
            _check_status(answer, address, offset="Range" in headers)
            return answer
        answer.close()
        try:
            url = urljoin(url, answer.headers["Location"])
            scheme = urlsplit(url).scheme
        except ValueError as error:
            raise DataError(f"{shown(address)}: redirects to no address ({error})") from error
        if scheme not in {"http", "https"}:
            raise DataError(f"{shown(address)}: leads to {shown(url)}, which is no web address")
        if url in seen:
            raise DataError(f"{shown(address)}: its redirects go round in a circle")
        seen.add(url)
    raise DataError(f"{shown(address)}: redirects more than {_REDIRECTS} times")


def _nobody(request: requests.PreparedRequest) -> requests.PreparedRequest:
    return request


def password_of(url: str) -> Any:
    """Return what signs a request with the password in its address, or leaves it as it is."""
    from requests.auth import HTTPBasicAuth
    from requests.utils import get_auth_from_url

    user, password = get_auth_from_url(url)
    return HTTPBasicAuth(user, password) if user or password else _nobody


def _check_status(answer: requests.Response, address: str, *, offset: bool) -> None:
    status = answer.status_code
    good: set[int] = {HTTPStatus.OK}
    if offset:
        good |= {HTTPStatus.PARTIAL_CONTENT, HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE}
    if status in good:
        return
    answer.close()
    what = _REASONS.get(status) or f"answers with status {status}"
    message = f"{shown(address)}: {urlsplit(answer.url).hostname} {what}"
    if status in _BROKEN:
        raise PassingError(message, retry_after(answer.headers.get("Retry-After")))
    remedy = remedy_for(answer.url) if status in {401, 403} else ""
    raise RefusedError(message + remedy, status)


def retry_after(value: str | None) -> float | None:
    """Return the seconds of a ``Retry-After``: a number, or a date; None where it says nothing."""
    if value is None:
        return None
    if value.strip().isdecimal():
        return float(value)
    with contextlib.suppress(ValueError, TypeError):
        date = parsedate_to_datetime(value)
        date = date if date.tzinfo else date.replace(tzinfo=UTC)
        return max(0.0, (date - datetime.now(UTC)).total_seconds())
    return None


def _opened(answer: requests.Response, address: str, offset: int, version: str | None) -> Opened:
    length = answer.headers.get("Content-Length", "")
    size = int(length) if length.isdecimal() else None
    now = _version(answer.headers)
    begin = 0
    if answer.status_code == HTTPStatus.PARTIAL_CONTENT:
        told = re.fullmatch(
            r"bytes (\d+)-\d+/(\d+|\*)", answer.headers.get("Content-Range", "").strip()
        )
        if told is None or int(told[1]) != offset or (version is not None and now != version):
            # another part than asked for, or of another file: once more from the start
            raise ChangedError(f"{shown(address)}: the file changed while it was fetched")
        begin, size = offset, None if told[2] == "*" else int(told[2])
    elif answer.status_code == HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE:
        raise ChangedError(f"{shown(address)}: the file became shorter while it was fetched")
    blocks = _blocks(answer)
    if begin == 0:
        first = next(blocks, b"")
        if is_page(first, answer.headers.get("Content-Type", ""), address):
            raise DataError(
                f"{shown(address)}: answers with a web page and not with the file (a login page,"
                " or a page that says what is wrong); look at it in a browser"
            )
        blocks = itertools.chain([first], blocks)
    chunked = "chunked" in answer.headers.get("Transfer-Encoding", "").lower()
    return Opened(begin, size, now, blocks, end_is_told=size is not None or chunked)


def _blocks(answer: requests.Response) -> Iterator[bytes]:
    # what has arrived, not a whole block: a slow answer is kept as it comes
    while block := answer.raw.read1(BLOCK, decode_content=False):
        yield block


def _version(headers: Mapping[str, str]) -> str | None:
    """Return a strong validator: two different files never have the same."""
    etag = headers.get("ETag", "")
    if etag.startswith('"'):
        return etag
    modified = headers.get("Last-Modified")
    with contextlib.suppress(ValueError, TypeError, KeyError):
        # strong only if the file can't have changed within the same second
        age = parsedate_to_datetime(headers["Date"]) - parsedate_to_datetime(str(modified))
        return modified if age.total_seconds() >= 1 else None
    return None


def is_page(first: bytes, content_type: str, address: str) -> bool:
    """Whether an answer is a web page where something else is asked for."""
    if urlsplit(address).path.lower().endswith((".html", ".htm", ".xhtml", ".xml")):
        return False
    start = first[:512].removeprefix(b"\xef\xbb\xbf").lstrip().lower()
    if start.startswith((b"<!doctype html", b"<html", b"<head")):
        return True
    return "html" in content_type.lower() and start.startswith(b"<")


def _reason(error: Exception) -> str:
    import requests

    if isinstance(error, requests.exceptions.ProxyError):
        return "the proxy that the environment names does not let it through"
    if isinstance(error, requests.exceptions.SSLError):
        return "its certificate can't be trusted; REQUESTS_CA_BUNDLE names your own authorities"
    if isinstance(error, requests.exceptions.ConnectTimeout):
        return f"no connection within {TIMEOUT[0]:g} s"
    if isinstance(error, requests.exceptions.ReadTimeout) or "timed out" in str(error):
        return f"nothing came for {TIMEOUT[1]:g} s"
    if isinstance(error, requests.exceptions.ConnectionError):
        return "does not answer"
    return "the connection was cut"
