"""The web application: routes, the form of paths, errors in OpenML's XML."""

from __future__ import annotations

import logging
import re
from collections.abc import Awaitable, Callable
from typing import Annotated

from fastapi import APIRouter, Depends, FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from sqlalchemy.exc import IntegrityError, OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError
from starlette.exceptions import HTTPException
from starlette.middleware.gzip import GZipMiddleware
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from hepml_tasks.errors import DataError
from hepml_tasks.server import (
    archive,
    assignments,
    beyond,
    catalogue,
    datasets,
    editing,
    evaluations,
    flows,
    leases,
    measures,
    ontologies,
    private,
    processing,
    runs,
    setups,
    site,
    studies,
    tagging,
    tasks,
    traces,
    users,
)
from hepml_tasks.server.context import Services
from hepml_tasks.server.database import User
from hepml_tasks.server.errors import Refused
from hepml_tasks.server.forms import PostingUser, reading_user
from hepml_tasks.server.xml import node, optional, render

_log = logging.getLogger(__name__)

# Forms without files are read into memory; ids of a study's entities are the longest of them.
_LARGEST_PLAIN_FORM = 4_000_000
_DRAINED = 100_000_000
# What production's web server takes; the client knows the answer.
_LONGEST_ADDRESS = 8190


def create_app(services: Services) -> FastAPI:
    """Build the application.

    Parameters
    ----------
    services : Services
    """
    app = FastAPI(docs_url=None, redoc_url=None, openapi_url=None, redirect_slashes=False)
    app.state.services = services
    for module in (
        measures,
        datasets,
        editing,
        ontologies,
        processing,
        catalogue,
        tasks,
        assignments,
        flows,
        setups,
        runs,
        traces,
        archive,
        assignments,
        evaluations,
        studies,
        tagging,
        users,
    ):
        app.include_router(
            module.router, prefix="/api/v1/xml", dependencies=[Depends(reading_user)]
        )
    app.include_router(_unknown_calls())
    own = (site, private, beyond, leases)
    for router in (catalogue.files_router, assignments.files_router, *(m.router for m in own)):
        app.include_router(router)
    _add_error_answers(app)
    # The client logs a warning for every answer that isn't compressed.
    app.add_middleware(GZipMiddleware, minimum_size=0, compresslevel=1)
    app.add_middleware(_Limit, most=services.settings.max_upload)
    app.add_middleware(_Paths)
    return app


def _unknown_calls() -> APIRouter:
    """Make the routes of all that there is no call for: the key is looked at first even so."""
    router = APIRouter()
    path = "/api/v1/xml/{path:path}"

    @router.get(path)
    def read(path: str, user: Annotated[User | None, Depends(reading_user)]) -> Response:  # noqa: ARG001
        raise Refused(100)

    @router.api_route(path, methods=["POST", "DELETE", "PUT", "PATCH"])
    def write(path: str, user: PostingUser) -> Response:  # noqa: ARG001 - checks the key
        raise Refused(100)

    return router


def _error(refused: Refused) -> Response:
    return Response(
        render(
            node(
                "error",
                node("code", refused.number),
                node("message", refused.title),
                optional("additional_information", refused.detail),
            )
        ),
        status_code=refused.status,
        media_type="text/xml; charset=utf-8",
    )


def _add_error_answers(app: FastAPI) -> None:
    def refused(_request: Request, error: Exception) -> Response:
        if not isinstance(error, Refused):
            raise error
        return _error(error)

    def unknown(_request: Request, _reason: Exception) -> Response:
        return _error(Refused(100))

    def bad_data(_request: Request, error: Exception) -> Response:
        return _error(Refused(130, str(error)))

    def busy(_request: Request, error: Exception) -> Response:
        # The client takes 107 as "try again", which after a race is right: the second attempt
        # sees what the first one ran into.
        _log.warning("database: %s", str(error).splitlines()[0])
        return _error(Refused(107))

    def broken(request: Request, _reason: Exception) -> Response:
        # Starlette raises the error again, after this answer, for the log.
        detail = f"internal error in {request.method} {request.url.path}; see server.log"
        return _error(Refused(100, detail, status=500))

    app.add_exception_handler(Exception, broken)
    app.add_exception_handler(Refused, refused)
    app.add_exception_handler(HTTPException, unknown)
    app.add_exception_handler(RequestValidationError, unknown)
    app.add_exception_handler(DataError, bad_data)
    for kind in (IntegrityError, OperationalError, PoolTimeoutError):
        app.add_exception_handler(kind, busy)


class _Paths:
    """Takes ``data/`` and ``//data`` for ``data``: the client writes all three."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            length = len(scope.get("raw_path") or b"") + len(scope["query_string"])
            if length > _LONGEST_ADDRESS:
                detail = f"the address has {length} of at most {_LONGEST_ADDRESS} characters"
                await _error(Refused(100, detail, status=414))(scope, receive, send)
                return
            path = re.sub("/+", "/", scope["path"])
            scope = {**scope, "path": path.rstrip("/") or "/"}
        await self.app(scope, receive, _with_headers(send))


def _with_headers(send: Send) -> Callable[[Message], Awaitable[None]]:
    async def wrapped(message: Message) -> None:
        if message["type"] == "http.response.start":
            # Uploaded text must never be taken for a page.
            message["headers"] = [*message["headers"], (b"x-content-type-options", b"nosniff")]
        await send(message)

    return wrapped


class _TooLarge(Exception):  # noqa: N818 - never leaves this module
    """More bytes came than are allowed."""


class _Limit:
    """Refuses a request whose body is larger than allowed, however it is announced."""

    def __init__(self, app: ASGIApp, most: int) -> None:
        self.app = app
        self.most = most

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        headers = dict(scope["headers"])
        multipart = headers.get(b"content-type", b"").lower().startswith(b"multipart/")
        most = self.most if multipart else min(self.most, _LARGEST_PLAIN_FORM)
        announced = headers.get(b"content-length", b"0")
        seen = 0
        started = False
        more = True

        async def counted() -> Message:
            nonlocal seen, more
            message = await receive()
            seen += len(message.get("body", b""))
            more = bool(message.get("more_body", False))
            if seen > most:
                raise _TooLarge
            return message

        async def watched(message: Message) -> None:
            nonlocal started
            started = True
            await send(message)

        refusal = _error(Refused(130, f"the request has more than {most} bytes", status=413))
        refusal.headers["connection"] = "close"
        if announced.isdigit() and int(announced) > most:
            # who expects to be told to go on has sent nothing yet
            await _refuse(refusal, receive, send, most if b"expect" not in headers else None)
            return
        try:
            await self.app(scope, counted, watched)
        except _TooLarge:
            if not started:
                await _refuse(refusal, receive, send, most if more else None)


async def _refuse(refusal: Response, receive: Receive, send: Send, most: int | None) -> None:
    """Answer at once, and then read on and keep nothing of what is still coming, if anything is.

    Who listens stops sending; most clients, and proxies, hear no answer before they have sent all.
    Who sends several times more than is allowed is cut off.
    """
    start = {"status": refusal.status_code, "headers": refusal.raw_headers}
    await send({"type": "http.response.start", **start})
    await send({"type": "http.response.body", "body": refusal.body, "more_body": True})
    left = 0 if most is None else max(2 * most, _DRAINED)
    while left > 0:
        message = await receive()
        left -= len(message.get("body", b""))
        if message["type"] != "http.request" or not message.get("more_body", False):
            break
    await send({"type": "http.response.body"})
