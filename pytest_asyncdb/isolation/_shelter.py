"""Queries of drivers that close their connection when one is cancelled.

aiomysql and asyncmy cannot tell the server to stop, and drop what they are in the
middle of. In a sandbox that would be the transaction of everybody. So a cancelled query
is let come to its end, by KILL QUERY where it takes longer than a moment.
"""

from __future__ import annotations

import asyncio
import contextlib
from typing import TYPE_CHECKING, Any, Final

from pytest_asyncdb.isolation._bridge import DRAIN_SECONDS, patiently
from pytest_asyncdb.provisioning import unguarded

if TYPE_CHECKING:
    from sqlalchemy.ext.asyncio import AsyncEngine

__all__ = ["Shelter"]

_GRACE_SECONDS: Final = 0.02
"""How long a cancelled query may take by itself; most are done before."""


class Shelter:
    """Takes the place of `query` of one connection of a driver.

    `engine` makes the other connection that KILL QUERY needs.
    """

    def __init__(self, connection: Any, engine: AsyncEngine) -> None:
        self._number = int(connection.thread_id())
        self._engine = engine
        self._query = connection.query
        connection.query = self.query

    async def query(self, sql: Any, unbuffered: bool = False) -> Any:  # noqa: FBT001, FBT002
        """As the driver's; when cancelled, its end is waited for."""
        running = asyncio.ensure_future(self._query(sql, unbuffered))
        try:
            return await asyncio.shield(running)
        except asyncio.CancelledError:
            await self._end(running)
            raise

    async def _end(self, running: asyncio.Future[Any]) -> None:
        await patiently(running, _GRACE_SECONDS)
        if not running.done():
            await _ended(asyncio.ensure_future(self._kill()))
            await patiently(running)
            if running.done():
                await _ended(asyncio.ensure_future(self._absorb()))
        if not running.done():
            running.cancel()  # and the driver closes the connection
        await _ended(running)

    async def _kill(self) -> None:
        """Stop the query, not the connection."""
        with unguarded():
            async with asyncio.timeout(DRAIN_SECONDS):
                async with self._engine.connect() as other:
                    with contextlib.suppress(Exception):  # it has just ended by itself
                        await other.exec_driver_sql(f"KILL QUERY {self._number}")

    async def _absorb(self) -> None:
        """A KILL that came too late would meet the next query."""
        with contextlib.suppress(Exception):
            await self._query("DO 0")


async def _ended(future: asyncio.Future[Any]) -> None:
    """Wait for its end; what came of it, nobody is to be told of."""
    await patiently(future)
    if future.done() and not future.cancelled():
        future.exception()
