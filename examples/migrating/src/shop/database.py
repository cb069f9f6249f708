"""One engine, one sessionmaker, and the session of a request."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from sqlalchemy.ext.asyncio import AsyncSession, async_sessionmaker, create_async_engine

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

URL = os.environ.get("DATABASE_URL", "sqlite+aiosqlite:///shop.db")

engine = create_async_engine(URL)
new_session = async_sessionmaker(engine, expire_on_commit=False)


async def get_session() -> AsyncIterator[AsyncSession]:
    """A session that is closed with its request."""
    async with new_session() as session:
        yield session
