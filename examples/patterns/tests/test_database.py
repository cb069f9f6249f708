"""Pools have limits, and a health check has patience."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from sqlalchemy import event
from sqlalchemy.exc import TimeoutError as PoolTimeout

from patterns.database import is_healthy, make_engine

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from sqlalchemy.ext.asyncio import AsyncEngine


@pytest.fixture
async def engine(db_engine: AsyncEngine) -> AsyncIterator[AsyncEngine]:
    """An engine of the application's with one connection, on the test's database."""
    engine = make_engine(size=1, overflow=0, wait=0.05)
    assert engine is not db_engine
    yield engine
    await engine.dispose()


async def test_a_database_that_answers_is_healthy(engine: AsyncEngine) -> None:
    """It is asked, whatever the pool knows."""
    assert await is_healthy(engine)


async def test_a_pool_without_connections_is_not(engine: AsyncEngine) -> None:
    """The check comes back, rather than wait for others to give theirs back."""
    async with engine.connect():
        assert not await is_healthy(engine)

    assert await is_healthy(engine)


async def test_a_pool_says_when_it_is_empty(engine: AsyncEngine) -> None:
    """More connections than there may be are refused after a while."""
    async with engine.connect():
        with pytest.raises(PoolTimeout, match="size 1 overflow 0"):
            await engine.connect()


async def test_a_connection_that_is_given_back_is_for_the_next_one(
    engine: AsyncEngine,
) -> None:
    """Ten share one, if they do not keep it."""
    made: list[object] = []
    event.listen(engine.sync_engine, "connect", lambda it, _: made.append(it))
    healthy = [await is_healthy(engine) for _ in range(10)]

    assert [True] * 10 == healthy
    assert 1 == len(made)
