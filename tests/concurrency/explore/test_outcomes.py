"""Which endings are the same, and what else an actor may do."""

from __future__ import annotations

import asyncio
from functools import partial
from typing import TYPE_CHECKING, Any

import pytest
from sqlalchemy import select, update

from pytest_asyncdb.concurrency import at_most_one, explore, replay
from pytest_asyncdb.errors import AnomalyFound, ReadAnomaly
from tests.concurrency.explore.shop import Account, Actor, Line, Order, Product, add

if TYPE_CHECKING:
    from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession, async_sessionmaker

    Sessions = async_sessionmaker[AsyncSession]

pytestmark = pytest.mark.parametrize(
    "server",
    ["postgresql+asyncpg", "postgresql+psycopg", "mariadb+asyncmy", "wal, BEGIN"],
    indirect=True,
)


async def _order(sessions: Sessions, what: str) -> dict[str, Any]:
    async with sessions() as session:
        order = Order(lines=[Line(what=what), Line(what="wrapping")])
        session.add(order)
        await session.commit()
        await session.refresh(order)
        return {"id": order.id, "token": order.token, "placed": order.placed}


async def test_numbers_of_new_rows_say_nothing(
    engine: AsyncEngine, sessions: Sessions
) -> None:
    """Nor do times and tokens, in rows and in results; these are named."""
    actors = {what: partial(_order, sessions, what) for what in ("tea", "cups")}

    result = await explore(engine, actors, preemption_bound=1)
    assert result.anomaly is None, str(result)
    assert result.complete
    assert "orders.token" in result.volatile
    assert "tea.token" in result.volatile
    assert not [name for name in result.volatile if name.endswith("id")]


async def test_outcomes_can_be_read(engine: AsyncEngine, sessions: Sessions) -> None:
    """Who succeeded, what they were told, and the rows, a "-" before those gone."""

    async def told(more: int) -> int:
        await add(sessions, more, in_sql=True)
        return more

    result = await explore(engine, two=partial(told, 2), three=partial(told, 3))

    told_of = "three and two succeeded; three = 3; two = 2"
    assert f"{told_of}; product: -(1, 10, 1) [1, 15, 1]" in result.outcomes


async def test_a_broken_invariant_has_the_name_of_what_broke_it(
    server: str, engine: AsyncEngine, sessions: Sessions
) -> None:
    """Where the steps show one; SQLite lets nobody write after what others wrote."""

    async def is_fifteen(session: AsyncSession) -> bool:
        return (await session.get_one(Product, 1)).quantity == 15

    async def is_sixteen(session: AsyncSession) -> bool:
        return (await session.get_one(Product, 1)).quantity == 16

    actors = {str(more): partial(add, sessions, more, in_sql=False) for more in (2, 3)}
    if not server.startswith("wal"):
        with pytest.raises(AnomalyFound, match=r"^lost update: invariant: Assert"):
            await explore(engine, actors, invariant=is_fifteen)
    with pytest.raises(AnomalyFound, match=r"^invariant: AssertionError: is_six"):
        await explore(engine, actors, invariant=is_sixteen)


async def _claim(sessions: Sessions, *, right: bool) -> int | None:
    """The lines are claimed one by one; who looks twice may have the same one."""
    async with sessions() as session:
        account = await session.get_one(Account, 1, with_for_update=right)
        number = account.balance
        account.balance += 1
        await session.commit()
        return number


@pytest.mark.parametrize("right", [False, True])
async def test_at_most_one(
    right: bool,  # noqa: FBT001
    server: str,
    engine: AsyncEngine,
    sessions: Sessions,
) -> None:
    """An oracle counts those that gave something."""
    actors: dict[str, Actor] = {
        "a": partial(_claim, sessions, right=right),
        "b": partial(asyncio.sleep, 0),
    }

    result = await explore(engine, actors, invariant=at_most_one())
    assert result.anomaly is None
    actors["b"] = partial(_claim, sessions, right=right)
    with pytest.raises(AnomalyFound, match="double success"):
        await explore(engine, actors, invariant=at_most_one("a", "b"))


async def _move(sessions: Sessions) -> None:
    async with sessions() as session:
        for number, more in ((1, -10), (2, 10)):
            row = update(Account).where(Account.id == number)
            await session.execute(row.values(balance=Account.balance + more))
        await session.commit()


async def _total(sessions: Sessions) -> int:
    async with sessions() as session:
        found = [await session.get_one(Account, number) for number in (1, 2)]
        return sum(account.balance for account in found)


async def test_what_was_only_read_is_a_weaker_verdict(
    server: str, engine: AsyncEngine, sessions: Sessions
) -> None:
    """A sum over a transfer is wrong where each statement sees what is committed."""
    actors: dict[str, Actor] = {
        "move": partial(_move, sessions),
        "total": partial(_total, sessions),
    }

    if not server.startswith("postgresql"):
        assert (await explore(engine, actors)).anomaly is None
        return
    with pytest.warns(ReadAnomaly, match="no serial order of them gives"):
        result = await explore(engine, actors)
    assert result.anomaly is not None
    assert result.anomaly.is_read
    level = await explore(engine, actors, isolation="REPEATABLE READ")
    assert level.anomaly is None


async def test_an_actor_with_two_sessions_at_once(
    server: str, engine: AsyncEngine, sessions: Sessions
) -> None:
    """Each connection is let go by itself, and has a number in the schedule."""

    async def one(number: int) -> None:
        async with sessions() as session:
            row = update(Account).where(Account.id == number)
            await session.execute(row.values(balance=Account.balance + 1))
            await session.commit()

    async def both() -> None:
        await asyncio.gather(one(1), one(2))

    actors: dict[str, Actor] = {
        "both": both,
        "add": partial(add, sessions, 1, in_sql=True),
    }
    result = await explore(engine, actors, preemption_bound=1)
    assert result.anomaly is None, str(result)
    assert result.last is not None
    if server.startswith("postgresql"):
        assert "2" in result.last.schedule
        again = await replay(engine, result.last.schedule, actors)
        assert again.last is not None
        assert result.last.schedule == again.last.schedule


async def test_requests_of_an_application(
    engine: AsyncEngine, sessions: Sessions
) -> None:
    """Calls through an ASGI client are actors like any other."""
    import fastapi
    import httpx

    app = fastapi.FastAPI()

    @app.post("/sell")
    async def sell() -> int:
        async with sessions() as session:
            product = await session.get_one(Product, 1, with_for_update=True)
            product.quantity -= 1
            await session.commit()
            return product.quantity

    async def request() -> httpx.Response:
        transport = httpx.ASGITransport(app)
        async with httpx.AsyncClient(transport=transport, base_url="http://x") as http:
            return await http.post("/sell")

    result = await explore(engine, a=request, b=request)
    assert result.complete, str(result)
    assert result.anomaly is None
    async with sessions() as session:
        assert 10 == await session.scalar(select(Product.quantity))
