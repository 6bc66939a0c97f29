"""The list of users, which the client asks for with every list of evaluations."""

from __future__ import annotations

from fastapi import APIRouter, Response
from sqlalchemy import delete, exists, select

from hepml_tasks.server.context import Server, answer
from hepml_tasks.server.database import Dataset, Flow, Run, Study, Tag, Task, User
from hepml_tasks.server.errors import Refused
from hepml_tasks.server.filters import Codes, parse_filters
from hepml_tasks.server.forms import DeletingUser
from hepml_tasks.server.xml import node

router = APIRouter()


@router.get("/user/list")
@router.get("/user/list/{path:path}")
def list_users(server: Server, path: str = "") -> Response:
    """List users by id."""
    filters = parse_filters(path, {"user_id"}, Codes(illegal=370, value=371, offset=373))
    statement = select(User).order_by(User.id)
    if (ids := filters.ids("user_id")) is not None:
        statement = statement.where(User.id.in_(ids))
    with server.database.read() as session:
        users = session.scalars(filters.page(statement)).all()
    if not users:
        raise Refused(463)
    return answer(
        node(
            "users",
            (node("user", node("id", user.id), node("username", user.name)) for user in users),
        )
    )


@router.delete("/user/{user_id:id}")
def delete_user(user_id: int, server: Server, user: DeletingUser) -> Response:
    """Delete a user who has nothing on the server; for administrators."""
    if user.role != "administrator":
        raise Refused(106)
    owners = (
        Dataset.uploader_id,
        Task.creator_id,
        Flow.uploader_id,
        Run.uploader_id,
        Study.creator_id,
    )
    with server.database.write() as session:
        found = session.get(User, user_id)
        if found is None:
            raise Refused(463)
        if found.id == user.id or any(
            session.scalar(select(exists().where(owner == user_id))) for owner in owners
        ):
            raise Refused(464)
        session.execute(delete(Tag).where(Tag.user_id == user_id))
        session.delete(found)
    return answer(node("user_delete", node("id", user_id)))
