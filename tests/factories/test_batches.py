"""Batches: written together, one flush for each depth of the graph."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import factory
import pytest

from tests.factories.conftest import rows
from tests.factories.library import (
    AuthorFactory,
    BookFactory,
    ProfileFactory,
    TagFactory,
    TaggedBookFactory,
)

if TYPE_CHECKING:
    from sqlalchemy.ext.asyncio import AsyncSession

    from tests.factories.conftest import Sent


async def test_a_batch_is_a_list_in_order(session: AsyncSession) -> None:
    """With its own number for each object; none is asked for, none is made."""
    authors = await AuthorFactory.create_batch(12, name="Bob")

    assert [f"a{number}@books.example" for number in range(12)] == [
        author.email for author in authors
    ]
    assert {"Bob"} == {author.name for author in authors}
    assert [] == await AuthorFactory.create_batch(0)


async def test_parents_that_nobody_looks_into_are_written_with_their_children(
    session: AsyncSession, sent: Sent
) -> None:
    """One flush for a graph of plain declarations."""
    books = await BookFactory.create_batch(20)

    assert 1 == sent.flushes
    assert 20 == len({book.author_id for book in books})


async def test_parents_that_are_looked_into_are_written_before(
    session: AsyncSession, sent: Sent
) -> None:
    """Two flushes: the authors, then the books."""
    title = factory.LazyAttribute(lambda o: f"Number {o.author.id}")
    books = await BookFactory.create_batch(20, title=title)

    assert 2 == sent.flushes
    assert [f"Number {book.author_id}" for book in books] == [
        book.title for book in books
    ]


async def test_hooks_that_make_objects_do_so_together(
    session: AsyncSession, sent: Sent
) -> None:
    """Fifty books, each with an author and four tags that a hook makes."""
    books = await TaggedBookFactory.create_batch(50)

    assert 7 >= sent.flushes
    assert {"Author": 50, "Book": 50, "Tag": 200} == await rows(session)
    assert {4} == {len(book.tags) for book in books}


async def test_related_factories_write_together(
    session: AsyncSession, sent: Sent
) -> None:
    """A hundred authors, each with a profile and three books."""

    class Famous(AuthorFactory):
        profile = factory.RelatedFactory(ProfileFactory, "author")
        books = factory.RelatedFactoryList(BookFactory, "author", size=3)

    authors = await Famous.create_batch(100)

    assert 6 >= sent.flushes
    assert {3} == {len(author.books) for author in authors}
    assert {"Author": 100, "Profile": 100, "Book": 300} == await rows(session)


async def test_children_of_one_parent_look_it_up_once(
    session: AsyncSession, sent: Sent
) -> None:
    """A hundred books by an author that is got or created."""

    class TheAuthor(AuthorFactory):
        class Meta:
            sqlalchemy_get_or_create = ("email",)

        email: Any = "the@books.example"

    books = await BookFactory.create_batch(100, author=factory.SubFactory(TheAuthor))

    assert 5 >= len(sent.besides("INSERT INTO", "BEGIN"))
    assert 1 == len({book.author_id for book in books})


async def test_each_object_may_be_written_before_the_next_is_built(
    session: AsyncSession, sent: Sent
) -> None:
    """`flush_policy = "each"`, where the order of inserts matters."""

    class Each(TaggedBookFactory):
        class Meta:
            flush_policy = "each"

    books = await Each.create_batch(3)
    tags = [tag.id for book in books for tag in book.tags]

    assert 3 * 6 <= sent.flushes
    assert tags == sorted(tags)
    assert [books[0].id, books[1].id, books[2].id] == sorted(book.id for book in books)


async def test_a_batch_inside_of_a_hook_inside_of_a_batch(
    session: AsyncSession, sent: Sent
) -> None:
    """The depths of both count, not the numbers of their objects."""

    class Shelf(AuthorFactory):
        @factory.post_generation
        def books(self: Any, *_: object, **__: object) -> None:
            made: Any = TaggedBookFactory.create_batch(3, author=self)
            assert all(book.id for book in made)

    await Shelf.create_batch(10)

    assert 8 >= sent.flushes
    assert {"Author": 10, "Book": 30, "Tag": 120} == await rows(session)


async def test_async_hooks_of_a_batch_are_awaited(session: AsyncSession) -> None:
    """Also such as wait, and such as create at once what they need."""

    class Writing(AuthorFactory):
        @factory.post_generation
        async def books(self: Any, *_: object, **__: object) -> None:
            await asyncio.sleep(0.001)
            await asyncio.gather(*(BookFactory(author=self) for _ in range(3)))

    authors = await Writing.create_batch(5)

    assert {"Author": 5, "Book": 15} == await rows(session)
    assert {3} == {len(author.books) for author in authors}


async def test_many_more_than_fit_into_memory_as_stacks(session: AsyncSession) -> None:
    """A batch that needs stacks is built in parts."""
    name = factory.LazyAttribute(lambda o: f"tag{o.n}")

    class Hooked(TagFactory):
        class Params:
            n = factory.Sequence(int)

        @factory.post_generation
        def look(self: Any, *_: object, **__: object) -> None:
            assert self.id

    tags = await Hooked.create_batch(1100, name=name)

    assert 1100 == len({tag.id for tag in tags})


@pytest.mark.parametrize("policy", ["coalesce", "each"])
async def test_calls_at_the_same_time_on_one_session(
    session: AsyncSession, policy: str
) -> None:
    """They wait for each other, whatever they are."""

    class Mixed(TaggedBookFactory):
        class Meta:
            flush_policy = policy

    made = await asyncio.gather(
        *(AuthorFactory() for _ in range(10)),
        *(Mixed.create_batch(3) for _ in range(5)),
    )

    assert 15 == len(made)
    assert {"Author": 25, "Book": 15, "Tag": 60} == await rows(session)
