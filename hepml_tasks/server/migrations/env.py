"""How alembic runs the steps: in the transaction that the server has opened."""

from __future__ import annotations

from alembic import context

from hepml_tasks.server.database import Base

context.configure(connection=context.config.attributes["connection"], target_metadata=Base.metadata)
context.run_migrations()
