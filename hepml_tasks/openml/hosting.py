"""Whether OpenML can take a dataset from its archive by address, or needs the file."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from hepml_tasks.data.checksum import checksum_of, table_sha256
from hepml_tasks.data.fetch import fetch_file
from hepml_tasks.errors import DataError, SpecError
from hepml_tasks.formats.arff import read_arff
from hepml_tasks.running.task import Task
from hepml_tasks.spec import DatasetSpec, FileSpec

if TYPE_CHECKING:
    import requests

_TIMEOUT = (10.0, 60.0)
_COMPARED = 1 << 20
_NEEDED = ("Content-Length", "Content-Type")


def archive_arff(dataset: DatasetSpec) -> FileSpec | None:
    """Return the plain ARFF that the archive has of a dataset, with an address, or None."""
    # of several files none is the table
    plain = dataset.files[0] if len(dataset.files) == 1 else None
    for file in (dataset.arff, plain):
        if file is not None and file.name.endswith(".arff") and web_addresses(file):
            return file
    return None


def web_addresses(file: FileSpec) -> list[str]:
    """Return the addresses of a file that another machine can open."""
    return [url for url in file.urls if url.startswith(("http://", "https://"))]


def fetch_arff(task: Task, file: FileSpec, origin: Path) -> Path:
    """Bring the archive's ARFF here, and check that it holds the task's table.

    Parameters
    ----------
    task : Task
    file : FileSpec
        From `archive_arff`.
    origin : Path
        The task's file, for messages.

    Returns
    -------
    Path

    Raises
    ------
    SpecError
        If it holds another table.
    """
    path = fetch_file(file, dataset=task.spec.dataset.name, progress=task.progress)
    table, wanted = read_arff(path).table, task.events.table
    try:
        # ARFF has one kind of number
        same = table_sha256(table.cast(wanted.schema)) == task.events.sha256
    except (ValueError, TypeError):
        same = False
    if not same:
        shapes = [f"{t.num_rows} rows of {t.num_columns} columns" for t in (table, wanted)]
        raise SpecError(
            f"{origin}: dataset.arff: {file.name} does not hold the table of dataset"
            f" {task.spec.dataset.name} ({shapes[0]} where that has {shapes[1]}, or other"
            " values); deposit it again"
        )
    return path


def md5_of_file(path: Path) -> str:
    """Return the checksum by which OpenML knows a file."""
    return checksum_of(path, "md5").removeprefix("md5:")


def refusal(url: str, path: Path, *, strict: bool) -> str | None:
    """Say why a server would not take a dataset from an address, or None if it would.

    Parameters
    ----------
    url : str
    path : Path
        The same file on this machine.
    strict : bool
        Whether the server is production's, which looks for two headers by their exact spelling: a
        host behind HTTP/2 or a proxy may send them in lower case.

    Returns
    -------
    str or None
        One line for people.
    """
    import requests

    try:
        with requests.get(
            url,
            stream=True,
            timeout=_TIMEOUT,
            allow_redirects=False,
            # production asks so too; and nobody's ~/.netrc is for this host
            headers={"Accept-Encoding": "identity", "User-Agent": "hepml_tasks"},
            auth=lambda request: request,
        ) as answer:
            return _judge(answer, path, strict=strict)
    except (requests.RequestException, DataError) as error:
        return f"{url} does not answer ({type(error).__name__})"


def _judge(answer: requests.Response, path: Path, *, strict: bool) -> str | None:
    url = answer.url
    if answer.is_redirect:
        return f"{url} redirects to another address"
    if answer.status_code != 200:
        return f"{url} answers {answer.status_code}"
    if answer.headers.get("Content-Encoding", "identity") != "identity":
        return f"{url} comes compressed"
    spelled = set(answer.raw.headers)
    for name in _NEEDED if strict else ():
        if name not in spelled:
            other = next((s for s in spelled if s.casefold() == name.casefold()), None)
            return f"{url} answers {f'with {other!r} and not' if other else 'without'} {name!r}"
    size = path.stat().st_size
    length = answer.headers.get("Content-Length")
    if length is not None and length != str(size):
        return f"{url} has {length} bytes, and {size} by its checksum"
    begin = b""
    for chunk in answer.iter_content(_COMPARED):
        begin += chunk
        if len(begin) >= _COMPARED:
            break
    with path.open("rb") as file:
        if begin[:_COMPARED] != file.read(_COMPARED):
            return f"{url} has other bytes than {path.name}"
    return None
