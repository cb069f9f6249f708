"""A shop on each product, by engines of its own, with real commits."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from sqlalchemy import event
from sqlalchemy.ext.asyncio import AsyncSession, async_sessionmaker, create_async_engine

from tests.concurrency.explore.shop import Base, rows
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
FILES = ("wal, BEGIN", "wal, BEGIN IMMEDIATE", "delete, BEGIN", "wal, the driver")


@pytest.fixture(scope="session")
def shops() -> Iterator[Databases]:
    """Those that have been asked for so far."""
    made = Databases(Base.metadata)
    yield made
    made.close()


@pytest.fixture(params=SERVERS)
def server(request: pytest.FixtureRequest) -> str:
    """A product and a driver."""
    return str(request.param)


@pytest.fixture
async def engine(
    server: str, shops: Databases, tmp_path: Path
) -> AsyncIterator[AsyncEngine]:
    """An engine with a pool, on a database with the rows of the shop."""
    engine = await _engine(server, shops, tmp_path)
    sessions = async_sessionmaker(engine)
    async with sessions() as session, session.begin():
        session.add_all(rows())
    yield engine
    async with engine.begin() as connection:
        for table in reversed(Base.metadata.sorted_tables):
            await connection.execute(table.delete())
    await engine.dispose()


async def _engine(server: str, shops: Databases, path: Path) -> AsyncEngine:
    if server in FILES:
        engine = create_async_engine(f"sqlite+aiosqlite:///{path / 'shop.sqlite'}")
        journal, _, begin = server.partition(", ")
        _set_up(engine, journal, begin if begin.startswith("BEGIN") else None)
        async with engine.begin() as connection:
            await connection.run_sync(Base.metadata.create_all)
        return engine
    product, _, driver = server.partition("+")
    url = (await shops.engine(product)).url
    url = url.set(drivername=f"{url.get_backend_name()}+{driver}")
    return create_async_engine(url, pool_size=8)


def _set_up(engine: AsyncEngine, journal: str, begin: str | None) -> None:
    def connected(connection: Any, _: object) -> None:
        connection.execute(f"PRAGMA journal_mode = {journal}")
        connection.execute("PRAGMA synchronous = OFF")
        connection.execute("PRAGMA foreign_keys = ON")
        if begin is not None:
            connection.isolation_level = None

    def begun(connection: Any) -> None:
        connection.exec_driver_sql(begin)

    event.listen(engine.sync_engine, "connect", connected)
    if begin is not None:
        event.listen(engine.sync_engine, "begin", begun)


@pytest.fixture
def sessions(engine: AsyncEngine) -> async_sessionmaker[AsyncSession]:
    """What an application makes its sessions with."""
    return async_sessionmaker(engine, expire_on_commit=False)
