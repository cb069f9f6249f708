"""Many transfers at once, in real deadlocks: each is applied exactly once."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any, Final

import pytest
from sqlalchemy import insert
from sqlalchemy.ext.asyncio import AsyncSession, async_sessionmaker, create_async_engine

from pytest_asyncdb.concurrency import classify, retry_transaction
from tests.concurrency.retries.bank import (
    ACCOUNTS,
    TRANSFERS,
    Account,
    Transfer,
    check_transfers,
    transfers,
)

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable

    from sqlalchemy import URL
    from sqlalchemy.ext.asyncio import AsyncEngine

Sessions = async_sessionmaker[AsyncSession]
AT_ONCE: Final = 20


@pytest.fixture
async def busy(url: URL, engine: AsyncEngine) -> AsyncIterator[AsyncEngine]:
    """An engine whose server finds deadlocks at once, on ten accounts of 1000."""
    quick: dict[str, Any] = {}
    if engine.dialect.name == "postgresql":
        quick = {"server_settings": {"deadlock_timeout": "10ms"}}
    made = create_async_engine(url, pool_size=AT_ONCE, connect_args=quick)
    async with made.begin() as connection:
        await connection.execute(Account.__table__.delete())  # type: ignore[attr-defined]
        rows = [{"id": number, "balance": 1000} for number in ACCOUNTS]
        await connection.execute(insert(Account), rows)
    yield made
    await made.dispose()


async def _all_at_once(run: Callable[[Transfer], Awaitable[None]]) -> list[str]:
    """Run all transfers; the conditions with which some have failed."""
    gate = asyncio.Semaphore(AT_ONCE)

    async def one(transfer: Transfer) -> str:
        async with gate:
            try:
                await run(transfer)
            except Exception as error:
                condition = classify(error)
                if condition is None:
                    raise
                return condition.name
        return ""

    return [each for each in await asyncio.gather(*map(one, transfers())) if each]


@pytest.mark.parametrize("driver", ["asyncpg", "asyncmy"])
async def test_each_transfer_is_applied_once(busy: AsyncEngine) -> None:
    """With `retry_transaction` none fails, and none is applied twice."""
    sessionmaker = async_sessionmaker(busy)
    attempts = 0

    async def run(transfer: Transfer) -> None:
        async def counted(session: AsyncSession) -> None:
            nonlocal attempts
            attempts += 1
            await transfer(session)

        await retry_transaction(sessionmaker, counted, attempts=50)

    assert [] == await _all_at_once(run)
    assert TRANSFERS == await check_transfers(busy)
    assert attempts > TRANSFERS


@pytest.mark.parametrize("driver", ["asyncpg", "asyncmy"])
async def test_without_retries_some_fail(busy: AsyncEngine) -> None:
    """They are victims of deadlocks, and leave nothing behind."""

    async def run(transfer: Transfer) -> None:
        async with AsyncSession(busy) as session, session.begin():
            await transfer(session)

    failures = await _all_at_once(run)

    assert {"deadlock_detected"} == set(failures)
    assert TRANSFERS - len(failures) == await check_transfers(busy)
