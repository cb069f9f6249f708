"""Pools of the application: their classes, limits and events stay what they are."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any, Final

import pytest
from sqlalchemy import event, text
from sqlalchemy.exc import TimeoutError as PoolTimeout
from sqlalchemy.pool import (
    AssertionPool,
    AsyncAdaptedQueuePool,
    NullPool,
    Pool,
    StaticPool,
)

if TYPE_CHECKING:
    from collections.abc import Callable

    from pytest_asyncdb.isolation import Isolation
    from tests.isolation.conftest import Application

    MakeApp = Callable[..., Application]

pytestmark = pytest.mark.usefixtures("isolation")
QUEUE: Final = {"poolclass": AsyncAdaptedQueuePool}
"""In memory SQLAlchemy takes a StaticPool by itself."""


@pytest.mark.parametrize(
    "poolclass", [NullPool, StaticPool, AssertionPool, AsyncAdaptedQueuePool]
)
async def test_every_pool_class_joins(make_app: MakeApp, poolclass: type[Pool]) -> None:
    """Commit and rollback through each of them, twice."""
    app = make_app(poolclass=poolclass)
    for name in ("a", "b"):
        await app.add(name)
        async with app.session() as session:
            session.add(app.User(name="undone"))
            await session.flush()

    assert ["a", "b"] == await app.names()


async def test_two_sessions_of_a_static_pool_are_two_transactions(
    make_app: MakeApp,
) -> None:
    """In reality they are one; here a rollback does not destroy the other's row."""
    app = make_app(poolclass=StaticPool)
    kept = await app.flushed("kept")
    undone = await app.flushed("undone")
    await undone.rollback()
    await kept.commit()
    await kept.close()
    await undone.close()

    assert ["kept"] == await app.names()


async def test_an_assertion_pool_still_asserts(make_app: MakeApp) -> None:
    """It says where the first connection was checked out."""
    app = make_app(poolclass=AssertionPool)
    async with app.engine.connect() as connection:
        await connection.execute(text("SELECT 1"))
        with pytest.raises(AssertionError, match="already checked out"):
            await app.engine.connect()


async def test_the_limit_of_a_queue_pool_holds(make_app: MakeApp) -> None:
    """A third connection of a pool of two times out, and works when one is back."""
    app = make_app(**QUEUE, pool_size=1, max_overflow=1, pool_timeout=0.05)
    async with app.engine.connect() as one:
        async with app.engine.connect():
            with pytest.raises(PoolTimeout):
                await app.engine.connect()
        async with app.engine.connect() as again:
            assert 1 == await again.scalar(text("SELECT 1"))
        assert 1 == await one.scalar(text("SELECT 1"))


async def test_tasks_wait_for_a_small_pool(make_app: MakeApp) -> None:
    """Ten tasks share two connections, one after the other."""
    app = make_app(**QUEUE, pool_size=2, max_overflow=0, pool_timeout=5)
    names = [f"{number}" for number in range(10)]
    await asyncio.gather(*map(app.add, names))

    assert names == await app.names()


async def test_pool_events_fire(make_app: MakeApp) -> None:
    """In the order, and as often, as with connections of its own."""
    app, seen = make_app(**QUEUE, pool_size=1), []
    for name in ("connect", "first_connect", "checkout", "checkin", "reset", "close"):
        event.listen(
            app.engine.sync_engine,
            name,
            lambda *_, name=name: seen.append(name),
        )
    for _ in range(2):
        async with app.engine.connect() as connection:
            await connection.execute(text("SELECT 1"))

    used = ["checkout", "reset", "checkin"]
    assert {"connect", "first_connect"} == set(seen[:2])
    assert [*used, *used] == seen[2:]


async def test_a_listener_added_after_the_first_connect(make_app: MakeApp) -> None:
    """Late listeners hear of later checkouts."""
    app, seen = make_app(), []
    await app.names()
    event.listen(app.engine.sync_engine, "checkout", lambda *_: seen.append("late"))
    await app.names()

    assert ["late"] == seen


async def test_engine_events_fire(make_app: MakeApp) -> None:
    """begin, commit, rollback and cursor events of the engine."""
    app, seen = make_app(), []
    for name in ("begin", "commit", "rollback"):
        event.listen(
            app.engine.sync_engine, name, lambda *_, name=name: seen.append(name)
        )
    event.listen(
        app.engine.sync_engine,
        "before_cursor_execute",
        lambda *words: seen.append(words[2]),
    )
    async with app.engine.begin() as connection:
        await connection.exec_driver_sql("SELECT 1")
    async with app.engine.connect() as connection:
        await connection.exec_driver_sql("SELECT 2")

    assert ["begin", "SELECT 1", "commit", "begin", "SELECT 2", "rollback"] == seen


async def test_session_events_fire(make_app: MakeApp) -> None:
    """Hooks after commit are what many applications publish from."""
    app, seen = make_app(), []
    async with app.session() as session:
        for name in ("before_commit", "after_commit", "after_rollback"):
            event.listen(
                session.sync_session, name, lambda _, name=name: seen.append(name)
            )
        session.add(app.User(name="one"))
        await session.commit()
        session.add(app.User(name="two"))
        await session.flush()
        await session.rollback()

    assert ["before_commit", "after_commit", "after_rollback"] == seen


async def test_dispose_in_the_applications_shutdown(make_app: MakeApp) -> None:
    """The engine's rows stay for the rest of the test, and it can be used again."""
    app = make_app()
    await app.add("before")
    await app.engine.dispose()
    await app.add("after")

    assert ["after", "before"] == await app.names()


async def test_dispose_while_a_session_is_open(make_app: MakeApp) -> None:
    """The checked out connection goes on until it is given back."""
    app = make_app()
    session = await app.flushed("open")
    await app.engine.dispose()
    await session.commit()
    await session.close()

    assert ["open"] == await app.names()


async def test_pre_ping_and_recycle(make_app: MakeApp, isolation: Isolation) -> None:
    """A ping asks the server nothing, and ends no transaction."""
    app = make_app(pool_pre_ping=True, pool_recycle=0)
    await app.add("a")
    before = isolation.round_trips
    async with app.engine.connect() as connection:
        assert before == isolation.round_trips
        await connection.execute(text("SELECT 1"))

    assert ["a"] == await app.names()


@pytest.mark.parametrize("how", ["rollback", "commit", None])
async def test_reset_on_return(make_app: MakeApp, how: str | None) -> None:
    """What the pool does with a connection that comes back in a transaction."""
    app = make_app(pool_reset_on_return=how, poolclass=NullPool)
    async with app.engine.connect() as connection:
        await connection.execute(text("INSERT INTO users (id, name) VALUES (1, 'x')"))

    assert [] == await app.names()


async def test_invalidate_gives_another_transaction(app: Application) -> None:
    """The invalidated connection's row is rolled back; the engine goes on."""
    async with app.engine.connect() as connection:
        await connection.execute(text("INSERT INTO users (id, name) VALUES (1, 'x')"))
        await connection.invalidate()
    await app.add("after")

    assert ["after"] == await app.names()


async def test_a_detached_connection(app: Application) -> None:
    """Detached from its pool it is still a transaction of the test's."""
    async with app.engine.connect() as connection:
        raw = await connection.get_raw_connection()
        raw.detach()
        await connection.execute(text("INSERT INTO users (id, name) VALUES (1, 'x')"))
        await connection.commit()

    assert ["x"] == await app.names()


async def test_unknown_members_of_the_connection_raise(app: Application) -> None:
    """The proxy is closed: what it does not list would reach all sessions."""
    async with app.engine.connect() as connection:
        raw: Any = (await connection.get_raw_connection()).dbapi_connection
        with pytest.raises(AttributeError, match="sandbox"):
            raw.pgconn_of_nobody  # noqa: B018 - reading it is the case
        with pytest.raises(AttributeError):
            raw.unknown_setting = True


async def test_a_pool_that_is_shared_by_two_engines(make_app: MakeApp) -> None:
    """`execution_options` of an engine make another one on the same pool."""
    app = make_app(**QUEUE, pool_size=2, max_overflow=0, pool_timeout=2)
    engine = app.engine.execution_options(logging_token="other")
    session = await app.flushed("one")
    async with engine.begin() as connection:
        await connection.execute(text("INSERT INTO users (name) VALUES ('two')"))
    await session.commit()
    await session.close()

    assert ["one", "two"] == await app.names()
