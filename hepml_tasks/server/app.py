"""The web application: routes, the form of paths, errors in OpenML's XML."""

from __future__ import annotations

import logging
import re
from collections.abc import Awaitable, Callable

from fastapi import Depends, FastAPI, Request, Response
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
    catalogue,
    datasets,
    editing,
    evaluations,
    flows,
    measures,
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
from hepml_tasks.server.errors import Refused
from hepml_tasks.server.forms import reading_user
from hepml_tasks.server.xml import node, optional, render

_log = logging.getLogger(__name__)

# Forms without files are read into memory; ids of a study's entities are the longest of them.
_LARGEST_PLAIN_FORM = 4_000_000
_DRAINED = 100_000_000


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
    for router in (catalogue.files_router, assignments.files_router, site.router):
        app.include_router(router)
    _add_error_answers(app)
    # The client logs a warning for every answer that isn't compressed.
    app.add_middleware(GZipMiddleware, minimum_size=0, compresslevel=1)
    app.add_middleware(_Limit, most=services.settings.max_upload)
    app.add_middleware(_Paths)
    return app


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
            if b"expect" not in headers:
                await _drain(receive, most)
            await refusal(scope, receive, send)
            return
        try:
            await self.app(scope, counted, watched)
        except _TooLarge:
            if not started:
                if more:
                    await _drain(receive, most)
                await refusal(scope, receive, send)


async def _drain(receive: Receive, most: int) -> None:
    """Read on and keep nothing: most clients, and proxies, hear no answer before they have sent.

    Who sends several times more than is allowed is cut off.
    """
    left = max(2 * most, _DRAINED)
    while left > 0:
        message = await receive()
        left -= len(message.get("body", b""))
        if message["type"] != "http.request" or not message.get("more_body", False):
            return
