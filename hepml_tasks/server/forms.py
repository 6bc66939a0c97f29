"""Requests that write: their form, their files, and who sends them."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass
from typing import Annotated

from fastapi import Depends, Request
from sqlalchemy.orm import Session
from starlette.datastructures import UploadFile
from starlette.exceptions import HTTPException
from starlette.formparsers import MultiPartException

from hepml_tasks.server.context import Server
from hepml_tasks.server.database import User
from hepml_tasks.server.errors import Refused
from hepml_tasks.server.security import authenticate

MAX_DESCRIPTION = 4_000_000
"""Bytes at most of an XML or JSON description; a run's claims on many folds fit easily."""


@dataclass(frozen=True)
class Form:
    """A form as it came; of a field that came twice the last counts, as in production."""

    fields: Mapping[str, str]
    files: Mapping[str, UploadFile]

    def number(self, name: str, code: int) -> int:
        """Give a field that must be an id, or refuse with `code`."""
        value = self.fields.get(name, "")
        if not re.fullmatch(r"[0-9]{1,9}", value):
            raise Refused(code)
        return int(value)

    def document(self, name: str, code: int) -> bytes:
        """Give the bytes of a description, sent as a file or as a field.

        Raises
        ------
        Refused
            With `code` if it is missing, empty or too large.
        """
        if name in self.files:
            file = self.files[name].file
            file.seek(0)
            data = file.read(MAX_DESCRIPTION + 1)
            file.seek(0)
        else:
            data = self.fields.get(name, "").encode()
        if not data.strip():
            raise Refused(code)
        if len(data) > MAX_DESCRIPTION:
            raise Refused(code, f"{name} has more than {MAX_DESCRIPTION} bytes")
        return data


async def read_form(request: Request) -> AsyncIterator[Form]:
    """Read a form; files go to disk while they come in, never whole into memory."""
    try:
        form = await request.form(max_files=100, max_fields=100)
    except (HTTPException, MultiPartException, UnicodeDecodeError, ValueError) as error:
        raise Refused(130, "the form can't be read") from error
    fields: dict[str, str] = {}
    files: dict[str, UploadFile] = {}
    try:
        for name, value in form.multi_items():
            if isinstance(value, UploadFile):
                files[name] = value
            else:
                fields[name] = value
        texts = [*fields, *fields.values(), *files, *(f.filename or "" for f in files.values())]
        if any("\0" in text or not _is_unicode(text) for text in texts):
            raise Refused(130, "a field holds a NUL or broken UTF-8")
        yield Form(fields, files)
    finally:
        await form.close()


def _is_unicode(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


PostedForm = Annotated[Form, Depends(read_form)]


def _writer(key: str | None, server: Server) -> User:
    with server.database.read() as session:
        user = authenticate(session, key)
    if user is None:
        raise Refused(102)
    if user.role == "read_only" or server.settings.read_only:
        raise Refused(104)
    return user


def posting_user(request: Request, form: PostedForm, server: Server) -> User:
    """Give the user whose key is in the form (or the query), or refuse."""
    return _writer(form.fields.get("api_key") or request.query_params.get("api_key"), server)


def deleting_user(request: Request, server: Server) -> User:
    """Give the user whose key is in the query, or refuse."""
    return _writer(request.query_params.get("api_key"), server)


def reading_user(request: Request, server: Server) -> User | None:
    """Give the user of a key in the query; no key is nobody, an unknown key is refused."""
    key = request.query_params.get("api_key")
    if not key:
        return None
    with server.database.read() as session:
        return authenticate(session, key)


PostingUser = Annotated[User, Depends(posting_user)]
DeletingUser = Annotated[User, Depends(deleting_user)]


def user_name(session: Session, user_id: int) -> str:
    """Give the name of a user."""
    return session.get_one(User, user_id).name
