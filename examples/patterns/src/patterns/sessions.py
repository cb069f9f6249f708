"""Where a transaction begins and ends: with a request, or with a unit of work."""

from __future__ import annotations

from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Coroutine, Iterable

    from sqlalchemy.ext.asyncio import AsyncSession, async_sessionmaker

    Step = Callable[[AsyncSession], Coroutine[None, None, None]]


@asynccontextmanager
async def request(
    sessions: async_sessionmaker[AsyncSession],
) -> AsyncIterator[AsyncSession]:
    """One session and one transaction: all that a request writes, or nothing."""
    async with sessions.begin() as session:
        yield session


async def units_of_work(
    sessions: async_sessionmaker[AsyncSession], steps: Iterable[Step]
) -> list[Exception]:
    """Each step in a session of its own: one that fails spares the others."""
    errors = []
    for step in steps:
        try:
            async with sessions.begin() as session:
                await step(session)
        except Exception as error:  # noqa: BLE001  # whatever it is, others go on
            errors.append(error)
    return errors
