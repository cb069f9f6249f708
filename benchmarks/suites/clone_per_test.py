"""pytest-postgresql: a database for each test, cloned from one with the tables."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

import pytest_asyncio
from pytest_postgresql import factories
from sqlalchemy import URL, NullPool, create_engine, make_url
from sqlalchemy.ext.asyncio import AsyncSession, create_async_engine

from models import Base

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

address = make_url(os.environ["BENCHMARK_URL"])


def load(**where: Any) -> None:
    """Put the tables into the template."""
    engine = create_engine(_url("postgresql+psycopg", **where), poolclass=NullPool)
    Base.metadata.create_all(engine)


def _url(driver: str, **where: Any) -> URL:
    return URL.create(
        driver,
        username=where["user"],
        password=where["password"],
        host=where["host"],
        port=int(where["port"]),
        database=where["dbname"],
    )


server = factories.postgresql_noproc(
    host=address.host,
    port=address.port,
    user=address.username,
    password=address.password,
    dbname="benchmark_cloned",
    load=[load],
)
postgresql = factories.postgresql("server")


@pytest_asyncio.fixture
async def session(postgresql: Any, server: Any) -> AsyncIterator[AsyncSession]:
    """Session on the test's own database."""
    info = postgresql.info
    url = _url(
        "postgresql+asyncpg",
        user=info.user,
        password=server.password,
        host=server.host,
        port=info.port,
        dbname=info.dbname,
    )
    engine = create_async_engine(url, poolclass=NullPool)
    async with AsyncSession(engine, expire_on_commit=False) as session:
        yield session
    await engine.dispose()
