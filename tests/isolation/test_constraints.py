"""Deferred constraints: COMMIT checks them, as on a real server."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError, IntegrityError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from pytest_asyncdb.isolation import Isolation
    from tests.isolation.conftest import Application, Ending

pytestmark = pytest.mark.parametrize("kind", ["asyncpg", "asyncpg-thread", "psycopg"])

DEFERRED = (
    "ALTER TABLE posts ADD CONSTRAINT late FOREIGN KEY (user_id) REFERENCES users (id) "
    "DEFERRABLE INITIALLY DEFERRED"
)
WITHOUT = "ALTER TABLE posts DROP CONSTRAINT posts_user_id_fkey"
ORPHAN = text("INSERT INTO posts (id, user_id) VALUES (1, 4711)")
POSTS = text("SELECT count(*) FROM posts")


@pytest.fixture
def own(
    kind: str, make_isolation: Callable[..., Isolation], ending: Ending
) -> Iterator[Isolation]:
    """An isolation whose schema has a deferred foreign key."""
    isolation = make_isolation(kind, extra=(WITHOUT, DEFERRED))
    isolation.open("a test with deferred constraints")
    yield isolation
    ending.check(isolation.close())


@pytest.fixture
def late(own: Isolation, make_app: Callable[..., Application]) -> Application:
    """An application on that schema."""
    return make_app(own._link.database.url)


async def test_commit_of_an_orphan_raises(late: Application) -> None:
    """With savepoints alone it would pass silently; and nothing is kept of it."""
    async with late.engine.connect() as connection:
        await connection.execute(ORPHAN)
        with pytest.raises(IntegrityError, match="late"):
            await connection.commit()
    async with late.engine.connect() as connection:
        assert 0 == await connection.scalar(POSTS)


async def test_commit_of_an_orm_session_raises(late: Application) -> None:
    """The session can be used again after its rollback."""
    async with late.session() as session:
        session.add(late.Post(id=1, user_id=4711))
        with pytest.raises(IntegrityError):
            await session.commit()
        await session.rollback()
        session.add(late.User(id=7, name="parent"))
        session.add(late.Post(id=1, user_id=7))
        await session.commit()

    assert ["parent"] == await late.names()


async def test_the_parent_may_come_later_in_the_transaction(late: Application) -> None:
    """That is what the constraint is deferred for."""
    async with late.engine.begin() as connection:
        await connection.execute(ORPHAN)
        await connection.execute(text("INSERT INTO users VALUES (4711, 'parent')"))
    async with late.engine.connect() as connection:
        assert 1 == await connection.scalar(POSTS)


async def test_an_orphan_that_was_rolled_back_hurts_nobody(late: Application) -> None:
    """Neither its own session nor the next commit of another one."""
    async with late.engine.connect() as connection:
        await connection.execute(ORPHAN)
        await connection.rollback()
    await late.add("fine")

    assert ["fine"] == await late.names()


async def test_an_orphan_in_a_savepoint_that_was_rolled_back(late: Application) -> None:
    """The rest of the transaction commits."""
    async with late.engine.begin() as connection:
        await connection.execute(text("INSERT INTO users VALUES (1, 'fine')"))
        nested = await connection.begin_nested()
        await connection.execute(ORPHAN)
        await nested.rollback()

    assert ["fine"] == await late.names()


async def test_releasing_a_savepoint_checks_nothing(late: Application) -> None:
    """Only COMMIT does, as on the server."""
    async with late.engine.connect() as connection:
        async with connection.begin_nested():
            await connection.execute(ORPHAN)
        with pytest.raises(IntegrityError):
            await connection.commit()


async def test_it_is_still_deferred_after_a_check(late: Application) -> None:
    """A commit's check leaves the constraint deferred for the next transaction."""
    await late.add("first")
    async with late.engine.begin() as connection:
        await connection.execute(ORPHAN)
        await connection.execute(text("INSERT INTO users VALUES (4711, 'parent')"))

    assert ["first", "parent"] == await late.names()


async def test_set_constraints_immediate_of_the_application(late: Application) -> None:
    """Within its transaction the statement itself fails."""
    async with late.engine.connect() as connection:
        await connection.execute(text("SET CONSTRAINTS ALL IMMEDIATE"))
        with pytest.raises(IntegrityError):
            await connection.execute(ORPHAN)
        await connection.rollback()
    async with late.engine.begin() as connection:
        await connection.execute(ORPHAN)
        await connection.execute(text("INSERT INTO users VALUES (4711, 'parent')"))


async def test_an_open_orphan_of_another_session_is_not_this_ones_error(
    late: Application,
) -> None:
    """A commits while B has an orphan to repair: it works, or the error names B."""
    async with late.engine.connect() as other:
        await other.execute(ORPHAN)
        answer = (await asyncio.gather(late.add("innocent"), return_exceptions=True))[0]
        await other.rollback()
    notes = "".join(getattr(getattr(answer, "orig", None), "__notes__", ()))

    assert answer is None or Path(__file__).name in notes + str(answer)


async def test_a_commit_without_writes_is_not_checked(
    late: Application, own: Isolation
) -> None:
    """Reading costs no round trip for it."""
    async with late.engine.connect() as connection:
        await connection.execute(POSTS)
        before = own.round_trips
        await connection.commit()

    assert before == own.round_trips


async def test_a_failed_commit_leaves_nothing_open(late: Application) -> None:
    """Twenty of them one after the other, beside an open transaction."""
    held = await late.flushed("held")
    for _ in range(20):
        async with late.engine.connect() as connection:
            await connection.execute(ORPHAN)
            with pytest.raises(DBAPIError):
                await connection.commit()
    await held.commit()
    await held.close()

    assert ["held"] == await late.names()


@pytest.mark.parametrize("turns", range(8))
async def test_a_commit_that_is_cancelled_while_it_is_checked(
    late: Application, own: Isolation, turns: int
) -> None:
    """Committed or rolled back, but over: nobody has to wait for it."""
    session = await late.flushed("perhaps")
    task = asyncio.create_task(session.commit())
    for _ in range(turns):
        await asyncio.sleep(0)
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    await session.close()
    sandbox: Any = own._capture.sandbox

    assert sandbox._stack.is_empty()
    await late.add("after")
    assert await late.names() in (["after"], ["after", "perhaps"])
