"""A call that fails, or is cancelled, leaves nothing; the session goes on."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import factory
import pytest
from sqlalchemy import text
from sqlalchemy.exc import IntegrityError

from tests.factories.conftest import rows
from tests.factories.library import AuthorFactory, BookFactory, TagFactory

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sqlalchemy.ext.asyncio import AsyncSession


REACHED: list[asyncio.Event] = []
"""The last one is set when a hook begins to wait."""


@pytest.fixture
def reached() -> Iterator[asyncio.Event]:
    """Set when an endless hook waits: a statement on its way would be another case."""
    REACHED.append(asyncio.Event())
    yield REACHED[-1]
    REACHED.pop()


class Failing(AuthorFactory):
    """Its hook fails for the fourth object."""

    @factory.post_generation
    def check(self: Any, *_: object, **__: object) -> None:
        """Fail where the address says so."""
        if self.email.startswith("a4"):
            message = "the hook failed"
            raise LookupError(message)


class Endless(AuthorFactory):
    """Its hook never ends."""

    @factory.post_generation
    async def wait(self: Any, *_: object, **__: object) -> None:
        """Wait for what never comes."""
        await BookFactory(author=self)
        REACHED[-1].set()
        await asyncio.Event().wait()


async def test_a_row_that_the_database_refuses(session: AsyncSession) -> None:
    """Those before it in the batch go with it."""
    kept = await AuthorFactory(email="kept@books.example")
    with pytest.raises(IntegrityError):
        await BookFactory.create_batch(3, author__email="same@books.example")

    assert {"Author": 1} == await rows(session)
    assert "kept@books.example" == kept.email
    assert (await AuthorFactory()).id is not None


async def test_a_hook_that_fails(session: AsyncSession) -> None:
    """Its own error comes out."""
    await AuthorFactory()
    with pytest.raises(LookupError, match="the hook failed"):
        await Failing.create_batch(6)

    assert {"Author": 1} == await rows(session)
    assert [] == [*session.new]


async def test_an_async_hook_that_fails(session: AsyncSession) -> None:
    """What it had created itself is gone, too."""

    class FailingLater(AuthorFactory):
        @factory.post_generation
        async def check(self: Any, *_: object, **__: object) -> None:
            await BookFactory(author=self)
            raise LookupError

    with pytest.raises(LookupError):
        await FailingLater.create_batch(2)

    assert {} == await rows(session)


async def test_a_hook_that_never_ends(
    session: AsyncSession, reached: asyncio.Event
) -> None:
    """It is cancelled from outside, as a timeout does."""
    await AuthorFactory()
    endless = asyncio.ensure_future(Endless.create_batch(3))
    await reached.wait()
    endless.cancel()
    with pytest.raises(asyncio.CancelledError):
        await endless

    assert {"Author": 1} == await rows(session)
    assert (await BookFactory()).author.id is not None


async def test_a_statement_that_never_ends(session: AsyncSession) -> None:
    """Its connection may go with it; the session goes on with another one."""
    sleep = {"postgresql": "pg_sleep(60)", "mysql": "sleep(60)", "mariadb": "sleep(60)"}
    name = session.get_bind().dialect.name
    if name not in sleep:
        pytest.skip(f"{name} cannot be told to sleep")

    class Sleeping(AuthorFactory):
        @factory.post_generation
        async def wait(self: Any, *_: object, **__: object) -> None:
            await session.execute(text(f"SELECT {sleep[name]}"))

    author = await AuthorFactory()
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.2):
            await Sleeping.create_batch(3)

    assert {"Author": 1} == await rows(session)
    assert "Ann" == author.name
    assert (await BookFactory()).author.id is not None


async def test_one_of_several_calls_is_cancelled(
    session: AsyncSession, reached: asyncio.Event
) -> None:
    """The others, before and after it in line, are complete."""
    before = asyncio.ensure_future(AuthorFactory.create_batch(3))
    endless = asyncio.ensure_future(Endless.create())
    after = asyncio.ensure_future(TagFactory.create_batch(3))
    await before
    await reached.wait()
    endless.cancel()
    await asyncio.wait([endless, after])

    assert endless.cancelled()
    assert {"Author": 3, "Tag": 3} == await rows(session)


async def test_work_that_was_not_committed_survives(session: AsyncSession) -> None:
    """What the test itself has flushed is outside of the savepoint."""
    session.add(AuthorFactory.build(email="own@books.example"))
    await session.flush()
    with pytest.raises(LookupError):
        await Failing.create_batch(6)

    assert {"Author": 1} == await rows(session)


async def test_a_parent_that_was_given_stays_readable(session: AsyncSession) -> None:
    """A failed call takes its children back out of it."""
    author = await AuthorFactory()
    with pytest.raises(IntegrityError):
        await BookFactory.create_batch(2, author=author, title="the same")

    assert "Ann" == author.name
    assert [] == author.books


async def test_an_error_that_a_hook_handles_fails_nothing(
    session: AsyncSession,
) -> None:
    """What an async hook awaits has a savepoint of its own."""

    class Trying(AuthorFactory):
        @factory.post_generation
        async def tag(self: Any, *_: object, **__: object) -> None:
            with pytest.raises(IntegrityError):
                await TagFactory.create_batch(2, name="twice")

    author = await Trying()

    assert {"Author": 1} == await rows(session)
    assert author.id is not None


async def test_what_was_only_added_is_taken_back(session: AsyncSession) -> None:
    """Where nothing is persisted, an error leaves nothing in the session."""

    class Added(Failing):
        class Meta:
            persistence = None

    with pytest.raises(LookupError):
        await Added.create_batch(6)

    assert [] == [*session.new]
