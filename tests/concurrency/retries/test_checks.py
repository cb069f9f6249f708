"""Checks of retries, idempotence and pools, and the lint of version columns."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import pytest
from sqlalchemy import update
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncSession, async_sessionmaker, create_async_engine
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

from pytest_asyncdb.concurrency import (
    Faults,
    check_idempotent,
    check_pool,
    check_retries,
    classify,
    lint_versions,
    retry_transaction,
)
from pytest_asyncdb.errors import CheckFailed, CheckRefused, FaultRefused
from tests.concurrency.retries.bank import Account, Receipt

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable

    from sqlalchemy import URL
    from sqlalchemy.ext.asyncio import AsyncEngine

Sessions = async_sessionmaker[AsyncSession]
one_driver = pytest.mark.parametrize("driver", ["aiosqlite"])
servers = pytest.mark.parametrize("driver", ["asyncpg", "psycopg", "aiomysql"])


async def _take(session: AsyncSession) -> None:
    rows = update(Account).where(Account.id == 1)
    await session.execute(rows.values(balance=Account.balance - 10))


def _retrying(
    sessionmaker: Sessions, passes: Callable[[Exception], bool], attempts: int
) -> Callable[[], Awaitable[None]]:
    """Written by hand, as applications do."""

    async def fn() -> None:
        for attempt in range(attempts):
            try:
                async with sessionmaker.begin() as session:
                    await _take(session)
            except DBAPIError as error:
                if not passes(error) or attempt == attempts - 1:
                    raise
            else:
                return

    return fn


def _is_transient(error: Exception) -> bool:
    condition = classify(error)
    return condition is not None and condition.transient


# --------------------------------------------------------------------------- retries
async def test_retry_transaction_passes(
    engine: AsyncEngine, sessionmaker: Sessions
) -> None:
    """On every driver, also by the object that the fixture gives."""
    faults = Faults(engine)
    for given in (engine, faults):
        await check_retries(
            lambda: retry_transaction(sessionmaker, _take, delay=0), engine=given
        )
    faults.close()


@one_driver
async def test_what_retries_nothing(
    engine: AsyncEngine, sessionmaker: Sessions
) -> None:
    """The table says at which statements it fails."""
    fn = _retrying(sessionmaker, _is_transient, 1)
    with pytest.raises(CheckFailed, match="not recover from deadlock") as caught:
        await check_retries(fn, engine=engine)

    assert "1  UPDATE accounts" in str(caught.value)
    assert "failed cleanly" in str(caught.value)


@one_driver
async def test_what_retries_everything(
    engine: AsyncEngine, sessionmaker: Sessions
) -> None:
    """A violated constraint is violated again."""
    fn = _retrying(sessionmaker, lambda _: True, 5)
    with pytest.raises(CheckFailed, match="repeats after a violated UNIQUE"):
        await check_retries(fn, engine=engine)


@one_driver
async def test_what_retries_for_ever(
    engine: AsyncEngine, sessionmaker: Sessions
) -> None:
    """It is stopped, and gives back its connection."""
    fn = _retrying(sessionmaker, _is_transient, 10**9)
    with pytest.raises(CheckFailed, match="not given up after 51 failures"):
        await check_retries(fn, engine=engine, max_attempts=50)


@one_driver
async def test_what_swallows_its_last_error(
    engine: AsyncEngine, sessionmaker: Sessions
) -> None:
    """Nobody would know that nothing was done."""
    inner = _retrying(sessionmaker, _is_transient, 5)

    async def fn() -> None:
        try:
            await inner()
        except DBAPIError:
            return

    with pytest.raises(CheckFailed, match="the function has not said so"):
        await check_retries(fn, engine=engine)


@servers
async def test_what_is_applied_twice(
    engine: AsyncEngine, sessionmaker: Sessions
) -> None:
    """It takes a lost answer for a lost transaction."""

    def passes(error: Exception) -> bool:
        condition = classify(error)
        return condition is not None and (condition.transient or condition.disconnected)

    fn = _retrying(sessionmaker, passes, 5)
    with pytest.raises(CheckFailed, match="applied twice") as caught:
        await check_retries(fn, engine=engine)

    assert "balance=80 code=None is there instead" in str(caught.value)


@one_driver
async def test_a_condition_that_is_none(
    engine: AsyncEngine, sessionmaker: Sessions
) -> None:
    """It is refused before anything runs."""
    with pytest.raises(FaultRefused, match="did you mean deadlock_detected"):
        await check_retries(
            lambda: retry_transaction(sessionmaker, _take),
            engine=engine,
            on={"deadlock"},
        )


# ----------------------------------------------------------------------- idempotence
async def test_idempotence(engine: AsyncEngine, sessionmaker: Sessions) -> None:
    """A second call changes nothing, or the rows that it changes are told."""

    async def with_key() -> None:
        async with sessionmaker.begin() as session:
            session.add(Receipt(name="only once"))
            await _take(session)

    async def without() -> None:
        async with sessionmaker.begin() as session:
            await _take(session)

    await check_idempotent(with_key, engine=engine)
    with pytest.raises(CheckFailed, match="changes the rows again") as caught:
        await check_idempotent(without, engine=engine)

    assert "accounts: id=1 balance=90 code=None is missing" in str(caught.value)
    async with sessionmaker() as session:
        assert 100 == (await session.get_one(Account, 1)).balance


# ---------------------------------------------------------------------------- pools
@pytest.fixture
async def pooled(engine: AsyncEngine, url: URL | str) -> AsyncIterator[AsyncEngine]:
    """An engine with a pool, on the same bank."""
    made = create_async_engine(url, pool_size=3, max_overflow=0, pool_timeout=5)
    yield made
    await made.dispose()


async def test_sessions_in_a_block_come_back(pooled: AsyncEngine) -> None:
    """At the end, after errors and after cancellations, on every driver."""

    async def fn() -> None:
        async with AsyncSession(pooled) as session, session.begin():
            await _take(session)

    await check_pool(fn, engine=pooled)


@pytest.mark.filterwarnings("ignore::sqlalchemy.exc.SAWarning")
@pytest.mark.parametrize(
    ("handled", "when"),
    [
        ((), "after it has ended"),
        ((None,), "after an error at UPDATE accounts"),
        ((None, Exception), "after a cancellation that follows UPDATE acc"),
    ],
)
async def test_connections_that_do_not_come_back(
    pooled: AsyncEngine, handled: tuple[Any, ...], when: str
) -> None:
    """Which is told with the statement, and how it ended."""
    kept: list[AsyncSession] = []

    async def fn() -> None:
        session = AsyncSession(pooled)
        kept.append(session)
        try:
            await _take(session)
            await asyncio.sleep(0)
            await session.commit()
            if None in handled:
                await session.close()
            else:
                await _take(session)
        except handled[1:]:
            await session.close()
            raise

    with pytest.raises(CheckFailed, match=f"does not come back to the pool {when}"):
        await check_pool(fn, engine=pooled, patience=0.2)


@one_driver
async def test_a_call_that_holds_two(pooled: AsyncEngine) -> None:
    """As many calls as the pool is large would wait for each other."""

    async def fn() -> None:
        async with pooled.connect(), pooled.connect():
            await asyncio.sleep(0)

    with pytest.raises(CheckFailed, match="holds 2 connections at once"):
        await check_pool(fn, engine=pooled)
    await check_pool(fn, engine=pooled, size=2)


@one_driver
async def test_a_call_that_uses_another_engine(
    pooled: AsyncEngine, engine: AsyncEngine
) -> None:
    """Nothing could be seen of it."""

    async def fn() -> None:
        async with engine.connect():
            await asyncio.sleep(0)

    with pytest.raises(CheckRefused, match="no statement on that engine"):
        await check_pool(fn, engine=pooled)


# -------------------------------------------------------------------------- versions
def test_versions_that_nothing_compares() -> None:
    """Numbers that are called so; not a mapper's own, nor a version of something."""

    class Base(DeclarativeBase):
        pass

    class Counted(Base):
        __tablename__ = "counted"
        id: Mapped[int] = mapped_column(primary_key=True)
        version: Mapped[int] = mapped_column()
        __mapper_args__ = {"version_id_col": version}  # noqa: RUF012 - as it is written

    class Claimed(Base):
        __tablename__ = "claimed"
        id: Mapped[int] = mapped_column(primary_key=True)
        lock: Mapped[int] = mapped_column("lock_version")

    class Released(Base):
        __tablename__ = "released"
        version: Mapped[int] = mapped_column(primary_key=True)
        revision: Mapped[str]

    found = lint_versions(Base)

    assert [(Claimed, "lock")] == [(each.model, each.column) for each in found]
    assert str(found[0]).endswith('__mapper_args__ = {"version_id_col": lock}')
    assert found == lint_versions(Base.registry)
