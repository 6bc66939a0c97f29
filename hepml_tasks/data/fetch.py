"""Bring published files to this machine, verified, from the nearest place that has them."""

from __future__ import annotations

import json
import threading
from collections import deque
from collections.abc import Iterator, Sequence
from pathlib import Path

from hepml_tasks import settings
from hepml_tasks.data.checksum import checksum_of, verify
from hepml_tasks.data.download import download
from hepml_tasks.data.kept import (
    absolute,
    cannot_write,
    expected,
    first_path,
    in_place_record_path,
    is_recorded,
    kept_path,
    locked,
    record_path,
    set_aside,
    write_record,
)
from hepml_tasks.data.sources.addresses import at_settings, is_record, places_of
from hepml_tasks.data.transports import transport_of
from hepml_tasks.data.transports.local import local_path
from hepml_tasks.errors import ChecksumError, DataError, HepmlError, OutputError
from hepml_tasks.formats.atomic import write_atomically
from hepml_tasks.spec import FileSpec


def fetch_file(file: FileSpec, *, dataset: str, progress: bool = False) -> Path:
    """Return a path to a file's published bytes.

    A file on this machine, such as a mirror's, is read in place: the data stay where they are.
    Anything else is downloaded into the cache once, under a lock, so that many jobs may ask at
    the same time. Where no checksum is published the first download's is recorded, and nothing
    else is taken for the file from then on.

    Parameters
    ----------
    file : FileSpec
    dataset : str
        The dataset's name, and the folder in which a mirror may keep the file.
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
    OutputError
        If the cache can't be written.
    """
    return _fetch(file, dataset, progress, threading.Event())


def fetch_files(
    files: Sequence[FileSpec], *, dataset: str, at_once: int = 4, progress: bool = False
) -> list[Path]:
    """Fetch several files at the same time.

    Parameters
    ----------
    files : sequence of FileSpec
    dataset : str
    at_once : int
        Files that are downloaded together.
    progress : bool
        Show a bar a file on a terminal.

    Returns
    -------
    list of Path
        In the order of `files`.

    Raises
    ------
    HepmlError
        As `fetch_file`, once all that can be had has come.
    """
    stop = threading.Event()
    found: dict[int, Path] = {}
    failed: list[HepmlError] = []
    waiting = deque(enumerate(files))

    def work() -> None:
        while not stop.is_set():
            try:
                number, file = waiting.popleft()
            except IndexError:
                return
            try:
                found[number] = _fetch(file, dataset, progress, stop)
            except HepmlError as error:
                failed.append(error)
                if isinstance(error, OutputError):
                    stop.set()

    # daemons: an interrupted process doesn't wait for them, and what they leave is resumed
    threads = [threading.Thread(target=work, daemon=True) for _ in range(min(at_once, len(files)))]
    try:
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    finally:
        stop.set()
    failed.sort(key=lambda error: not isinstance(error, OutputError))
    if len(failed) == 1 or (failed and isinstance(failed[0], OutputError)):
        raise failed[0]
    if failed:
        raise DataError(
            f"{len(failed)} of the {len(files)} files of dataset {dataset} can't be had, the"
            f" others are kept: {failed[0]}"
        )
    return [found[number] for number in range(len(files))]


def _fetch(file: FileSpec, dataset: str, progress: bool, stop: threading.Event) -> Path:
    kept = kept_path(file, dataset=dataset)
    wanted = expected(file, kept)
    if wanted.checksum is not None and is_recorded(kept, record_path(kept), wanted.checksum):
        return kept
    failures: list[str] = []
    wrong: ChecksumError | None = None
    for place in _places(file, dataset, failures):
        try:
            if transport_of(place) is None:
                return _in_place(local_path(place), file, kept)
            return _from_afar(place, file, kept, dataset, progress, stop)
        except ChecksumError as error:
            wrong = error
            failures.append(str(error))
        except DataError as error:
            failures.append(str(error))
        if stop.is_set():
            break
    if wrong is not None and len(failures) == 1:
        raise ChecksumError(f"{wrong}; fetch it again, or name another mirror in HEPML_MIRRORS")
    tried = "; ".join(failures) or "no address is known"
    kind = ChecksumError if wrong is not None else DataError
    raise kind(
        f"{file.name} of dataset {dataset} can't be had: {tried};"
        " name a folder or URL that has it in HEPML_MIRRORS, or among the file's urls"
    )


def first_place(file: FileSpec, *, dataset: str) -> str:
    """Return where a file would be looked for first, without asking anybody; empty for nowhere.

    Parameters
    ----------
    file : FileSpec
    dataset : str
        The dataset's name.
    """
    for base in settings.mirrors():
        if is_record(base):
            return base
        for place in _below(base, file, dataset):
            if transport_of(place) is not None or Path(place).is_file():
                return place
    return at_settings(file.urls[0]) if file.urls else ""


def _below(base: str, file: FileSpec, dataset: str) -> tuple[str, str]:
    """Return where a mirror may keep a file: by its name, and in a folder of its dataset."""
    folder = base.removesuffix("/")
    return f"{folder}/{file.name}", f"{folder}/{dataset}/{file.name}"


def _places(file: FileSpec, dataset: str, failures: list[str]) -> Iterator[str]:
    """Give where the file may be; a record that can't be asked for it is one of the failures."""
    for base in settings.mirrors():
        if is_record(base):
            yield from _asked(base, file, failures)
            continue
        plain, in_folder = _below(base, file, dataset)
        yield plain
        if transport_of(in_folder) is not None or Path(in_folder).is_file():
            yield in_folder
    for url in file.urls:
        yield from _asked(url, file, failures)


def _asked(address: str, file: FileSpec, failures: list[str]) -> tuple[str, ...]:
    try:
        return places_of(address, file)
    except DataError as error:
        failures.append(str(error))
        return ()


def _in_place(path: Path, file: FileSpec, kept: Path) -> Path:
    wanted = expected(file, kept)
    record = in_place_record_path(path, kept)
    if wanted.checksum is not None:
        if not is_recorded(path, record, wanted.checksum):
            verify(path, wanted.checksum, wanted.size)
            write_record(path, record, wanted.checksum)
        return path
    with locked(kept):
        if expected(file, kept).checksum is None:
            _remember_first(path, file, kept)
    return _in_place(path, file, kept)


def _remember_first(path: Path, file: FileSpec, kept: Path) -> None:
    size = path.stat().st_size
    if file.size is not None and size != file.size:
        raise ChecksumError(f"{path}: has {size} bytes where {file.size} are published")
    first = {"checksum": checksum_of(path, "sha256"), "size": size, "from": str(absolute(path))}
    try:
        write_atomically(first_path(kept), json.dumps(first).encode())
    except OSError as error:
        raise cannot_write(kept.parent, error) from error


def _from_afar(
    place: str, file: FileSpec, kept: Path, dataset: str, progress: bool, stop: threading.Event
) -> Path:
    from tqdm import tqdm

    with locked(kept):
        wanted = expected(file, kept)
        # downloaded while the lock was waited for, or touched since
        if kept.is_file() and _is_right(kept, wanted, dataset):
            return kept
        bar = tqdm(
            total=wanted.size,
            unit="B",
            unit_scale=True,
            desc=wanted.name,
            disable=None if progress else True,
        )
        with bar:
            download(place, kept, wanted, dataset=dataset, bar=bar, stop=stop)
    return kept


def _is_right(kept: Path, wanted: FileSpec, dataset: str) -> bool:
    """Whether a kept file has its bytes; if it has others it is set aside."""
    if wanted.checksum is None:
        # nothing says what it should be
        return False
    if is_recorded(kept, record_path(kept), wanted.checksum):
        return True
    try:
        verify(kept, wanted.checksum, wanted.size)
    except ChecksumError as error:
        set_aside(kept, kept, str(error))
        return False
    write_record(kept, record_path(kept), wanted.checksum, dataset=dataset)
    return True
