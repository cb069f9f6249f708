"""Transactions that run again when the server has given them up."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, TypeVar

from sqlalchemy.exc import DBAPIError

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from sqlalchemy.engine.interfaces import IsolationLevel
    from sqlalchemy.ext.asyncio import AsyncSession, async_sessionmaker

T = TypeVar("T")

SERIALIZATION_FAILURE, DEADLOCK_DETECTED = "40001", "40P01"  # PostgreSQL
RECORD_CHANGED, LOCK_WAIT_TIMEOUT, DEADLOCK = 1020, 1205, 1213  # MariaDB
CODES = {
    SERIALIZATION_FAILURE,
    DEADLOCK_DETECTED,
    RECORD_CHANGED,
    LOCK_WAIT_TIMEOUT,
    DEADLOCK,
    "SQLITE_BUSY",
    "SQLITE_BUSY_SNAPSHOT",
}


def is_transient(error: BaseException) -> bool:
    """Whether the same transaction may succeed when it runs again.

    By code: the class of the exception differs by driver, and OperationalError is also
    what a server says that is gone. MariaDB's deadlock takes savepoints along, so that
    leaving one fails with another error, in whose context the deadlock is.
    """
    known = {
        getattr(error, "sqlstate", None),
        getattr(error, "sqlite_errorname", None),
        *error.args[:1],
    }
    before = (error.__cause__, error.__context__)
    return not CODES.isdisjoint(known) or any(map(is_transient, filter(None, before)))


async def in_transaction(
    sessions: async_sessionmaker[AsyncSession],
    work: Callable[[AsyncSession], Awaitable[T]],
    *,
    attempts: int = 5,
    delay: float = 0.01,
    level: IsolationLevel | None = None,
) -> T:
    """What the work gives in a transaction of its own, which has been committed.

    Each attempt is a new session and a new transaction, as what the failed one has read
    may be wrong. Between two it waits `delay` seconds, longer each time.
    """
    for attempt in range(1, attempts + 1):
        try:
            async with sessions.begin() as session:
                if level is not None:
                    await session.connection(
                        execution_options={"isolation_level": level}
                    )
                return await work(session)
        except DBAPIError as error:
            if attempt == attempts or not is_transient(error):
                raise
        await asyncio.sleep(delay * attempt)
    raise AssertionError(attempts)
