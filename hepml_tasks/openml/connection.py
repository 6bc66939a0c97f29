"""One way to talk to an OpenML server: with time limits, and errors that say what to do.

The wire is the `openml` client's own. Its transport is not used here, since it keeps one server
and key for the whole process, repeats a post whose answer was lost, and waits for minutes before
it says that nobody answers.
"""

from __future__ import annotations

import configparser
import contextlib
import json
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urljoin

import requests
import xmltodict

from hepml_tasks import settings
from hepml_tasks.data.origins import origin_of
from hepml_tasks.data.transports import shown
from hepml_tasks.data.transports.http import password_of
from hepml_tasks.errors import (
    BrokenAnswerError,
    ServerError,
    UnknownNameError,
    UnreachableError,
)
from hepml_tasks.formats.atomic import write_atomically

NAMED = {
    "openml.org": "https://www.openml.org/api/v1/xml",
    "test.openml.org": "https://test.openml.org/api/v1/xml",
}
"""Servers that have a name, beside `LOCAL`."""

LOCAL = "local"

_BASE = "/api/v1/xml"
_TIMEOUT = (10, 300)
_SERVER_FAULT = 500
_TRY_AGAIN = 107


class _Session(requests.Session):
    """Takes no password out of ~/.netrc for the host that a redirect leads to."""

    def rebuild_auth(
        self, prepared_request: requests.PreparedRequest, response: requests.Response
    ) -> None:
        """Drop what was for the first host; called by `requests`."""
        first, then = str(response.request.url), str(prepared_request.url)
        if origin_of(first) != origin_of(then):
            prepared_request.headers.pop("Authorization", None)


Files = Mapping[str, tuple[str, str | bytes]]
"""The files of a post by field: each a name and its content."""


@dataclass(frozen=True)
class Connection:
    """A server, and the key with which it knows us.

    Parameters
    ----------
    server : str
        The base of its XML API, such as ``http://127.0.0.1:8080/api/v1/xml``.
    apikey : str, optional
        Needed for all that writes.
    """

    server: str
    apikey: str | None = None

    @property
    def root(self) -> str:
        """The address of the server's pages."""
        return self.server.removesuffix(_BASE)

    @property
    def key(self) -> str:
        """The server's name for file names."""
        name = self.root.partition("://")[2]
        return "".join(c if c.isalnum() or c in ".-" else "_" for c in name)

    def get(self, path: str) -> dict[str, Any]:
        """Read the XML at a path of the API.

        Raises
        ------
        ServerError
            With the server's own code and message.
        UnreachableError
            If nothing answers.
        """
        return self._xml("GET", path, self._send("GET", f"{self.server}/{path}"))

    def get_json(self, path: str) -> dict[str, Any]:
        """Read the JSON that a server of this package has at ``/hepml/PATH``.

        Raises
        ------
        ServerError
            Also where the server is another and has none.
        """
        answer = self._send("GET", f"{self.root}/hepml/{path}")
        try:
            data = answer.json()
        except requests.JSONDecodeError:
            data = None
        if answer.status_code != requests.codes.ok or not isinstance(data, dict):
            message = (data or {}).get("error") or f"status {answer.status_code}"
            is_fault = answer.status_code >= _SERVER_FAULT or not answer.content
            kind = BrokenAnswerError if is_fault else ServerError
            raise kind(f"{self.root}/hepml/{path}: {message}")
        return data

    def post_json(
        self, path: str, files: Files | None = None, fields: Mapping[str, str] | None = None
    ) -> dict[str, Any]:
        """Ask a server of this package for work, at ``/hepml/PATH``.

        Raises
        ------
        ServerError
            With the server's reason, as where the key is not an administrator's.
        """
        url = f"{self.root}/hepml/{path}"
        data = {**(fields or {}), "api_key": self._required_key()}
        answer = self._send("POST", url, data=data, files=files)
        try:
            told = answer.json()
        except requests.JSONDecodeError:
            self._xml("POST", f"hepml/{path}", answer)
            told = None
        if answer.status_code != requests.codes.ok or not isinstance(told, dict):
            message = (told or {}).get("error") or f"status {answer.status_code}"
            raise ServerError(f"{url}: {message}")
        return told

    def download(self, url: str, path: Path) -> None:
        """Fetch a file that the server names, without a key, from whichever host has it.

        Parameters
        ----------
        url : str
            An address, or a path on the server.
        path : Path
            Where it is put.

        Raises
        ------
        ServerError
            If the address is none of http, or the answer is no file.
        """
        address = urljoin(f"{self.root}/", url)
        if not address.startswith(("http://", "https://")):
            raise ServerError(f"{self.root} names the file {url[:100]!r}, which is no web address")
        answer = self._send("GET", address, stream=True)
        with answer:
            if answer.status_code != requests.codes.ok:
                raise ServerError(f"GET {address}: status {answer.status_code}")
            try:
                with path.open("wb") as file:
                    for chunk in answer.iter_content(1 << 20):
                        file.write(chunk)
            except requests.RequestException as error:
                raise UnreachableError(
                    f"GET {address}: broken off ({type(error).__name__}); try again"
                ) from error

    def post(
        self, path: str, fields: Mapping[str, str] | None = None, files: Files | None = None
    ) -> dict[str, Any]:
        """Send a form, once: a post whose answer is lost is the caller's to look after."""
        data = {**(fields or {}), "api_key": self._required_key()}
        answer = self._send("POST", f"{self.server}/{path}", data=data, files=files)
        return self._xml("POST", path, answer)

    def delete(self, path: str) -> dict[str, Any]:
        """Have the server delete what is at a path of the API."""
        url = f"{self.server}/{path}"
        answer = self._send("DELETE", url, params={"api_key": self._required_key()})
        return self._xml("DELETE", path, answer)

    def is_ours(self) -> bool:
        """Whether the server is one of this package."""
        try:
            return self.get_json("about").get("name") == "hepml_tasks"
        except (UnreachableError, BrokenAnswerError):
            raise
        except ServerError:
            return False

    def _required_key(self) -> str:
        if not self.apikey:
            raise ServerError(
                f"{self.root} needs an API key to write: set OPENML_APIKEY, name a file with"
                " --key-file, or put it into openml's own config file"
            )
        return self.apikey

    def _send(self, method: str, url: str, **content: Any) -> requests.Response:
        try:
            with _Session() as session:
                answer = session.request(
                    method,
                    url,
                    timeout=_TIMEOUT,
                    headers={"User-Agent": "hepml_tasks"},
                    # given so that requests doesn't look for passwords in ~/.netrc
                    auth=password_of(url),
                    # a form with the key goes to the server that was named, and to no other
                    allow_redirects=method == "GET",
                    **content,
                )
        except requests.RequestException as error:
            problem = type(error).__name__
            raise UnreachableError(
                f"{self.root} does not answer ({problem}); is the server running? What is finished"
                " stays in the spool: the same command sends it later"
            ) from error
        if answer.is_redirect and method != "GET":
            there = shown(urljoin(url, answer.headers["Location"]))
            raise ServerError(
                f"{method} {shown(url)}: leads to {there}, where no key is sent; name the server by"
                " the address that it has"
            )
        return answer

    def _xml(self, method: str, path: str, answer: requests.Response) -> dict[str, Any]:
        where = f"{method} {self.server}/{path}"
        try:
            data = xmltodict.parse(answer.content, disable_entities=True)
        except Exception as error:
            raise BrokenAnswerError(
                f"{where}: status {answer.status_code}, and an answer that is no XML"
                f" ({answer.text[:60]!r})"
            ) from error
        if "oml:error" in data:
            problem = data["oml:error"]
            more = problem.get("oml:additional_information")
            message = problem.get("oml:message") or "no message"
            code = int(problem.get("oml:code") or 0)
            passes = answer.status_code >= _SERVER_FAULT or code == _TRY_AGAIN
            raise (BrokenAnswerError if passes else ServerError)(
                f"{where}: {message}{f' ({more})' if more else ''} [{problem.get('oml:code')}]",
                code=code,
            )
        if answer.status_code != requests.codes.ok:
            raise BrokenAnswerError(f"{where}: status {answer.status_code}")
        return data


def connect(server: str, *, apikey: str | None = None, key_file: Path | None = None) -> Connection:
    """Find a server by name or address, and the key for it.

    Parameters
    ----------
    server : str
        ``openml.org``, ``test.openml.org``, ``local`` for the one that `hepml serve` last started
        here, or the address of a server: its API's base, or its root.
    apikey : str, optional
        By default from `key_file`, else ``OPENML_APIKEY``, else openml's own config file, which
        is read and never changed.
    key_file : Path, optional

    Returns
    -------
    Connection

    Raises
    ------
    UnknownNameError
        If it is neither a known name nor an address.
    """
    if server == LOCAL:
        base, key_file = _recall_local(key_file)
    elif server in NAMED:
        base = NAMED[server]
    elif server.startswith(("http://", "https://")):
        base = server.rstrip("/")
        base = base if base.endswith(_BASE) else base + _BASE
    else:
        raise UnknownNameError(
            "server", server, (*NAMED, LOCAL), remedy="an address begins with http:// or https://"
        )
    return Connection(base, apikey or _find_key(base, key_file))


def remember_local(server: str, key_file: Path) -> None:
    """Remember the server that was started here last, and where its key is.

    Parameters
    ----------
    server : str
        The base of its API.
    key_file : Path
    """
    record = {"server": server, "key_file": str(key_file.absolute())}
    # only a convenience: where it can't be kept, the server's address serves as well
    with contextlib.suppress(OSError):
        write_atomically(settings.state_dir() / "local.json", json.dumps(record).encode())


def _recall_local(key_file: Path | None) -> tuple[str, Path]:
    try:
        record = json.loads((settings.state_dir() / "local.json").read_text())
        return str(record["server"]), key_file or Path(record["key_file"])
    except (OSError, ValueError, KeyError) as error:
        raise ServerError(
            "no server was started here yet: `hepml serve` starts one, or give an address"
        ) from error


def _find_key(base: str, key_file: Path | None) -> str | None:
    if key_file is not None:
        try:
            return key_file.read_text().strip()
        except OSError as error:
            raise ServerError(f"{key_file}: the key can't be read ({error.strerror})") from error
    if key := os.environ.get("OPENML_APIKEY"):
        return key
    home = os.environ.get("XDG_CONFIG_HOME") or Path.home() / ".config"
    try:
        text = (Path(home) / "openml" / "config").read_text()
    except OSError:
        return None
    config = configparser.ConfigParser(interpolation=None)
    try:
        config.read_string("[openml]\n" + text)
    except configparser.Error:
        return None
    # a key belongs to the server that the same file names: it is sent to no other
    kept_for = config.get("openml", "server", fallback=NAMED["openml.org"]).strip("\"' ")
    if kept_for.rstrip("/") != base:
        return None
    return config.get("openml", "apikey", fallback="").strip("\"' ") or None


def as_list(value: Any) -> list[Any]:
    """Return what xmltodict gives for a repeated element, as a list whatever its number."""
    if value is None:
        return []
    return value if isinstance(value, list) else [value]
