"""Functions that run against each other, as applications write them, and their rows."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any, Final, TypeAlias

from sqlalchemy import Integer, String, select, text, update
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence

    from sqlalchemy.ext.asyncio import AsyncEngine

__all__ = ["RACES", "Base", "Race", "added", "rows"]

Function: TypeAlias = "Callable[[AsyncEngine], Awaitable[object]]"


class Base(DeclarativeBase):
    """Of all models here."""


class Product(Base):
    """Something on stock; the application counts versions."""

    __tablename__ = "product"
    id: Mapped[int] = mapped_column(primary_key=True)
    quantity: Mapped[int]
    version: Mapped[int]


class Counter(Base):
    """The same, and the mapper counts versions."""

    __tablename__ = "counter"
    id: Mapped[int] = mapped_column(primary_key=True)
    quantity: Mapped[int]
    version: Mapped[int] = mapped_column(Integer, nullable=False)
    __mapper_args__ = {"version_id_col": version}  # noqa: RUF012 - SQLAlchemy's way


class Email(Base):
    """An address that may be there once."""

    __tablename__ = "email"
    address: Mapped[str] = mapped_column(String(40), primary_key=True)


def rows() -> list[Base]:
    """What each schedule starts with."""
    return [
        Product(id=1, quantity=10, version=1),
        Product(id=2, quantity=10, version=1),
        Counter(id=1, quantity=10, version=1),
    ]


async def copied(engine: AsyncEngine, quantity: int, *, lock: bool = False) -> None:
    """What guides show: compare the version in Python."""
    async with AsyncSession(engine) as session:
        query = select(Product).where(Product.id == 1)
        found = await session.scalars(query.with_for_update() if lock else query)
        product = found.one()
        if product.version != 1:
            raise ValueError(product.version)
        product.quantity = quantity
        product.version += 1
        await session.commit()


async def counted(engine: AsyncEngine, quantity: int) -> None:
    """`version_id_col` compares it in the UPDATE."""
    async with AsyncSession(engine) as session:
        counter: Any = await session.get_one(Counter, 1)
        if counter.version != 1:
            raise ValueError(counter.version)
        counter.quantity = quantity
        await session.commit()


async def added(engine: AsyncEngine, number: int) -> None:
    """Two statements: read a row, write it."""
    async with AsyncSession(engine) as session:
        product: Any = await session.get_one(Product, number)
        product.quantity += 1
        await session.commit()


async def locked(engine: AsyncEngine, first: int, second: int) -> None:
    """Move one from a product to another, both locked when they are read."""
    async with AsyncSession(engine) as session:
        found: list[Any] = []
        for number in (first, second):
            query = select(Product).where(Product.id == number).with_for_update()
            found += await session.scalars(query)
        found[0].quantity -= 1
        found[1].quantity += 1
        await session.commit()


async def moved(engine: AsyncEngine, first: int, second: int) -> None:
    """The same by two UPDATEs."""
    async with AsyncSession(engine) as session:
        for number, more in ((first, -1), (second, 1)):
            query = update(Product).where(Product.id == number)
            await session.execute(query.values(quantity=Product.quantity + more))
        await session.commit()


async def guarded(engine: AsyncEngine, first: int, second: int) -> None:
    """Two locks that are no rows."""
    async with AsyncSession(engine) as session:
        for number in (first, second):
            query = text("SELECT pg_advisory_xact_lock(:number)")
            await session.execute(query, {"number": number})
        await session.commit()


async def registered(engine: AsyncEngine, first: str, second: str) -> None:
    """Two addresses that nobody else may have."""
    async with AsyncSession(engine) as session:
        for address in (first, second):
            await session.execute(text("INSERT INTO email VALUES (:a)"), {"a": address})
        await session.commit()


@dataclass(frozen=True)
class Race:
    """Two functions; `flaw` is what is wrong with them, None where nothing is.

    `succeed` is how many of them do in every serial order.
    """

    name: str
    functions: Sequence[Function]
    flaw: str | None
    succeed: int = 2


def _both(
    function: Callable[..., Awaitable[object]], *given: tuple[object, ...]
) -> list[Function]:
    return [partial(_called, function, each) for each in given]


def _called(
    function: Callable[..., Awaitable[object]],
    arguments: tuple[object, ...],
    engine: AsyncEngine,
) -> Awaitable[object]:
    return function(engine, *arguments)


RACES: Final = (
    Race("version compared in Python", _both(copied, (50,), (70,)), "lost update", 1),
    Race("version_id_col", _both(counted, (50,), (70,)), None, 1),
    Race("FOR UPDATE", _both(partial(copied, lock=True), (50,), (70,)), None, 1),
    Race("transfers, FOR UPDATE", _both(locked, (1, 2), (2, 1)), "deadlock"),
    Race("transfers, UPDATE", _both(moved, (1, 2), (2, 1)), "deadlock"),
    Race("advisory locks", _both(guarded, (1, 2), (2, 1)), "deadlock"),
    Race("unique INSERTs", _both(registered, ("x", "y"), ("y", "x")), "deadlock", 1),
)
