"""The schema of the contenders' suites: ten tables."""

from __future__ import annotations

from sqlalchemy import Column, ForeignKey, Integer, String, Table
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column


class Base(DeclarativeBase):
    """Metadata of the ten tables."""


class User(Base):
    """What the unit of work adds and selects."""

    __tablename__ = "users"

    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str] = mapped_column(String(80), index=True)


for _number in range(9):
    Table(
        f"items_{_number}",
        Base.metadata,
        Column("id", Integer, primary_key=True),
        Column("owner_id", ForeignKey("users.id"), nullable=False, index=True),
        Column("title", String(200), nullable=False, unique=True),
    )
