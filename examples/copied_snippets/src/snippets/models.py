"""A shop: as taught where a column itself is the mistake, and as cured beside it."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from sqlalchemy import JSON, BigInteger, DateTime, Float, ForeignKey, String
from sqlalchemy.ext.asyncio import AsyncAttrs
from sqlalchemy.ext.mutable import MutableDict
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column, relationship

if TYPE_CHECKING:
    from sqlalchemy.ext.asyncio import AsyncConnection


class Base(AsyncAttrs, DeclarativeBase):
    """Attributes that are not loaded can be awaited."""


async def build(connection: AsyncConnection) -> None:
    """The tables; the migrations of this project are about nothing but themselves."""
    await connection.run_sync(Base.metadata.create_all)


class Customer(Base):
    """Somebody who orders."""

    __tablename__ = "customers"

    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str] = mapped_column(String(50), unique=True)
    visits: Mapped[int] = mapped_column(default=0)
    taught_settings: Mapped[dict[str, Any]] = mapped_column(JSON, default=dict)
    cured_settings: Mapped[dict[str, Any]] = mapped_column(
        MutableDict.as_mutable(JSON), default=dict
    )

    orders: Mapped[list[Order]] = relationship(back_populates="customer")


class Order(Base):
    """What somebody has ordered."""

    __tablename__ = "orders"

    id: Mapped[int] = mapped_column(primary_key=True)
    customer_id: Mapped[int] = mapped_column(ForeignKey("customers.id"))
    taught_price: Mapped[float] = mapped_column(Float, default=0)
    cured_cents: Mapped[int] = mapped_column(BigInteger, default=0)

    customer: Mapped[Customer] = relationship(back_populates="orders")


class TaughtPage(Base):
    """A page whose version Python looks at."""

    __tablename__ = "taught_pages"

    id: Mapped[int] = mapped_column(primary_key=True)
    text: Mapped[str] = mapped_column(String(200))
    version: Mapped[int] = mapped_column(default=1)


class CuredPage(Base):
    """A page whose version the UPDATE looks at."""

    __tablename__ = "cured_pages"

    id: Mapped[int] = mapped_column(primary_key=True)
    text: Mapped[str] = mapped_column(String(200))
    version: Mapped[int] = mapped_column()

    __mapper_args__ = {"version_id_col": version}  # noqa: RUF012


class TaughtReader(Base):
    """Somebody whose address the program keeps unique."""

    __tablename__ = "taught_readers"

    id: Mapped[int] = mapped_column(primary_key=True)
    email: Mapped[str] = mapped_column(String(200))


class CuredReader(Base):
    """Somebody whose address the database keeps unique."""

    __tablename__ = "cured_readers"

    id: Mapped[int] = mapped_column(primary_key=True)
    email: Mapped[str] = mapped_column(String(200), unique=True)


class Tag(Base):
    """A word, once."""

    __tablename__ = "tags"

    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str] = mapped_column(String(50), unique=True)


class Account(Base):
    """Somebody's money."""

    __tablename__ = "accounts"

    id: Mapped[int] = mapped_column(primary_key=True)
    balance: Mapped[int]


class Job(Base):
    """Something to do, and who does it."""

    __tablename__ = "jobs"

    id: Mapped[int] = mapped_column(primary_key=True)
    worker: Mapped[str | None] = mapped_column(String(50))


class Token(Base):
    """What lets somebody in until it expires."""

    __tablename__ = "tokens"

    id: Mapped[int] = mapped_column(primary_key=True)
    expires_at: Mapped[datetime] = mapped_column(DateTime(timezone=True))


class Event(Base):
    """Something that happened, by a default that is called once or each time."""

    __tablename__ = "events"

    id: Mapped[int] = mapped_column(primary_key=True)
    taught_at: Mapped[datetime] = mapped_column(
        DateTime(timezone=True), default=datetime.now(UTC)
    )
    cured_at: Mapped[datetime] = mapped_column(
        DateTime(timezone=True), default=lambda: datetime.now(UTC)
    )
