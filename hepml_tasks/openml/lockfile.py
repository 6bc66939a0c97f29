"""The lock file: which id each dataset, task and suite has on which server.

It is a hint to be committed and reviewed, never believed: an id is used after the server has said
that it is the thing that is meant.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import yaml

from hepml_tasks import settings
from hepml_tasks.errors import OutputError, SpecError
from hepml_tasks.formats.atomic import atomic_path, write_atomically

NAME = "openml.lock"
KINDS = ("datasets", "tasks", "suites", "studies")

_HEAD = (
    "# Written by `hepml register`: the id of each dataset, task and suite, by server. Commit it.\n"
)
_LOOPBACK = {"127.0.0.1", "localhost", "::1"}

Entry = Mapping[str, Any]


def default_lock(root: str, spec_file: Path) -> Path:
    """Return where ids are kept unless a file is named.

    Parameters
    ----------
    root : str
        The server's address.
    spec_file : Path
        The first file that is registered.

    Returns
    -------
    Path
        ``openml.lock`` beside the task files; for a server on this machine, which nobody else
        reaches, in the state folder.
    """
    beside, own = locks_for(spec_file)
    return own if urlsplit(root).hostname in _LOOPBACK else beside


def locks_for(spec_file: Path) -> tuple[Path, Path]:
    """Return the lock files that may know of a file: beside it, and in the state folder."""
    folder = spec_file.absolute().parent
    beside = folder.parent if folder.name == "suites" else folder
    return beside / NAME, settings.state_dir() / NAME


def entry_of(path: Path, root: str, kind: str, name: str) -> Entry | None:
    """Return what is kept of a thing on a server, or None.

    Parameters
    ----------
    path : Path
    root : str
        The server's address.
    kind : str
        One of `KINDS`.
    name : str
        Such as ``toy-higgs@1``.

    Raises
    ------
    SpecError
        If the file isn't a lock file.
    """
    found: Entry | None = read_lock(path).get(root, {}).get(kind, {}).get(name)
    return found


def keep_entry(path: Path, root: str, kind: str, name: str, entry: Entry) -> bool:
    """Keep what a server says of a thing; the file is written only if that is new.

    Returns
    -------
    bool
        Whether the file was changed.

    Raises
    ------
    OutputError
        If the file can't be written.
    """
    servers = read_lock(path)
    kinds = servers.setdefault(root, {kind: {} for kind in KINDS})
    if kinds[kind].get(name) == dict(entry):
        return False
    kinds[kind][name] = dict(entry)
    data = {
        server: {k: dict(sorted(v.items())) for k, v in sorted(known.items()) if v}
        for server, known in sorted(servers.items())
    }
    text = _HEAD + yaml.safe_dump({"servers": data}, sort_keys=False, width=100)
    try:
        write_atomically(path, text.encode())
    except OSError as error:
        raise _cannot_write(path, error) from error
    return True


def check_writable(path: Path) -> None:
    """Check that ids can be kept, before a server is asked to make anything.

    Raises
    ------
    OutputError
        If the file can't be written.
    """
    try:
        with atomic_path(path.with_name(f"{path.name}.check")) as temporary:
            temporary.write_bytes(b"")
        path.with_name(f"{path.name}.check").unlink(missing_ok=True)
    except OSError as error:
        raise _cannot_write(path, error) from error


def _cannot_write(path: Path, error: OSError) -> OutputError:
    return OutputError(
        f"{path}: can't be written ({error.strerror}); name another file with --lock"
    )


def read_lock(path: Path) -> dict[str, dict[str, dict[str, Any]]]:
    """Return what a lock file holds by server, kind and name; nothing where there is none.

    Raises
    ------
    SpecError
        If the file isn't a lock file.
    """
    try:
        data = yaml.safe_load(path.read_text("utf-8"))
    except (FileNotFoundError, NotADirectoryError):
        return {}
    except (OSError, UnicodeDecodeError) as error:
        raise SpecError(f"{path}: can't be read ({error})") from error
    except yaml.YAMLError as error:
        raise _no_lock(path, "it is not YAML") from error
    servers = (data or {}).get("servers", {}) if isinstance(data, dict | None) else None
    if not isinstance(servers, dict):
        raise _no_lock(path, "`servers:` is missing")
    for root, kinds in servers.items():
        if not isinstance(kinds, dict) or set(kinds) - set(KINDS):
            raise _no_lock(path, f"server {root} has other fields than {', '.join(KINDS)}")
        for kind in KINDS:
            _check_entries(path, kind, kinds.setdefault(kind, {}))
    return servers


def _check_entries(path: Path, kind: str, entries: Any) -> None:
    for name, entry in entries.items() if isinstance(entries, dict) else [(kind, None)]:
        if not isinstance(entry, dict) or not isinstance(entry.get("id"), int):
            raise _no_lock(path, f"{kind}: {name} has no id")


def _no_lock(path: Path, reason: str) -> SpecError:
    return SpecError(
        f"{path}: no lock file of `hepml register`: {reason}; take it from version control again,"
        " or delete it: what is on the servers is found without it"
    )
