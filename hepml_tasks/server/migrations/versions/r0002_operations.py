"""Users that can be disabled, ids that are never given twice, files beyond 2 GB."""

from __future__ import annotations

from typing import Literal

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision: str | None = "0001"

# on PostgreSQL a sequence never gives an id twice
_WITH_LASTING_IDS = ("datasets", "tasks", "flows", "setups", "studies")


def upgrade() -> None:
    """Change the tables; rows stay as they are."""
    op.create_table(
        "installation",
        sa.Column("id", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("id"),
    )
    op.add_column(
        "users", sa.Column("disabled", sa.Boolean(), server_default=sa.false(), nullable=False)
    )
    # SQLite changes a table by copying it
    rebuilt = op.get_bind().dialect.name == "sqlite"
    recreate: Literal["always", "never"] = "always" if rebuilt else "never"
    lasting = {"sqlite_autoincrement": True}
    with op.batch_alter_table("runs", recreate=recreate, table_kwargs=lasting) as runs:
        runs.add_column(sa.Column("started", sa.DateTime(), nullable=True))
    with op.batch_alter_table("files", recreate=recreate, table_kwargs=lasting) as files:
        files.alter_column("size", existing_type=sa.Integer(), type_=sa.BigInteger())
    for name in _WITH_LASTING_IDS if rebuilt else ():
        with op.batch_alter_table(name, recreate="always", table_kwargs=lasting):
            pass
    op.drop_table("schema_version")
