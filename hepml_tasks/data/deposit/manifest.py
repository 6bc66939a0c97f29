"""What a deposit's folder remembers of its files: of what each was made, and its checksums."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

from hepml_tasks.data.checksum import checksum_of
from hepml_tasks.errors import OutputError
from hepml_tasks.formats.atomic import write_atomically

MANIFEST = ".deposit.json"
_LOCK = ".deposit.lock"


@dataclass(frozen=True)
class BuiltFile:
    """A file of the folder.

    Parameters
    ----------
    name : str
    size : int
        Bytes.
    sha256, md5 : str
        Hexadecimal.
    made : bool
        Whether it was made just now, and not found as it has to be.
    """

    name: str
    size: int
    sha256: str
    md5: str
    made: bool


@contextmanager
def alone(folder: Path) -> Iterator[None]:
    """Keep other processes from building or uploading the same folder at the same time."""
    try:
        with FileLock(folder / _LOCK, timeout=0):
            yield
    except Timeout as error:
        raise OutputError(f"{folder}: another process is at work there; wait for it") from error


def measure(path: Path, *, made: bool) -> BuiltFile:
    """Compute a file's size and checksums."""
    sha256, md5 = (checksum_of(path, a).partition(":")[2] for a in ("sha256", "md5"))
    return BuiltFile(path.name, path.stat().st_size, sha256, md5, made)


def up_to_date(
    folder: Path, name: str, content: str, manifest: Mapping[str, Any]
) -> BuiltFile | None:
    """Return a file that was made of the same content and is still what it was."""
    known, path = manifest.get(name), folder / name
    if known is None or known["of"] != _digest(content) or not path.is_file():
        return None
    stat = path.stat()
    if (stat.st_size, stat.st_mtime_ns) == (known["size"], known["modified_ns"]):
        return BuiltFile(name, stat.st_size, known["sha256"], known["md5"], made=False)
    found = measure(path, made=False)
    return found if found.sha256 == known["sha256"] else None


def _digest(content: str) -> str:
    return hashlib.sha256(content.encode()).hexdigest()


def remember(folder: Path, manifest: dict[str, Any], file: BuiltFile, content: str) -> None:
    """Note of what content a file was made."""
    entry = {
        "of": _digest(content),
        "size": file.size,
        "modified_ns": (folder / file.name).stat().st_mtime_ns,
        "sha256": file.sha256,
        "md5": file.md5,
    }
    if manifest.get(file.name) != entry:
        manifest[file.name] = entry
        write_manifest(folder, manifest)


def forget_others(folder: Path, manifest: dict[str, Any], names: set[str]) -> None:
    """Remove what an earlier build made and this one didn't, such as under an older name."""
    for name in sorted(set(manifest) - names):
        known, path = manifest.pop(name), folder / name
        # a file that someone changed since isn't ours to remove
        if path.is_file() and measure(path, made=False).sha256 == known["sha256"]:
            path.unlink()
        write_manifest(folder, manifest)


def write_manifest(folder: Path, manifest: Mapping[str, Any]) -> None:
    """Write what is remembered, whole."""
    write_atomically(folder / MANIFEST, json.dumps(manifest, indent=1).encode())


def read_manifest(folder: Path) -> dict[str, Any]:
    """Return what is remembered of a folder's files; nothing of a new or empty folder.

    Raises
    ------
    OutputError
        If the folder belongs to something else, or its memory can't be read.
    """
    path = folder / MANIFEST
    try:
        manifest: dict[str, Any] = json.loads(path.read_text("utf-8"))
    except FileNotFoundError:
        if folder.is_dir() and any(p.name != _LOCK for p in folder.iterdir()):
            raise OutputError(
                f"{folder}: not empty, and no deposit was built there; name another folder with"
                " --out"
            ) from None
        return {}
    except NotADirectoryError:
        raise OutputError(f"{folder}: a file, not a folder; name another with --out") from None
    except (OSError, ValueError) as error:
        raise OutputError(
            f"{path}: can't be read ({error}); delete the folder to build the deposit anew"
        ) from error
    fields = {"of", "size", "modified_ns", "sha256", "md5"}
    sound = isinstance(manifest, dict) and all(
        isinstance(e, dict) and set(e) == fields and Path(n).name == n for n, e in manifest.items()
    )
    if not sound:
        raise OutputError(
            f"{path}: not what a deposit writes; delete the folder to build the deposit anew"
        )
    return manifest
