"""A session that joins an external transaction, as SQLAlchemy's documentation has it.

The engine is one for the whole run, and so has to be the loop.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

import pytest_asyncio
from sqlalchemy import Connection, event
from sqlalchemy.ext.asyncio import (
    AsyncEngine,
    AsyncSession,
    async_sessionmaker,
    create_async_engine,
)

from shop.models import Base

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

URL = os.environ.get("TEST_DATABASE_URL", "sqlite+aiosqlite:///test.db")


def _leave_begin_to_sqlalchemy(connection: Any, _: object) -> None:  # noqa: ANN401
    connection.isolation_level = None


def _begin(connection: Connection) -> None:
    connection.exec_driver_sql("BEGIN")


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def engine() -> AsyncIterator[AsyncEngine]:
    engine = create_async_engine(URL)
    if engine.dialect.name == "sqlite":
        event.listen(engine.sync_engine, "connect", _leave_begin_to_sqlalchemy)
        event.listen(engine.sync_engine, "begin", _begin)
    async with engine.begin() as connection:
        await connection.run_sync(Base.metadata.drop_all)
        await connection.run_sync(Base.metadata.create_all)
    yield engine
    async with engine.begin() as connection:
        await connection.run_sync(Base.metadata.drop_all)
    await engine.dispose()


@pytest_asyncio.fixture(loop_scope="session")
async def new_session(
    engine: AsyncEngine,
) -> AsyncIterator[async_sessionmaker[AsyncSession]]:
    async with engine.connect() as connection:
        transaction = await connection.begin()
        yield async_sessionmaker(
            connection,
            expire_on_commit=False,
            join_transaction_mode="create_savepoint",
        )
        await transaction.rollback()


@pytest_asyncio.fixture(loop_scope="session")
async def session(
    new_session: async_sessionmaker[AsyncSession],
) -> AsyncIterator[AsyncSession]:
    async with new_session() as session:
        yield session
