"""Bring a published file to this machine, verified, from the nearest place that has it."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import urlsplit

from filelock import FileLock

from hepml_tasks import settings
from hepml_tasks.data.checksum import verify
from hepml_tasks.errors import ChecksumError, DataError, OutputError
from hepml_tasks.formats.atomic import write_atomically
from hepml_tasks.spec import DatasetSpec, FileSpec

_CHUNK = 1 << 20
_TIMEOUT = (10, 60)


def fetch_file(file: FileSpec, dataset: DatasetSpec, *, progress: bool = False) -> Path:
    """Return a path to a file's published bytes.

    A mirror that is a folder is read in place: the data stay where they are. Anything else is
    downloaded into the cache once, under a lock, so that many jobs may ask at the same time.

    Parameters
    ----------
    file : FileSpec
    dataset : DatasetSpec
        Its name is the folder in which a mirror may keep the file.
    progress : bool
        Show a bar on a terminal.

    Returns
    -------
    Path

    Raises
    ------
    ChecksumError
        If every place that has the file has other bytes.
    DataError
        If no place has it: the message lists all that were tried.
    """
    kept = settings.cache_dir() / "files" / file.checksum.replace(":", "-") / file.name
    if _is_verified(kept, file):
        return kept
    failures: list[str] = []
    wrong: ChecksumError | None = None
    for place in _places(file, dataset):
        try:
            if _is_url(place):
                return _download(place, kept, file, progress=progress)
            local = Path(place)
            if not local.is_file():
                failures.append(f"{place} (no such file)")
                continue
            if not _is_verified(local, file):
                verify(local, file.checksum, file.size)
                _record(local, file)
            return local
        except ChecksumError as error:
            wrong = error
            failures.append(str(error))
        except DataError as error:
            failures.append(str(error))
    if wrong is not None and len(failures) == 1:
        raise ChecksumError(f"{wrong}; fetch it again, or name another mirror in HEPML_MIRRORS")
    tried = "; ".join(failures) or "no address is known"
    kind = ChecksumError if wrong is not None else DataError
    raise kind(
        f"{file.name} of dataset {dataset.name} can't be had: {tried};"
        " name a folder or URL that has it in HEPML_MIRRORS, or among the file's urls"
    )


def _places(file: FileSpec, dataset: DatasetSpec) -> Iterator[str]:
    for base in settings.mirrors():
        for below in (file.name, f"{dataset.name}/{file.name}"):
            place = f"{base.rstrip('/')}/{below}"
            if _is_url(place) or Path(place).is_file() or below == file.name:
                yield place
    yield from file.urls


def _is_url(place: str) -> bool:
    return urlsplit(place).scheme in {"http", "https"}


def _download(url: str, kept: Path, file: FileSpec, *, progress: bool) -> Path:
    import requests
    from tqdm import tqdm

    with _locked(kept):
        if _is_verified(kept, file):
            return kept
        part = kept.with_name(kept.name + ".part")
        try:
            with requests.get(url, stream=True, timeout=_TIMEOUT, headers=_HEADERS) as answer:
                answer.raise_for_status()
                with (
                    part.open("wb") as out,
                    tqdm(
                        total=file.size,
                        unit="B",
                        unit_scale=True,
                        desc=file.name,
                        disable=None if progress else True,
                    ) as bar,
                ):
                    for chunk in answer.iter_content(_CHUNK):
                        out.write(chunk)
                        bar.update(len(chunk))
        except requests.RequestException as error:
            raise DataError(f"{url} ({type(error).__name__}: {error})") from error
        except OSError as error:
            raise OutputError(
                f"{part}: can't be written ({error.strerror}); free some room, or set HEPML_CACHE"
            ) from error
        try:
            verify(part, file.checksum, file.size)
        except ChecksumError as error:
            aside = kept.with_name(kept.name + ".wrong")
            part.replace(aside)
            message = str(error).partition(": ")[2]
            raise ChecksumError(f"{url}: {message} (kept aside as {aside})") from error
        part.replace(kept)
        _record(kept, file)
    return kept


_HEADERS = {"User-Agent": "hepml_tasks", "Accept-Encoding": "identity"}


@contextmanager
def _locked(kept: Path) -> Iterator[None]:
    try:
        kept.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise OutputError(
            f"{kept.parent}: can't be made ({error.strerror}); set HEPML_CACHE to a folder"
            " that can be written"
        ) from error
    with FileLock(kept.with_name(kept.name + ".lock")):
        yield


def _record_path(path: Path, file: FileSpec) -> Path:
    folder = settings.cache_dir() / "files" / file.checksum.replace(":", "-")
    here = os.path.abspath(path)  # noqa: PTH100 - a link's own path, not its target's
    return folder / f"{hashlib.sha256(here.encode()).hexdigest()[:16]}.verified.json"


def _stamp(path: Path, file: FileSpec) -> dict[str, object]:
    stat = path.stat()
    return {
        "path": os.path.abspath(path),  # noqa: PTH100 - as above
        "checksum": file.checksum,
        "size": stat.st_size,
        "modified_ns": stat.st_mtime_ns,
    }


def _is_verified(path: Path, file: FileSpec) -> bool:
    """Whether the file is what was verified before, by size and time of modification."""
    try:
        return bool(json.loads(_record_path(path, file).read_text()) == _stamp(path, file))
    except (OSError, ValueError):
        return False


def _record(path: Path, file: FileSpec) -> None:
    record = _record_path(path, file)
    # Where it can't be written only speed is lost: the checksum is computed again next time.
    with contextlib.suppress(OSError):
        write_atomically(record, json.dumps(_stamp(path, file)).encode())
