"""Examples of one test: each begins where it has, and is undone by no round trip."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import pytest
from sqlalchemy import event, func, select, text
from sqlalchemy.exc import DBAPIError

if TYPE_CHECKING:
    from collections.abc import Callable

    from pytest_asyncdb.isolation import Isolation
    from tests.isolation.conftest import Application


async def add(app: Application, name: str) -> int:
    """Commit a user; how many there are."""
    async with app.session() as session:
        session.add(app.User(name=name))
        await session.commit()
        return await session.scalar(select(func.count()).select_from(app.User)) or 0


def _on_connect(app: Application, statement: str) -> None:
    """Let the engine say something on each new connection."""

    def say(connection: Any, _: object) -> None:
        cursor = connection.cursor()
        cursor.execute(statement)
        cursor.close()

    event.listen(app.engine.sync_engine, "connect", say)


def test_every_example_begins_where_the_test_has(
    isolation: Isolation, app: Application
) -> None:
    """On every driver, and the test goes on from there."""
    counts = [asyncio.run(add(app, "the test's"))]
    isolation.settle()
    for _ in range(3):
        with isolation.example("example") as findings:
            counts.append(asyncio.run(add(app, "an example's")))
        assert [] == findings
    counts.append(asyncio.run(add(app, "an example's")))

    assert [1, 2, 2, 2, 2] == counts


@pytest.mark.parametrize("kind", ["asyncpg", "psycopg"])
def test_an_example_takes_no_round_trip_to_be_undone(
    isolation: Isolation, app: Application
) -> None:
    """Two statements, and twice what travels before them."""
    found = []
    for _ in range(3):
        before = isolation.round_trips
        with isolation.example("example"):
            asyncio.run(add(app, "one"))
        found.append(isolation.round_trips - before)

    assert [4, 4] == found[1:]


@pytest.mark.parametrize("kind", ["asyncpg", "psycopg"])
def test_an_engine_may_connect_after_an_example_that_failed(
    isolation: Isolation, app: Application, make_app: Callable[[], Application]
) -> None:
    """What its listener asks does not meet the transaction that has failed."""
    _on_connect(another := make_app(), "SELECT 1")

    async def fail() -> None:
        async with app.engine.connect() as connection:
            await connection.execute(text("SELECT 1 / 0"))

    with isolation.example("first"), pytest.raises(DBAPIError):
        asyncio.run(fail())
    with isolation.example("second"):
        count = asyncio.run(add(another, "one"))

    assert 1 == count
