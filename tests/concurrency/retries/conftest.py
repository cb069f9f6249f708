"""A bank on each driver: real servers, and SQLite in a file."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import pytest
from sqlalchemy import NullPool, insert
from sqlalchemy.ext.asyncio import AsyncSession, async_sessionmaker, create_async_engine

from tests.concurrency.retries.bank import Account, Base
from tests.databases import Databases

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator
    from pathlib import Path

    from sqlalchemy import URL
    from sqlalchemy.ext.asyncio import AsyncEngine

DRIVERS: Final = {
    "asyncpg": "postgresql",
    "psycopg": "postgresql",
    "aiomysql": "mariadb",
    "asyncmy": "mariadb",
    "aiosqlite": "sqlite",
}


@pytest.fixture(scope="session")
def databases() -> Iterator[Databases]:
    """Those that have been asked for so far."""
    made = Databases(Base.metadata)
    yield made
    made.close()


@pytest.fixture(params=DRIVERS)
def driver(request: pytest.FixtureRequest) -> str:
    """A driver."""
    return str(request.param)


@pytest.fixture
def url(driver: str, databases: Databases, tmp_path: Path) -> URL | str:
    """A database with the tables of the bank; SQLite has none yet."""
    kind = DRIVERS[driver]
    if kind == "sqlite":
        return f"sqlite+aiosqlite:///{tmp_path / 'bank.sqlite'}"
    return databases.url(kind).set(drivername=f"{kind}+{driver}")


@pytest.fixture
async def engine(url: URL | str, driver: str) -> AsyncIterator[AsyncEngine]:
    """An engine on a bank of two accounts, each of 100."""
    quick = {"timeout": 0.05} if driver == "aiosqlite" else {}
    made = create_async_engine(url, poolclass=NullPool, connect_args=quick)
    async with made.begin() as connection:
        await connection.run_sync(Base.metadata.create_all)
        for table in Base.metadata.sorted_tables:
            await connection.execute(table.delete())
        rows = [{"id": number, "balance": 100} for number in (1, 2)]
        await connection.execute(insert(Account), rows)
    yield made
    await made.dispose()


@pytest.fixture
def sessionmaker(engine: AsyncEngine) -> async_sessionmaker[AsyncSession]:
    """Makes sessions on the bank."""
    return async_sessionmaker(engine, expire_on_commit=False)
