"""TestClient, and the dependency that gives a session overridden.

TestClient runs the application on a loop of its own, so the tables are made on a second
one, what a test looks up is looked up on a third, and no connection may be kept.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import pytest
from fastapi.testclient import TestClient
from sqlalchemy import NullPool, Select
from sqlalchemy.ext.asyncio import (
    AsyncEngine,
    AsyncSession,
    async_sessionmaker,
    create_async_engine,
)

from shop.app import app
from shop.database import get_session
from shop.models import Base

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator

URL = os.environ.get("TEST_DATABASE_URL", "sqlite+aiosqlite:///test.db")
Look = Callable[["Select[Any]"], list[Any]]


async def _create(engine: AsyncEngine) -> None:
    async with engine.begin() as connection:
        await connection.run_sync(Base.metadata.drop_all)
        await connection.run_sync(Base.metadata.create_all)


async def _drop(engine: AsyncEngine) -> None:
    async with engine.begin() as connection:
        await connection.run_sync(Base.metadata.drop_all)


@pytest.fixture
def engine() -> Iterator[AsyncEngine]:
    engine = create_async_engine(URL, poolclass=NullPool)
    asyncio.run(_create(engine))
    yield engine
    asyncio.run(_drop(engine))


@pytest.fixture
def new_session(engine: AsyncEngine) -> async_sessionmaker[AsyncSession]:
    return async_sessionmaker(engine, expire_on_commit=False)


@pytest.fixture
def client(new_session: async_sessionmaker[AsyncSession]) -> Iterator[TestClient]:
    async def override() -> AsyncIterator[AsyncSession]:
        async with new_session() as session:
            yield session

    app.dependency_overrides[get_session] = override
    with TestClient(app) as client:
        yield client
    app.dependency_overrides.clear()


@pytest.fixture
def look(new_session: async_sessionmaker[AsyncSession]) -> Look:
    async def looked(query: Select[Any]) -> list[Any]:
        async with new_session() as session:
            return list(await session.scalars(query))

    return lambda query: asyncio.run(looked(query))
