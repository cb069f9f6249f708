"""All tables made for each test, and dropped after it."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest_asyncio
from sqlalchemy import NullPool, StaticPool
from sqlalchemy.ext.asyncio import AsyncSession

from engines import make_engine
from models import Base

if TYPE_CHECKING:
    from collections.abc import AsyncIterator


@pytest_asyncio.fixture
async def session() -> AsyncIterator[AsyncSession]:
    """Session on tables of its own; in memory they vanish with the connection."""
    in_memory = ":memory:" in os.environ["BENCHMARK_URL"]
    engine = make_engine(poolclass=StaticPool if in_memory else NullPool)
    async with engine.begin() as connection:
        await connection.run_sync(Base.metadata.create_all)
    async with AsyncSession(engine, expire_on_commit=False) as session:
        yield session
    if not in_memory:
        async with engine.begin() as connection:
            await connection.run_sync(Base.metadata.drop_all)
    await engine.dispose()
