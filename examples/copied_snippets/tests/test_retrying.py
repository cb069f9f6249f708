"""Where to try again, and after what."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from sqlalchemy import select, update
from sqlalchemy.exc import DBAPIError, OperationalError, PendingRollbackError

from snippets import retrying
from snippets.models import Account, Customer

if TYPE_CHECKING:
    from sqlalchemy.ext.asyncio import AsyncSession, async_sessionmaker

    from pytest_asyncdb.concurrency import Faults
    from snippets.retrying import Work


async def test_taught_register(db_session: AsyncSession, ann: Customer) -> None:
    """The second attempt fails because of the first, not because of the name."""
    with pytest.raises(PendingRollbackError):
        await retrying.taught_register(db_session, ann.name)


async def test_cured_register(db_session: AsyncSession, ann: Customer) -> None:
    """The second attempt finds a name, and what came before it is kept."""
    assert "ann1" == await retrying.cured_register(db_session, ann.name)
    await db_session.commit()
    names = await db_session.scalars(select(Customer.name).order_by(Customer.id))

    assert ["ann", "ann1"] == list(names)


def _overtaken(sessions: async_sessionmaker[AsyncSession]) -> Work:
    """A visit that somebody else comes before, the first time that it is tried."""
    attempts = 0

    async def visit(session: AsyncSession) -> None:
        nonlocal attempts
        attempts += 1
        await session.connection(
            execution_options={"isolation_level": "REPEATABLE READ"}
        )
        await session.scalar(select(Customer.visits))
        more = update(Customer).values(visits=Customer.visits + 1)
        if attempts == 1:
            async with sessions.begin() as other:
                await other.execute(more)
        await session.execute(more)

    return visit


@pytest.mark.asyncdb(isolation="commit", backends=["postgresql"])
@pytest.mark.usefixtures("ann")
async def test_taught_retry(db_sessionmaker: async_sessionmaker[AsyncSession]) -> None:
    """asyncpg's serialization failure is none of these: there is one attempt."""
    with pytest.raises(DBAPIError) as raised:
        await retrying.taught_retry(db_sessionmaker, _overtaken(db_sessionmaker))

    assert not isinstance(raised.value, OperationalError)
    assert "40001" == getattr(raised.value.orig, "sqlstate", None)


@pytest.mark.asyncdb(isolation="commit", backends=["postgresql"])
@pytest.mark.usefixtures("ann")
async def test_cured_retry(db_sessionmaker: async_sessionmaker[AsyncSession]) -> None:
    """The second attempt succeeds, and no visit is lost."""
    await retrying.cured_retry(db_sessionmaker, _overtaken(db_sessionmaker))
    async with db_sessionmaker() as session:
        assert 2 == await session.scalar(select(Customer.visits))


@pytest.fixture
async def accounts(db_sessionmaker: async_sessionmaker[AsyncSession]) -> None:
    """Two accounts of 100 each."""
    async with db_sessionmaker.begin() as session:
        session.add_all([Account(id=number, balance=100) for number in (1, 2)])


@pytest.mark.usefixtures("accounts")
async def test_taught_pay(
    db_sessionmaker: async_sessionmaker[AsyncSession], db_faults: Faults
) -> None:
    """The server has undone the transaction: half of it is paid, or nothing at all."""
    sweep = db_faults.sweep("deadlock_detected", recovers=True, check=False)
    async for fault in sweep:
        async with fault:
            await retrying.taught_pay(db_sessionmaker)

    assert sweep.failed


@pytest.mark.usefixtures("accounts")
async def test_cured_pay(
    db_sessionmaker: async_sessionmaker[AsyncSession], db_faults: Faults
) -> None:
    """All is paid, once, wherever the deadlock comes."""
    async for fault in db_faults.sweep("deadlock_detected", recovers=True):
        async with fault:
            await retrying.cured_pay(db_sessionmaker)
