"""What guides show, beside what holds: found within a few schedules, or complete."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

import pytest
from sqlalchemy import delete, func, insert, select, update

from pytest_asyncdb.concurrency import explore, replay, retrying
from pytest_asyncdb.errors import AnomalyFound
from tests.concurrency.explore.shop import (
    SCENARIOS,
    Account,
    Counter,
    Doctor,
    Product,
    Unique,
)

if TYPE_CHECKING:
    from collections.abc import Callable

    from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession, async_sessionmaker

    Sessions = async_sessionmaker[AsyncSession]

BOTH = pytest.mark.parametrize(
    "server", ["postgresql+asyncpg", "mariadb+asyncmy"], indirect=True
)
POSTGRESQL = pytest.mark.parametrize("server", ["postgresql+asyncpg"], indirect=True)


async def _transfer(sessions: Sessions, source: int, target: int, amount: int) -> None:
    async with sessions() as session:
        giver = await session.get_one(Account, source)
        taker = await session.get_one(Account, target)
        giver.balance -= amount
        taker.balance += amount
        await session.commit()


async def _transfer_in_sql(
    sessions: Sessions, source: int, target: int, amount: int
) -> None:
    async with sessions() as session:
        for number, more in sorted([(source, -amount), (target, amount)]):
            row = update(Account).where(Account.id == number)
            await session.execute(row.values(balance=Account.balance + more))
        await session.commit()


async def _count_again(sessions: Sessions, number: int, *, lock: bool) -> None:
    """Change a row, count all such rows, and remember how many there are."""
    async with sessions() as session:
        if lock:
            await session.get_one(Product, 1, with_for_update=True)
        row = update(Doctor).where(Doctor.id == number)
        await session.execute(row.values(on_call=False))
        query = select(func.count()).select_from(Doctor).where(Doctor.on_call)
        left = await session.scalar(query)
        cache = update(Product).where(Product.id == 1)
        await session.execute(cache.values(quantity=left))
        await session.commit()


async def _tag(sessions: Sessions) -> None:
    """Get or create, without looking what the server says to it."""
    async with sessions() as session:
        if await session.scalar(select(Unique).where(Unique.email == "tag")) is None:
            session.add(Unique(email="tag"))
        await session.commit()


WRONG: dict[str, Callable[[Sessions], list[Any]]] = {
    "transfer": lambda s: [partial(_transfer, s, 1, 2, 10)] * 2,
    "cached count": lambda s: [
        partial(_count_again, s, number, lock=False) for number in (1, 2)
    ],
}
RIGHT: dict[str, Callable[[Sessions], list[Any]]] = {
    "transfer": lambda s: [partial(_transfer_in_sql, s, 1, 2, 10)] * 2,
    "cached count": lambda s: [
        partial(_count_again, s, number, lock=True) for number in (1, 2)
    ],
}


@POSTGRESQL
@pytest.mark.parametrize("name", WRONG)
async def test_what_loses_an_update(
    name: str, engine: AsyncEngine, sessions: Sessions
) -> None:
    """Money vanishes, and a cache says what was never true."""
    actors = dict(zip("ab", WRONG[name](sessions), strict=True))

    with pytest.raises(AnomalyFound) as caught:
        await explore(engine, actors)
    result: Any = caught.value.result
    assert result.schedules <= 8
    assert f'replay("{result.anomaly.schedule}"' in str(caught.value)


@POSTGRESQL
@pytest.mark.parametrize("name", RIGHT)
async def test_what_loses_none(
    name: str, engine: AsyncEngine, sessions: Sessions
) -> None:
    """All of it was tried."""
    actors = dict(zip("ab", RIGHT[name](sessions), strict=True))

    result = await explore(engine, actors, preemption_bound=None)
    assert result.complete
    assert result.anomaly is None


@POSTGRESQL
async def test_a_tag_that_both_create_makes_one_of_them_fail(
    engine: AsyncEngine, sessions: Sessions
) -> None:
    """UNIQUE keeps the rows right; who wants nobody to fail has to say so."""
    from pytest_asyncdb.concurrency import all_succeed

    actors = {"a": partial(_tag, sessions), "b": partial(_tag, sessions)}

    assert (await explore(engine, actors)).complete
    with pytest.raises(AnomalyFound, match="fails: IntegrityError"):
        await explore(engine, actors, invariant=all_succeed)


@BOTH
async def test_the_copied_snippet_is_found_within_five_schedules(
    engine: AsyncEngine, sessions: Sessions
) -> None:
    """And its schedule ends in the same way twenty times of twenty."""
    actors = SCENARIOS[0].functions(sessions)

    found = await explore(engine, actors, check=False)
    assert found.anomaly is not None
    assert "lost update" == found.anomaly.name
    assert found.schedules <= 5
    ends = set()
    for _ in range(20):
        result = await replay(engine, found.anomaly.schedule, actors, check=False)
        assert result.anomaly is not None
        ends |= {*result.outcomes, result.anomaly.name}
    assert 2 == len(ends)


@POSTGRESQL
@pytest.mark.parametrize("strategy", ["random", "pct"])
async def test_what_chance_finds_is_shown_with_few_preemptions(
    strategy: str, engine: AsyncEngine, sessions: Sessions
) -> None:
    """And the same seed finds the same."""
    actors = SCENARIOS[0].functions(sessions)
    shortest = await explore(engine, actors, check=False)
    assert shortest.anomaly is not None

    for _ in range(2):
        found = await explore(engine, actors, strategy=strategy, seed=3, check=False)
        assert found.anomaly is not None
        assert shortest.anomaly.schedule == found.anomaly.schedule
        assert "met by chance in" in str(found)


@POSTGRESQL
async def test_three_actors_that_try_again(
    engine: AsyncEngine, sessions: Sessions
) -> None:
    """Every version is counted by somebody, and no update is lost."""

    @retrying(attempts=4, delay=0.0, stale=True)
    async def count() -> None:
        async with sessions() as session:
            counter = await session.get_one(Counter, 1)
            counter.quantity += 1
            await session.commit()

    result = await explore(engine, a=count, b=count, c=count, preemption_bound=1)
    assert result.complete
    assert result.anomaly is None


@pytest.mark.parametrize(
    "server", ["postgresql+asyncpg", "postgresql+psycopg"], indirect=True
)
async def test_versioned_rows_that_are_not_deleted(
    server: str, engine: AsyncEngine, sessions: Sessions
) -> None:
    """SQLAlchemy's flush of several deletes trusts asyncpg's number of rows.

    It commits though rows changed meanwhile are still there; with psycopg it raises.
    """
    async with sessions() as session:
        await session.execute(insert(Counter).values(id=2, quantity=20, version=1))
        await session.commit()

    async def clear() -> str:
        async with sessions() as session:
            for counter in (await session.scalars(select(Counter))).all():
                await session.delete(counter)
            await session.commit()
        return "all are deleted"

    async def change() -> None:
        async with sessions() as session:
            counter = await session.get_one(Counter, 1)
            counter.quantity += 1
            await session.commit()

    try:
        result = await explore(engine, clear=clear, change=change, check=False)
    finally:
        async with sessions() as session:
            await session.execute(delete(Counter).where(Counter.id == 2))
            await session.commit()
    assert (server == "postgresql+asyncpg") is (result.anomaly is not None), str(result)
