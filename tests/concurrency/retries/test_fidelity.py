"""An injected error is the provoked one: class, code, transaction, next statement."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Final

import pytest
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError

from pytest_asyncdb.concurrency import Faults, classify
from tests.concurrency.retries.provoked import (
    PROVOKED,
    TAKE,
    Error,
    Shape,
    attempt,
    next_of,
    shape,
)

if TYPE_CHECKING:
    from sqlalchemy.ext.asyncio import AsyncEngine

# Nothing else can be asked of a server at will: a time-out, a session that was idle.
PROVOKED_ONLY: Final = {
    "idle_in_transaction_session_timeout",
    "transaction_timeout",
    "admin_shutdown",
    "connection_failure",
    "lock_not_available, NOWAIT",
    "lock_not_available, shared cache",
}
CELLS: Final = [
    (driver, case)
    for driver, cases in PROVOKED.items()
    for case in cases
    if case not in PROVOKED_ONLY
]
FIRST_WRITES: Final = {
    "lock_not_available",
    "serialization_failure",
    "read_only_sql_transaction",
    "query_canceled",
}
"""What SQLite says of the first write of a transaction, or never."""


async def _injected(engine: AsyncEngine, case: str) -> Error:
    """The same, on a transaction that has written as much."""
    faults = Faults(engine)
    condition, _, when = case.partition(", ")
    is_sqlite = engine.dialect.name == "sqlite"
    wrote = not (is_sqlite and case in FIRST_WRITES) and condition[:4] != "read"
    async with engine.connect() as connection:
        if wrote:
            await connection.execute(text(f"{TAKE}2"))
        with faults.inject(condition, at_commit="COMMIT" in when):
            if "COMMIT" in when:
                error = await attempt(connection.commit())
            else:
                error = await attempt(connection.execute(text(f"{TAKE}1")))
        assert isinstance(error, DBAPIError), repr(error)
        following = await next_of(connection)
        await attempt(connection.rollback())
        again = await attempt(connection.execute(text("SELECT 1")))
    faults.close()

    assert again is None
    return Error(error, following)


@pytest.mark.parametrize(("driver", "case"), CELLS)
async def test_injected_and_provoked(
    engine: AsyncEngine, driver: str, case: str
) -> None:
    """They cannot be told apart; after a rollback the connection can be used."""
    provoked = await PROVOKED[driver][case](engine)
    injected = await _injected(engine, case)

    assert _shape(provoked, case) == _shape(injected, case)
    assert provoked.following == injected.following
    assert classify(provoked.error) == classify(injected.error)


def _shape(found: Error, case: str) -> Shape:
    """How it looks; a socket is lost in reading or in writing, as chance has it."""
    seen = shape(found.error)
    return replace(seen, cause="") if case.startswith("connection") else seen


@pytest.mark.parametrize("driver", ["asyncpg", "psycopg", "aiomysql", "asyncmy"])
async def test_a_connection_that_is_cut(engine: AsyncEngine) -> None:
    """As when a server dies in the middle of a statement; the next one has another."""
    faults = Faults(engine)
    async with engine.connect() as connection:
        with faults.inject("connection_failure"):
            error = await attempt(connection.execute(text(f"{TAKE}1")))
        following = await next_of(connection)
        await connection.rollback()
        after = await next_of(connection)
    faults.close()

    assert error is not None
    condition = classify(error)
    assert condition is not None
    assert condition.disconnected
    assert condition.transient
    assert ("PendingRollbackError", "reads 100") == (following, after)
