"""One engine for the process, and a session for each request."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sqlalchemy import Engine, event
from sqlalchemy.ext.asyncio import AsyncSession, async_sessionmaker, create_async_engine

from blog.settings import Settings

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from sqlalchemy.engine.interfaces import DBAPIConnection

engine = create_async_engine(Settings.from_environment().database_url)
sessions = async_sessionmaker(engine, expire_on_commit=False)


@event.listens_for(Engine, "connect")
def enforce_foreign_keys(connection: DBAPIConnection, _: object) -> None:
    """SQLite checks them when it is asked to, connection by connection."""
    if engine.dialect.name == "sqlite":
        cursor = connection.cursor()
        cursor.execute("PRAGMA foreign_keys = ON")
        cursor.close()


async def get_db() -> AsyncIterator[AsyncSession]:
    """A session that commits when the request succeeds and rolls back when not."""
    async with sessions() as session:
        try:
            yield session
        except BaseException:
            await session.rollback()
            raise
        else:
            await session.commit()
