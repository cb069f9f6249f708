"""A condition that comes inside of a savepoint is told and retried like any other."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from sqlalchemy.exc import DBAPIError

from pytest_asyncdb.concurrency import Faults, classify, retry_transaction
from tests.concurrency.retries.bank import Account, Receipt

if TYPE_CHECKING:
    from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession, async_sessionmaker


async def _in_savepoint(session: AsyncSession) -> None:
    account = await session.get_one(Account, 1)
    account.balance -= 10
    await session.flush()
    async with session.begin_nested():
        session.add(Receipt(name="a"))


async def test_what_it_says(
    engine: AsyncEngine, sessionmaker: async_sessionmaker[AsyncSession]
) -> None:
    """MariaDB has undone the savepoint as well, and says of it that there is none."""
    fault = Faults(engine).inject("deadlock_detected", matching="INSERT")
    with fault, pytest.raises(DBAPIError) as caught:
        async with sessionmaker.begin() as session:
            await _in_savepoint(session)
    found = classify(caught.value)

    assert found is not None
    assert found.transient


async def test_it_is_retried(
    engine: AsyncEngine, sessionmaker: async_sessionmaker[AsyncSession]
) -> None:
    """All of the transaction, not the savepoint alone."""
    with Faults(engine).inject("deadlock_detected", matching="INSERT"):
        await retry_transaction(sessionmaker, _in_savepoint)
    async with sessionmaker() as session:
        account = await session.get_one(Account, 1)

    assert 90 == account.balance
