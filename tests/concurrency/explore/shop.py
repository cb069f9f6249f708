"""What applications do wrong at the same time, each beside a way that is right."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from functools import partial
from typing import TYPE_CHECKING, Any, TypeAlias
from uuid import uuid4

from sqlalchemy import ForeignKey, String, delete, exc, func, select, update
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column, relationship

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence

    from sqlalchemy.ext.asyncio import AsyncSession, async_sessionmaker

__all__ = ["SCENARIOS", "Account", "Base", "Conflict", "Counter", "Product", "Scenario"]


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
    version: Mapped[int] = mapped_column(nullable=False)
    __mapper_args__ = {"version_id_col": version}  # noqa: RUF012 - SQLAlchemy's way


class Loose(Base):
    __tablename__ = "loose_email"
    id: Mapped[int] = mapped_column(primary_key=True)
    email: Mapped[str] = mapped_column(String(40))


class Unique(Base):
    __tablename__ = "unique_email"
    id: Mapped[int] = mapped_column(primary_key=True)
    email: Mapped[str] = mapped_column(String(40), unique=True)


class Doctor(Base):
    __tablename__ = "doctor"
    id: Mapped[int] = mapped_column(primary_key=True)
    on_call: Mapped[bool]


class Department(Base):
    __tablename__ = "department"
    id: Mapped[int] = mapped_column(primary_key=True)


class LooseEmployee(Base):
    __tablename__ = "loose_employee"
    id: Mapped[int] = mapped_column(primary_key=True)
    department: Mapped[int]


class Employee(Base):
    __tablename__ = "employee"
    id: Mapped[int] = mapped_column(primary_key=True)
    department: Mapped[int] = mapped_column(ForeignKey("department.id"))


class Job(Base):
    __tablename__ = "job"
    id: Mapped[int] = mapped_column(primary_key=True)
    owner: Mapped[str | None] = mapped_column(String(40))


class Account(Base):
    """Money."""

    __tablename__ = "account"
    id: Mapped[int] = mapped_column(primary_key=True)
    balance: Mapped[int]


class Order(Base):
    """Much of it is another thing each time."""

    __tablename__ = "orders"
    id: Mapped[int] = mapped_column(primary_key=True)
    token: Mapped[str] = mapped_column(String(40), default=lambda: str(uuid4()))
    placed: Mapped[datetime] = mapped_column(server_default=func.now())
    lines: Mapped[list[Line]] = relationship()


class Line(Base):
    """What was ordered."""

    __tablename__ = "order_line"
    id: Mapped[int] = mapped_column(primary_key=True)
    order_id: Mapped[int] = mapped_column(ForeignKey("orders.id"))
    what: Mapped[str] = mapped_column(String(40))


class Conflict(Exception):
    """What an application raises for somebody who was too late."""


Sessions: TypeAlias = "async_sessionmaker[AsyncSession]"
Actor: TypeAlias = "Callable[[], Awaitable[Any]]"


def rows() -> list[Base]:
    """What every schedule starts with."""
    return [
        Product(id=1, quantity=10, version=1),
        Counter(id=1, quantity=10, version=1),
        Doctor(id=1, on_call=True),
        Doctor(id=2, on_call=True),
        Department(id=1),
        *(Job(id=number) for number in (1, 2, 3)),
        Account(id=1, balance=100),
        Account(id=2, balance=100),
    ]


# ----------------------------------------------------------------- optimistic locking
async def set_quantity(
    sessions: Sessions, quantity: int, *, lock: bool = False
) -> None:
    """What guides show: compare the version in Python."""
    async with sessions() as session:
        query = select(Product).where(Product.id == 1)
        found = await session.scalars(query.with_for_update() if lock else query)
        product = found.one()
        if product.version != 1:
            raise Conflict
        product.quantity = quantity
        product.version += 1
        await session.commit()


async def set_counted(sessions: Sessions, quantity: int) -> None:
    """`version_id_col` compares it in the UPDATE."""
    async with sessions() as session:
        counter = await session.get_one(Counter, 1)
        if counter.version != 1:
            raise Conflict
        counter.quantity = quantity
        await session.commit()


async def swap_version(sessions: Sessions, quantity: int) -> None:
    """The UPDATE compares it by itself."""
    async with sessions() as session:
        query = update(Product).where(Product.id == 1, Product.version == 1)
        done: Any = await session.execute(query.values(quantity=quantity, version=2))
        if done.rowcount != 1:
            raise Conflict
        await session.commit()


# ----------------------------------------------------------------------- and the rest
async def add(sessions: Sessions, more: int, *, in_sql: bool) -> None:
    """Read, add, write; or let the server add."""
    async with sessions() as session:
        product: Any = await session.get_one(Product, 1)
        product.quantity = (Product if in_sql else product).quantity + more
        await session.commit()


async def register(sessions: Sessions, model: Any) -> None:
    """Look whether the address is there, and insert it."""
    async with sessions() as session:
        if await session.scalar(select(model).where(model.email == "x")) is not None:
            raise Conflict
        session.add(model(email="x"))
        await session.commit()


async def get_or_create(sessions: Sessions) -> str:
    """Insert in a savepoint, and read again where somebody was faster."""
    async with sessions() as session:
        query = select(Unique).where(Unique.email == "x")
        found = await session.scalar(query)
        if found is None:
            try:
                async with session.begin_nested():
                    found = Unique(email="x")
                    session.add(found)
            except exc.IntegrityError:
                found = (await session.scalars(query)).one()
        await session.commit()
        return found.email


async def leave(sessions: Sessions, number: int) -> None:
    """Somebody has to stay on call."""
    async with sessions() as session:
        query = select(func.count()).select_from(Doctor).where(Doctor.on_call)
        if (await session.scalar(query) or 0) < 2:
            raise Conflict
        where = Doctor.id == number
        await session.execute(update(Doctor).where(where).values(on_call=False))
        await session.commit()


async def close_department(sessions: Sessions) -> None:
    """Only an empty one."""
    async with sessions() as session:
        for model in (LooseEmployee, Employee):
            if await session.scalar(select(model)) is not None:
                raise Conflict
        await session.execute(delete(Department).where(Department.id == 1))
        await session.commit()


async def hire(sessions: Sessions, model: Any) -> None:
    """Only into a department that is there."""
    async with sessions() as session:
        if await session.get(Department, 1) is None:
            raise Conflict
        session.add(model(id=1, department=1))
        await session.commit()


async def claim(sessions: Sessions, owner: str, *, skip: bool) -> int | None:
    """Take the first job that nobody has."""
    async with sessions() as session:
        query = select(Job).where(Job.owner.is_(None)).order_by(Job.id).limit(1)
        if skip:
            query = query.with_for_update(skip_locked=True)
        job = await session.scalar(query)
        if job is None:
            return None
        job.owner = owner
        await session.commit()
        return job.id


# ------------------------------------------------------------------------- scenarios
@dataclass(frozen=True)
class Scenario:
    """Functions that run against each other; `wrong` where nothing is done about it.

    `needs` is what makes it right: "update" compares in the UPDATE, "lock" reads FOR
    UPDATE, "constraint" lets the server refuse, "level" is the isolation level.
    """

    name: str
    actors: Callable[[Sessions], Sequence[Actor]]
    needs: str | None = None
    level: str | None = None

    def __str__(self) -> str:
        return self.name

    def functions(self, sessions: Sessions) -> dict[str, Actor]:
        """The actors, named a, b and so on."""
        return dict(zip("abc", self.actors(sessions), strict=False))


def _each(fn: Any, *arguments: tuple[Any, ...], **options: Any) -> Any:
    return lambda sessions: [
        partial(fn, sessions, *given, **options) for given in arguments
    ]


def _hiring(model: Any) -> Any:
    return lambda s: [partial(close_department, s), partial(hire, s, model)]


_TWO = (50,), (70,)
_THREE = (50,), (70,), (90,)
SCENARIOS = (
    Scenario("version in Python", _each(set_quantity, *_TWO)),
    Scenario("version_id_col", _each(set_counted, *_TWO), "update"),
    Scenario("FOR UPDATE", _each(set_quantity, *_TWO, lock=True), "lock"),
    Scenario("UPDATE WHERE version", _each(swap_version, *_TWO), "update"),
    Scenario("version in Python, three", _each(set_quantity, *_THREE)),
    Scenario("version_id_col, three", _each(set_counted, *_THREE), "update"),
    Scenario("add in Python", _each(add, (1,), (2,), in_sql=False)),
    Scenario("add in SQL", _each(add, (1,), (2,), in_sql=True), "update"),
    Scenario("look, then insert", _each(register, (Loose,), (Loose,))),
    Scenario("UNIQUE", _each(register, (Unique,), (Unique,)), "constraint"),
    Scenario("get or create", _each(get_or_create, (), ()), "constraint"),
    Scenario("write skew", _each(leave, (1,), (2,)), level="READ COMMITTED"),
    Scenario("write skew, snapshot", _each(leave, (1,), (2,)), level="REPEATABLE READ"),
    Scenario("SERIALIZABLE", _each(leave, (1,), (2,)), "level", "SERIALIZABLE"),
    Scenario("association", _hiring(LooseEmployee)),
    Scenario("FOREIGN KEY", _hiring(Employee), "constraint"),
    Scenario("job queue", _each(claim, ("a",), ("b",), skip=False)),
    Scenario("SKIP LOCKED", _each(claim, ("a",), ("b",), skip=True), "lock"),
)
