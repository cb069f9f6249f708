"""What tenants share, and what each has of his own."""

from __future__ import annotations

from sqlalchemy import MetaData, String
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

NAMES = {
    "uq": "uq_%(table_name)s_%(column_0_name)s",
    "pk": "%(table_name)s_pkey",
}
STANDS_FOR = "tenant"


class Shared(DeclarativeBase):
    """Tables of which there is one."""

    metadata = MetaData(naming_convention=NAMES)


class Owned(DeclarativeBase):
    """Tables of which each tenant has one, in his schema."""

    metadata = MetaData(schema=STANDS_FOR, naming_convention=NAMES)


class Tenant(Shared):
    """A customer."""

    __tablename__ = "tenants"

    id: Mapped[int] = mapped_column(primary_key=True)
    slug: Mapped[str] = mapped_column(String(40), unique=True)


class Note(Owned):
    """What a tenant has noted."""

    __tablename__ = "notes"

    id: Mapped[int] = mapped_column(primary_key=True)
    text: Mapped[str] = mapped_column(String(200))
