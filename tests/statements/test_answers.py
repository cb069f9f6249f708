"""What lies behind an error of async SQLAlchemy."""

from __future__ import annotations

import asyncio
import contextlib
import gc
from typing import TYPE_CHECKING

import pytest
from sqlalchemy import select, text as sql
from sqlalchemy.exc import MissingGreenlet, SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import selectinload
from sqlalchemy.orm.exc import DetachedInstanceError

from pytest_asyncdb.statements import Clues, answer, record
from tests.statements.blog import Post, User

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pytest_asyncdb.statements import Recorder
    from tests.databases import Databases


# A driver's coroutine that nobody could await is left for the garbage collector.
pytestmark = [
    pytest.mark.filterwarnings("ignore:coroutine '.*' was never awaited"),
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
]


@pytest.fixture(autouse=True)
def _collected() -> Iterator[None]:
    """Let it be collected in the test that has left it."""
    yield
    gc.collect()


async def _user(session: AsyncSession) -> User:
    return (await session.scalars(select(User))).all()[0]


async def test_a_lazy_load_that_nothing_awaits(
    session: AsyncSession, recorder: Recorder
) -> None:
    """The relationship, the line, where the object was loaded, and the option."""
    user = await _user(session)
    with pytest.raises(SQLAlchemyError) as caught:
        _ = user.posts
    text = str(answer(caught.value))

    assert text.startswith("User.posts was loaded lazily at tests/statements/test_")
    assert "in test_a_lazy_load_that_nothing_awaits, in code that nothing" in text
    assert "add .options(selectinload(User.posts)) to the query of User at " in text
    assert f"{recorder.log[0].line}" in text
    assert ".awaitable_attrs.posts" in text


async def test_without_a_recorder(session: AsyncSession) -> None:
    """Where the object was loaded is not known, and is not said."""
    post = (await session.scalars(select(Post))).all()[0]
    with pytest.raises(SQLAlchemyError) as caught:
        _ = post.author

    assert "add .options(joinedload(Post.author)) to the query of Post\n" in str(
        answer(caught.value)
    )


async def test_an_attribute_that_a_commit_has_expired(session: AsyncSession) -> None:
    """Is named with what keeps it."""
    user = await _user(session)
    await session.commit()
    with pytest.raises(SQLAlchemyError) as caught:
        _ = user.name
    text = str(answer(caught.value))

    assert text.startswith("User.name had expired, and was loaded again at ")
    assert "expire_on_commit=False" in text


async def test_an_object_without_a_session(session: AsyncSession) -> None:
    """A lazy load has nobody to ask."""
    user = await _user(session)
    await session.close()
    with pytest.raises(DetachedInstanceError) as caught:
        _ = user.posts
    text = str(answer(caught.value))

    assert text.startswith("User.posts was loaded lazily at ")
    assert "of a User that belongs to no session any more" in text


async def test_a_connection_that_two_tasks_use(databases: Databases) -> None:
    """The lines of both are named: of what was sent, and of what had not ended."""
    engine = await databases.engine("postgresql", explicit=False)
    async with AsyncSession(engine) as session:
        await session.execute(select(User))
        with record(engine) as recorder:
            slow = asyncio.create_task(_slowly(session))
            async with asyncio.timeout(10):
                while not recorder.log:  # noqa: ASYNC110 - nothing tells of it
                    await asyncio.sleep(0)
            with pytest.raises(SQLAlchemyError) as caught:
                await session.commit()
            slow.cancel()
            with contextlib.suppress(asyncio.CancelledError, SQLAlchemyError):
                await slow
        await session.invalidate()
    await engine.dispose()
    text = str(answer(caught.value, Clues(recorder=recorder)))

    assert "was used at tests/statements/test_answers.py" in text
    assert "in test_a_connection_that_two_tasks_use while it was in use" in text
    assert "in _slowly had not ended" in text


async def _slowly(session: AsyncSession) -> None:
    await session.execute(sql("SELECT pg_sleep(30)"))


async def test_what_was_loaded_eagerly_needs_no_answer(session: AsyncSession) -> None:
    """Nor does an error that is not SQLAlchemy's, or of which nothing is certain."""
    query = select(User).options(selectinload(User.posts))
    user = (await session.scalars(query)).all()[0]

    assert 2 == len(user.posts)
    assert answer(ValueError("greenlet_spawn has not been called")) is None
    assert answer(MissingGreenlet("greenlet_spawn has not been called")) is None
