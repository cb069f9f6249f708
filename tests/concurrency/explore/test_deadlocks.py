"""Deadlocks are the server's own, and found within a few schedules."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

import pytest
from sqlalchemy import select, text, update

from pytest_asyncdb.concurrency import all_succeed, explore, no_deadlock, replay
from tests.concurrency.explore.conftest import SERVERS
from tests.concurrency.explore.shop import Account, Unique

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession, async_sessionmaker

    Step = Callable[[AsyncSession, int], Awaitable[None]]


async def _lock_row(session: AsyncSession, number: int) -> None:
    await session.get(Account, number, with_for_update=True)


async def _update_row(session: AsyncSession, number: int) -> None:
    row = update(Account).where(Account.id == number)
    await session.execute(row.values(balance=Account.balance + 1))


async def _insert_key(session: AsyncSession, number: int) -> None:
    session.add(Unique(email=f"{number}@example.org"))
    await session.flush()


async def _lock_number(session: AsyncSession, number: int) -> None:
    await session.execute(text(f"SELECT pg_advisory_xact_lock({number})"))


async def _both(sessions: Any, step: Step, first: int, second: int) -> None:
    async with sessions() as session, session.begin():
        await step(session, first)
        await step(session, second)


def _actors(sessions: Any, step: Step, *, ordered: bool = False) -> dict[str, Any]:
    second = (1, 2) if ordered else (2, 1)
    return {
        "a": partial(_both, sessions, step, 1, 2),
        "b": partial(_both, sessions, step, *second),
    }


@pytest.mark.parametrize("step", [_lock_row, _update_row, _insert_key, _lock_number])
async def test_locks_in_opposite_order(
    step: Step,
    server: str,
    engine: AsyncEngine,
    sessions: async_sessionmaker[AsyncSession],
) -> None:
    """Found with the server's own error, and again by the schedule that is named."""
    if step is _lock_number and not server.startswith("postgresql"):
        pytest.skip("only PostgreSQL has advisory locks of transactions")
    actors = _actors(sessions, step)

    found = await explore(engine, actors, invariant=no_deadlock, check=False)
    assert found.anomaly is not None, str(found)
    assert "deadlock" == found.anomaly.name
    assert found.schedules <= 10
    again = await replay(
        engine, found.anomaly.schedule, actors, invariant=no_deadlock, check=False
    )
    assert again.anomaly is not None
    assert "deadlock" == again.anomaly.name


@pytest.mark.parametrize("server", SERVERS[:1], indirect=True)
@pytest.mark.parametrize("step", [_lock_row, _update_row])
async def test_locks_in_one_order(
    step: Step, engine: AsyncEngine, sessions: async_sessionmaker[AsyncSession]
) -> None:
    """The remedy: no schedule has a deadlock, and nobody fails."""
    actors = _actors(sessions, step, ordered=True)

    result = await explore(engine, actors, invariant=[no_deadlock, all_succeed])
    assert result.complete
    assert 0 == result.deadlocks


@pytest.mark.parametrize("server", SERVERS[:2], indirect=True)
async def test_the_victim_is_always_the_same(
    engine: AsyncEngine, sessions: async_sessionmaker[AsyncSession]
) -> None:
    """The statement that closes the circle fails, in each of ten runs."""
    victims = set()
    for _ in range(10):
        actors = _actors(sessions, _update_row)
        result = await replay(engine, "ABAB", actors, check=False)
        assert result.last is not None
        assert 1 == result.deadlocks
        victims |= {
            step.actor
            for step in result.last.steps
            if step.outcome == "deadlock_detected"
        }

    assert {"b"} == victims
    async with sessions() as session:
        assert [100, 100] == list(await session.scalars(select(Account.balance)))
