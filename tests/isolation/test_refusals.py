"""Rollbacks that one connection cannot do without losing somebody's row: refused."""

from __future__ import annotations

import asyncio
import gc
from typing import TYPE_CHECKING

import pytest
from sqlalchemy import select, text
from sqlalchemy.exc import IntegrityError

from pytest_asyncdb.errors import RollbackRefused

if TYPE_CHECKING:
    from collections.abc import Callable

    from pytest_asyncdb.isolation import Isolation
    from tests.isolation.conftest import Application, Ending

HERE = "test_refusals.py"


async def test_the_outer_rolls_back_after_the_inner_has_committed(
    app: Application, ending: Ending
) -> None:
    """On a server the inner row stays; here it would vanish, so the test fails."""
    outer, inner = await app.flushed("outer"), await app.flushed("inner")
    await inner.commit()
    with pytest.raises(RollbackRefused):
        await outer.rollback()
    await inner.close()
    await outer.close()
    ending.fatal("cannot be rolled back")


async def test_the_refusal_names_both_transactions_and_where_they_were_opened(
    app: Application, ending: Ending
) -> None:
    """The cause names the one that rolls back, `tried` the one that wrote after it."""

    async def outer_work() -> None:
        session = await app.flushed("outer")
        await asyncio.create_task(inner_work())
        try:
            await session.rollback()
        finally:
            await session.close()

    async def inner_work() -> None:
        await app.add("inner")

    with pytest.raises(RollbackRefused) as caught:
        await outer_work()
    ending.fatal("cannot be rolled back")

    assert "outer_work" in caught.value.cause
    assert HERE in caught.value.cause
    assert "inner_work" in "".join(caught.value.tried)
    assert caught.value.remedies


async def test_a_writes_again_above_c_which_then_rolls_back(
    app: Application, ending: Ending
) -> None:
    """A's second row stands above C's savepoint and would vanish without a word."""
    a, c = await app.flushed("a1"), await app.flushed("c")
    a.add(app.User(name="a2"))
    await a.flush()
    with pytest.raises(RollbackRefused):
        await c.rollback()
    await a.close()
    await c.close()
    ending.fatal("cannot be rolled back")


async def test_a_writes_again_above_c_and_both_commit(app: Application) -> None:
    """The same without a rollback is no reason to refuse."""
    a, c = await app.flushed("a1"), await app.flushed("c")
    a.add(app.User(name="a2"))
    await a.flush()
    await c.commit()
    await a.commit()
    await a.close()
    await c.close()

    assert ["a1", "a2", "c"] == await app.names()


async def test_an_idle_holder_rolls_back_after_another_has_nested_in_it(
    app: Application, ending: Ending
) -> None:
    """The other waited, wrote and committed; then the holder wants to undo."""
    wrote, go = asyncio.Event(), asyncio.Event()

    async def holder() -> None:
        session = await app.flushed("holder")
        wrote.set()
        await go.wait()
        try:
            await session.rollback()
        finally:
            await session.close()

    task = asyncio.create_task(holder())
    await wrote.wait()
    await app.add("other")
    go.set()
    with pytest.raises(RollbackRefused):
        await task
    ending.fatal("cannot be rolled back")


async def test_the_applications_exception_is_the_context_of_the_refusal(
    app: Application, ending: Ending
) -> None:
    """`session.begin()` rolls back because of a ValueError, which is not lost."""
    with pytest.raises(RollbackRefused) as caught:  # noqa: PT012
        async with app.session() as session, session.begin():
            session.add(app.User(name="outer"))
            await session.flush()
            await app.add("inner")
            message = "of the application"
            raise ValueError(message)
    ending.fatal("cannot be rolled back")
    causes = []
    error: BaseException | None = caught.value
    while error is not None:
        causes.append(type(error))
        error = error.__context__

    assert ValueError in causes


async def test_after_a_refusal_every_statement_raises_it(
    app: Application, ending: Ending
) -> None:
    """An application that swallows the refusal gets it again, and so does the test."""
    outer = await app.flushed("outer")
    await app.add("inner")
    with pytest.raises(RollbackRefused):
        await outer.rollback()
    await outer.close()
    for _ in range(2):
        with pytest.raises(RollbackRefused):
            await app.names()
    with pytest.raises(RollbackRefused):
        await app.add("later")
    ending.fatal("cannot be rolled back")


async def test_a_refusal_that_is_swallowed_is_a_fatal_finding(
    app: Application, ending: Ending
) -> None:
    """Nothing is raised any more, and the end of the test says it all the same."""
    outer = await app.flushed("outer")
    await app.add("inner")
    try:
        await outer.rollback()
    except RollbackRefused:
        await outer.close()
    ending.fatal(r"(?s)cannot be rolled back.*tried:.*what helps:")


@pytest.mark.filterwarnings("ignore:The garbage collector")
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
async def test_a_refusal_in_the_garbage_collector_is_recorded(
    app: Application, ending: Ending
) -> None:
    """A session dropped under a committed one: raised by the next statement."""

    async def drop() -> None:
        session = app.session()
        session.add(app.User(name="dropped"))
        await session.flush()
        await app.add("inner")

    await asyncio.create_task(drop())
    gc.collect()
    with pytest.raises(RollbackRefused):
        await app.names()
    ending.fatal("cannot be rolled back")


def test_the_next_test_is_not_refused(
    app: Application, ending: Ending, next_test: Callable[..., None]
) -> None:
    """A refusal ends with the test that caused it."""

    async def refused() -> None:
        outer = await app.flushed("outer")
        await app.add("inner")
        with pytest.raises(RollbackRefused):
            await outer.rollback()
        await outer.close()

    asyncio.run(refused())
    ending.fatal("cannot be rolled back")
    next_test()
    asyncio.run(app.add("inner"))

    assert ["inner"] == asyncio.run(app.names())


async def test_a_statement_that_fails_under_a_committed_one(
    app: Application, ending: Ending
) -> None:
    """The rollback after an error is one as any other: the inner row would vanish."""
    outer = await app.flushed("outer")
    await app.add("inner")
    outer.add(app.User(name="inner"))
    with pytest.raises((IntegrityError, RollbackRefused)):
        await outer.flush()
    with pytest.raises(RollbackRefused):
        await app.names()
    await outer.close()
    ending.fatal("cannot be rolled back")


async def test_a_savepoint_that_another_wrote_in_is_not_rolled_back(
    app: Application, ending: Ending
) -> None:
    """ROLLBACK TO of the application follows the same rule."""
    outer = await app.flushed("outer")
    nested = await outer.begin_nested()
    outer.add(app.User(name="nested"))
    await outer.flush()
    await app.add("inner")
    with pytest.raises(RollbackRefused):
        await nested.rollback()
    await outer.close()
    ending.fatal("cannot be rolled back")


async def test_a_savepoint_above_what_another_wrote_is_rolled_back(
    app: Application,
) -> None:
    """It was set after the other's commit, so nothing of the other's is lost."""
    outer = await app.flushed("outer")
    await app.add("inner")
    async with outer.begin_nested() as nested:
        outer.add(app.User(name="undone"))
        await outer.flush()
        await nested.rollback()
    outer.add(app.User(name="more"))
    await outer.commit()
    await outer.close()

    assert ["inner", "more", "outer"] == await app.names()


async def test_an_outer_one_rolls_back_after_an_inner_one_that_undid_its_rows(
    app: Application,
) -> None:
    """A write that was itself rolled back is nobody's loss."""
    outer = await app.flushed("outer")
    async with app.session() as inner:
        await inner.scalars(select(app.User))
        nested = await inner.begin_nested()
        inner.add(app.User(name="undone"))
        await inner.flush()
        await nested.rollback()
        await inner.commit()
    await outer.rollback()
    await outer.close()
    await app.add("outer")

    assert ["outer"] == await app.names()


async def test_an_outer_one_rolls_back_after_an_inner_one_that_only_read(
    app: Application,
) -> None:
    """Reads of others inside a transaction are no reason to refuse its end."""
    outer = await app.flushed("outer")
    assert ["outer"] == await app.names()
    await outer.rollback()
    await outer.close()

    assert [] == await app.names()


async def test_an_inner_one_that_is_still_open_when_the_outer_one_rolls_back(
    app: Application, ending: Ending
) -> None:
    """Its row would vanish under it, whether it then commits or not."""
    outer, inner = await app.flushed("outer"), await app.flushed("inner")
    with pytest.raises(RollbackRefused):
        await outer.rollback()
    await inner.close()
    await outer.close()
    ending.fatal("cannot be rolled back")


async def test_the_plugin_closes_a_session_with_uncommitted_work(
    app: Application, isolation: Isolation
) -> None:
    """The end of a fixture's session is neither a leak nor an end out of order."""
    session = isolation.sessionmaker()
    session.add(app.User(name="mine"))
    await session.flush()
    await app.add("the application's")
    isolation.close_session(session)

    assert ["mine", "the application's"] == await app.names()


async def test_the_plugin_closes_a_session_and_its_rows_are_gone(
    app: Application, isolation: Isolation
) -> None:
    """Where nothing stands above, closing it rolls back as always."""
    session = isolation.sessionmaker()
    session.add(app.User(name="mine"))
    await session.flush()
    isolation.close_session(session)

    assert [] == await app.names()


async def test_a_thread_that_rolls_back_over_the_tests_row(
    app: Application, ending: Ending
) -> None:
    """A refusal is raised in the thread whose rollback it is."""

    async def work() -> None:
        session = await app.flushed("thread")
        await asyncio.to_thread(asyncio.run, app.add("inner"))
        try:
            await session.rollback()
        finally:
            await session.close()

    with pytest.raises(RollbackRefused):
        await asyncio.to_thread(asyncio.run, work())
    ending.fatal("cannot be rolled back")


async def test_core_connections_follow_the_same_rule(
    app: Application, ending: Ending
) -> None:
    """`engine.connect()` closed without commit rolls back, and is refused alike."""
    connection = await app.engine.connect()
    await connection.execute(text("INSERT INTO users (name) VALUES ('outer')"))
    await app.add("inner")
    with pytest.raises(RollbackRefused):
        await connection.rollback()
    await connection.close()
    ending.fatal("cannot be rolled back")
