"""Lanes: transactions side by side, one step after the other, on every product."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import pytest
from sqlalchemy import Column, Integer, select, text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncSession, create_async_engine
from sqlalchemy.orm import DeclarativeBase

from pytest_asyncdb.concurrency import Lane, lanes
from pytest_asyncdb.errors import LaneBlocked, LaneBusy, LanesRefused, ProbeRefused
from tests.concurrency.bank import Setup, account

if TYPE_CHECKING:
    from sqlalchemy.ext.asyncio import AsyncEngine

_ONE = "UPDATE account SET value = value + 1 WHERE id = 1"
_TWO = "UPDATE account SET value = value + 1 WHERE id = 2"
_READ = "SELECT value FROM account WHERE id = 1"


class _Base(DeclarativeBase):
    pass


class _Account(_Base):
    __tablename__ = "account"
    id = Column(Integer, primary_key=True)
    value = Column(Integer)


async def _value(engine: AsyncEngine, number: int = 1) -> int:
    async with engine.connect() as connection:
        found = await connection.execute(
            select(account.c.value).where(account.c.id == number)
        )
        return int(found.scalar_one())


async def test_a_step_waits_for_the_lane_that_has_the_lock(engine: AsyncEngine) -> None:
    """Who blocks it can be asserted at once, and nobody does after the commit."""
    async with lanes(engine, 2) as (t1, t2):
        await t1.execute(_ONE)
        step = t2.start(_ONE)
        blocked = step.blocked_by
        await t1.commit()
        await step
        await t2.commit()

        assert {t1} == blocked
        assert frozenset() == step.blocked_by
        assert {t1} == step.waited_for
    assert 12 == await _value(engine)


async def test_what_a_statement_found_can_be_read_later(engine: AsyncEngine) -> None:
    """Results outlive the transaction, and the block."""
    async with lanes(engine, 1) as (t1,):
        rows = await t1.execute(_READ)
        one = await t1.execute(select(account).where(account.c.id == 2))
        done = await t1.execute(_ONE)
        await t1.rollback()

    assert [(10,)] == rows.all()
    assert {"id": 2, "value": 20} == dict(one.mappings().one())
    assert 1 == done.rowcount


async def test_parameters_are_those_of_sqlalchemy(engine: AsyncEngine) -> None:
    """A dictionary for one row, a list of them for several."""
    async with lanes(engine, 1) as (t1,):
        rows = [{"id": 3, "value": 30}, {"id": 4, "value": 40}]
        await t1.execute(account.insert(), rows)
        found = await t1.execute(f"{_READ} OR id = :other", {"other": 4})

        assert {10, 40} == set(found.scalars())


async def test_what_is_open_at_the_end_is_rolled_back(engine: AsyncEngine) -> None:
    """Also where another lane waits for it."""
    async with lanes(engine, 3) as (t1, t2, t3):
        await t1.execute(_ONE)
        waiting = t2.start(_ONE), t3.start(_ONE)

        assert all(step.is_blocked for step in waiting)
    assert 10 == await _value(engine)


async def test_executing_what_has_to_wait_is_an_error_that_names_start(
    engine: AsyncEngine,
) -> None:
    """Awaiting it would never end; the step goes on once the lock is released."""
    async with lanes(engine, 2) as (t1, t2):
        await t1.execute(_ONE)
        with pytest.raises(LaneBlocked, match=r"for t1(.|\n)*start"):
            await t2.execute(_ONE)
        with pytest.raises(LaneBusy, match="waits for t1"):
            await t2.execute(_READ)
        await t1.rollback()
        await t2.commit()

    assert 11 == await _value(engine)


async def test_a_step_that_is_awaited_too_early_says_for_whom_it_waits(
    engine: AsyncEngine,
) -> None:
    """Nothing in the test could release the lock while it is awaited."""
    async with lanes(engine, 2) as (t1, t2):
        await t1.execute(_ONE)
        step = t2.start(_ONE)
        with pytest.raises(LaneBlocked, match="commit or roll back") as caught:
            await step
        await t1.rollback()

        assert step is caught.value.step
        assert 1 == (await step).rowcount


async def test_lanes_that_waited_have_gone_on_when_the_commit_is_over(
    engine: AsyncEngine,
) -> None:
    """The next step of a third lane sees what they did, every time."""
    async with lanes(engine, 3) as (t1, t2, t3):
        await t1.execute(_ONE)
        step = t2.start(_ONE)
        await t1.commit()
        third = t3.start(_ONE)

        assert step.is_done
        assert {t2} == third.blocked_by


async def test_the_statement_that_closes_the_circle_fails(engine: AsyncEngine) -> None:
    """A deadlock is the server's; its victim is the same each time, and soon."""
    async with lanes(engine, 2) as (t1, t2):
        await t1.execute(_ONE)
        await t2.execute(_TWO)
        first = t1.start(_TWO)
        with pytest.raises(DBAPIError, match=r"(?i)deadlock"):
            await t2.execute(_ONE)
        await t2.rollback()
        await first
        await t1.commit()

    assert (11, 21) == (await _value(engine), await _value(engine, 2))


async def test_an_error_that_nobody_awaited_comes_out_at_the_end(
    engine: AsyncEngine,
) -> None:
    """A step's failure is not lost."""
    with pytest.raises(DBAPIError, match="nothing_there"):
        async with lanes(engine, 1) as (t1,):
            t1.start("SELECT * FROM nothing_there")


async def test_the_isolation_level_is_that_of_every_transaction(
    engine: AsyncEngine,
) -> None:
    """REPEATABLE READ sees what was there when it began, also the second time."""
    async with lanes(engine, 2, isolation="REPEATABLE READ") as (t1, t2):
        for _ in range(2):
            before = (await t1.execute(_READ)).scalar_one()
            await t2.execute(_ONE)
            await t2.commit()

            assert before == (await t1.execute(_READ)).scalar_one()
            await t1.commit()


async def test_a_level_that_there_is_not_is_refused(engine: AsyncEngine) -> None:
    """With the names of those that there are."""
    with pytest.raises(LanesRefused, match="SERIALIZABLE"):
        async with lanes(engine, 2, isolation="SNAPSHOT"):
            pass


async def test_a_coroutine_function_is_a_step_of_the_orm(engine: AsyncEngine) -> None:
    """It has the lane's session, which remembers objects from step to step."""
    kept: list[Any] = []

    async def read(session: AsyncSession) -> int:
        kept.append(await session.get(_Account, 1))
        return int(kept[0].value)

    async def write(session: AsyncSession) -> None:
        kept[0].value += 5

    async with lanes(engine, 2) as (t1, t2):
        assert 10 == await t1.execute(read)
        await t1.execute(write)
        step = t2.start(_ONE)

        assert {t1} == step.blocked_by
        await t1.commit()
        await step
        await t2.commit()
    assert 16 == await _value(engine)


async def test_a_function_that_is_not_async_is_no_step(engine: AsyncEngine) -> None:
    """What gives a coroutine is one, whatever it is itself."""
    async with lanes(engine, 1) as (t1,):
        assert 20 == await t1.execute(
            lambda session: session.scalar(
                select(_Account.value).where(_Account.id == 2)
            )
        )
        with pytest.raises(LanesRefused, match="an async function"):
            await t1.execute(lambda _: None)  # type: ignore[arg-type, return-value]


async def test_somebody_else_s_lock_is_a_number(engine: AsyncEngine) -> None:
    """A session that is no lane is told apart."""
    async with engine.connect() as stranger, lanes(engine, 1) as (t1,):
        await stranger.execute(text(_ONE))
        step = t1.start(_ONE)
        holders = step.blocked_by
        await stranger.rollback()
        await step

        assert 1 == len(holders)
        assert not any(isinstance(each, Lane) for each in holders)


async def test_a_lock_that_nobody_releases_is_left_at_the_end(
    engine: AsyncEngine,
) -> None:
    """The step that waits for a stranger is cancelled."""
    async with engine.connect() as stranger:
        await stranger.execute(text(_ONE))
        async with lanes(engine, 1) as (t1,):
            t1.start(_ONE)
        await stranger.rollback()


async def test_the_test_s_loop_goes_on_while_a_step_is_executed(
    engine: AsyncEngine,
) -> None:
    """Lanes live in a thread of their own; `execute` blocks nobody."""
    ticks = 0

    async def tick() -> None:
        nonlocal ticks
        while True:
            await asyncio.sleep(0.001)
            ticks += 1

    async with lanes(engine, 1) as (t1,):
        ticking = asyncio.ensure_future(tick())
        slow = "SLEEP" if engine.dialect.name != "postgresql" else "pg_sleep"
        await t1.execute(f"SELECT {slow}(0.2)")
        ticking.cancel()

        assert ticks > 1


async def test_an_engine_with_a_pool_keeps_its_connections_to_itself(
    engine: AsyncEngine,
) -> None:
    """Lanes never take what the test's own loop has made."""
    pooled = create_async_engine(engine.url, pool_size=2)
    async with pooled.connect() as connection:
        await connection.execute(text(_READ))
    async with lanes(pooled, 2) as (t1, t2):
        await t1.execute(_ONE)
        await t2.execute(_TWO)
    async with pooled.connect() as connection:
        await connection.execute(text(_READ))
        await connection.rollback()
    await pooled.dispose()


async def _both_update(engine: AsyncEngine) -> None:
    async with lanes(engine, 2) as (t1, t2):
        await t1.execute(_ONE)
        await t2.execute(_ONE)


@pytest.mark.parametrize("server", ["postgresql+asyncpg"])
async def test_a_failure_shows_what_the_lanes_did(engine: AsyncEngine) -> None:
    """Who waits for whom is in it, and not what was done to clean up."""
    with pytest.raises(LaneBlocked) as caught:
        await _both_update(engine)

    (note,) = caught.value.__notes__
    assert "-- waits for t1" in note
    assert "ROLLBACK" not in note


@pytest.mark.parametrize("number", [0, -1, 1.5, True, "2"])
async def test_lanes_are_counted_from_one(number: Any) -> None:
    """Anything else is refused before a connection is made."""
    engine = create_async_engine("postgresql+asyncpg://nobody@/nowhere")
    with pytest.raises(LanesRefused, match="counted from 1"):
        lanes(engine, number)


@pytest.mark.parametrize("server", ["postgresql+asyncpg"])
async def test_a_lane_is_over_with_its_block(engine: AsyncEngine) -> None:
    """It has no connection any more."""
    async with lanes(engine, 1) as (t1,):
        pass
    with pytest.raises(LanesRefused, match="inside of its block"):
        await t1.execute(_READ)


# ------------------------------------------------------------------------------ SQLite
_FILES = [Setup(), Setup(wal=False), Setup("BEGIN IMMEDIATE"), Setup("")]


@pytest.mark.parametrize("file_engine", _FILES, indirect=True, ids=str)
async def test_a_writer_of_a_file_waits_for_the_other(file_engine: AsyncEngine) -> None:
    """There is one write lock, whichever way transactions begin."""
    async with lanes(file_engine, 2) as (t1, t2):
        await t1.execute(_ONE)
        step = t2.start(_ONE)
        blocked = step.blocked_by
        await t1.commit()
        await step
        await t2.commit()

        assert {t1} == blocked
        assert frozenset() == step.blocked_by
    assert 12 == await _value(file_engine)


@pytest.mark.parametrize("file_engine", [Setup(), Setup(wal=False)], indirect=True)
async def test_a_writer_that_has_read_fails_at_once(file_engine: AsyncEngine) -> None:
    """SQLite answers BUSY instead of waiting, for the wait could never end."""
    async with lanes(file_engine, 2) as (t1, t2):
        await t2.execute(_READ)
        await t1.execute(_ONE)
        with pytest.raises(DBAPIError, match="database is locked"):
            await t2.execute(_ONE)


@pytest.mark.parametrize("file_engine", [Setup(wal=False)], indirect=True)
async def test_a_commit_without_wal_waits_for_a_reader(
    file_engine: AsyncEngine,
) -> None:
    """And a newcomer, who would read, waits for the commit."""
    async with lanes(file_engine, 3) as (t1, t2, t3):
        await t2.execute(_READ)
        await t1.execute(_ONE)
        commit = t1.start("COMMIT")
        read = t3.start(_READ)

        assert {t2} == commit.blocked_by
        assert {t1} == read.blocked_by
        await t2.commit()
        await commit
        assert 11 == (await read).scalar_one()


@pytest.mark.parametrize("file_engine", [Setup("")], indirect=True)
@pytest.mark.parametrize("level", ["IMMEDIATE", "EXCLUSIVE"])
async def test_sqlite_s_ways_to_begin_stand_for_levels(
    file_engine: AsyncEngine, level: str
) -> None:
    """The second transaction waits before it has read anything."""
    async with lanes(file_engine, 2, isolation=level) as (t1, t2):
        await t1.execute(_READ)
        step = t2.start(_READ)

        assert {t1} == step.blocked_by


@pytest.mark.parametrize("file_engine", [Setup("BEGIN")], indirect=True)
async def test_an_engine_that_begins_by_itself_is_not_told_how(
    file_engine: AsyncEngine,
) -> None:
    """Both would say BEGIN."""
    async with lanes(file_engine, 1, isolation="IMMEDIATE") as (t1,):
        with pytest.raises(LanesRefused, match="leave isolation= out"):
            await t1.execute(_READ)


async def test_a_database_in_memory_has_no_lanes() -> None:
    """One connection has nobody beside it."""
    engine = create_async_engine("sqlite+aiosqlite://")
    with pytest.raises(ProbeRefused, match="a file"):
        async with lanes(engine, 2):
            pass
    await engine.dispose()
