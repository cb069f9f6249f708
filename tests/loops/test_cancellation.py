"""A statement that is given up: the connection stays, and the next statement works."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import itertools
import os
import signal
import threading
import time
from typing import TYPE_CHECKING

import pytest
import uvloop
from sqlalchemy import text

from pytest_asyncdb.errors import StatementInFlight
from pytest_asyncdb.isolation._bridge import await_
from pytest_asyncdb.isolation._thread import ThreadLoop
from tests.loops.conftest import GUARD_SECONDS, on_servers

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from pytest_asyncdb.isolation import Isolation
    from tests.loops.conftest import Application


_COLLECTED = "ignore:.*coroutine.*:pytest.PytestUnraisableExceptionWarning"
"""SQLAlchemy's coroutines do not like to be closed by the garbage collector."""


@contextlib.contextmanager
def _soon(seconds: float, do: Callable[[], object]) -> Iterator[None]:
    """Do something from a thread, while the block runs."""
    timer = threading.Timer(seconds, do)
    timer.start()
    try:
        yield
    finally:
        timer.cancel()
        timer.join()


def _interrupt() -> None:
    """Ctrl-C."""
    os.kill(os.getpid(), signal.SIGINT)


@on_servers
@pytest.mark.parametrize("run", [asyncio.run, uvloop.run], ids=["asyncio", "uvloop"])
def test_a_timeout_ends_the_statement_and_keeps_the_connection(
    app: Application, isolation: Isolation, run: Callable[..., object]
) -> None:
    """What the cancelled transaction wrote is gone, what others wrote is not."""

    async def test() -> list[str]:
        await app.add("kept")
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(0.1), app.sessions() as session:
                session.add(app.User(name="dropped"))
                await session.flush()
                await session.execute(text(app.sleeping(30)))
        await app.add("after")
        return await app.names()

    connection = isolation._link._real
    began = time.monotonic()

    assert ["after", "kept"] == run(test())
    assert 10 > time.monotonic() - began
    assert connection is isolation._link._real


@on_servers
def test_a_transaction_whose_statement_was_cancelled_can_be_rolled_back_and_used(
    app: Application,
) -> None:
    """The session of the cancelled statement itself works again after a rollback."""

    async def test() -> list[str]:
        async with app.sessions() as session:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(0.05):
                    await session.execute(text(app.sleeping(30)))
            await session.rollback()
            session.add(app.User(name="again"))
            await session.commit()
        return await app.names()

    assert ["again"] == asyncio.run(test())


@on_servers
def test_a_task_that_is_cancelled_twice_waits_for_the_end_of_its_statement(
    app: Application,
) -> None:
    """The second cancellation comes while the server is told of the first."""

    async def test() -> list[str]:
        task = asyncio.create_task(app.sleep(30))
        await asyncio.sleep(0.05)
        for _ in range(3):
            task.cancel()
            await asyncio.sleep(0)
        await app.add("after")
        with contextlib.suppress(asyncio.CancelledError):
            await task
        return await app.names()

    assert ["after"] == asyncio.run(test())


@on_servers
def test_ten_statements_that_are_cancelled_at_once(app: Application) -> None:
    """One is on its way, nine wait for it; the next statement works."""

    async def test() -> list[str]:
        tasks = [asyncio.create_task(app.sleep(30)) for _ in range(10)]
        await asyncio.sleep(0.05)
        for task in tasks:
            task.cancel()
        await asyncio.wait(tasks)
        await app.add("after")
        return await app.names()

    assert ["after"] == asyncio.run(test())


def test_cancelling_at_any_moment_harms_nobody_else(app: Application) -> None:
    """Tasks that are cancelled after ever more turns of the loop."""

    async def test() -> list[str]:
        for turns in range(30):
            task = asyncio.create_task(app.add(f"cancelled{turns}"))
            for _ in range(turns):
                await asyncio.sleep(0)
            task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await task
            await app.add(f"after{turns:02}")
        return [name for name in await app.names() if name.startswith("after")]

    assert [f"after{turns:02}" for turns in range(30)] == asyncio.run(test())


@pytest.mark.parametrize("kind", ["memory", "file"])
def test_a_statement_of_sqlite_that_was_cancelled(
    app: Application, isolation: Isolation
) -> None:
    """SQLite works on to the end of it; the next statement comes after that."""
    numbers = "SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 300000"
    query = f"WITH RECURSIVE n(i) AS ({numbers}) SELECT count(*) FROM n"

    async def test() -> list[str]:
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(0.01), app.engine.connect() as connection:
                await connection.execute(text(query))
        await app.add("after")
        return await app.names()

    assert ["after"] == asyncio.run(test())
    assert isolation._link.is_open


# ----------------------------------------------------------------- loops that vanish
@contextlib.contextmanager
def _abandoned(app: Application, *, writes: bool = False) -> Iterator[None]:
    """While a task hangs in a statement, on a loop that has been closed.

    The collector ends it in the end, and only here: within another of SQLAlchemy's
    greenlets its GeneratorExit comes out of that one.
    """
    loop = asyncio.new_event_loop()
    task = loop.create_task(app.sleep(30, writes=writes))
    task._log_destroy_pending = False  # type: ignore[attr-defined]
    loop.call_later(0.1, loop.stop)
    gc.disable()
    loop.run_forever()
    loop.close()
    yield
    del task
    gc.collect()
    gc.enable()


@on_servers
@pytest.mark.filterwarnings(_COLLECTED)
@pytest.mark.parametrize("writes", [False, True])
def test_a_statement_whose_loop_was_closed_ends_with_its_test(
    app: Application, isolation: Isolation, *, writes: bool
) -> None:
    """Others are refused at once; the test is told, and the next one works."""
    began = time.monotonic()
    with _abandoned(app, writes=writes):
        with pytest.raises(StatementInFlight, match=r"(?s)its loop.*test_cancel"):
            asyncio.run(app.add("after"))
        findings = isolation.close()
        isolation.open("the next")
        names = asyncio.run(_added(app, "next"))

    assert any(each.fatal for each in findings)
    assert ["next"] == names
    assert 10 > time.monotonic() - began


@on_servers
@pytest.mark.filterwarnings(_COLLECTED)
def test_a_statement_whose_task_was_collected_ends_with_its_test(
    app: Application, isolation: Isolation
) -> None:
    """The garbage collector closes it; the test is told, and the next one works."""
    began = time.monotonic()
    with _abandoned(app):
        pass
    findings = isolation.close()
    isolation.open("the next")

    assert any(each.fatal for each in findings)
    assert ["next"] == asyncio.run(_added(app, "next"))
    assert 10 > time.monotonic() - began


async def _added(app: Application, name: str) -> list[str]:
    await app.add(name)
    return await app.names()


@on_servers
def test_a_test_that_ends_with_a_statement_on_its_way(
    app: Application, isolation: Isolation
) -> None:
    """The test is told, and the next one works; nothing waits for the statement."""
    loop = asyncio.new_event_loop()
    task = loop.create_task(app.sleep(30))
    loop.call_later(0.1, loop.stop)
    loop.run_forever()
    began = time.monotonic()
    findings = isolation.close()
    isolation.open("the next")
    took = time.monotonic() - began
    names = asyncio.run(_added(app, "next"))
    task.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        loop.run_until_complete(task)
    loop.close()

    assert any(each.fatal for each in findings)
    assert ["next"] == names
    assert 10 > took


# ------------------------------------------------------------------------ Ctrl-C
def _interrupted(seconds: float, work: Callable[[], object]) -> None:
    """Press Ctrl-C so long after the work has begun, which it does not survive."""
    with pytest.raises(KeyboardInterrupt), _soon(seconds, _interrupt):
        work()


def _endless(isolation: Isolation, *statements: str) -> None:
    """Run statements of a sync transaction, over and over."""
    with isolation.sync_engine.begin() as connection:
        for statement in itertools.cycle(statements):
            connection.execute(text(statement))


@on_servers
def test_ctrl_c_in_a_blocking_statement(app: Application, isolation: Isolation) -> None:
    """The statement ends on the server, and the next one works."""
    began = time.monotonic()
    _interrupted(0.1, lambda: _endless(isolation, app.sleeping(30)))

    assert ["after"] == asyncio.run(_added(app, "after"))
    assert 10 > time.monotonic() - began


@on_servers
def test_ctrl_c_in_a_blocking_statement_after_a_write(
    app: Application, isolation: Isolation
) -> None:
    """What the interrupted transaction wrote is gone, what others wrote is not."""
    insert = "INSERT INTO users (name) VALUES ('dropped')"
    asyncio.run(app.add("kept"))
    _interrupted(0.1, lambda: _endless(isolation, insert, app.sleeping(30)))

    assert ["after", "kept"] == asyncio.run(_added(app, "after"))


@on_servers
def test_ctrl_c_in_asyncio_run(app: Application) -> None:
    """The main task is cancelled; the connection is there for the next one."""
    _interrupted(0.1, lambda: asyncio.run(app.sleep(30)))

    assert ["after"] == asyncio.run(_added(app, "after"))


@on_servers
def test_ctrl_c_leaves_the_next_test_a_connection(
    app: Application, isolation: Isolation
) -> None:
    """A test that was interrupted is rolled back as any other."""
    asyncio.run(app.add("dropped"))
    _interrupted(0.1, lambda: _endless(isolation, app.sleeping(30)))
    isolation.close()
    isolation.open("the next")

    assert ["next"] == asyncio.run(_added(app, "next"))


@pytest.mark.filterwarnings("ignore:.*garbage collector.*")
@pytest.mark.filterwarnings("ignore:Exception ignored in")
@pytest.mark.parametrize("milliseconds", [1, 2, 5, 10])
def test_ctrl_c_at_any_moment_leaves_the_next_test_a_connection(
    app: Application, isolation: Isolation, milliseconds: int
) -> None:
    """Wherever it strikes in a row of blocking statements, in any code.

    Python drops one that strikes in a weak reference's callback: press it again.
    """
    with _soon(2, _interrupt):
        _interrupted(milliseconds / 1000, lambda: _endless(isolation, "SELECT 1"))
    isolation.close()
    isolation.open("the next")

    assert ["next"] == asyncio.run(_added(app, "next"))


def test_ctrl_c_right_after_the_start_ends_the_statement(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Before anybody waits for it; else it would meet the next one's."""
    bridge = ThreadLoop()
    real: Callable[..., object] = bridge._loop.call_soon_threadsafe
    began, ended = threading.Event(), list[bool]()

    def work() -> None:
        began.set()
        try:
            await_(asyncio.sleep(GUARD_SECONDS))
        finally:
            ended.append(True)

    def struck(callback: Callable[..., object], *arguments: object) -> None:
        real(callback, *arguments)
        monkeypatch.undo()
        began.wait()
        raise KeyboardInterrupt

    monkeypatch.setattr(bridge._loop, "call_soon_threadsafe", struck)
    with pytest.raises(KeyboardInterrupt):
        bridge.block(work)
    found = list(ended)
    bridge.close()

    assert [True] == found
