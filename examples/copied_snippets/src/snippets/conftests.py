"""What guides have people put into a conftest.py."""

from __future__ import annotations

from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

from sqlalchemy.ext.asyncio import AsyncSession, create_async_engine

from snippets.models import Base

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

    from sqlalchemy.ext.asyncio import AsyncEngine


async def taught_reset(url: str) -> None:
    """Empty tables for each test, in whatever database the settings name."""
    engine = create_async_engine(url)
    async with engine.begin() as connection:
        await connection.run_sync(Base.metadata.drop_all)
        await connection.run_sync(Base.metadata.create_all)
    await engine.dispose()


@asynccontextmanager
async def taught_sessions(
    engine: AsyncEngine,
) -> AsyncIterator[Callable[[], AsyncSession]]:
    """All sessions on one connection, in one transaction that is rolled back."""
    async with engine.connect() as connection:
        transaction = await connection.begin()
        yield lambda: AsyncSession(connection, join_transaction_mode="create_savepoint")
        await transaction.rollback()
