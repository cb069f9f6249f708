"""Databases of accounts with real commits, by product and driver."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from sqlalchemy import NullPool
from sqlalchemy.ext.asyncio import create_async_engine

from tests.concurrency.bank import METADATA, Setup, account, emptied, sqlite_engine
from tests.databases import Databases

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator
    from pathlib import Path

    from sqlalchemy.ext.asyncio import AsyncEngine

SERVERS = (
    "postgresql+asyncpg",
    "postgresql+psycopg",
    "mariadb+asyncmy",
    "mariadb+aiomysql",
)


@pytest.fixture(scope="session")
def databases() -> Iterator[Databases]:
    """Those that have been asked for so far."""
    made = Databases(METADATA)
    yield made
    made.close()


@pytest.fixture(params=SERVERS)
def server(request: pytest.FixtureRequest) -> str:
    """A product with a server, and a driver."""
    return str(request.param)


async def server_engine(databases: Databases, server: str) -> AsyncEngine:
    """An engine whose connections are made when they are asked for."""
    product, _, driver = server.partition("+")
    url = (await databases.engine(product)).url
    url = url.set(drivername=f"{url.get_backend_name()}+{driver}")
    return create_async_engine(url, poolclass=NullPool)


@pytest.fixture
async def engine(server: str, databases: Databases) -> AsyncIterator[AsyncEngine]:
    """An engine of the server, with two accounts."""
    engine = await server_engine(databases, server)
    async with engine.begin() as connection:
        await emptied(connection)
    yield engine
    await engine.dispose()


@pytest.fixture
async def file_engine(
    request: pytest.FixtureRequest, tmp_path: Path
) -> AsyncIterator[AsyncEngine]:
    """An engine on a file, set up as the indirect parameter says."""
    setup: Setup = getattr(request, "param", Setup())
    engine = sqlite_engine(tmp_path / "bank.sqlite", setup)
    async with engine.begin() as connection:
        await connection.run_sync(METADATA.create_all)
        await emptied(connection)
    yield engine
    await engine.dispose()


@pytest.fixture
def accounts() -> object:
    """The table."""
    return account
