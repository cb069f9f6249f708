"""Where a fault comes, how often, of whom, and what cannot be asked for."""

from __future__ import annotations

import asyncio
import contextlib
import time
from typing import TYPE_CHECKING, Any

import pytest
from sqlalchemy import Engine, text
from sqlalchemy.exc import DBAPIError, OperationalError, TimeoutError as PoolTimeout
from sqlalchemy.ext.asyncio import create_async_engine

from pytest_asyncdb.concurrency import Faults, classify, explore
from pytest_asyncdb.errors import FaultNotReached, FaultRefused
from tests.concurrency.retries.provoked import TAKE, attempt

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

one_driver = pytest.mark.parametrize("driver", ["aiosqlite"])
ASK = text("SELECT balance FROM accounts")


@pytest.fixture
def faults(engine: AsyncEngine) -> Iterator[Faults]:
    """Faults on the bank's engine."""
    made = Faults(engine)
    yield made
    made.close()


async def _outcomes(connection: AsyncConnection, *statements: str) -> list[str]:
    """The condition of each statement, "" for one that succeeds."""
    found = []
    for statement in statements:
        error = await attempt(connection.execute(text(statement)))
        condition = classify(error) if error is not None else None
        found.append(condition.name if condition is not None else "")
    return found


@one_driver
async def test_the_number_of_the_statement(faults: Faults, engine: AsyncEngine) -> None:
    """Counted from where it is injected; so many times in a row."""
    one, two = "SELECT 1", "SELECT 2"
    async with engine.connect() as connection:
        faults.inject("deadlock_detected", at_statement=2, times=2)
        found = await _outcomes(connection, one, one, one, one)
        faults.inject("deadlock_detected", matching=r"select\s+2", at_statement=2)
        matching = await _outcomes(connection, one, two, one, two, two)

    assert ["", "lock_not_available", "lock_not_available", ""] == found
    assert ["", "", "", "lock_not_available", ""] == matching


@one_driver
async def test_many_rows_are_one_statement(faults: Faults, engine: AsyncEngine) -> None:
    """As they are for the driver."""
    insert = text("INSERT INTO receipts VALUES (:name)")
    async with engine.connect() as connection:
        faults.inject("unique_violation", matching="receipts")
        error = await attempt(
            connection.execute(insert, [{"name": "a"}, {"name": "b"}])
        )

    assert isinstance(error, DBAPIError)


@one_driver
async def test_the_fault_of_one_actor(faults: Faults, engine: AsyncEngine) -> None:
    """An actor is a task, by its name."""

    async def ask() -> Exception | None:
        async with engine.connect() as connection:
            return await attempt(connection.execute(ASK))

    faults.inject("lock_not_available", actor="second")
    tasks = [asyncio.create_task(ask(), name=name) for name in ("first", "second")]
    first, second = await asyncio.gather(*tasks)

    assert None is first
    assert isinstance(second, OperationalError)


@one_driver
async def test_a_fault_ends_with_its_block(faults: Faults, engine: AsyncEngine) -> None:
    """What comes after it is not counted."""
    async with engine.connect() as connection:
        async with faults.inject("lock_not_available", times=9) as fault:
            before = await _outcomes(connection, "SELECT 1")
        after = await _outcomes(connection, "SELECT 1")

    assert (["lock_not_available"], [""]) == (before, after)
    assert ["SELECT 1"] == fault.fired


async def test_a_slow_statement(faults: Faults, engine: AsyncEngine) -> None:
    """The server waits, or nobody for SQLite, and then the statement is executed."""
    async with engine.connect() as connection:
        faults.inject("slow_statement", seconds=0.2)
        began = time.monotonic()
        await connection.execute(ASK)

    assert time.monotonic() - began >= 0.2


@pytest.mark.parametrize("driver", ["asyncpg", "psycopg"])
async def test_a_slow_statement_that_is_given_up(
    faults: Faults, engine: AsyncEngine
) -> None:
    """The server's own time-out ends it."""
    async with engine.connect() as connection:
        await connection.execute(text("SET LOCAL statement_timeout = '50ms'"))
        faults.inject("slow_statement", seconds=60)
        error = await attempt(connection.execute(ASK))

    assert error is not None
    condition = classify(error)
    assert condition is not None
    assert "query_canceled" == condition.name


@one_driver
async def test_a_pool_that_is_exhausted(url: str, faults: Faults) -> None:
    """The application waits its own time for a connection."""
    pooled = create_async_engine(url, pool_size=1, max_overflow=1, pool_timeout=0.05)
    async with faults.pool_exhausted(pooled):
        error = await attempt(pooled.connect().start())
    async with pooled.connect() as connection:
        await connection.execute(ASK)
    await pooled.dispose()

    assert isinstance(error, PoolTimeout)


@pytest.mark.parametrize(("moment", "kept"), [("before", 100), ("after", 99)])
@pytest.mark.parametrize("driver", ["asyncpg", "psycopg", "aiomysql", "asyncmy"])
async def test_what_a_lost_commit_has_done(
    faults: Faults, engine: AsyncEngine, moment: Any, kept: int
) -> None:
    """Nothing before it, everything after it; nobody was told either way."""
    async with engine.connect() as connection:
        await connection.execute(text(f"{TAKE}1"))
        with faults.inject("connection_failure", at_commit=moment):
            error = await attempt(connection.commit())
    async with engine.connect() as connection:
        found = await connection.scalar(text(f"{ASK} WHERE id = 1"))

    assert error is not None
    condition = classify(error)
    assert condition is not None
    assert condition.outcome_unknown
    assert kept == found


# ------------------------------------------------------------------------- bad input
@one_driver
@pytest.mark.parametrize(
    ("condition", "options", "said"),
    [
        ("deadlock", {}, "did you mean deadlock_detected"),
        ("nonsense", {}, "known are: admin_shutdown, connection_failure, deadlock_"),
        ("connection_failure", {}, "sqlite has no connection_failure"),
        ("deadlock_detected", {"at_statement": 0}, "at_statement=0: expected 1"),
        ("deadlock_detected", {"times": 0}, "times=0: expected 1 or more"),
        ("deadlock_detected", {"at_commit": "later"}, "expected True, 'before'"),
        ("deadlock_detected", {"at_commit": "after"}, "only connections are lost"),
        ("deadlock_detected", {"matching": "("}, "expected a regular expression"),
        ("slow_statement", {"seconds": -1}, "seconds=-1: expected 0 or more"),
        (
            "deadlock_detected",
            {"at_commit": True, "matching": "x"},
            "at a statement or at a COMMIT",
        ),
    ],
)
async def test_what_cannot_be_injected(
    faults: Faults, condition: str, options: dict[str, Any], said: str
) -> None:
    """It is refused at the call, with what is known."""
    with pytest.raises(FaultRefused, match=said):
        faults.inject(condition, **options)


@one_driver
async def test_a_fault_that_is_not_reached(engine: AsyncEngine) -> None:
    """It is an error at the end of its block, or of all: nothing has been tested."""
    faults = Faults(engine)
    fault = faults.inject("deadlock_detected", at_statement=2)
    async with engine.connect() as connection:
        await connection.execute(text("SELECT 1"))
    with pytest.raises(FaultNotReached, match="SELECT 1"), fault:
        pass
    faults.inject("deadlock_detected", at_commit=True)
    with pytest.raises(FaultNotReached, match="deadlock_detected at COMMIT was never"):
        faults.close()


@one_driver
async def test_an_error_comes_before_a_fault_that_is_not_reached(
    engine: AsyncEngine, faults: Faults
) -> None:
    """The block's own error says more."""
    with pytest.raises(ValueError, match="own"):
        async with faults.inject("deadlock_detected"):
            raise ValueError("own")


@one_driver
async def test_two_faults_at_one_statement(engine: AsyncEngine) -> None:
    """The statement and the end of all say so."""
    faults = Faults(engine)
    faults.inject("deadlock_detected")
    faults.inject("lock_not_available", matching="SELECT")
    async with engine.connect() as connection:
        error = await attempt(connection.execute(text("SELECT 1")))
    with pytest.raises(FaultRefused, match="two faults are due"):
        faults.close()

    assert isinstance(error, FaultRefused)


@one_driver
async def test_a_pool_without_a_limit(engine: AsyncEngine, faults: Faults) -> None:
    """It cannot be exhausted."""
    with pytest.raises(FaultRefused, match="NullPool without a limit"):
        async with faults.pool_exhausted(engine):
            raise AssertionError


@pytest.mark.parametrize("driver", ["asyncpg"])
async def test_one_actor_of_a_search_always_fails(engine: AsyncEngine) -> None:
    """Then the outcome of each interleaving is that of the other one alone."""
    faults = Faults(engine)
    faults.inject("serialization_failure", matching="UPDATE", times=1000, actor="a")

    async def take() -> None:
        async with engine.begin() as connection:
            await connection.execute(text(f"{TAKE}1"))

    result = await explore(engine, a=take, b=take, check=False)
    faults.close()

    assert result.complete
    assert 1 == len(result.outcomes)


@one_driver
async def test_afterwards_engines_are_let_be(engine: AsyncEngine) -> None:
    """Also where every engine there is was listened to."""
    faults = Faults(Engine, rows_of=engine)
    faults.inject("unique_violation")
    async with engine.connect() as connection:
        first = await _outcomes(connection, "SELECT 1")
        faults.inject("unique_violation", times=1000)
        with contextlib.suppress(FaultNotReached):
            faults.close()
        then = await _outcomes(connection, "SELECT 1")
        await connection.commit()

    assert (["unique_violation"], [""]) == (first, then)
