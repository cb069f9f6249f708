"""What the warehouse knows."""

from __future__ import annotations

import enum
from datetime import datetime
from decimal import Decimal

from sqlalchemy import (
    CheckConstraint,
    ColumnElement,
    Enum,
    ForeignKey,
    Index,
    MetaData,
    Numeric,
    String,
    Text,
    func,
    type_coerce,
)
from sqlalchemy.ext.hybrid import hybrid_property
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

from inventory.settings import audit_schema

NAMES = {
    "ck": "ck_%(table_name)s_%(constraint_name)s",
    "fk": "fk_%(table_name)s_%(column_0_name)s",
    "pk": "pk_%(table_name)s",
    "uq": "uq_%(table_name)s_%(column_0_name)s",
}


CHEAP = Decimal(10)


class Base(DeclarativeBase):
    metadata = MetaData(naming_convention=NAMES)


class Kind(enum.Enum):
    part = "part"
    tool = "tool"


class Status(enum.Enum):
    open = "open"
    sent = "sent"
    paid = "paid"


class Supplier(Base):
    __tablename__ = "suppliers"

    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str] = mapped_column(String(100))
    email: Mapped[str | None] = mapped_column(String(200))


class Product(Base):
    __tablename__ = "products"
    __table_args__ = (
        CheckConstraint("price >= 0", name="price"),
        Index("ix_products_name", "name"),
    )

    id: Mapped[int] = mapped_column(primary_key=True)
    supplier_id: Mapped[int] = mapped_column(
        ForeignKey("suppliers.id", ondelete="CASCADE")
    )
    sku: Mapped[str] = mapped_column(String(20), unique=True)
    name: Mapped[str] = mapped_column(String(80))
    kind: Mapped[Kind] = mapped_column(Enum(Kind, name="product_kind"))
    price: Mapped[Decimal] = mapped_column(Numeric(10, 2))
    label: Mapped[str] = mapped_column(String(110))

    @hybrid_property
    def gross(self) -> Decimal:
        """The price with a tax of a quarter, to the hundredth of a cent."""
        return self.price + self.price / 4

    @gross.inplace.expression
    @classmethod
    def _gross(cls) -> ColumnElement[Decimal]:
        # The type of the sum would be that of the price, with two digits.
        return type_coerce(cls.price + cls.price / 4, Numeric(14, 4))

    @hybrid_property
    def is_cheap(self) -> bool:
        """A part below ten; tools are never cheap."""
        return self.kind is Kind.part and self.price < CHEAP

    @is_cheap.inplace.expression
    @classmethod
    def _is_cheap(cls) -> ColumnElement[bool]:
        return (cls.kind == Kind.part) & (cls.price < CHEAP)


class Warehouse(Base):
    __tablename__ = "warehouses"

    id: Mapped[int] = mapped_column(primary_key=True)
    city: Mapped[str] = mapped_column(String(60))


class Stock(Base):
    __tablename__ = "stock"
    __table_args__ = (CheckConstraint("quantity >= 0", name="quantity"),)

    product_id: Mapped[int] = mapped_column(
        ForeignKey("products.id", ondelete="CASCADE"), primary_key=True
    )
    warehouse_id: Mapped[int] = mapped_column(
        ForeignKey("warehouses.id"), primary_key=True
    )
    quantity: Mapped[int] = mapped_column(server_default="0")


class Customer(Base):
    __tablename__ = "customers"

    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str] = mapped_column(String(100))


class Order(Base):
    __tablename__ = "orders"

    id: Mapped[int] = mapped_column(primary_key=True)
    customer_id: Mapped[int] = mapped_column(ForeignKey("customers.id"))
    status: Mapped[Status] = mapped_column(
        Enum(Status, name="order_status"), server_default="open"
    )
    placed: Mapped[datetime] = mapped_column(server_default=func.now())
    version: Mapped[int] = mapped_column(server_default="1")
    note: Mapped[str | None] = mapped_column(Text)

    __mapper_args__ = {"version_id_col": version}  # noqa: RUF012


class Change(Base):
    __tablename__ = "changes"
    __table_args__ = ({"schema": audit_schema()},)

    id: Mapped[int] = mapped_column(primary_key=True)
    product_id: Mapped[int]
    before: Mapped[int]
    after: Mapped[int]
