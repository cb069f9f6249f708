"""While a fixture wider than a test is set up or torn down: reads pass."""

from __future__ import annotations

import asyncio
import contextlib
import contextvars
from typing import TYPE_CHECKING, Any

import pytest
from sqlalchemy import select, text

from pytest_asyncdb.errors import WriteOutsideTest
from tests.isolation.kinds import MYSQL

if TYPE_CHECKING:
    from collections.abc import Callable

    from pytest_asyncdb.isolation import Isolation
    from tests.isolation.conftest import Application

    NextTest = Callable[..., None]


def test_reads_pass_while_a_wider_fixture_is_set_up(
    app: Application, isolation: Isolation
) -> None:
    """A lifespan that queries finds the seed."""

    async def seeds() -> list[Any]:
        async with app.session() as session:
            return list(await session.scalars(select(app.Seed.name)))

    with isolation.outside("fixture lifespan is set up"):
        assert ["seed"] == asyncio.run(seeds())


@pytest.mark.parametrize(
    "sql",
    [
        "INSERT INTO users (id, name) VALUES (1, 'outside')",
        "UPDATE seeds SET name = 'changed'",
        "DELETE FROM seeds",
        "CREATE TABLE outside (id int)",
        "DROP TABLE posts",
        "WITH x AS (SELECT 1) INSERT INTO users (id, name) SELECT 1, 'x' FROM x",
    ],
)
def test_writes_are_refused_while_a_wider_fixture_is_set_up(
    app: Application, isolation: Isolation, sql: str
) -> None:
    """The error names what is being done, and asyncdb_seed."""

    async def write() -> None:
        async with app.engine.begin() as connection:
            await connection.exec_driver_sql(sql)

    with (
        isolation.outside("fixture lifespan is set up"),
        pytest.raises(WriteOutsideTest, match="fixture lifespan") as caught,
    ):
        asyncio.run(write())

    assert "asyncdb_seed" in str(caught.value)


def test_rows_of_the_test_are_not_disturbed_by_a_wider_fixture(
    app: Application, isolation: Isolation
) -> None:
    """`getfixturevalue` in the middle of a test sets one up."""

    async def both() -> list[str]:
        held = await app.flushed("held")
        with isolation.outside("a fixture is set up"):
            await app.names()
        await held.commit()
        await held.close()
        return await app.names()

    assert ["held"] == asyncio.run(both())


@pytest.mark.parametrize("turns", range(0, 24, 3))
def test_a_task_born_outside_reads_on_when_the_setup_ends(
    app: Application, isolation: Isolation, turns: int
) -> None:
    """Wherever it is just then: between statements, in line, or inside one."""
    with asyncio.Runner() as runner:
        setup = True

        async def worker() -> list[str]:
            while setup:
                await app.names()
            await app.add("joined")
            return await app.names()

        async def start() -> asyncio.Task[list[str]]:
            task = asyncio.create_task(worker())
            for _ in range(turns):
                await asyncio.sleep(0)
            return task

        with isolation.outside("fixture lifespan is set up"):
            task = runner.run(start(), context=contextvars.copy_context())
        setup = False
        names = runner.run(
            asyncio.wait_for(task, 5), context=contextvars.copy_context()
        )

    assert ["joined"] == names


def test_a_task_born_outside_works_in_the_tests(
    app: Application, isolation: Isolation, next_test: NextTest
) -> None:
    """A worker of the lifespan belongs to no test and joins whichever runs."""
    with asyncio.Runner() as runner:
        jobs: asyncio.Queue[str] = asyncio.Queue()
        started = asyncio.Event()

        async def worker() -> None:
            await app.names()
            started.set()
            while True:
                await app.add(await jobs.get())
                jobs.task_done()

        async def start() -> asyncio.Task[None]:
            task = asyncio.create_task(worker())
            await started.wait()
            return task

        async def job(name: str) -> list[str]:
            jobs.put_nowait(name)
            await jobs.join()
            return await app.names()

        with isolation.outside("fixture lifespan is set up"):
            task = runner.run(start(), context=contextvars.copy_context())
        found = []
        for name in ("one", "two"):
            found.append(runner.run(job(name), context=contextvars.copy_context()))
            next_test()
        task.cancel()

    assert [["one"], ["two"]] == found


def test_a_connection_opened_outside_is_used_in_a_test(
    app: Application, isolation: Isolation, next_test: NextTest
) -> None:
    """A lifespan's own connection, kept for a health check, reads in every test."""
    with asyncio.Runner() as runner:

        async def opened() -> Any:
            connection = await app.engine.connect()
            await connection.execute(text("SELECT 1"))
            await connection.rollback()
            return connection

        async def seeds() -> Any:
            count = await connection.scalar(text("SELECT count(*) FROM seeds"))
            await connection.rollback()
            return count

        with isolation.outside("fixture lifespan is set up"):
            connection = runner.run(opened(), context=contextvars.copy_context())
        found = []
        for _ in range(2):
            found.append(runner.run(seeds(), context=contextvars.copy_context()))
            next_test()
        runner.run(connection.close(), context=contextvars.copy_context())

    assert [1, 1] == found


def test_session_state_set_outside_does_not_reach_the_tests(
    app: Application, isolation: Isolation, kind: str
) -> None:
    """A SET or PRAGMA of a lifespan ends with it."""
    sql, ask = ("SET work_mem = '321kB'", "SHOW work_mem")
    if kind.startswith("aiosqlite"):
        sql, ask = ("PRAGMA cache_size = 321", "PRAGMA cache_size")
    if kind in MYSQL:
        sql, ask = ("SET sort_buffer_size = 321000", "SELECT @@sort_buffer_size")

    async def run(statement: str) -> Any:
        async with app.engine.connect() as connection:
            result = await connection.exec_driver_sql(statement)
            await connection.commit()
            return str(result.scalar()) if result.returns_rows else None

    outside = isolation.outside("fixture lifespan is set up")
    with outside, contextlib.suppress(WriteOutsideTest):
        asyncio.run(run(sql))

    assert not asyncio.run(run(ask)).startswith("321")
