"""`hepml users`: who may write to a server, and their keys."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import click

from hepml_tasks.cli import options

if TYPE_CHECKING:
    from hepml_tasks.server.database import Database

_ROLES = ("user", "administrator", "read_only")


@click.group()
def users() -> None:
    """Add, list and disable the users of a server, and renew their keys.

    Works on the server's own folder and database, while it runs or not. A key is shown once: the
    database has nothing but its hash.

    Example: hepml users add alice
    """


@users.command()
@click.argument("name")
@click.option("--role", type=click.Choice(_ROLES), default="user", show_default=True)
@options.data
@options.database
@options.as_json
def add(name: str, role: str, data: Path, database: str | None, as_json: bool) -> None:
    """Add a user and show the key.

    Example: hepml users add alice --role administrator
    """
    from hepml_tasks.server.security import add_user

    with _opened(database, data) as opened:
        _show_key(name, add_user(opened, name, role), as_json=as_json)


@users.command("list")
@options.data
@options.database
@options.as_json
def list_(data: Path, database: str | None, as_json: bool) -> None:
    """List the users.

    Example: hepml users list
    """
    from hepml_tasks.server.security import list_users

    with _opened(database, data) as opened:
        found = [
            {
                "id": user.id,
                "name": user.name,
                "role": user.role,
                "state": "disabled" if user.disabled else "enabled",
                "created": user.created.isoformat(sep=" "),
            }
            for user in list_users(opened)
        ]
    if as_json:
        options.print_json(found)
        return
    header = ("id", "name", "role", "state", "created")
    options.print_table(header, [[str(user[column]) for column in header] for user in found])


@users.command()
@click.argument("name")
@options.data
@options.database
def disable(name: str, data: Path, database: str | None) -> None:
    """Refuse a user's key from now on; what the user has published stays.

    Example: hepml users disable alice
    """
    _switch(name, data, database, disabled=True)


@users.command()
@click.argument("name")
@options.data
@options.database
def enable(name: str, data: Path, database: str | None) -> None:
    """Take the key of a disabled user again.

    Example: hepml users enable alice
    """
    _switch(name, data, database, disabled=False)


@users.command()
@click.argument("name")
@options.data
@options.database
@options.as_json
def key(name: str, data: Path, database: str | None, as_json: bool) -> None:
    """Give a user a new key and show it; the old one ends.

    Example: hepml users key alice
    """
    from hepml_tasks.server.security import renew_key

    with _opened(database, data) as opened:
        _show_key(name, renew_key(opened, name, data), as_json=as_json)


def _switch(name: str, data: Path, database: str | None, *, disabled: bool) -> None:
    from hepml_tasks.server.security import set_disabled

    with _opened(database, data) as opened:
        set_disabled(opened, name, disabled)
    click.echo(f"{name} is {'disabled' if disabled else 'enabled'}")


def _show_key(name: str, value: str, *, as_json: bool) -> None:
    if as_json:
        options.print_json({"user": name, "apikey": value})
        return
    click.echo(value)
    click.echo(f"This is the key of {name}. It is not shown again.", err=True)


@contextmanager
def _opened(database: str | None, data: Path) -> Iterator[Database]:
    from hepml_tasks.errors import ServerError
    from hepml_tasks.server.database import connect

    if database is None and not (data / "server.sqlite").is_file():
        raise ServerError(
            f"no server has been started on {data}; name its folder with --data, or start it with "
            f"hepml serve --data {data}"
        )
    opened = connect(database, data, upgrade=False)
    try:
        yield opened
    finally:
        opened.engine.dispose()
