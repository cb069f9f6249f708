"""A PostgreSQL of Docker's for the run, emptied after each test."""

from __future__ import annotations

import asyncio
import os
from typing import TYPE_CHECKING

import pytest
from docker.errors import DockerException
from sqlalchemy import NullPool, text
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession, create_async_engine
from testcontainers.community.postgres import PostgresContainer

from shop.models import Base

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator

IMAGE = os.environ.get("POSTGRES_IMAGE", "postgres:17")
TABLES = ", ".join(table.name for table in Base.metadata.sorted_tables)


async def _create(engine: AsyncEngine) -> None:
    async with engine.begin() as connection:
        await connection.run_sync(Base.metadata.create_all)


@pytest.fixture(scope="session")
def container() -> Iterator[PostgresContainer]:
    try:
        container = PostgresContainer(IMAGE, driver="asyncpg")
    except DockerException as error:
        pytest.skip(f"no container engine: {error}")
    with container:
        yield container


@pytest.fixture(scope="session")
def engine(container: PostgresContainer) -> AsyncEngine:
    engine = create_async_engine(container.get_connection_url(), poolclass=NullPool)
    asyncio.run(_create(engine))
    return engine


@pytest.fixture
async def session(engine: AsyncEngine) -> AsyncIterator[AsyncSession]:
    async with AsyncSession(engine, expire_on_commit=False) as session:
        yield session
    async with engine.begin() as connection:
        await connection.execute(text(f"TRUNCATE {TABLES} RESTART IDENTITY CASCADE"))
