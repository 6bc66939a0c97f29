"""Keys of archives: each from the environment or a file, and for its own archive alone."""

from __future__ import annotations

import os
from pathlib import Path

from hepml_tasks import settings
from hepml_tasks.data.origins import keeps_secrets, origin_of
from hepml_tasks.errors import DataError

TOKEN = "ZENODO_TOKEN"  # noqa: S105 - the variable's name
TOKEN_FILE = "HEPML_ZENODO_TOKEN_FILE"  # noqa: S105 - the variable's name

LET_IN = f"who may read it sets {TOKEN}, or {TOKEN_FILE} to the file with the token"
"""What there is to do about a restricted record."""


def remedy_for(url: str) -> str:
    """Return what there is to do where an address is refused; empty where a token is no help."""
    try:
        own = origin_of(url) == origin_of(settings.zenodo_url())
    except DataError:
        return ""
    return f"; {LET_IN}" if own else ""


def headers_for(url: str) -> dict[str, str]:
    """Return the headers that tell a server who asks; none for any but the token's own archive.

    Parameters
    ----------
    url : str
        The address of the one request that they are for: after a redirect they are asked for
        anew.

    Returns
    -------
    dict of str to str
        ``Authorization`` with the token for Zenodo (``HEPML_ZENODO_URL``) where there is a token
        and the way there is encrypted, or ends on this machine.

    Raises
    ------
    DataError
        If the token's file can't be read, or holds no token.
    """
    if not (os.environ.get(TOKEN) or os.environ.get(TOKEN_FILE)):
        return {}
    try:
        origin, own = origin_of(url), origin_of(settings.zenodo_url())
    except DataError:
        # whoever connects says what is wrong with the address
        return {}
    if origin != own or not keeps_secrets(origin):
        return {}
    return {"Authorization": f"Bearer {_token()}"}


def _token() -> str:
    if told := os.environ.get(TOKEN, "").strip():
        return _checked(told, TOKEN)
    file = Path(os.environ[TOKEN_FILE]).expanduser()
    try:
        return _checked(file.read_text(encoding="ascii").strip(), str(file))
    except UnicodeDecodeError:
        raise DataError(f"{file}: holds no token ({TOKEN_FILE})") from None
    except OSError as error:
        raise DataError(
            f"{file}: the token can't be read ({error.strerror or error}); correct {TOKEN_FILE}"
        ) from error


def _checked(token: str, where: str) -> str:
    # never a part of it in a message
    if not token or not token.isascii() or not token.isprintable() or " " in token:
        raise DataError(f"{where}: holds no token: one word of letters and digits is expected")
    return token
