"""The recipe under a loop per test: no connection can outlive its loop, so NullPool."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest
import pytest_asyncio
from sqlalchemy import NullPool
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession

from engines import make_engine
from models import Base

if TYPE_CHECKING:
    from collections.abc import AsyncIterator


async def _create(engine: AsyncEngine) -> None:
    async with engine.begin() as connection:
        await connection.run_sync(Base.metadata.create_all)


@pytest.fixture(scope="session")
def engine() -> AsyncEngine:
    """Engine with the tables, which keeps no connection."""
    engine = make_engine(poolclass=NullPool)
    asyncio.run(_create(engine))
    return engine


@pytest_asyncio.fixture
async def session(engine: AsyncEngine) -> AsyncIterator[AsyncSession]:
    """Session in an outer transaction that is rolled back."""
    async with engine.connect() as connection:
        transaction = await connection.begin()
        async with AsyncSession(
            bind=connection,
            join_transaction_mode="create_savepoint",
            expire_on_commit=False,
        ) as session:
            yield session
        await transaction.rollback()
