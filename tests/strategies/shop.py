"""A shop's models: one of each thing that a schema may demand."""

from __future__ import annotations

import datetime as dt
import enum
import uuid
from decimal import Decimal
from typing import Any

from sqlalchemy import (
    JSON,
    BigInteger,
    CheckConstraint,
    Column,
    Date,
    DateTime,
    Enum,
    Float,
    ForeignKey,
    Interval,
    LargeBinary,
    Numeric,
    SmallInteger,
    String,
    Table,
    Text,
    Time,
    UniqueConstraint,
    Uuid,
    func,
)
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column, relationship


class Base(DeclarativeBase):
    """The shop's tables."""


class Size(enum.Enum):
    """Of a parcel."""

    SMALL = 1
    LARGE = 2


parcel_labels = Table(
    "parcel_labels",
    Base.metadata,
    Column("parcel_id", ForeignKey("parcels.id"), primary_key=True),
    Column("label_id", ForeignKey("labels.id"), primary_key=True),
)


class Customer(Base):
    """Has what a database fills in, and what has to be unique."""

    __tablename__ = "customers"

    id: Mapped[int] = mapped_column(primary_key=True)
    email: Mapped[str] = mapped_column(String(40), unique=True)
    admin: Mapped[bool] = mapped_column(default=False)
    created_at: Mapped[dt.datetime] = mapped_column(server_default=func.now())
    orders: Mapped[list[Order]] = relationship(back_populates="customer")
    card: Mapped[Card | None] = relationship(back_populates="customer")


class Card(Base):
    """Each customer has one at most."""

    __tablename__ = "cards"

    id: Mapped[uuid.UUID] = mapped_column(Uuid, primary_key=True)
    customer_id: Mapped[int] = mapped_column(ForeignKey("customers.id"), unique=True)
    customer: Mapped[Customer] = relationship(back_populates="card")


class Order(Base):
    """Has constraints of several columns."""

    __tablename__ = "orders"
    __table_args__ = (
        CheckConstraint("paid_on >= ordered_on", name="paid_later"),
        CheckConstraint("price > 0", name="price_positive"),
        UniqueConstraint("customer_id", "number"),
    )

    id: Mapped[int] = mapped_column(primary_key=True)
    number: Mapped[int] = mapped_column(SmallInteger)
    price: Mapped[Decimal] = mapped_column(Numeric(8, 2))
    ordered_on: Mapped[dt.date] = mapped_column(Date)
    paid_on: Mapped[dt.date | None] = mapped_column(Date)
    customer_id: Mapped[int] = mapped_column(ForeignKey("customers.id"))
    customer: Mapped[Customer] = relationship(back_populates="orders")


class Category(Base):
    """May be part of another one."""

    __tablename__ = "categories"

    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str] = mapped_column(String(3))
    parent_id: Mapped[int | None] = mapped_column(ForeignKey("categories.id"))
    parent: Mapped[Category | None] = relationship(remote_side="Category.id")


class Label(Base):
    """Is on many parcels; its category has no relationship."""

    __tablename__ = "labels"
    __table_args__ = (UniqueConstraint("category_id", "word"),)

    id: Mapped[int] = mapped_column(primary_key=True)
    category_id: Mapped[int] = mapped_column(ForeignKey("categories.id"))
    word: Mapped[str] = mapped_column(String(4))


class Parcel(Base):
    """Has a column of each kind, and is of two kinds itself."""

    __tablename__ = "parcels"
    __mapper_args__ = {"polymorphic_on": "kind", "polymorphic_identity": "parcel"}  # noqa: RUF012

    id: Mapped[int] = mapped_column(primary_key=True)
    kind: Mapped[str] = mapped_column(String(10))
    size: Mapped[Size] = mapped_column(Enum(Size))
    weight: Mapped[float] = mapped_column(Float)
    count: Mapped[int] = mapped_column(BigInteger)
    note: Mapped[str | None] = mapped_column(Text)
    picture: Mapped[bytes] = mapped_column(LargeBinary)
    properties: Mapped[dict[str, Any]] = mapped_column(JSON)
    sent_at: Mapped[dt.datetime] = mapped_column(DateTime(timezone=True))
    packed_at: Mapped[dt.datetime] = mapped_column(DateTime)
    opens_at: Mapped[dt.time] = mapped_column(Time)
    lasts: Mapped[dt.timedelta] = mapped_column(Interval)
    labels: Mapped[list[Label]] = relationship(secondary=parcel_labels)


class Letter(Parcel):
    """Has a table of its own besides."""

    __tablename__ = "letters"
    __mapper_args__ = {"polymorphic_identity": "letter"}  # noqa: RUF012

    id: Mapped[int] = mapped_column(ForeignKey("parcels.id"), primary_key=True)
    pages: Mapped[int] = mapped_column(SmallInteger, CheckConstraint("pages > 0"))
