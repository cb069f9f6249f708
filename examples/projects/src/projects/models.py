"""Users, projects and tasks."""

from __future__ import annotations

import enum
from datetime import datetime
from uuid import uuid4

from sqlalchemy import (
    CheckConstraint,
    DateTime,
    Engine,
    Enum,
    ForeignKey,
    Index,
    MetaData,
    String,
    Text,
    event,
    func,
    text,
)
from sqlalchemy.dialects.sqlite.aiosqlite import AsyncAdapt_aiosqlite_connection
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column, relationship


@event.listens_for(Engine, "connect")
def enforce_foreign_keys(connection: object, _: object) -> None:
    """SQLite checks them when it is asked to, connection by connection."""
    if isinstance(connection, AsyncAdapt_aiosqlite_connection):
        cursor = connection.cursor()
        cursor.execute("PRAGMA foreign_keys = ON")
        cursor.close()


class Base(DeclarativeBase):
    """Every constraint has a name, so that a migration can drop it."""

    metadata = MetaData(
        naming_convention={
            "ix": "ix_%(column_0_label)s",
            "uq": "uq_%(table_name)s_%(column_0_N_name)s",
            "ck": "ck_%(table_name)s_%(constraint_name)s",
            "fk": "fk_%(table_name)s_%(column_0_name)s_%(referred_table_name)s",
            "pk": "pk_%(table_name)s",
        }
    )


class Keyed:
    """A key that whoever makes a row knows before it is written."""

    id: Mapped[str] = mapped_column(
        String(36), primary_key=True, default=lambda: str(uuid4())
    )


class Status(enum.Enum):
    """How far a task has come."""

    open = "open"
    started = "started"
    done = "done"


class User(Keyed, Base):
    """Somebody who owns projects and does tasks."""

    __tablename__ = "users"

    email: Mapped[str] = mapped_column(String(200), unique=True)

    projects: Mapped[list[Project]] = relationship(
        back_populates="owner", cascade="all, delete-orphan", passive_deletes=True
    )


class Project(Keyed, Base):
    """A project; it goes with its owner."""

    __tablename__ = "projects"
    __table_args__ = (CheckConstraint("task_count >= 0", name="task_count"),)

    owner_id: Mapped[str] = mapped_column(
        ForeignKey("users.id", ondelete="CASCADE"), index=True
    )
    name: Mapped[str] = mapped_column(String(100))
    task_count: Mapped[int] = mapped_column(default=0, server_default="0")

    owner: Mapped[User] = relationship(back_populates="projects")
    tasks: Mapped[list[Task]] = relationship(
        back_populates="project", cascade="all, delete-orphan", passive_deletes=True
    )


class Task(Keyed, Base):
    """A task; it goes with its project, and outlives whoever does it."""

    __tablename__ = "tasks"
    __table_args__ = (
        Index(
            "ix_tasks_words",
            text("to_tsvector('english', title || ' ' || description)"),
            postgresql_using="gin",
        ).ddl_if(dialect="postgresql"),
        Index(
            "ix_tasks_words", "title", "description", mariadb_prefix="FULLTEXT"
        ).ddl_if(dialect="mariadb"),
    )

    project_id: Mapped[str] = mapped_column(
        ForeignKey("projects.id", ondelete="CASCADE"), index=True
    )
    assignee_id: Mapped[str | None] = mapped_column(
        ForeignKey("users.id", ondelete="SET NULL"), index=True
    )
    title: Mapped[str] = mapped_column(String(200))
    description: Mapped[str] = mapped_column(Text, default="")
    status: Mapped[Status] = mapped_column(
        Enum(Status, name="task_status"), default=Status.open
    )
    created_at: Mapped[datetime] = mapped_column(
        DateTime(timezone=True), server_default=func.now()
    )

    project: Mapped[Project] = relationship(back_populates="tasks")
    assignee: Mapped[User | None] = relationship()
