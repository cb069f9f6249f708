"""Checks by search: deadlocks of two functions, and the isolation that one needs."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from sqlalchemy import select, update
from sqlalchemy.ext.asyncio import AsyncSession, async_sessionmaker

from pytest_asyncdb.concurrency import check_deadlock_free, check_isolation
from pytest_asyncdb.errors import AnomalyFound, CheckFailed, CheckRefused
from tests.concurrency.retries.bank import Account

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from sqlalchemy.ext.asyncio import AsyncEngine

Sessions = async_sessionmaker[AsyncSession]
servers = pytest.mark.parametrize("driver", ["asyncpg", "psycopg", "asyncmy"])
postgresql = pytest.mark.parametrize("driver", ["asyncpg", "psycopg"])


def _move(sessionmaker: Sessions, *order: int) -> Callable[[], Awaitable[None]]:
    """Changes the accounts in that order."""

    async def move() -> None:
        async with sessionmaker.begin() as session:
            for number in order:
                row = update(Account).where(Account.id == number)
                await session.execute(row.values(balance=Account.balance + 1))

    return move


@servers
async def test_functions_that_lock_in_one_order(
    engine: AsyncEngine, sessionmaker: Sessions
) -> None:
    """They wait for each other, and go on."""
    pairs = await check_deadlock_free(
        _move(sessionmaker, 1, 2), _move(sessionmaker, 1, 2), engine=engine
    )

    assert 3 == len(pairs.results)


@servers
async def test_functions_that_lock_in_any_order(
    engine: AsyncEngine, sessionmaker: Sessions
) -> None:
    """The statements of both are shown, and who is the victim."""
    with pytest.raises(AnomalyFound, match="deadlock"):
        await check_deadlock_free(
            _move(sessionmaker, 1, 2), _move(sessionmaker, 2, 1), engine=engine
        )


@postgresql
async def test_the_level_that_a_function_needs(
    engine: AsyncEngine, sessionmaker: Sessions
) -> None:
    """What computes in SQL needs none; what it has read, REPEATABLE READ guards."""

    async def in_python() -> None:
        async with sessionmaker.begin() as session:
            (await session.get_one(Account, 1)).balance += 1

    async def skewed(source: int) -> None:
        """Takes what both accounts together can bear."""
        async with sessionmaker.begin() as session:
            found = {each.id: each for each in await session.scalars(select(Account))}
            if sum(each.balance for each in found.values()) >= 150:
                found[source].balance -= 100

    async def skewed_1() -> None:
        await skewed(1)

    async def skewed_2() -> None:
        await skewed(2)

    in_sql = await check_isolation(_move(sessionmaker, 1), engine=engine)
    with_version = await check_isolation(in_python, engine=engine)
    both = await check_isolation(skewed_1, skewed_2, engine=engine)

    assert ["READ COMMITTED", "REPEATABLE READ", "SERIALIZABLE"] == [
        each.level for each in (in_sql, with_version, both)
    ]
    assert in_sql.complete
    assert "READ COMMITTED: lost update" in str(with_version)
    with pytest.raises(CheckFailed, match="READ COMMITTED is not enough"):
        await check_isolation(in_python, engine=engine, level="READ COMMITTED")


@pytest.mark.parametrize("driver", ["asyncmy"])
async def test_the_level_on_mariadb(
    engine: AsyncEngine, sessionmaker: Sessions
) -> None:
    """Its REPEATABLE READ lets a lost update pass; what is enough passes."""

    async def in_python() -> None:
        async with sessionmaker.begin() as session:
            (await session.get_one(Account, 1)).balance += 1

    found = await check_isolation(in_python, engine=engine, level="SERIALIZABLE")

    assert "SERIALIZABLE" == found.level


@postgresql
async def test_a_level_that_is_none(
    engine: AsyncEngine, sessionmaker: Sessions
) -> None:
    """It is refused with those that there are."""
    with pytest.raises(CheckRefused, match="READ COMMITTED, REPEATABLE READ"):
        await check_isolation(_move(sessionmaker, 1), engine=engine, level="STRICT")
