"""SQL that was rendered offline, run by a client that knows nothing of Alembic."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from sqlalchemy.ext.asyncio import AsyncEngine

__all__ = ["run_script", "statements"]

_END: Final = re.compile(r";\s*\n\s*\n|;\s*\Z")
_PSYCOPG: Final = ("psycopg", "psycopg_async")
_EXECUTING: Final = ("asyncpg", *_PSYCOPG)
"""Drivers that execute without a cursor, and begin no transaction of their own."""
_COMMENT: Final = re.compile(r"\A(\s*--[^\n]*\n)+")


def statements(sql: str) -> list[str]:
    """The statements, as Alembic puts them: an empty line after each."""
    parts = (_COMMENT.sub("", part).strip() for part in _END.split(sql))
    return [part for part in parts if part and not _is_comment(part)]


def _is_comment(part: str) -> bool:
    return all(line.startswith("--") for line in part.splitlines() if line.strip())


async def run_script(engine: AsyncEngine, sql: str) -> None:
    """Run it statement by statement on the driver's own connection.

    Transactions are those of the text; a cursor is closed, with the rows that it has.
    """
    name = engine.dialect.driver
    async with engine.connect() as connection:
        raw = await connection.get_raw_connection()
        driver: Any = raw.driver_connection
        if name in _PSYCOPG:
            await driver.set_autocommit(True)
        for statement in statements(sql):
            if name in _EXECUTING:
                await driver.execute(statement)
            else:
                async with driver.cursor() as cursor:
                    await cursor.execute(statement)
        if name not in _EXECUTING:
            await driver.commit()
