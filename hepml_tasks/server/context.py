"""What every route can reach: the database, the files, the settings, the evaluator."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Annotated

from fastapi import Depends, Request, Response
from sqlalchemy.orm import Session
from starlette.convertors import Convertor, register_url_convertor

from hepml_tasks.server.database import Base, Database, StoredFile
from hepml_tasks.server.settings import Settings
from hepml_tasks.server.storage import FileStore
from hepml_tasks.server.xml import Node, render


class _Id(Convertor[int]):
    """An id in a path; one that is larger than any database's becomes the largest."""

    regex = "[0-9]+"
    largest = 2**31 - 1

    def convert(self, value: str) -> int:
        return self.largest if len(value) > 10 else min(int(value), self.largest)

    def to_string(self, value: int) -> str:
        return str(value)


register_url_convertor("id", _Id())


@dataclass(frozen=True)
class Services:
    """The parts of a running server.

    Parameters
    ----------
    database : Database
    files : FileStore
    settings : Settings
    wake_evaluator : callable
        Tells the evaluator that there are new runs.
    """

    database: Database
    files: FileStore
    settings: Settings
    wake_evaluator: Callable[[], None]


def services(request: Request) -> Services:
    """Give the server's parts to a route."""
    found: Services = request.app.state.services
    return found


def root_url(request: Request) -> str:
    """Give the address that links in answers start with, without a slash at the end."""
    configured = services(request).settings.public_url
    return (configured or str(request.base_url)).rstrip("/")


Server = Annotated[Services, Depends(services)]
Root = Annotated[str, Depends(root_url)]


def answer(root: Node) -> Response:
    """Send an XML answer."""
    return Response(render(root), media_type="text/xml; charset=utf-8")


def download_url(root: str, file: StoredFile, *, dataset: bool = False) -> str:
    """Give the address of a stored file, as production forms it."""
    place = "data/v1/download" if dataset else "data/download"
    return f"{root}/{place}/{file.id}/{file.name}"


def get_file(session: Session, file_id: int) -> StoredFile:
    """Find the row of a file that another row refers to."""
    return session.get_one(StoredFile, file_id)


def forget(session: Session, row: Base, file_ids: Iterable[int]) -> None:
    """Delete a row and after it those of its files, so that their addresses end too.

    The bytes stay on disk: another row, or an upload that is under way, may have the same ones.
    """
    session.delete(row)
    session.flush()
    for file_id in file_ids:
        session.delete(get_file(session, file_id))
