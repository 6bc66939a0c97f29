"""The server's tables, and transactions on them."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from sqlalchemy import (
    JSON,
    BigInteger,
    Double,
    Engine,
    ForeignKey,
    Index,
    Text,
    UniqueConstraint,
    false,
    text,
)
from sqlalchemy.orm import DeclarativeBase, Mapped, Session, mapped_column, sessionmaker

_WRITERS = 0x6865706D6C01
"""The number of PostgreSQL's lock that lets one transaction write at a time."""

# An id that was deleted is never given again: clients keep what they have seen under it.
_NEVER_AGAIN = {"sqlite_autoincrement": True}


def now() -> datetime:
    """Give the time in UTC, without zone and fractions, as it is stored and sent."""
    return datetime.now(UTC).replace(tzinfo=None, microsecond=0)


class Base(DeclarativeBase):
    """All tables; a change of one needs a revision in `migrations`."""

    type_annotation_map = {  # noqa: RUF012 - SQLAlchemy's own declaration
        str: Text,
        float: Double,
        dict[str, Any]: JSON,
        list[Any]: JSON,
    }


class Installation(Base):
    """The identity that this database shares with its folder of files; one row."""

    __tablename__ = "installation"
    id: Mapped[str] = mapped_column(primary_key=True)


class User(Base):
    """Who may write; `role` is "administrator", "user" or "read_only"."""

    __tablename__ = "users"
    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str] = mapped_column(unique=True)
    key_hash: Mapped[str] = mapped_column(unique=True)
    role: Mapped[str]
    created: Mapped[datetime] = mapped_column(default=now)
    disabled: Mapped[bool] = mapped_column(default=False, server_default=false())


class StoredFile(Base):
    """A file as it was uploaded; its bytes are on disk under their checksum."""

    __tablename__ = "files"
    __table_args__ = _NEVER_AGAIN
    id: Mapped[int] = mapped_column(primary_key=True)
    sha256: Mapped[str] = mapped_column(index=True)
    md5: Mapped[str]
    size: Mapped[int] = mapped_column(BigInteger)
    suffix: Mapped[str]
    name: Mapped[str]


class Dataset(Base):
    """A dataset; `fields` are the parts of its description that are only echoed."""

    __tablename__ = "datasets"
    __table_args__ = (UniqueConstraint("name", "version"), _NEVER_AGAIN)
    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str]
    version: Mapped[int]
    status: Mapped[str] = mapped_column(index=True)
    format: Mapped[str]
    fields: Mapped[dict[str, Any]]
    default_target: Mapped[str | None]
    source_url: Mapped[str | None]
    file_id: Mapped[int] = mapped_column(ForeignKey("files.id"))
    uploader_id: Mapped[int] = mapped_column(ForeignKey("users.id"))
    uploaded: Mapped[datetime] = mapped_column(default=now)


class Feature(Base):
    """A column of a dataset; `role` is "target", "ignore", "row_id" or "feature"."""

    __tablename__ = "features"
    dataset_id: Mapped[int] = mapped_column(ForeignKey("datasets.id"), primary_key=True)
    position: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    name: Mapped[str]
    type: Mapped[str]
    values: Mapped[list[Any]]
    missing: Mapped[int]
    role: Mapped[str]


class Quality(Base):
    """A number that describes a dataset."""

    __tablename__ = "qualities"
    dataset_id: Mapped[int] = mapped_column(ForeignKey("datasets.id"), primary_key=True)
    name: Mapped[str] = mapped_column(primary_key=True)
    value: Mapped[float]


class Task(Base):
    """A task; `identity` is a checksum of all that makes it this task and no other.

    One that OpenML can't carry has `truth_id`, the table of what is true of its rows, and `rows`,
    their number: its dataset is a manifest.
    """

    __tablename__ = "tasks"
    __table_args__ = _NEVER_AGAIN
    id: Mapped[int] = mapped_column(primary_key=True)
    type_id: Mapped[int]
    dataset_id: Mapped[int] = mapped_column(ForeignKey("datasets.id"), index=True)
    procedure_id: Mapped[int]
    measure: Mapped[str | None]
    target: Mapped[str]
    repeats: Mapped[int]
    folds: Mapped[int]
    splits_id: Mapped[int] = mapped_column(ForeignKey("files.id"))
    spec: Mapped[str | None]
    truth_id: Mapped[int | None] = mapped_column(ForeignKey("files.id"))
    rows: Mapped[int | None]
    identity: Mapped[str] = mapped_column(unique=True)
    creator_id: Mapped[int] = mapped_column(ForeignKey("users.id"))
    created: Mapped[datetime] = mapped_column(default=now)


class Flow(Base):
    """A model with its parameters; its components are flows too."""

    __tablename__ = "flows"
    __table_args__ = (UniqueConstraint("name", "external_version"), _NEVER_AGAIN)
    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str]
    version: Mapped[int]
    external_version: Mapped[str]
    fields: Mapped[dict[str, Any]]
    uploader_id: Mapped[int] = mapped_column(ForeignKey("users.id"))
    uploaded: Mapped[datetime] = mapped_column(default=now)

    @property
    def full_name(self) -> str:
        """The name with the server's version number, as lists show it."""
        return f"{self.name}({self.version})"


class Parameter(Base):
    """A parameter of a flow, in the flow's order."""

    __tablename__ = "parameters"
    __table_args__ = (UniqueConstraint("flow_id", "name"),)
    id: Mapped[int] = mapped_column(primary_key=True)
    flow_id: Mapped[int] = mapped_column(ForeignKey("flows.id"), index=True)
    name: Mapped[str]
    data_type: Mapped[str | None]
    default_value: Mapped[str | None]
    description: Mapped[str | None]


class Component(Base):
    """That a flow is a part of another, under an identifier."""

    __tablename__ = "components"
    parent_id: Mapped[int] = mapped_column(ForeignKey("flows.id"), primary_key=True)
    position: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    identifier: Mapped[str]
    child_id: Mapped[int] = mapped_column(ForeignKey("flows.id"), index=True)


class Setup(Base):
    """A flow with values for its parameters; `fingerprint` is their checksum."""

    __tablename__ = "setups"
    __table_args__ = (UniqueConstraint("flow_id", "fingerprint"), _NEVER_AGAIN)
    id: Mapped[int] = mapped_column(primary_key=True)
    flow_id: Mapped[int] = mapped_column(ForeignKey("flows.id"))
    fingerprint: Mapped[str]


class Setting(Base):
    """The value of a parameter in a setup."""

    __tablename__ = "settings"
    setup_id: Mapped[int] = mapped_column(ForeignKey("setups.id"), primary_key=True)
    parameter_id: Mapped[int] = mapped_column(
        ForeignKey("parameters.id"), primary_key=True, index=True
    )
    value: Mapped[str | None]


class Run(Base):
    """A setup on a task, with predictions; `state` follows the evaluator's work on it."""

    __tablename__ = "runs"
    __table_args__ = _NEVER_AGAIN
    id: Mapped[int] = mapped_column(primary_key=True)
    task_id: Mapped[int] = mapped_column(ForeignKey("tasks.id"), index=True)
    setup_id: Mapped[int] = mapped_column(ForeignKey("setups.id"), index=True)
    flow_id: Mapped[int] = mapped_column(ForeignKey("flows.id"), index=True)
    uploader_id: Mapped[int] = mapped_column(ForeignKey("users.id"), index=True)
    uploaded: Mapped[datetime] = mapped_column(default=now)
    setup_string: Mapped[str | None]
    run_details: Mapped[str | None]
    error_message: Mapped[str | None]
    settings: Mapped[list[Any]]
    claims: Mapped[list[Any]]
    differs: Mapped[list[Any]] = mapped_column(default=list)
    partitions: Mapped[dict[str, Any]] = mapped_column(default=dict)
    state: Mapped[str] = mapped_column(index=True)
    error: Mapped[str | None]
    attempts: Mapped[int] = mapped_column(default=0)
    started: Mapped[datetime | None]


class RunFile(Base):
    """A file that came with a run, under the name of its form field."""

    __tablename__ = "run_files"
    run_id: Mapped[int] = mapped_column(ForeignKey("runs.id"), primary_key=True)
    field: Mapped[str] = mapped_column(primary_key=True)
    file_id: Mapped[int] = mapped_column(ForeignKey("files.id"))


class Evaluation(Base):
    """A measure's value for a run, over all of it or (with repeat and fold) over one fold."""

    __tablename__ = "evaluations"
    __table_args__ = (
        Index("ix_evaluations_by_run", "measure", "fold", "run_id"),
        Index("ix_evaluations_by_value", "measure", "fold", "value", "run_id"),
    )
    id: Mapped[int] = mapped_column(primary_key=True)
    run_id: Mapped[int] = mapped_column(ForeignKey("runs.id"), index=True)
    measure: Mapped[str]
    repeat: Mapped[int | None]
    fold: Mapped[int | None]
    value: Mapped[float | None]
    detail: Mapped[dict[str, Any]]
    evaluated: Mapped[datetime] = mapped_column(default=now)


class Study(Base):
    """A collection of tasks (a suite) or of runs."""

    __tablename__ = "studies"
    __table_args__ = _NEVER_AGAIN
    id: Mapped[int] = mapped_column(primary_key=True)
    alias: Mapped[str | None] = mapped_column(unique=True)
    entity: Mapped[str]
    benchmark_suite: Mapped[int | None] = mapped_column(ForeignKey("studies.id"))
    name: Mapped[str]
    description: Mapped[str]
    status: Mapped[str]
    creator_id: Mapped[int] = mapped_column(ForeignKey("users.id"))
    created: Mapped[datetime] = mapped_column(default=now)


class StudyEntry(Base):
    """A task or run of a study; ids rise in the order of attachment."""

    __tablename__ = "study_entries"
    __table_args__ = (UniqueConstraint("study_id", "entity_id"),)
    id: Mapped[int] = mapped_column(primary_key=True)
    study_id: Mapped[int] = mapped_column(ForeignKey("studies.id"))
    entity_id: Mapped[int] = mapped_column(index=True)


class Tag(Base):
    """A word on a dataset, task, flow, setup or run."""

    __tablename__ = "tags"
    kind: Mapped[str] = mapped_column(primary_key=True)
    entity_id: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    tag: Mapped[str] = mapped_column(primary_key=True)
    user_id: Mapped[int] = mapped_column(ForeignKey("users.id"))


class PrivateTask(Base):
    """That a task's test labels are withheld; `folder` has them, below the server's `private`."""

    __tablename__ = "private_tasks"
    task_id: Mapped[int] = mapped_column(
        ForeignKey("tasks.id", ondelete="CASCADE"), primary_key=True
    )
    name: Mapped[str] = mapped_column(unique=True)
    folder: Mapped[str] = mapped_column(unique=True)
    spec: Mapped[str]
    per_day: Mapped[int]
    digits: Mapped[int]
    revealed: Mapped[datetime | None]


class PrivateScore(Base):
    """The scores of a run on the private part; nothing but their revealing reads them."""

    __tablename__ = "private_scores"
    run_id: Mapped[int] = mapped_column(ForeignKey("runs.id", ondelete="CASCADE"), primary_key=True)
    scores: Mapped[dict[str, Any]]


class Submission(Base):
    """How many runs a user has sent to a private task in a day of UTC; deleted ones count."""

    __tablename__ = "submissions"
    task_id: Mapped[int] = mapped_column(
        ForeignKey("tasks.id", ondelete="CASCADE"), primary_key=True, autoincrement=False
    )
    user_id: Mapped[int] = mapped_column(
        ForeignKey("users.id", ondelete="CASCADE"), primary_key=True, autoincrement=False
    )
    day: Mapped[str] = mapped_column(primary_key=True)
    number: Mapped[int]


class Lease(Base):
    """That a bot has a run in hand until a time; `holder` is the bot's spool."""

    __tablename__ = "leases"
    name: Mapped[str] = mapped_column(primary_key=True)
    holder: Mapped[str]
    user_id: Mapped[int] = mapped_column(ForeignKey("users.id", ondelete="CASCADE"))
    until: Mapped[datetime] = mapped_column(index=True)


@dataclass(frozen=True)
class Database:
    """A connected database.

    Parameters
    ----------
    engine : Engine
    sessions : sessionmaker
        Made by `connect`.
    """

    engine: Engine
    sessions: sessionmaker[Session]

    @contextmanager
    def read(self) -> Iterator[Session]:
        """Open a session for reading only: all that it reads is of one moment."""
        with self.sessions() as session:
            if self.engine.dialect.name == "postgresql":
                session.connection(execution_options={"isolation_level": "REPEATABLE READ"})
            yield session

    @contextmanager
    def write(self) -> Iterator[Session]:
        """Open a session whose changes are all on disk when the block ends, or none of them.

        One at a time writes, so that what it has looked up stays so until it ends.
        """
        with self.sessions() as session, session.begin():
            # SQLite can't turn a reading transaction into a writing one while another writes.
            session.connection(execution_options={"hepml_writes": True})
            if self.engine.dialect.name == "postgresql":
                session.execute(text("SELECT pg_advisory_xact_lock(:n)"), {"n": _WRITERS})
            yield session


def connect(url: str | None, data: Path, *, upgrade: bool = True) -> Database:
    """Open the database, making its tables where there are none.

    Parameters
    ----------
    url : str or None
        SQLAlchemy's URL; without one it is ``server.sqlite`` in `data`.
    data : Path
        The server's directory.
    upgrade : bool
        Whether tables are made, and those of an older version of this server changed to this
        one's. Not while a server uses them.

    Raises
    ------
    ServerError
        If it can't be opened, or was written by a newer version of this server (or an older one
        and `upgrade` is false).
    """
    from hepml_tasks.server.engines import make_engine
    from hepml_tasks.server.upgrade import bring_up_to_date

    engine = make_engine(url, data)
    try:
        bring_up_to_date(engine, upgrade=upgrade)
    except BaseException:
        engine.dispose()
        raise
    return Database(engine, sessionmaker(engine, expire_on_commit=False))
