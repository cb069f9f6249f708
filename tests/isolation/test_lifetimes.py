"""What belongs to a test ends with it: tasks, threads, memory."""

from __future__ import annotations

import asyncio
import contextvars
import gc
import threading
from typing import TYPE_CHECKING, Any

import pytest
from sqlalchemy import insert, text
from sqlalchemy.orm import Session

from pytest_asyncdb.errors import FinishedTest
from pytest_asyncdb.isolation._sandbox import Sandbox
from pytest_asyncdb.isolation._transactions import Transaction

if TYPE_CHECKING:
    from collections.abc import Callable

    from pytest_asyncdb.isolation import Isolation
    from tests.isolation.conftest import Application, Ending

    NextTest = Callable[..., None]


def test_a_task_of_a_finished_test_writes(
    app: Application, ending: Ending, next_test: NextTest
) -> None:
    """Born in the first test, it wakes in the second, and is refused by name."""
    with asyncio.Runner() as runner:
        ready, go = asyncio.Event(), asyncio.Event()

        async def late() -> None:
            await app.names()
            ready.set()
            await go.wait()
            await app.add("late")

        async def start() -> asyncio.Task[None]:
            task = asyncio.create_task(late())
            await ready.wait()
            return task

        async def wake() -> None:
            await app.add("mine")
            go.set()
            with pytest.raises(FinishedTest, match="test_a_task_of_a_finished_test"):
                await task

        task = runner.run(start(), context=contextvars.copy_context())
        ending.leak(r"(?s)task.*still running")
        next_test()
        runner.run(wake(), context=contextvars.copy_context())
        names = runner.run(app.names(), context=contextvars.copy_context())

    assert ["mine"] == names


def test_a_task_of_a_finished_test_with_an_open_transaction(
    app: Application, ending: Ending, next_test: NextTest
) -> None:
    """It has written in the first test, and wants to commit in the second."""
    with asyncio.Runner() as runner:
        ready, go = asyncio.Event(), asyncio.Event()

        async def late() -> None:
            async with app.session() as session:
                session.add(app.User(name="early"))
                await session.flush()
                ready.set()
                await go.wait()
                session.add(app.User(name="late"))
                await session.commit()

        async def start() -> asyncio.Task[None]:
            task = asyncio.create_task(late())
            await ready.wait()
            return task

        async def wake() -> None:
            go.set()
            with pytest.raises(FinishedTest, match="test_a_task_of_a_finished_test"):
                await task

        task = runner.run(start(), context=contextvars.copy_context())
        ending.leak("left open")
        ending.leak(r"(?s)task.*still running")
        next_test()
        runner.run(wake(), context=contextvars.copy_context())
        names = runner.run(app.names(), context=contextvars.copy_context())

    assert [] == names


@pytest.mark.parametrize("kind", ["asyncpg", "asyncpg-thread", "psycopg"])
def test_a_task_inside_a_statement_when_the_test_ends(
    app: Application, ending: Ending, next_test: NextTest
) -> None:
    """Fatal for the test that left it; the next one has a working connection."""
    with asyncio.Runner() as runner:

        async def sleeper() -> None:
            async with app.engine.connect() as connection:
                await connection.execute(text("SELECT pg_sleep(30)"))

        async def start() -> asyncio.Task[None]:
            task = asyncio.create_task(sleeper())
            await asyncio.sleep(0.5)
            return task

        async def end() -> None:
            task.cancel()
            await asyncio.wait([task])
            if not task.cancelled():
                task.exception()

        task = runner.run(start(), context=contextvars.copy_context())
        ending.fatal("still inside a statement")
        ending.leak(".")
        ending.leak(".")
        next_test()
        runner.run(app.add("next"), context=contextvars.copy_context())
        names = runner.run(app.names(), context=contextvars.copy_context())
        runner.run(end(), context=contextvars.copy_context())

    assert ["next"] == names


def test_a_thread_of_a_finished_test(app: Application, next_test: NextTest) -> None:
    """Threads carry no context; the write joins the running test or is refused."""
    go, errors = threading.Event(), []

    def work() -> None:
        go.wait(5)
        try:
            asyncio.run(app.add("by a thread"))
        except FinishedTest as error:
            errors.append(error)

    thread = threading.Thread(target=work)
    thread.start()
    next_test()
    go.set()
    thread.join()

    assert asyncio.run(app.names()) in ([], ["by a thread"])


def test_sync_code_of_a_test_is_no_parent_of_the_next_ones(
    app: Application, isolation: Isolation, ending: Ending, next_test: NextTest
) -> None:
    """Context variables that sync code sets stay where all later tests begin."""
    session = Session(isolation.sync_engine)
    session.add(app.User(name="one"))
    session.flush()
    ending.leak("left open")
    next_test()

    async def both() -> None:
        outer = await app.flushed("outer")
        await app.add("inner")
        await outer.commit()
        await outer.close()

    asyncio.run(both())
    session.close()

    assert ["inner", "outer"] == asyncio.run(app.names())


def test_a_thousand_statements_leave_no_savepoints(
    app: Application, isolation: Isolation
) -> None:
    """What was committed is released, so the stack does not grow."""

    async def work() -> None:
        for number in range(1, 101):  # 0 has a meaning of its own in MySQL
            async with app.engine.begin() as connection:
                await connection.execute(
                    insert(app.User).values(id=number, name=f"{number}")
                )

    asyncio.run(work())
    sandbox: Any = isolation._capture.sandbox

    assert sandbox._stack.is_empty()


def test_a_test_without_statements_opens_nothing(
    kind: str, make_isolation: Callable[..., Isolation]
) -> None:
    """After the first test not one round trip more."""
    isolation = make_isolation(kind)
    isolation.open("first")
    isolation.close()
    before = isolation.round_trips
    for _ in range(3):
        isolation.open("without a statement")
        assert [] == isolation.close()

    assert before == isolation.round_trips


def test_close_without_open_finds_nothing(
    kind: str, make_isolation: Callable[..., Isolation]
) -> None:
    """The plugin may close twice."""
    isolation = make_isolation(kind)

    assert [] == isolation.close()
    isolation.open("a test")
    assert [] == isolation.close()
    assert [] == isolation.close()


def test_a_test_that_was_never_closed(app: Application, isolation: Isolation) -> None:
    """The next one begins all the same, and finds nothing of it."""
    asyncio.run(app.add("left"))
    isolation.open("the next test")

    assert [] == asyncio.run(app.names())


async def test_thousands_of_transactions_in_one_task(
    app: Application, isolation: Isolation
) -> None:
    """None is kept as the parent of the next: neither memory nor time grows."""
    del isolation
    before = _transactions()
    for _ in range(100):
        async with app.engine.connect() as connection:
            await connection.execute(text("SELECT 1"))

    assert before + 10 > _transactions()


def _transactions() -> int:
    gc.collect()
    return sum(isinstance(each, Transaction) for each in gc.get_objects())


def test_what_belonged_to_finished_tests_is_collected(
    app: Application, isolation: Isolation, next_test: NextTest
) -> None:
    """No sandbox of a finished test stays in memory."""
    for number in range(5):
        asyncio.run(app.add("row"))
        next_test(f"finished test {number}")
    gc.collect()

    sandboxes = [each for each in gc.get_objects() if isinstance(each, Sandbox)]
    assert 2 >= sum(each.name.startswith("finished test") for each in sandboxes)
