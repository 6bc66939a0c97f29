"""Tasks that OpenML can't carry: the table of what is true of their rows."""

from __future__ import annotations

from typing import Literal

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision: str | None = "0003"


def upgrade() -> None:
    """Add the columns; the tasks that are there have none of it."""
    # SQLite changes a table by copying it
    rebuilt = op.get_bind().dialect.name == "sqlite"
    recreate: Literal["always", "never"] = "always" if rebuilt else "never"
    lasting = {"sqlite_autoincrement": True}
    with op.batch_alter_table("tasks", recreate=recreate, table_kwargs=lasting) as tasks:
        tasks.add_column(sa.Column("truth_id", sa.Integer(), nullable=True))
        tasks.add_column(sa.Column("rows", sa.Integer(), nullable=True))
        tasks.create_foreign_key("tasks_truth_id_fkey", "files", ["truth_id"], ["id"])
