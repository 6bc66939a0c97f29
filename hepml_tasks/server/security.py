"""Users and their API keys."""

from __future__ import annotations

import hashlib
import hmac
import os
import re
import secrets
from pathlib import Path

from sqlalchemy import select
from sqlalchemy.orm import Session

from hepml_tasks.errors import ServerError, nearest
from hepml_tasks.server.database import Database, User
from hepml_tasks.server.errors import Refused

ROLES = ("administrator", "user", "read_only")


def hash_key(key: str) -> str:
    """Hash a key; it is 128 random bits, so that one round of SHA-256 is enough."""
    return hashlib.sha256(key.encode("utf-8", "surrogatepass")).hexdigest()


def add_user(database: Database, name: str, role: str = "user", *, key: str | None = None) -> str:
    """Add a user.

    Parameters
    ----------
    database : Database
    name : str
    role : str
        One of `ROLES`.
    key : str, optional
        A random one is made without.

    Returns
    -------
    str
        The user's key, which can't be had a second time.

    Raises
    ------
    ServerError
        If there is such a user, or the name or role is not allowed.
    """
    if not re.fullmatch(r"[A-Za-z0-9_.@-]{1,64}", name):
        raise ServerError(f"user name {name!r}: use 1 to 64 of A-Z a-z 0-9 _ . @ -")
    if role not in ROLES:
        raise ServerError(f"role {role!r}: use one of {', '.join(ROLES)}")
    key = key or secrets.token_hex(16)
    with database.write() as session:
        if session.scalar(select(User).where(User.name == name)) is not None:
            raise ServerError(f"there is a user {name!r} already; choose another name")
        session.add(User(name=name, key_hash=hash_key(key), role=role))
    return key


def first_key(database: Database, data: Path) -> str | None:
    """Give the first user's key, making user and key at the first start.

    Returns
    -------
    str or None
        `None` where somebody has removed the key's file: the key itself is not in the database.
    """
    path = data / "apikey"
    with database.read() as session:
        first = session.scalar(select(User).order_by(User.id).limit(1))
    if first is None:
        key = secrets.token_hex(16)
        _write_key(path, key)
        # The file first: a crash in between must not leave a user whose key nobody has.
        return add_user(database, "hepml", "administrator", key=key)
    try:
        key = path.read_text(encoding="ascii").strip()
    except (OSError, ValueError):
        return None
    return key if hmac.compare_digest(hash_key(key), first.key_hash) else None


def list_users(database: Database) -> list[User]:
    """Give all users by id."""
    with database.read() as session:
        return list(session.scalars(select(User).order_by(User.id)))


def renew_key(database: Database, name: str, data: Path) -> str:
    """Give a user a new key; the old one ends.

    The first user's file in `data` follows, where it is still there.

    Raises
    ------
    ServerError
        If there is no such user.
    """
    key = secrets.token_hex(16)
    with database.write() as session:
        user = _find(session, name)
        first = session.scalar(select(User.id).order_by(User.id).limit(1))
        user.key_hash = hash_key(key)
        if user.id == first and (data / "apikey").exists():
            _write_key(data / "apikey", key)
    return key


def set_disabled(database: Database, name: str, disabled: bool) -> None:
    """Refuse a user's key from now on, or take it again.

    Raises
    ------
    ServerError
        If there is no such user, or nobody could administer the server any more.
    """
    with database.write() as session:
        user = _find(session, name)
        others = select(User.id).where(
            User.role == "administrator", User.id != user.id, User.disabled.is_(False)
        )
        if disabled and user.role == "administrator" and session.scalar(others.limit(1)) is None:
            raise ServerError(
                f"{name!r} is the only administrator; add another one before you disable this one"
            )
        user.disabled = disabled


def _find(session: Session, name: str) -> User:
    user = session.scalar(select(User).where(User.name == name))
    if user is None:
        raise ServerError(
            f"there is no user {name!r}{nearest(name, session.scalars(select(User.name)))}"
        )
    return user


def _write_key(path: Path, key: str) -> None:
    path.unlink(missing_ok=True)
    handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(handle, "w", encoding="ascii") as file:
        file.write(f"{key}\n")


def authenticate(session: Session, key: str | None) -> User | None:
    """Find the user of a key.

    Returns
    -------
    User or None
        `None` without a key.

    Raises
    ------
    Refused
        103 if nobody has that key, or only a user who is disabled.
    """
    if not key:
        return None
    user = session.scalar(select(User).where(User.key_hash == hash_key(key)))
    if user is None or user.disabled:
        raise Refused(103)
    return user


def require_owner(user: User, owner_id: int, code: int) -> None:
    """Refuse with `code` unless the thing is the user's own or the user is administrator."""
    if user.id != owner_id and user.role != "administrator":
        raise Refused(code)
