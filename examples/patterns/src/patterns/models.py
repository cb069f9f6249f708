"""Users with roles, articles, and who has read them."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import Column, DateTime, ForeignKey, String, Table, func
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column, relationship
from sqlmodel import Field, SQLModel

from patterns.mixins import Audited, Keyed, SoftDeleted, Timestamped


class Base(DeclarativeBase):
    """Plain models; they and those of SQLModel are one schema."""

    metadata = SQLModel.metadata


user_roles = Table(
    "user_roles",
    Base.metadata,
    Column("user_id", ForeignKey("users.id", ondelete="CASCADE"), primary_key=True),
    Column("role_id", ForeignKey("roles.id", ondelete="CASCADE"), primary_key=True),
)


class Role(Base):
    """What some users may do."""

    __tablename__ = "roles"

    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str] = mapped_column(String(50), unique=True)

    users: Mapped[list[User]] = relationship(
        secondary=user_roles, back_populates="roles"
    )


class User(Base):
    """Somebody who writes, or reads."""

    __tablename__ = "users"

    id: Mapped[int] = mapped_column(primary_key=True)
    email: Mapped[str] = mapped_column(String(200), unique=True)
    is_active: Mapped[bool] = mapped_column(default=True)
    joined_at: Mapped[datetime] = mapped_column(
        DateTime(timezone=True), server_default=func.now()
    )

    roles: Mapped[list[Role]] = relationship(
        secondary=user_roles, back_populates="users", order_by="Role.name"
    )
    articles: Mapped[list[Article]] = relationship(back_populates="author")


class Article(Keyed, Timestamped, SoftDeleted, Audited, Base):
    """A text with an author."""

    __tablename__ = "articles"

    author_id: Mapped[int] = mapped_column(ForeignKey("users.id"), index=True)
    title: Mapped[str] = mapped_column(String(200))
    number: Mapped[int] = mapped_column(default=0)

    author: Mapped[User] = relationship(back_populates="articles")


class Reading(SQLModel, table=True):
    """Who has read how much: a model of SQLModel, which refers to a plain one."""

    __tablename__ = "readings"

    id: int | None = Field(default=None, primary_key=True)
    user_id: int = Field(foreign_key="users.id", index=True)
    pages: int = Field(ge=0)
