"""Leases on runs: several bots share a queue, and the work of a dead one is taken over.

A bot asks for a run by the name that its folder has everywhere, and has it until a time that this
server's clock tells. It asks again, under the same holder, while it works. Whoever lets the time go
by has lost it. A lease keeps work from being done twice; it is no condition for publishing a run.
"""

from __future__ import annotations

import json
from datetime import timedelta

from fastapi import APIRouter
from fastapi.responses import JSONResponse
from sqlalchemy import delete, select

from hepml_tasks.server.context import Server
from hepml_tasks.server.database import Lease, now
from hepml_tasks.server.errors import Refused
from hepml_tasks.server.forms import Form, PostedForm, PostingUser

router = APIRouter()

LONGEST = 3600
"""Seconds that a lease may last before it is asked for again."""
_MOST_NAMES = 1000
_LONGEST_NAME = 400


@router.get("/hepml/leases")
def list_leases(server: Server) -> JSONResponse:
    """List the runs that bots have in hand, and for how many seconds more."""
    moment = now()
    with server.database.read() as session:
        rows = session.scalars(select(Lease).where(Lease.until > moment).order_by(Lease.name)).all()
    return JSONResponse(
        {
            "leases": [
                {
                    "name": row.name,
                    "holder": row.holder,
                    "seconds": int((row.until - moment).total_seconds()),
                }
                for row in rows
            ]
        }
    )


@router.post("/hepml/leases")
def take(server: Server, form: PostedForm, user: PostingUser) -> JSONResponse:
    """Give a holder the runs that nobody else has, for a time; its own ones again."""
    names, holder = _names(form), _holder(form)
    seconds = form.number("seconds", 100)
    if not 1 <= seconds <= LONGEST:
        raise Refused(100, f"seconds must be from 1 to {LONGEST}")
    moment = now()
    granted, refused = [], []
    with server.database.write() as session:
        session.execute(delete(Lease).where(Lease.until <= moment))
        for name in names:
            row = session.get(Lease, name)
            if row is None:
                row = Lease(name=name, holder=holder, user_id=user.id, until=moment)
                session.add(row)
            if row.holder != holder or row.user_id != user.id:
                refused.append(name)
                continue
            row.until = moment + timedelta(seconds=seconds)
            granted.append(name)
    return JSONResponse({"granted": granted, "refused": refused})


@router.post("/hepml/leases/release")
def release(server: Server, form: PostedForm, user: PostingUser) -> JSONResponse:
    """Take back runs from their holder before their time."""
    names, holder = _names(form), _holder(form)
    with server.database.write() as session:
        for name in names:
            row = session.get(Lease, name)
            if row is not None and row.holder == holder and row.user_id == user.id:
                session.delete(row)
    return JSONResponse({"released": len(names)})


def _names(form: Form) -> list[str]:
    try:
        names = json.loads(form.document("names", 100))
    except (ValueError, RecursionError) as error:
        raise Refused(100, "names is not JSON") from error
    if (
        not isinstance(names, list)
        or not 1 <= len(names) <= _MOST_NAMES
        or not all(isinstance(n, str) and _is_short(n) for n in names)
    ):
        raise Refused(100, f"names must be a list of 1 to {_MOST_NAMES} texts")
    return list(dict.fromkeys(names))


def _holder(form: Form) -> str:
    holder = form.fields.get("holder", "")
    if not _is_short(holder):
        raise Refused(100, f"holder must have from 1 to {_LONGEST_NAME} characters")
    return holder


def _is_short(text: str) -> bool:
    return 0 < len(text) <= _LONGEST_NAME and text.isprintable()
