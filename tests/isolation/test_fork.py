"""A forked child has its parent's socket: it must not use it."""

from __future__ import annotations

import asyncio
import os
import warnings
from typing import TYPE_CHECKING

import pytest
from sqlalchemy import text

from pytest_asyncdb.errors import IsolationError

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.isolation.conftest import Application


def in_child(work: Callable[[], object]) -> str:
    """Run `work` in a forked child; the name of its error, or what it returned."""
    reader, writer = os.pipe()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        pid = os.fork()
    if pid == 0:
        try:
            answer = f"returned {work()}"
        except BaseException as error:  # noqa: BLE001 - the parent is told which
            answer = (
                "refused" if isinstance(error, IsolationError) else f"raised {error!r}"
            )
        os.write(writer, answer.encode()[:4000])
        os._exit(0)
    os.close(writer)
    with os.fdopen(reader, "rb") as pipe:
        answer = pipe.read().decode()
    os.waitpid(pid, 0)
    return answer


def test_a_child_cannot_write(app: Application) -> None:
    """With a loop of its own, on the engine it inherited."""
    asyncio.run(app.add("parent"))

    assert "refused" == in_child(lambda: asyncio.run(app.add("child")))
    assert ["parent"] == asyncio.run(app.names())


def test_a_child_cannot_use_an_engine_of_its_own(
    app: Application, make_app: Callable[..., Application]
) -> None:
    """What it makes would be captured too."""
    asyncio.run(app.add("parent"))

    assert "refused" == in_child(lambda: asyncio.run(make_app().add("child")))
    assert ["parent"] == asyncio.run(app.names())


def test_a_child_cannot_go_on_with_a_session_it_inherited(app: Application) -> None:
    """Neither statement, nor commit, nor the rollback of a session reach the parent."""
    with asyncio.Runner() as runner:
        session = runner.run(app.flushed("parent"))

        def statement() -> object:
            return asyncio.run(session.execute(text("SELECT 1")))

        assert "refused" == in_child(statement)
        in_child(lambda: asyncio.run(session.commit()))
        in_child(lambda: asyncio.run(session.close()))
        runner.run(session.rollback())
        runner.run(session.close())

    assert [] == asyncio.run(app.names())


def test_a_child_that_ends_disturbs_nothing(app: Application) -> None:
    """Its garbage collector finds the parent's connections."""

    async def work() -> None:
        session = await app.flushed("held")
        assert "returned None" == in_child(lambda: None)
        await session.commit()
        await session.close()

    asyncio.run(work())

    assert ["held"] == asyncio.run(app.names())


@pytest.mark.parametrize("kind", ["asyncpg", "psycopg"])
def test_a_child_that_exits_in_the_ordinary_way(app: Application) -> None:
    """Interpreter shutdown with all finalisers, not only `os._exit`."""
    asyncio.run(app.add("parent"))

    def leave() -> object:
        import gc

        gc.collect()
        return None

    assert "returned None" == in_child(leave)
    asyncio.run(app.add("later"))

    assert ["later", "parent"] == asyncio.run(app.names())
