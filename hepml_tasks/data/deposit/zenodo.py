"""Zenodo's deposit API: drafts, their files, and publication.

Protocol: https://developers.zenodo.org, sections "Depositions", "Deposition files", "Deposition
actions", "HTTP status codes", "Errors" and "Rate Limiting"; files go to the draft's bucket, as
in "Quickstart - Upload".
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import quote, urljoin, urlsplit

import requests

from hepml_tasks.data.deposit.answers import (
    Deposition,
    StoredFile,
    asked_wait,
    md5,
    read_deposition,
    reason,
)
from hepml_tasks.data.sources.credentials import headers_for
from hepml_tasks.data.transports.http import USER_AGENT
from hepml_tasks.errors import ServerError, UnreachableError

_TIMEOUT = (10, 300)
_PASSING = {500, 502, 503, 504}
_LONGEST_WAIT = 900.0
"""Seconds; a server that asks for more is told of and not waited for."""

_HINTS = {
    401: "the token is missing or not accepted: set ZENODO_TOKEN, or HEPML_ZENODO_TOKEN_FILE to"
    " the file with it",
    403: "the token needs the scopes deposit:write and deposit:actions, and the deposit has to be"
    " yours and unpublished",
    413: "the file or the record is larger than the archive takes",
}


@dataclass(frozen=True)
class Zenodo:
    """Zenodo, its sandbox, or a server that behaves as it does.

    Parameters
    ----------
    base : str
        Such as ``https://zenodo.org``. The token goes there and nowhere else.
    attempts : int
        How often a request is made before a passing fault is told.
    pause : float
        Seconds before the second attempt; each further one waits twice as long, or as long as
        the server says.
    """

    base: str
    attempts: int = 5
    pause: float = 1.0
    _session: requests.Session = field(
        default_factory=requests.Session, repr=False, compare=False, init=False
    )

    def __post_init__(self) -> None:
        parts = urlsplit(self.base)
        loopback = parts.hostname in {"localhost", "127.0.0.1", "::1"}
        safe = {"https", "http"} if loopback else {"https"}
        if not parts.hostname or parts.scheme not in safe:
            raise ServerError(
                f"{self.base}: not an https address; a token isn't sent where others can read it"
                " (HEPML_ZENODO_URL)"
            )

    def require_token(self) -> None:
        """Check that there is a token, before any work is done that needs one.

        Raises
        ------
        ServerError
            Says where it is looked for.
        """
        if "Authorization" not in headers_for(self._api("deposit/depositions")):
            raise ServerError(
                f"{self.base} needs a token for a deposit: set ZENODO_TOKEN, or"
                " HEPML_ZENODO_TOKEN_FILE to the file with it"
            )

    def read(self, deposit: int) -> Deposition | None:
        """Return a deposit of one's own, or None if there is none of that number."""
        answer = self._send("GET", self._api(f"deposit/depositions/{deposit}"))
        if answer.status_code in {404, 410}:
            return None
        return read_deposition(self._json(answer, f"read deposit {deposit}"), self.base)

    def drafts(self) -> list[Deposition]:
        """Return one's own unpublished deposits, the newest ones."""
        query = "deposit/depositions?status=draft&sort=mostrecent&size=100"
        found = self._json(self._send("GET", self._api(query)), "list drafts")
        return [read_deposition(entry, self.base) for entry in found]

    def create(self, metadata: Mapping[str, Any]) -> Deposition:
        """Make a draft; not repeated when the answer is lost, since the draft may be there."""
        answer = self._send(
            "POST", self._api("deposit/depositions"), json={"metadata": metadata}, repeat=False
        )
        return read_deposition(self._json(answer, "make a draft"), self.base)

    def new_version(self, record: int) -> Deposition:
        """Return the draft of a published record's next version, made if there is none yet.

        Parameters
        ----------
        record : int
            The number of its latest version.
        """
        what = f"make a new version of {record}"
        url = self._api(f"deposit/depositions/{record}/actions/newversion")
        answer = self._json(self._send("POST", url), what)
        # The documentation has the old version in the answer, the present service the new draft;
        # both link to the draft.
        draft = (answer.get("links") or {}).get("latest_draft")
        if draft:
            answer = self._json(self._send("GET", self._own(draft)), what)
        deposition = read_deposition(answer, self.base)
        if deposition.published or deposition.id == record:
            raise ServerError(f"{self.base} made no draft of a new version of {record}")
        return deposition

    def latest_version(self, record: int) -> int:
        """Return the number of a published record's latest version.

        Parameters
        ----------
        record : int
            Any version's number, or that which stands for all of them.
        """
        what = f"find record {record}"
        answer = self._json(self._follow(self._api(f"records/{record}")), what)
        latest = (answer.get("links") or {}).get("latest")
        if latest:
            answer = self._json(self._follow(self._own(latest)), what)
        return int(answer["id"])

    def describe(self, deposit: int, metadata: Mapping[str, Any]) -> Deposition:
        """Replace a draft's metadata."""
        url = self._api(f"deposit/depositions/{deposit}")
        answer = self._send("PUT", url, json={"metadata": metadata})
        return read_deposition(self._json(answer, f"describe draft {deposit}"), self.base)

    def put_file(
        self, deposition: Deposition, path: Path, sent: Callable[[int], object] | None = None
    ) -> str:
        """Send a file into a draft's bucket once, and return the md5 of what arrived.

        Parameters
        ----------
        deposition : Deposition
        path : Path
        sent : callable, optional
            Called with the number of bytes of each part that is sent.

        Raises
        ------
        UnreachableError
            If the connection breaks: what arrived is to be looked up before it is sent again.
        ServerError
            If the archive refuses it.
        """
        from tqdm.utils import CallbackIOWrapper

        if not deposition.bucket:
            raise ServerError(f"{self.base} names no place for the files of draft {deposition.id}")
        url = self._own(f"{deposition.bucket.rstrip('/')}/{quote(path.name)}")
        with path.open("rb") as file:
            body = CallbackIOWrapper(sent, file, "read") if sent else file
            answer = self._send("PUT", url, data=body, repeat=False)
        return md5(self._json(answer, f"store {path.name}").get("checksum"))

    def remove_file(self, deposit: int, file: StoredFile) -> None:
        """Take a file out of a draft."""
        url = self._api(f"deposit/depositions/{deposit}/files/{quote(file.id, safe='')}")
        answer = self._send("DELETE", url)
        if answer.status_code != requests.codes.not_found:
            self._accepted(answer, f"remove {file.name} from draft {deposit}")

    def publish(self, deposit: int) -> Deposition:
        """Publish a draft, for good."""
        url = self._api(f"deposit/depositions/{deposit}/actions/publish")
        answer = self._send("POST", url, repeat=False)
        return read_deposition(self._json(answer, f"publish draft {deposit}"), self.base)

    def _api(self, path: str) -> str:
        return f"{self.base.rstrip('/')}/api/{path}"

    def _own(self, url: str) -> str:
        """Return an address that the server named, if it is the server's own."""
        url = urljoin(f"{self.base.rstrip('/')}/", url)
        here, there = urlsplit(self.base), urlsplit(url)
        if (here.scheme, here.netloc) != (there.scheme, there.netloc):
            raise ServerError(
                f"{self.base} names an address at {there.hostname}, another host: the token is"
                " not sent there"
            )
        return url

    def _follow(self, url: str) -> requests.Response:
        for _ in range(5):
            answer = self._send("GET", url)
            if not answer.is_redirect:
                return answer
            url = self._own(urljoin(url, answer.headers["Location"]))
        raise ServerError(f"{url}: redirects without end")

    def _send(
        self, method: str, url: str, *, json: Any = None, data: Any = None, repeat: bool = True
    ) -> requests.Response:
        """Make a request; what is passing is waited out, where the request may be repeated."""
        headers = {"User-Agent": USER_AGENT, "Accept": "application/json", **headers_for(url)}
        if data is not None:
            headers["Content-Type"] = "application/octet-stream"
        pause = self.pause
        for attempt in range(1, self.attempts + 1):
            wait = pause
            last = attempt == self.attempts
            try:
                if data is not None:
                    data.seek(0)
                answer = self._session.request(
                    method,
                    url,
                    json=json,
                    data=data,
                    headers=headers,
                    timeout=_TIMEOUT,
                    allow_redirects=False,
                    # given so that requests doesn't put a password of ~/.netrc for the token
                    auth=_as_it_is,
                )
            except requests.RequestException as error:
                if not repeat or last:
                    raise UnreachableError(
                        f"{method} {url}: no answer ({type(error).__name__}); try again, the same"
                        " command goes on"
                    ) from error
            else:
                limited = answer.status_code == requests.codes.too_many_requests
                if last or not (limited or (repeat and answer.status_code in _PASSING)):
                    return answer
                wait = max(pause, asked_wait(answer))
                if wait > _LONGEST_WAIT:
                    raise ServerError(
                        f"{self.base} asks to wait for {wait:.0f} s before the next request; try"
                        " again then, the same command goes on",
                        answer.status_code,
                    )
            time.sleep(wait)
            pause *= 2
        raise AssertionError  # the last attempt returns or raises

    def _accepted(self, answer: requests.Response, what: str) -> None:
        if answer.ok and not answer.is_redirect:
            return
        code = answer.status_code
        hint = f"; {_HINTS[code]}" if code in _HINTS else ""
        if code in _PASSING or code == requests.codes.too_many_requests:
            hint = "; try again later, the same command goes on"
        raise ServerError(f"{self.base} can't {what}: {reason(answer)}{hint}", code)

    def _json(self, answer: requests.Response, what: str) -> Any:
        self._accepted(answer, what)
        try:
            with closing(answer):
                return answer.json()
        except requests.JSONDecodeError as error:
            raise ServerError(
                f"{self.base} can't {what}: its answer is no JSON; is it a Zenodo server"
                " (HEPML_ZENODO_URL)?"
            ) from error


def _as_it_is(request: requests.PreparedRequest) -> requests.PreparedRequest:
    return request
