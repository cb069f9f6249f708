"""Finding a migration that waits for a lock which its own second connection holds.

The server sees no deadlock in it: the one that holds the lock waits in the program. So
after some seconds the server is asked who waits for whom, and the waiting statement is
cancelled where the other is one of the same database's and does nothing.
"""

from __future__ import annotations

import asyncio
import contextlib
import contextvars
from typing import TYPE_CHECKING, Final

from sqlalchemy import text
from sqlalchemy.exc import SQLAlchemyError

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from sqlalchemy.ext.asyncio import AsyncEngine

__all__ = ["PATIENCE", "hung", "watched"]

PATIENCE: Final = 3.0
"""Seconds after which it is looked for waiting statements, and between two looks."""
_SHOWN: Final = 200
_POSTGRESQL: Final = """SELECT waits.pid, waits.query, holds.query
    FROM pg_stat_activity waits
    CROSS JOIN LATERAL unnest(pg_blocking_pids(waits.pid)) AS blocking (pid)
    JOIN pg_stat_activity holds ON holds.pid = blocking.pid
    WHERE waits.datname = current_database() AND holds.datname = current_database()
    AND holds.state LIKE 'idle in transaction%'
    AND clock_timestamp() - waits.query_start > interval '1 second'"""
_MARIADB: Final = """SELECT waits.id, waits.info, holds.info
    FROM information_schema.processlist waits
    JOIN information_schema.processlist holds
    ON holds.db = waits.db AND holds.command = 'Sleep' AND holds.id <> waits.id
    AND holds.id <> connection_id()
    WHERE waits.db = database() AND waits.state LIKE 'Waiting for%lock'
    AND waits.time > 0"""
_PROBES: Final = {
    "postgresql": (_POSTGRESQL, "SELECT pg_cancel_backend({})"),
    "mysql": (_MARIADB, "KILL QUERY {}"),
    "mariadb": (_MARIADB, "KILL QUERY {}"),
}

_FOUND: Final[contextvars.ContextVar[list[str] | None]] = contextvars.ContextVar(
    "asyncdb_hung", default=None
)


def hung() -> list[str]:
    """Who waited for whom in the run of this context; empty where nobody did."""
    return _FOUND.get() or []


@contextlib.asynccontextmanager
async def watched(engine: AsyncEngine) -> AsyncIterator[None]:
    """While the block runs, a statement that would wait for ever is cancelled."""
    if engine.dialect.name not in _PROBES:
        yield
        return
    found: list[str] = []
    token = _FOUND.set(found)
    watch = asyncio.create_task(_watch(engine, found))
    try:
        yield
    finally:
        _FOUND.reset(token)
        watch.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await watch


async def _watch(engine: AsyncEngine, found: list[str]) -> None:
    while True:
        await asyncio.sleep(PATIENCE)
        # A walk may be about to make the database anew, which ends this session too.
        with contextlib.suppress(SQLAlchemyError, OSError):
            await _look(engine, found)


async def _look(engine: AsyncEngine, found: list[str]) -> None:
    probe, cancel = _PROBES[engine.dialect.name]
    async with engine.connect() as connection:
        for pid, waits, holds in (await connection.execute(text(probe))).all():
            found += [f"waits: {_shown(waits)}", f"holds: {_shown(holds)}"]
            await connection.execute(text(cancel.format(int(pid))))


def _shown(statement: str | None) -> str:
    if not statement:
        return "a session that is idle in its transaction"
    return " ".join(statement.split())[:_SHOWN]
