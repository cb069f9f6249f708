"""Sync code in the test's transaction: engines, sessions, and coroutines it runs."""

from __future__ import annotations

import asyncio
import threading
from typing import TYPE_CHECKING

import pytest
from sqlalchemy import create_engine, select, text
from sqlalchemy.orm import Session

from pytest_asyncdb.errors import EngineRefused
from tests.loops.conftest import isolate, on_servers

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sqlalchemy import Engine

    from pytest_asyncdb.isolation import Isolation
    from pytest_asyncdb.provisioning import Database
    from tests.loops.conftest import Application

families = pytest.mark.parametrize("kind", ["psycopg", "memory", "file"])
"""Where the sync driver speaks the async one's language."""


@pytest.fixture
def sync_engine(app: Application) -> Engine:
    """An engine of the application's for its sync code."""
    return create_engine(app.url.set(drivername=app.url.drivername.split("+aio")[0]))


@families
def test_a_sync_engine_of_the_application_joins(
    app: Application, sync_engine: Engine
) -> None:
    """It sees what async sessions wrote, and they see its rows."""
    asyncio.run(app.add("async"))
    with Session(sync_engine) as session:
        seen = session.scalars(select(app.User.name)).all()
        session.add(app.User(name="sync"))
        session.commit()

    assert ["async"] == seen
    assert ["async", "sync"] == asyncio.run(app.names())


@families
async def test_a_sync_engine_inside_of_a_running_loop(
    app: Application, sync_engine: Engine
) -> None:
    """It blocks the loop, as sync I/O does."""
    await app.add("async")
    with Session(sync_engine) as session:
        session.add(app.User(name="sync"))
        session.commit()

    assert ["async", "sync"] == await app.names()


@families
async def test_a_sync_engine_in_a_thread_pool(
    app: Application, sync_engine: Engine
) -> None:
    """FastAPI's sync endpoints: many threads, while the loop is alive."""

    def work(name: str) -> None:
        with Session(sync_engine) as session:
            session.add(app.User(name=name))
            session.commit()

    await asyncio.gather(*(asyncio.to_thread(work, f"s{n}") for n in range(5)))

    assert [f"s{number}" for number in range(5)] == await app.names()


@families
def test_a_rollback_of_a_sync_session(app: Application, sync_engine: Engine) -> None:
    """It undoes its own rows and no others."""
    asyncio.run(app.add("async"))
    with Session(sync_engine) as session:
        session.add(app.User(name="sync"))
        session.flush()
        session.rollback()

    assert ["async"] == asyncio.run(app.names())


@pytest.mark.parametrize("kind", ["asyncpg"])
def test_a_sync_engine_of_another_family_is_refused_by_name(app: Application) -> None:
    """Rows and parameters of psycopg differ from those of asyncpg."""
    engine = create_engine(app.url.set(drivername="postgresql+psycopg"))

    with pytest.raises(EngineRefused, match="asyncpg"), engine.connect():
        pass


def test_the_plugins_sync_session_without_a_loop(
    app: Application, isolation: Isolation
) -> None:
    """`db_sync_session` works on every driver."""
    asyncio.run(app.add("async"))
    with Session(isolation.sync_engine) as session:
        seen = session.scalars(select(app.User.name)).all()
        session.add(app.User(name="sync"))
        session.commit()

    assert ["async"] == seen
    assert ["async", "sync"] == asyncio.run(app.names())


async def test_the_plugins_sync_session_inside_of_a_running_loop(
    app: Application, isolation: Isolation
) -> None:
    """A sync helper that is called from an async test."""
    await app.add("async")
    with Session(isolation.sync_engine) as session:
        seen = session.scalars(select(app.User.name)).all()
        session.add(app.User(name="sync"))
        session.commit()

    assert ["async"] == seen
    assert ["async", "sync"] == await app.names()


def test_a_stream_of_the_plugins_sync_session(
    app: Application, isolation: Isolation
) -> None:
    """A server's cursor, without a loop."""
    asyncio.run(app.add(*"abcdefghij"))
    query = select(app.User.name).order_by(app.User.name)
    with Session(isolation.sync_engine) as session:
        rows = list(session.scalars(query.execution_options(yield_per=3)))

    assert list("abcdefghij") == rows


def test_a_coroutine_function_is_run_from_sync_code(
    app: Application, isolation: Isolation
) -> None:
    """`db_run`: on a loop of its own."""
    isolation.run(app.add, "first", "second")

    assert ["first", "second"] == isolation.run(app.names)


async def test_a_coroutine_function_is_run_from_sync_code_in_a_loop(
    app: Application, isolation: Isolation
) -> None:
    """`db_run` inside of a running loop, in a thread that this one waits for."""
    await app.add("async")
    isolation.run(app.add, "run")

    assert ["async", "run"] == isolation.run(app.names)


async def test_a_coroutine_function_is_run_beside_an_open_transaction(
    app: Application, isolation: Isolation
) -> None:
    """The open transaction of the blocked loop is nested in, not waited for."""
    async with app.sessions() as session:
        session.add(app.User(name="open"))
        await session.flush()
        isolation.run(app.add, "run")
        await session.commit()

    assert ["open", "run"] == await app.names()


def test_an_error_comes_out_of_db_run(isolation: Isolation) -> None:
    """As it was raised, with its traceback."""

    async def fail(message: str) -> None:
        raise ValueError(message)

    with pytest.raises(ValueError, match="no such thing"):
        isolation.run(fail, "no such thing")


@pytest.fixture
def current_loop() -> Iterator[asyncio.AbstractEventLoop]:
    """The loop that the test's thread has set as its current one."""
    loop = asyncio.new_event_loop()
    asyncio.set_event_loop(loop)
    yield loop
    asyncio.set_event_loop(None)
    loop.close()


def test_db_run_leaves_the_threads_current_loop_alone(
    current_loop: asyncio.AbstractEventLoop, app: Application, isolation: Isolation
) -> None:
    """Suites that keep a loop by `set_event_loop` find it again."""
    isolation.run(app.add, "run")

    assert current_loop is asyncio.get_event_loop()
    assert ["run"] == current_loop.run_until_complete(app.names())


def test_opening_leaves_the_threads_current_loop_alone(
    current_loop: asyncio.AbstractEventLoop, database: Database, bridge: str
) -> None:
    """So does the first test, which connects and asks the server what it is."""
    isolation = isolate(database, bridge=bridge)
    isolation.install()
    isolation.open("the first")
    isolation.close()
    isolation.uninstall()

    assert current_loop is asyncio.get_event_loop()


@on_servers
def test_a_thread_may_block_while_the_loop_of_the_test_uses_the_database(
    app: Application, isolation: Isolation
) -> None:
    """Sync and async statements take turns; nobody starves."""
    done = threading.Event()
    counts = {"sync": 0, "async": 0}

    def work() -> None:
        while not done.is_set():
            with isolation.sync_engine.connect() as connection:
                connection.execute(text(app.sleeping(0.002)))
            counts["sync"] += 1

    async def test() -> None:
        thread = asyncio.create_task(asyncio.to_thread(work))
        for _ in range(20):
            await app.sleep(0.002)
            counts["async"] += 1
        done.set()
        await thread

    asyncio.run(test())

    assert 20 == counts["async"]
    assert 5 < counts["sync"]
