"""The recipe of SQLAlchemy's documentation, engine and loop for the whole session."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

import pytest_asyncio
from sqlalchemy import StaticPool
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession

from engines import make_engine
from models import Base

if TYPE_CHECKING:
    from collections.abc import AsyncIterator


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def engine() -> AsyncIterator[AsyncEngine]:
    """Engine with the tables."""
    in_memory = ":memory:" in os.environ["BENCHMARK_URL"]
    options: dict[str, Any] = {"poolclass": StaticPool} if in_memory else {}
    engine = make_engine(**options)
    async with engine.begin() as connection:
        await connection.run_sync(Base.metadata.create_all)
    yield engine
    await engine.dispose()


@pytest_asyncio.fixture(loop_scope="session")
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
