"""Accounts, transfers between them, and entries that say what happened."""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal

from sqlalchemy import (
    BigInteger,
    CheckConstraint,
    DateTime,
    ForeignKey,
    MetaData,
    String,
    func,
)
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column, relationship


class Base(DeclarativeBase):
    """Money is in cents: a number that every product adds up exactly."""

    metadata = MetaData(
        naming_convention={
            "ix": "ix_%(column_0_label)s",
            "uq": "uq_%(table_name)s_%(column_0_N_name)s",
            "ck": "ck_%(table_name)s_%(constraint_name)s",
            "fk": "fk_%(table_name)s_%(column_0_name)s_%(referred_table_name)s",
            "pk": "pk_%(table_name)s",
        }
    )


class Account(Base):
    """Somebody's money; the CHECK holds whatever the program forgets."""

    __tablename__ = "accounts"
    __table_args__ = (CheckConstraint("cents >= 0", name="cents"),)

    id: Mapped[int] = mapped_column(primary_key=True)
    owner: Mapped[str] = mapped_column(String(100), index=True)
    cents: Mapped[int] = mapped_column(BigInteger, default=0)

    entries: Mapped[list[Entry]] = relationship(order_by="Entry.id")

    @property
    def balance(self) -> Decimal:
        """What the owner is shown."""
        return Decimal(self.cents) / 100


class Transfer(Base):
    """An order that was carried out; its key is the customer's."""

    __tablename__ = "transfers"
    __table_args__ = (CheckConstraint("cents > 0", name="cents"),)

    id: Mapped[int] = mapped_column(primary_key=True)
    key: Mapped[str] = mapped_column(String(64), unique=True)
    source_id: Mapped[int] = mapped_column(ForeignKey("accounts.id"))
    target_id: Mapped[int] = mapped_column(ForeignKey("accounts.id"))
    cents: Mapped[int] = mapped_column(BigInteger)
    created_at: Mapped[datetime] = mapped_column(
        DateTime(timezone=True), server_default=func.now()
    )


class Entry(Base):
    """The audit trail: each change of an account, and each refusal."""

    __tablename__ = "entries"

    id: Mapped[int] = mapped_column(primary_key=True)
    account_id: Mapped[int] = mapped_column(ForeignKey("accounts.id"), index=True)
    transfer_id: Mapped[int | None] = mapped_column(ForeignKey("transfers.id"))
    cents: Mapped[int] = mapped_column(BigInteger)
    text: Mapped[str] = mapped_column(String(200))
