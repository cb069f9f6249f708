"""The engine, and whether its database answers."""

from __future__ import annotations

import asyncio
import os
from typing import TYPE_CHECKING

from sqlalchemy import text
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.ext.asyncio import create_async_engine
from sqlalchemy.pool import AsyncAdaptedQueuePool

if TYPE_CHECKING:
    from sqlalchemy.ext.asyncio import AsyncEngine

DEVELOPMENT_URL = "sqlite+aiosqlite:///patterns.db"


def make_engine(*, size: int = 5, overflow: int = 5, wait: float = 5) -> AsyncEngine:
    """An engine whose pool has a limit, and says so after `wait` seconds."""
    return create_async_engine(
        os.environ.get("DATABASE_URL", DEVELOPMENT_URL),
        poolclass=AsyncAdaptedQueuePool,
        pool_size=size,
        max_overflow=overflow,
        pool_timeout=wait,
        pool_recycle=1800,
        pool_pre_ping=True,
    )


async def is_healthy(engine: AsyncEngine, *, patience: float = 1) -> bool:
    """Whether the database answers within so many seconds."""
    try:
        async with asyncio.timeout(patience), engine.connect() as connection:
            await connection.execute(text("SELECT 1"))
    except (SQLAlchemyError, OSError, TimeoutError):
        return False
    return True
