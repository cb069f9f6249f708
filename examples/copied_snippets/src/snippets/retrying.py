"""Trying again."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sqlalchemy import func, select, update
from sqlalchemy.exc import DBAPIError, IntegrityError, OperationalError

from snippets.models import Account, Customer

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from sqlalchemy.ext.asyncio import AsyncSession, async_sessionmaker

    Work = Callable[[AsyncSession], Awaitable[None]]

ATTEMPTS = 3
# PostgreSQL: serialization_failure, deadlock_detected. MariaDB: the same in numbers.
TRANSIENT = {"40001", "40P01", 1020, 1205, 1213, "SQLITE_BUSY"}


async def taught_register(session: AsyncSession, name: str) -> str:
    """Try again with another name, in the session whose flush has failed."""
    for attempt in range(ATTEMPTS):
        try:
            customer = Customer(name=f"{name}{attempt or ''}")
            session.add(customer)
            await session.flush()
        except IntegrityError:
            continue
        return customer.name
    raise ValueError(name)


async def cured_register(session: AsyncSession, name: str) -> str:
    """Each attempt in a savepoint, as a failed one ends what it is in."""
    # On SQLite a savepoint that begins the transaction would be a commit when released.
    await session.scalar(select(func.count(Customer.id)))
    for attempt in range(ATTEMPTS):
        try:
            async with session.begin_nested():
                customer = Customer(name=f"{name}{attempt or ''}")
                session.add(customer)
        except IntegrityError:
            continue
        return customer.name
    raise ValueError(name)


async def taught_retry(sessions: async_sessionmaker[AsyncSession], work: Work) -> None:
    """By the class of the exception, as the driver of the guide had it."""
    for _ in range(ATTEMPTS):
        try:
            async with sessions.begin() as session:
                return await work(session)
        except OperationalError:
            continue
    raise TimeoutError


async def cured_retry(sessions: async_sessionmaker[AsyncSession], work: Work) -> None:
    """By the code of the server, which no driver can hide."""
    for _ in range(ATTEMPTS):
        try:
            async with sessions.begin() as session:
                return await work(session)
        except DBAPIError as error:
            code = getattr(error.orig, "sqlite_errorname", None)
            codes = {code, getattr(error.orig, "sqlstate", None), *_arguments(error)}
            if TRANSIENT.isdisjoint(codes):
                raise
    raise TimeoutError


PAYMENT = [
    update(Account).where(Account.id == number).values(balance=Account.balance + change)
    for number, change in ((1, -10), (2, 10))
]


async def taught_pay(sessions: async_sessionmaker[AsyncSession]) -> None:
    """Try each statement again, in the transaction that it failed in."""
    async with sessions.begin() as session:
        for statement in PAYMENT:
            for _ in range(ATTEMPTS):
                try:
                    await session.execute(statement)
                except DBAPIError:
                    continue
                break


async def cured_pay(sessions: async_sessionmaker[AsyncSession]) -> None:
    """Try all of it again, its COMMIT too, in a new transaction."""

    async def pay(session: AsyncSession) -> None:
        for statement in PAYMENT:
            await session.execute(statement)

    await cured_retry(sessions, pay)


def _arguments(error: DBAPIError) -> tuple[object, ...]:
    return error.orig.args if error.orig is not None else ()
