"""Statements that are cancelled on their way."""

from __future__ import annotations

import asyncio
import contextlib
import time
from typing import TYPE_CHECKING

import aiosqlite
import anyio
import pytest
from sqlalchemy import text

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Callable, Iterable

    from pytest_asyncdb.isolation import Isolation
    from pytest_asyncdb.provisioning import Database
    from tests.isolation.conftest import Application, Ending

postgresql = pytest.mark.parametrize("kind", ["asyncpg", "asyncpg-thread", "psycopg"])
sqlite = pytest.mark.parametrize("kind", ["aiosqlite", "aiosqlite-file"])

SLEEP = text("SELECT pg_sleep(30)")
PID = text("SELECT pg_backend_pid()")
COUNT = text(
    "WITH RECURSIVE c(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM c WHERE n < 800000) "
    "SELECT count(*) FROM c"
)


async def slept(app: Application, name: str) -> None:
    """Insert a row, then sleep in the database until a timeout strikes."""
    async with asyncio.timeout(0.1), app.session() as session:
        session.add(app.User(name=name))
        await session.flush()
        await session.execute(SLEEP)
        await session.commit()


@postgresql
async def test_a_timeout_around_a_statement_undoes_its_transaction(
    app: Application,
) -> None:
    """At once, not after 30 s; what others committed stays, and all goes on."""
    await app.add("before")
    began = time.perf_counter()
    with pytest.raises(TimeoutError):
        await slept(app, "undone")
    await app.add("after")

    assert 5 > time.perf_counter() - began
    assert ["after", "before"] == await app.names()


@postgresql
async def test_the_connection_is_kept_after_a_cancelled_statement(
    app: Application,
) -> None:
    """The server's process is the same one, so the test's rows are still there."""
    async with app.engine.connect() as connection:
        before = await connection.scalar(PID)
    with pytest.raises(TimeoutError):
        await slept(app, "undone")
    async with app.engine.connect() as connection:
        after = await connection.scalar(PID)

    assert before == after


@postgresql
def test_the_test_after_a_cancelled_statement(
    app: Application, next_test: Callable[..., None]
) -> None:
    """It finds nothing of it, and works."""
    with pytest.raises(TimeoutError):
        asyncio.run(slept(app, "undone"))
    next_test()
    asyncio.run(app.add("next"))

    assert ["next"] == asyncio.run(app.names())


@postgresql
async def test_others_wait_for_a_cancelled_statement(app: Application) -> None:
    """Ten tasks that stand in line behind it all get their turn."""
    task = asyncio.create_task(slept(app, "undone"))
    await asyncio.sleep(0.02)
    names = [f"{number}" for number in range(10)]
    await asyncio.gather(*map(app.add, names))
    with pytest.raises(TimeoutError):
        await task

    assert names == await app.names()


@postgresql
async def test_a_task_cancelled_while_it_stands_in_line(app: Application) -> None:
    """It never sent its statement, and takes nobody's place."""
    sleeper = asyncio.create_task(slept(app, "undone"))
    await asyncio.sleep(0.02)
    waiting = asyncio.create_task(app.add("never"))
    await asyncio.sleep(0.02)
    waiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting
    with pytest.raises(TimeoutError):
        await sleeper
    await app.add("after")

    assert ["after"] == await app.names()


@postgresql
async def test_two_cancels_of_one_statement(app: Application) -> None:
    """The second one comes while the first one is still being dealt with."""
    task = asyncio.create_task(slept(app, "undone"))
    await asyncio.sleep(0.03)
    task.cancel()
    await asyncio.sleep(0)
    task.cancel()
    with pytest.raises((asyncio.CancelledError, TimeoutError)):
        await task
    await app.add("after")

    assert ["after"] == await app.names()


@postgresql
async def test_a_cancelled_statement_under_a_savepoint_of_another(
    app: Application,
) -> None:
    """The holder's row and savepoint are untouched."""
    holder = await app.flushed("holder")
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.1), app.session() as session:
            await session.execute(SLEEP)
    await holder.commit()
    await holder.close()

    assert ["holder"] == await app.names()


@postgresql
async def test_after_a_cancelled_statement_the_session_can_be_used_again(
    app: Application,
) -> None:
    """Cancelled, rolled back, used again: the same session object."""
    async with app.session() as session:
        session.add(app.User(name="undone"))
        await session.flush()
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.05):
                await session.execute(SLEEP)
        await session.rollback()
        session.add(app.User(name="again"))
        await session.commit()

    assert ["again"] == await app.names()


@sqlite
async def test_a_timeout_around_a_long_statement_of_sqlite(app: Application) -> None:
    """In memory nothing waits; in a file the statement ends, or is interrupted."""
    await app.add("before")
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(0.05), app.session() as session:
            session.add(app.User(name="undone"))
            await session.flush()
            await session.execute(COUNT)
    await app.add("after")

    assert ["after", "before"] == await app.names()


@sqlite
def test_rows_that_a_cancelled_statement_left_unread(
    database: Database,
    make_isolation: Callable[..., Isolation],
    make_app: Callable[..., Application],
    monkeypatch: pytest.MonkeyPatch,
    kind: str,
) -> None:
    """SQLite releases no savepoint meanwhile; the error keeps the cursor alive."""
    isolation, app = make_isolation(kind, sqlite_direct=False), make_app()
    fetchall = aiosqlite.Cursor.fetchall

    async def cancelled(self: aiosqlite.Cursor) -> Iterable[sqlite3.Row]:
        monkeypatch.undo()
        raise asyncio.CancelledError

    async def work() -> None:
        async with app.session() as session:
            session.add_all([app.User(name="one"), app.User(name="two")])
            monkeypatch.setattr(aiosqlite.Cursor, "fetchall", cancelled)
            with pytest.raises(asyncio.CancelledError) as caught:
                await session.commit()
        await app.add("after")
        assert caught.value.__traceback__ is not None

    isolation.open("the test")
    asyncio.run(work())

    assert fetchall is aiosqlite.Cursor.fetchall
    assert ["after"] == asyncio.run(app.names())
    assert [] == isolation.close()


@pytest.mark.parametrize("turns", range(12))
async def test_a_cancel_at_every_turn_of_a_unit_of_work(
    app: Application, turns: int
) -> None:
    """Wherever it strikes, the row is there or it is not, and all goes on."""
    task = asyncio.create_task(app.add("perhaps"))
    for _ in range(turns):
        await asyncio.sleep(0)
    task.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await task
    await app.add("after")

    assert await app.names() in (["after"], ["after", "perhaps"])


async def test_tasks_cancelled_at_random_moments_leave_no_half_work(
    app: Application,
) -> None:
    """Pairs of rows are committed together or not at all."""
    tasks = [
        asyncio.create_task(app.add(f"{number} a", f"{number} b"))
        for number in range(12)
    ]
    for number, task in enumerate(tasks):
        await asyncio.sleep(0.001)
        if number % 2:
            task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    names = await app.names()

    assert {name[:-2] for name in names if name.endswith("a")} == {
        name[:-2] for name in names if name.endswith("b")
    }
    assert {"0", "2", "4", "6", "8", "10"} <= {name[:-2] for name in names}


@postgresql
def test_a_backend_that_is_terminated(
    app: Application, ending: Ending, next_test: Callable[..., None]
) -> None:
    """The connection is gone: the test is told, and the next one has another."""

    async def die() -> None:
        async with app.session() as session:
            session.add(app.User(name="gone"))
            await session.flush()
            await session.execute(text("SELECT pg_terminate_backend(pg_backend_pid())"))

    with pytest.raises(Exception, match=r"(?i)clos|terminat|lost"):
        asyncio.run(die())
    ending.fatal("connection of this test was lost")
    next_test()
    asyncio.run(app.add("next"))

    assert ["next"] == asyncio.run(app.names())


@postgresql
def test_a_loop_that_ends_in_the_middle_of_a_statement(
    app: Application, next_test: Callable[..., None]
) -> None:
    """`asyncio.run` cancels what is left; the next loop has a working connection."""

    async def leave() -> None:
        asyncio.create_task(slept(app, "undone"))  # noqa: RUF006 - that it is left is the case
        await asyncio.sleep(0.03)

    asyncio.run(leave())
    asyncio.run(app.add("after"))
    assert ["after"] == asyncio.run(app.names())
    next_test()

    assert [] == asyncio.run(app.names())


@postgresql
async def test_wait_for_gives_up_on_a_statement(
    app: Application, isolation: Isolation
) -> None:
    """`asyncio.wait_for` around execute, and the round trips go on being counted."""
    async with app.session() as session:
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(session.execute(SLEEP), 0.05)
    before = isolation.round_trips
    await app.add("after")

    assert before < isolation.round_trips
    assert ["after"] == await app.names()


@postgresql
async def test_a_cancel_scope_of_anyio(app: Application) -> None:
    """AnyIO cancels again at every await until the scope is left."""
    with anyio.move_on_after(0.05) as scope:
        async with app.session() as session:
            session.add(app.User(name="undone"))
            await session.flush()
            await session.execute(SLEEP)
    await app.add("after")

    assert scope.cancelled_caught
    assert ["after"] == await app.names()


@pytest.mark.parametrize("turns", range(0, 30, 3))
async def test_a_cancel_scope_that_closes_at_any_turn(
    app: Application, turns: int
) -> None:
    """A unit of work inside of it is whole or not there."""
    with anyio.CancelScope() as scope:
        async with anyio.create_task_group() as group:
            group.start_soon(app.add, "one", "two")
            for _ in range(turns):
                await asyncio.sleep(0)
            scope.cancel()
    await app.add("after")

    assert await app.names() in (["after"], ["after", "one", "two"])


@postgresql
def test_a_connection_that_died_between_two_tests(
    app: Application, database: Database, next_test: Callable[..., None]
) -> None:
    """A restarted server, or one that ends idle sessions, is no test's fault."""
    import psycopg

    asyncio.run(app.add("first"))
    next_test()
    plain = database.url.set(drivername="postgresql")
    with psycopg.connect(plain.render_as_string(hide_password=False)) as raw:
        raw.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
            "WHERE datname = current_database() AND pid <> pg_backend_pid()"
        )
    asyncio.run(app.add("second"))

    assert ["second"] == asyncio.run(app.names())
