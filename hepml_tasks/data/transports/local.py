"""Paths of this machine, a mounted ``/eos`` among them: read in place, never copied."""

from __future__ import annotations

from pathlib import Path
from urllib.parse import unquote, urlsplit

from hepml_tasks.errors import DataError


def local_path(place: str) -> Path:
    """Return the path of a file that is on this machine.

    Parameters
    ----------
    place : str
        A path, or a ``file://`` address.

    Raises
    ------
    DataError
        If there is no such file, or it can't be read.
    """
    parts = urlsplit(place)
    path = Path(unquote(parts.path) if parts.scheme == "file" else place).expanduser()
    try:
        with path.open("rb"):
            return path
    except FileNotFoundError:
        raise DataError(f"{path} (no such file)") from None
    except OSError as error:
        raise DataError(f"{path} ({error.strerror or error})") from error
