"""`sqlalchemy_get_or_create`: one row for one key."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import factory
import pytest
from sqlalchemy import event, select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncSession

from pytest_asyncdb.errors import FactoryRefused
from pytest_asyncdb.factories import AsyncModelFactory
from tests.factories.conftest import rows
from tests.factories.library import Author, AuthorFactory, Book, BookFactory, Profile

if TYPE_CHECKING:
    from sqlalchemy.ext.asyncio import AsyncEngine
    from sqlalchemy.orm import ORMExecuteState


class ByEmail(AuthorFactory):
    """One author for one address."""

    class Meta:
        sqlalchemy_get_or_create = ("email",)


async def test_the_second_call_gets_what_the_first_created(
    session: AsyncSession,
) -> None:
    """Other values of the second call are left aside."""
    first = await ByEmail(email="k@books.example", name="First")
    second = await ByEmail(email="k@books.example", name="Second")

    assert first is second
    assert "First" == second.name
    assert {"Author": 1} == await rows(session)


async def test_a_batch_with_the_same_key_is_one_object(session: AsyncSession) -> None:
    """As often as was asked for."""
    authors = await ByEmail.create_batch(5, email="k@books.example")

    assert 5 == len(authors)
    assert 1 == len({*authors})


async def test_a_conflict_elsewhere_leaves_earlier_rows(session: AsyncSession) -> None:
    """The insert fails alone: what came before it is not rolled back."""

    class ByName(AuthorFactory):
        class Meta:
            sqlalchemy_get_or_create = ("name",)

    await AuthorFactory(email="taken@books.example")
    with pytest.raises(IntegrityError):
        await ByName(name="New", email="taken@books.example")

    assert {"Author": 1} == await rows(session)


async def test_the_part_of_the_key_that_was_given_is_enough(
    session: AsyncSession,
) -> None:
    """The rest of the key was made up by the factory, and conflicts with the row."""

    class ByBoth(AuthorFactory):
        class Meta:
            sqlalchemy_get_or_create = ("email", "name")

        name = factory.Sequence(lambda n: f"name {n}")

    first = await ByBoth(email="k@books.example")
    second = await ByBoth(email="k@books.example")

    assert first is second


async def test_a_parent_that_is_new_may_be_part_of_the_key(
    session: AsyncSession,
) -> None:
    """It is written before the row is looked for."""

    class OfAuthor(AsyncModelFactory[Profile]):
        class Meta:
            model = Profile
            sqlalchemy_get_or_create = ("author",)

        bio = "one"
        author = factory.SubFactory(ByEmail, email="k@books.example")

    first, second = await OfAuthor(), await OfAuthor()

    assert first is second
    assert {"Author": 1, "Profile": 1} == await rows(session)


async def test_a_row_of_another_session_is_found(
    session: AsyncSession, engine: AsyncEngine
) -> None:
    """One that is there before the call, and one that is there between two reads."""
    async with AsyncSession(engine) as other:
        theirs = await ByEmail.using(other).create(email="k@books.example")
    author = await ByEmail(email="k@books.example")

    assert theirs.id == author.id


async def test_another_session_that_inserts_first_wins(
    session: AsyncSession, engine: AsyncEngine
) -> None:
    """Its row is taken, past the snapshot of a transaction that repeats its reads."""
    if engine.dialect.name == "sqlite":
        pytest.skip("SQLite in memory has one connection")
    asked: list[bool] = []

    @event.listens_for(session.sync_session, "do_orm_execute")
    def too_early(state: ORMExecuteState) -> Any:
        if asked:
            return None
        asked.append(True)
        nothing = select(Author).where(Author.email == "nobody's")
        return state.invoke_statement(statement=nothing)

    await session.connection()
    async with AsyncSession(engine) as other:
        theirs = await AuthorFactory.using(other).create(email="k@books.example")
    author = await ByEmail(email="k@books.example")

    assert theirs.id == author.id


async def test_several_sessions_at_once_make_one_row(engine: AsyncEngine) -> None:
    """Whoever is late waits for the other's commit, and takes its row."""
    if engine.dialect.name == "sqlite":
        pytest.skip("SQLite in memory has one connection")
    sessions = [AsyncSession(engine) for _ in range(5)]
    made = await asyncio.gather(
        *(ByEmail.using(each).create(email="k@books.example") for each in sessions)
    )
    for each in sessions:
        await each.close()

    assert 1 == len({author.id for author in made})


async def test_a_key_without_a_value_is_refused(session: AsyncSession) -> None:
    """The name of the field is said."""

    class ByNickname(AuthorFactory):
        class Meta:
            sqlalchemy_get_or_create = ("nickname",)

    with pytest.raises(FactoryRefused, match="names nickname, for which"):
        await ByNickname()


async def test_a_call_that_fails_is_forgotten(session: AsyncSession) -> None:
    """What it had found or made is looked for again by the next one."""
    with pytest.raises(IntegrityError):
        await BookFactory.create_batch(
            2, title="same", author=factory.SubFactory(ByEmail, email="k@x.example")
        )
    book = await BookFactory(author=factory.SubFactory(ByEmail, email="k@x.example"))

    assert {"Author": 1, "Book": 1} == await rows(session)
    assert [book] == [*await session.scalars(select(Book))]
