"""Many transactions at once on the one connection: every row as on a real server."""

from __future__ import annotations

import asyncio
import contextvars
import gc
import time
from functools import partial
from typing import TYPE_CHECKING

import pytest
from sqlalchemy import delete, func, insert, select, text, update

if TYPE_CHECKING:
    from tests.isolation.conftest import Application

TWENTY = [f"g{i:02}" for i in range(20)]


async def test_gather_of_twenty_sessions_keeps_twenty_rows(app: Application) -> None:
    """Twenty sessions at once insert and commit; all twenty rows are there."""
    await asyncio.gather(*(app.add(name) for name in TWENTY))

    assert TWENTY == await app.names()


async def test_gather_under_an_open_transaction_keeps_all_rows(
    app: Application,
) -> None:
    """Twenty sessions commit while another one holds a row, which it then commits."""
    session = await app.flushed("held")
    await asyncio.gather(*(app.add(name) for name in TWENTY))
    await session.commit()
    await session.close()

    assert [*TWENTY, "held"] == await app.names()


async def test_twenty_sessions_that_read_pause_write_and_half_of_which_roll_back(
    app: Application,
) -> None:
    """What was rolled back is gone, what was committed is there, whatever the order."""

    async def work(number: int) -> None:
        async with app.session() as session:
            await session.scalars(select(app.User.name))
            await asyncio.sleep(0.001 * (number % 3))
            session.add(app.User(name=TWENTY[number]))
            await session.flush()
            await asyncio.sleep(0.001)
            await (session.commit() if number % 2 else session.rollback())

    await asyncio.gather(*(work(number) for number in range(20)))

    assert TWENTY[1::2] == await app.names()


async def test_a_loop_in_an_executor_writes_while_a_session_holds_rows(
    app: Application,
) -> None:
    """No context reaches an executor's thread; its transaction nests after a while."""
    session = await app.flushed("held")
    loop = asyncio.get_running_loop()
    await loop.run_in_executor(None, lambda: asyncio.run(app.add("thread")))
    await session.commit()
    await session.close()

    assert ["held", "thread"] == await app.names()


async def test_hand_over_by_an_event_in_the_middle_of_a_transaction(
    app: Application,
) -> None:
    """A waits in its transaction for C, which waits for nothing of A's any more."""
    first, second = asyncio.Event(), asyncio.Event()

    async def a() -> None:
        session = await app.flushed("a")
        first.set()
        await second.wait()
        await session.commit()
        await session.close()

    async def c() -> None:
        await first.wait()
        async with app.session() as session:
            session.add(app.User(name="c"))
            await session.flush()
            second.set()
            session.add(app.User(name="c2"))
            await session.commit()

    await asyncio.gather(a(), c())

    assert ["a", "c", "c2"] == await app.names()


async def test_a_worker_writes_at_once_while_a_reader_idles(app: Application) -> None:
    """A transaction that has only read holds nothing: nobody waits 20 turns for it."""
    go, took = asyncio.Event(), 1.0

    async def worker(name: str) -> float:
        await go.wait()
        began = time.perf_counter()
        await app.add(name)
        return time.perf_counter() - began

    for name in "abc":
        go.clear()
        task = asyncio.create_task(worker(name))
        async with app.session() as session:
            await session.scalars(select(app.User.name))
            go.set()
            took = min(took, await task)

    assert 0.1 > took
    assert ["a", "b", "c"] == await app.names()


async def test_a_reader_goes_on_after_others_have_written(app: Application) -> None:
    """It had given up its savepoint; it reads the new row and then writes itself."""
    async with app.session() as session:
        assert 0 == await session.scalar(select(func.count()).select_from(app.User))
        await app.add("other")
        assert 1 == await session.scalar(select(func.count()).select_from(app.User))
        session.add(app.User(name="mine"))
        await session.commit()

    assert ["mine", "other"] == await app.names()


async def test_a_reader_that_others_wrote_over_may_roll_back(app: Application) -> None:
    """The end of a transaction without writes takes nothing along."""
    async with app.session() as session:
        await session.scalars(select(app.User))
        await app.add("kept")
        await session.rollback()

    assert ["kept"] == await app.names()


async def test_the_outer_commits_first_then_the_inner(app: Application) -> None:
    """Overlapping transactions may be committed in the order of their beginning."""
    outer, inner = await app.flushed("outer"), await app.flushed("inner")
    await outer.commit()
    await inner.commit()
    await outer.close()
    await inner.close()

    assert ["inner", "outer"] == await app.names()


async def test_the_outer_commits_and_the_inner_rolls_back(app: Application) -> None:
    """The committed row of the outer one stays when the inner one ends after it."""
    outer, inner = await app.flushed("outer"), await app.flushed("inner")
    await outer.commit()
    await inner.rollback()
    await outer.close()
    await inner.close()

    assert ["outer"] == await app.names()


async def test_both_roll_back_in_the_reverse_order(app: Application) -> None:
    """Nothing is left of either, and the next one starts from nothing."""
    outer, inner = await app.flushed("outer"), await app.flushed("inner")
    await inner.rollback()
    await outer.rollback()
    await outer.close()
    await inner.close()
    await app.add("inner")

    assert ["inner"] == await app.names()


@pytest.mark.parametrize("order", ["012", "021", "102", "120", "201", "210"])
async def test_three_that_overlap_commit_in_every_order(
    app: Application, order: str
) -> None:
    """Each writes before and after the others; every order keeps all rows."""
    sessions = [await app.flushed(f"{number}a") for number in range(3)]
    for number in (1, 0, 2):
        sessions[number].add(app.User(name=f"{number}b"))
        await sessions[number].flush()
    for number in map(int, order):
        await sessions[number].commit()
        await sessions[number].close()

    assert ["0a", "0b", "1a", "1b", "2a", "2b"] == await app.names()


@pytest.mark.filterwarnings("ignore:The garbage collector")
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
async def test_a_session_that_was_dropped_does_not_stop_the_next_task(
    app: Application,
) -> None:
    """Its row is rolled back, as the pool would do, and another task goes on."""

    async def drop() -> None:
        session = app.session()
        session.add(app.User(name="dropped"))
        await session.flush()

    await asyncio.create_task(drop())
    gc.collect()
    await asyncio.create_task(app.add("after"), context=contextvars.Context())

    assert ["after"] == await app.names()


async def test_flush_under_wait_for_is_the_same_transaction(app: Application) -> None:
    """Python 3.11 runs it in a task of its own, while the holder is still alive."""
    session = app.session()
    session.add(app.User(name="first"))
    await asyncio.wait_for(session.flush(), 3)
    await app.add("other")
    await session.commit()
    await session.close()

    assert ["first", "other"] == await app.names()


async def test_a_write_waits_while_another_task_is_about_to_end(
    app: Application,
) -> None:
    """A holder that pauses for a few turns and rolls back takes nothing along."""
    wrote = asyncio.Event()

    async def undecided() -> None:
        async with app.session() as session:
            session.add(app.User(name="undecided"))
            await session.flush()
            wrote.set()
            await asyncio.sleep(0.01)
            await session.rollback()

    task = asyncio.create_task(undecided())
    await wrote.wait()
    await app.add("decided")
    await task

    assert ["decided"] == await app.names()


async def test_a_blocked_loop_does_not_count_as_turns(app: Application) -> None:
    """The holder computes for 0.3 s without a turn of the loop, then rolls back."""
    wrote = asyncio.Event()

    async def busy() -> None:
        async with app.session() as session:
            session.add(app.User(name="busy"))
            await session.flush()
            wrote.set()
            await asyncio.sleep(0)
            time.sleep(0.3)  # noqa: ASYNC251 - that it blocks is the case
            await session.rollback()

    task = asyncio.create_task(busy())
    await wrote.wait()
    await app.add("patient")
    await task

    assert ["patient"] == await app.names()


async def test_the_holder_in_the_same_task_is_not_waited_for(app: Application) -> None:
    """It cannot go on before the one that waits does."""
    holder = await app.flushed("holder")
    began = time.perf_counter()
    for name in "abcde":
        await app.add(name)
    took = time.perf_counter() - began
    await holder.commit()
    await holder.close()

    assert 0.4 > took
    assert ["a", "b", "c", "d", "e", "holder"] == await app.names()


async def test_uncommitted_rows_are_seen_by_other_sessions(app: Application) -> None:
    """A documented limit: one connection has no read isolation."""
    async with app.session() as session:
        session.add(app.User(name="uncommitted"))
        await session.flush()

        assert ["uncommitted"] == await app.names()
        await session.commit()


async def test_updates_and_deletes_of_two_tasks(app: Application) -> None:
    """Each changes what it inserted and commits: both results are there."""

    async def work(name: str, statement: object) -> None:
        async with app.session() as session:
            await session.execute(insert(app.User).values(name=name))
            await asyncio.sleep(0)
            await session.execute(statement)  # type: ignore[call-overload]
            await session.commit()

    renamed = update(app.User).where(app.User.name == "a").values(name="a2")
    removed = delete(app.User).where(app.User.name == "b")
    await asyncio.gather(work("a", renamed), work("b", removed))

    assert ["a2"] == await app.names()


async def test_engine_begin_and_connect_beside_a_session(app: Application) -> None:
    """Connections of Core and sessions of the ORM share the test's transaction."""
    session = await app.flushed("orm")
    async with app.engine.begin() as connection:
        await connection.execute(
            text("INSERT INTO users (id, name) VALUES (-1, 'core')")
        )
    async with app.engine.connect() as connection:
        await connection.execute(
            text("INSERT INTO users (id, name) VALUES (-2, 'not')")
        )
    await session.commit()
    await session.close()

    assert ["core", "orm"] == await app.names()


async def test_a_rolled_back_application_goes_on_and_leaves_nothing(
    app: Application,
) -> None:
    """A rollback in application code, then commits; the observer sees no row."""
    async with app.session() as session:
        session.add(app.User(name="undone"))
        await session.flush()
        await session.rollback()
        session.add(app.User(name="later"))
        await session.commit()

    assert ["later"] == await app.names()


async def test_tasks_in_a_task_group_that_is_cancelled_leave_nothing(
    app: Application,
) -> None:
    """One of ten fails; the others are cancelled inside their transactions."""

    async def work(number: int) -> None:
        async with app.session() as session:
            session.add(app.User(name=TWENTY[number]))
            await session.flush()
            if number == 0:
                raise ZeroDivisionError
            await asyncio.sleep(30)

    async def all_of_them() -> None:
        async with asyncio.TaskGroup() as group:
            for number in range(10):
                group.create_task(work(number))

    with pytest.raises(ExceptionGroup):
        await all_of_them()
    await app.add("after")

    assert ["after"] == await app.names()


async def test_threads_with_loops_of_their_own_commit_at_once(app: Application) -> None:
    """Four threads run a loop each; all their rows are there."""
    work = [
        partial(asyncio.run, app.add(*TWENTY[start : start + 5]))
        for start in range(0, 20, 5)
    ]
    await asyncio.gather(*map(asyncio.to_thread, work))

    assert TWENTY == await app.names()


async def test_fifteen_busy_sessions_of_which_half_roll_back(app: Application) -> None:
    """Each waits for those that are busy, however long: no clock ends its patience."""

    async def work(number: int) -> None:
        async with app.session() as session:
            session.add(app.User(name=TWENTY[number]))
            await session.flush()
            for _ in range(8):
                await session.scalars(select(app.User.name))
                await asyncio.sleep(0.01)
            await (session.commit() if number % 2 else session.rollback())

    await asyncio.gather(*(work(number) for number in range(15)))

    assert TWENTY[1:15:2] == await app.names()
