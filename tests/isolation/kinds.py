"""Which drivers are tested, where their databases come from, and how they are asked."""

from __future__ import annotations

from typing import Any, Final

TARGETS: Final = {
    "asyncpg": "postgresql+asyncpg:18@embedded",
    "asyncpg-thread": "postgresql+asyncpg:18@embedded",
    "psycopg": "postgresql+psycopg:18@embedded",
    "aiosqlite": "sqlite+aiosqlite@memory",
    "aiosqlite-file": "sqlite+aiosqlite@file",
    "asyncmy": "mariadb+asyncmy@local",
    "aiomysql": "mariadb+aiomysql@local",
}
MYSQL: Final = ("asyncmy", "aiomysql")
"""The drivers for MySQL and MariaDB."""


async def execute(raw: Any, sql: str) -> None:
    """One statement, on a cursor where the driver's connection has no shorter way."""
    if hasattr(raw, "execute"):
        await raw.execute(sql)
        return
    async with raw.cursor() as cursor:
        await cursor.execute(sql)
