"""Which session a factory uses, and what is said where there is none."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import pytest
from sqlalchemy.ext.asyncio import (
    AsyncSession,
    async_scoped_session,
    async_sessionmaker,
)

from pytest_asyncdb.errors import FactoryRefused
from tests.factories.conftest import rows
from tests.factories.library import AuthorFactory, BookFactory, TagFactory

if TYPE_CHECKING:
    from sqlalchemy.ext.asyncio import AsyncEngine


async def test_a_call_on_a_session_that_is_given(engine: AsyncEngine) -> None:
    """By `F.using(session)`, which is called as the factory is."""
    async with AsyncSession(engine) as session:
        bound = AuthorFactory.using(session)
        authors = [await bound(), await bound.create(), *await bound.create_batch(2)]

        assert {"Author": 4} == await rows(session)
        assert set(authors) == set(session)


async def test_a_block_on_a_session_that_is_given(engine: AsyncEngine) -> None:
    """`with F.using(session)` is for every factory, and ends with the block."""
    async with AsyncSession(engine) as session:
        with AuthorFactory.using(session):
            await BookFactory()

        assert {"Author": 1, "Book": 1} == await rows(session)
        with pytest.raises(FactoryRefused, match="has no session to create with"):
            await BookFactory()


async def test_a_session_of_class_meta(engine: AsyncEngine) -> None:
    """As factory_boy has it: the session itself, or what makes it."""
    sessions = async_sessionmaker(engine)
    own = sessions()

    class OfSession(TagFactory):
        class Meta:
            sqlalchemy_session = own

    class OfFactory(TagFactory):
        class Meta:
            sqlalchemy_session_factory = sessions

    tags = [await OfSession(), await OfFactory()]

    assert tags[0] in own
    assert tags[1] not in own
    await own.close()


async def test_a_scoped_session(engine: AsyncEngine) -> None:
    """The session of the task is used."""
    scoped = async_scoped_session(
        async_sessionmaker(engine), scopefunc=asyncio.current_task
    )
    author = await AuthorFactory.using(scoped).create()

    assert author in scoped
    await scoped.remove()


async def test_sub_factories_and_hooks_use_the_session_of_the_call(
    engine: AsyncEngine,
) -> None:
    """Whatever their own would be."""
    async with AsyncSession(engine) as session:
        book = await BookFactory.using(session).create()

        assert book in session
        assert book.author in session


@pytest.mark.parametrize("given", [None, "session", async_sessionmaker()])
def test_what_is_no_session_is_refused(given: Any) -> None:
    """At the call, with its type."""
    kind = type(given).__name__
    with pytest.raises(FactoryRefused, match=f"AsyncSession, .* of type {kind}"):
        AuthorFactory.using(given)


async def test_a_session_that_is_closed_for_good(engine: AsyncEngine) -> None:
    """Says so; one that is only closed opens again."""
    closed = AsyncSession(engine, close_resets_only=False)
    again = AsyncSession(engine)
    await closed.close()
    await again.close()
    author = await AuthorFactory.using(again).create()

    with pytest.raises(FactoryRefused, match="has been closed"):
        await AuthorFactory.using(closed).create()
    assert author.id is not None
    await again.close()


async def test_no_session_says_what_to_do() -> None:
    """A test that asks for no fixture of ours has none."""
    with pytest.raises(FactoryRefused) as caught:
        await AuthorFactory()

    assert "ask for db_session in the test" in str(caught.value)
    assert "AuthorFactory.build()" in str(caught.value)


async def test_an_awaitable_that_is_forgotten_is_named_after_its_call() -> None:
    """Python's own warning shows which call it was."""
    coroutine: Any = BookFactory.create_batch(3)

    assert "BookFactory.create_batch" == coroutine.__qualname__
    coroutine.close()
