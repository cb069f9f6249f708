"""Databases with the tables of some models, for tests that isolate themselves."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import pytest
from sqlalchemy import NullPool, StaticPool, event
from sqlalchemy.ext.asyncio import create_async_engine

from pytest_asyncdb.errors import DriverMissing, SourceUnavailable
from pytest_asyncdb.provisioning import Run
from pytest_asyncdb.settings import parse_target

if TYPE_CHECKING:
    from sqlalchemy import URL, MetaData
    from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

__all__ = ["KINDS", "Databases"]

_WORDS: Final = {
    "postgresql": "postgresql+asyncpg:18@embedded",
    "mariadb": "mariadb+asyncmy@local",
}
KINDS: Final = ("sqlite", *_WORDS)


class Databases:
    """One of each product, started when it is first asked for."""

    key = None

    def __init__(self, metadata: MetaData) -> None:
        self._metadata = metadata
        self._runs: list[Run] = []
        self._urls: dict[str, URL] = {}

    async def __call__(self, connection: AsyncConnection, /) -> None:
        """Create the tables."""
        await connection.run_sync(self._metadata.create_all)

    async def engine(self, kind: str, *, explicit: bool = True) -> AsyncEngine:
        """An engine on the product's database; SQLite is a fresh one, in memory.

        `explicit`: SQLite begins transactions when it is told to, with foreign keys.
        """
        if kind != "sqlite":
            return create_async_engine(self.url(kind), poolclass=NullPool)
        engine = create_async_engine("sqlite+aiosqlite://", poolclass=StaticPool)
        if explicit:
            event.listen(engine.sync_engine, "connect", _connect)
            event.listen(engine.sync_engine, "begin", _begin)
        async with engine.begin() as connection:
            await self(connection)
        return engine

    def close(self) -> None:
        """End what was started."""
        for run in self._runs:
            run.close()

    def url(self, kind: str) -> URL:
        """The product's database, through its preferred driver; not for SQLite."""
        if kind not in self._urls:
            try:
                run = Run(parse_target(_WORDS[kind]))
                self._runs.append(run)
                self._urls[kind] = run.database(self).url
            except (DriverMissing, SourceUnavailable) as error:
                pytest.skip(error.cause)
        return self._urls[kind]


def _connect(connection: Any, _: object) -> None:
    connection.isolation_level = None
    connection.execute("PRAGMA foreign_keys = ON")


def _begin(connection: Any) -> None:
    connection.exec_driver_sql("BEGIN")
