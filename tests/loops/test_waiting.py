"""Waiting for the one connection: nobody hangs, and nobody's loop stands still."""

from __future__ import annotations

import asyncio
import gc
import time
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Final

import uvloop
from sqlalchemy import text

from tests.loops.conftest import on_servers

if TYPE_CHECKING:
    from pytest_asyncdb.isolation import Isolation
    from tests.loops.conftest import Application

ALIVE: Final = 3
"""More ticks than a loop has that stands still, fewer than one on a busy machine."""


async def _ticks(seconds: float) -> int:
    """How often a task runs that sleeps 10 ms each time, in so many seconds.

    The garbage collector, which goes through all of pytest, stops it for longer.
    """
    gc.collect()
    gc.disable()
    try:
        end, ticks = time.monotonic() + seconds, 0
        while time.monotonic() < end:
            await asyncio.sleep(0.01)
            ticks += 1
        return ticks
    finally:
        gc.enable()


@on_servers
def test_the_loop_lives_while_the_server_works(app: Application) -> None:
    """Other tasks run on while a statement takes its time."""

    async def test() -> int:
        ticks, _ = await asyncio.gather(_ticks(0.2), app.sleep(0.2))
        return ticks

    assert ALIVE < asyncio.run(test())


@on_servers
def test_a_loop_in_c_lives_while_the_server_works(app: Application) -> None:
    """The same on uvloop."""

    async def test() -> int:
        ticks, _ = await asyncio.gather(_ticks(0.2), app.sleep(0.2))
        return ticks

    assert ALIVE < uvloop.run(test())


@on_servers
def test_a_loop_lives_while_it_waits_for_the_statement_of_another(
    app: Application,
) -> None:
    """A queued statement blocks its own loop no more than one that runs."""

    async def test() -> int:
        await asyncio.sleep(0.05)
        ticks, _ = await asyncio.gather(_ticks(0.15), app.add("after"))
        return ticks

    with ThreadPoolExecutor(1) as pool:
        slow = pool.submit(asyncio.run, app.sleep(0.25))
        ticks = asyncio.run(test())
        slow.result()

    assert ALIVE < ticks


@on_servers
def test_a_statement_waits_for_the_slow_one_of_another_thread(app: Application) -> None:
    """One connection takes one statement at a time; the second comes right after."""
    with ThreadPoolExecutor(1) as pool:
        slow = pool.submit(asyncio.run, app.sleep(0.3))
        time.sleep(0.1)
        began = time.monotonic()
        asyncio.run(app.add("after"))
        waited = time.monotonic() - began
        slow.result()

    assert 0.1 < waited < 0.6


@on_servers
def test_a_sync_statement_waits_for_the_slow_one_of_another_thread(
    app: Application, isolation: Isolation
) -> None:
    """Without a loop too, and the slow one's loop goes on meanwhile."""
    with ThreadPoolExecutor(1) as pool:
        slow = pool.submit(asyncio.run, app.sleep(0.3))
        time.sleep(0.1)
        with isolation.sync_engine.connect() as connection:
            answer = connection.scalar(text("SELECT 1"))
        slow.result()

    assert 1 == answer


@on_servers
def test_a_loop_lives_while_a_thread_without_loop_works(
    app: Application, isolation: Isolation
) -> None:
    """Sync code in an executor turns the connection's loop, not the test's."""

    def work() -> None:
        with isolation.sync_engine.connect() as connection:
            connection.execute(text(app.sleeping(0.2)))

    async def test() -> tuple[int, list[str]]:
        ticks, _ = await asyncio.gather(_ticks(0.2), asyncio.to_thread(work))
        return ticks, await app.names()

    ticks, names = asyncio.run(test())

    assert ALIVE < ticks
    assert [] == names


def test_twenty_transactions_at_once(app: Application) -> None:
    """Twenty sessions of one loop insert and commit."""

    async def test() -> list[str]:
        await asyncio.gather(*(app.add(f"{number:02}") for number in range(20)))
        return await app.names()

    assert [f"{number:02}" for number in range(20)] == asyncio.run(test())


def test_ten_transactions_at_once_on_each_of_three_loops(app: Application) -> None:
    """Tasks wait for those of other threads and for those of their own loop."""

    async def work(thread: int) -> None:
        await asyncio.gather(*(app.add(f"{thread}-{number}") for number in range(10)))

    with ThreadPoolExecutor(3) as pool:
        list(pool.map(lambda thread: asyncio.run(work(thread)), range(3)))

    assert 30 == len(asyncio.run(app.names()))


def test_threads_with_and_without_loops_at_once(
    app: Application, isolation: Isolation
) -> None:
    """Sync sessions, and async ones on two loops."""

    def sync(name: str) -> None:
        for number in range(10):
            with isolation.sync_engine.begin() as connection:
                connection.execute(
                    text("INSERT INTO users (name) VALUES (:name)"),
                    {"name": f"{name}{number}"},
                )

    def loop(name: str) -> None:
        asyncio.run(app.add(*(f"{name}{number}" for number in range(10))))

    with ThreadPoolExecutor(4) as pool:
        jobs = [
            pool.submit(work, name)
            for work, name in zip((sync, loop) * 2, "abcd", strict=True)
        ]
        for job in jobs:
            job.result()

    assert 40 == len(asyncio.run(app.names()))


def test_other_tasks_run_between_statements(app: Application) -> None:
    """A statement lets other tasks run, as it does on a connection of one's own."""
    order = []

    async def reader() -> None:
        for _ in range(3):
            await app.names()
            order.append("reader")

    async def other() -> None:
        for _ in range(3):
            await asyncio.sleep(0)
            order.append("other")

    async def test() -> None:
        await asyncio.gather(reader(), other())

    asyncio.run(test())

    assert "reader" == order[-1]
