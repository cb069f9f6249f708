"""Connections and sessions that a test leaves open."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import pytest
from sqlalchemy import select

from pytest_asyncdb.errors import FinishedTest

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.isolation.conftest import Application, Ending

    NextTest = Callable[..., None]

HERE = "test_leaks.py"


async def test_a_session_left_open_is_reported_with_its_place(
    app: Application, ending: Ending
) -> None:
    """Not fatal; says where it was opened and what helps."""
    ending.leak(rf"(?s)left open.*{HERE}.*what helps:.*async with")
    session = app.session()
    await session.scalars(select(app.User))
    app.keep = session  # type: ignore[attr-defined]


async def test_a_connection_left_open_is_reported_with_its_place(
    app: Application, ending: Ending
) -> None:
    """The function that took it is named."""
    ending.leak(rf"{HERE}:\d+ in .*forgetful")

    async def forgetful() -> Any:
        return await app.engine.connect()

    app.keep = await forgetful()  # type: ignore[attr-defined]


async def test_each_connection_is_reported_once(
    app: Application, ending: Ending
) -> None:
    """Three were taken, one was given back."""
    ending.leak("left open")
    ending.leak("left open")
    kept = [await app.engine.connect() for _ in range(3)]
    await kept.pop().close()
    app.keep = kept  # type: ignore[attr-defined]


async def test_a_session_with_uncommitted_rows_is_a_leak_and_no_more(
    app: Application, ending: Ending
) -> None:
    """Its rows go with the test."""
    ending.leak("left open")
    app.keep = await app.flushed("uncommitted")  # type: ignore[attr-defined]


async def test_a_session_that_was_closed_is_none(app: Application) -> None:
    """Also one that failed, or was cancelled, on the way."""
    for _ in range(3):
        async with app.session() as session:
            await session.scalars(select(app.User))


def test_a_leaked_session_used_in_the_next_test(
    app: Application, ending: Ending, next_test: NextTest
) -> None:
    """It is told which test it belongs to, and nothing is written."""

    async def leak() -> Any:
        return await app.flushed("first")

    async def use(session: Any) -> None:
        session.add(app.User(name="late"))
        await session.flush()

    session = asyncio.run(leak())
    ending.leak("left open")
    next_test()
    with pytest.raises(FinishedTest, match="test_a_leaked_session_used") as caught:
        asyncio.run(use(session))
    asyncio.run(session.close())

    assert caught.value.remedies
    assert [] == asyncio.run(app.names())


def test_a_leaked_session_is_rolled_back_or_closed_in_the_next_test(
    app: Application, ending: Ending, next_test: NextTest
) -> None:
    """That ends nothing of the next test's."""

    async def leak() -> list[Any]:
        return [await app.flushed("one"), await app.flushed("two")]

    async def end(sessions: list[Any]) -> None:
        held = await app.flushed("held")
        await sessions[0].rollback()
        await sessions[1].commit()
        for session in sessions:
            await session.close()
        await held.commit()
        await held.close()

    sessions = asyncio.run(leak())
    ending.leak("left open")
    ending.leak("left open")
    next_test()
    asyncio.run(end(sessions))

    assert ["held"] == asyncio.run(app.names())
