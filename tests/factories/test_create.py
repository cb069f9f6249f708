"""What an object is like when it has been created: written, and readable."""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING, Any

import factory
import pytest
from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncSession

from pytest_asyncdb.factories import AsyncModelFactory
from tests.factories.conftest import rows
from tests.factories.library import (
    Author,
    AuthorFactory,
    Book,
    BookFactory,
    Profile,
    ProfileFactory,
    Role,
    Tag,
    TagFactory,
    book_tags,
)

if TYPE_CHECKING:
    from sqlalchemy.ext.asyncio import AsyncEngine


async def test_an_object_has_its_primary_key(session: AsyncSession) -> None:
    """`await F()` gives the object, as `await F.create()` does."""
    one, two = await AuthorFactory(), await AuthorFactory.create(name="Bob")

    assert {"Author": 2} == await rows(session)
    assert ["Ann", "Bob"] == [one.name, two.name]
    assert one.id != two.id


async def test_what_the_database_fills_in_can_be_read(session: AsyncSession) -> None:
    """Server defaults, the version, defaults and what is NULL need no further query."""
    author = await AuthorFactory()

    assert author.created_at is not None
    assert author.updated_at is not None
    assert (1, Role.USER, None) == (author.version, author.role, author.nickname)


async def test_an_object_can_be_changed_and_written_again(
    session: AsyncSession,
) -> None:
    """Its version counts on."""
    author = await AuthorFactory()
    author.name = "Zed"
    await session.flush()

    assert 2 == author.version


async def test_collections_that_are_empty_can_be_read(session: AsyncSession) -> None:
    """Nothing refers to a row that is new, so nothing has to be loaded."""
    author, book = await AuthorFactory(), await BookFactory()

    assert [] == author.books
    assert [] == book.tags
    assert author.profile is None


async def test_collections_of_a_parent_hold_what_was_made_for_it(
    session: AsyncSession,
) -> None:
    """Both sides of a relationship can be read."""
    author = await AuthorFactory()
    books = await BookFactory.create_batch(2, author=author)
    profile = await ProfileFactory(author=author)

    assert books == author.books
    assert profile is author.profile


async def test_another_session_sees_the_object(
    session: AsyncSession, engine: AsyncEngine
) -> None:
    """By default a call commits."""
    await BookFactory()
    async with AsyncSession(engine) as other:
        found = await rows(other)

    assert not session.in_transaction()
    assert {"Author": 1, "Book": 1} == found


async def test_a_factory_that_flushes_leaves_the_commit_to_the_test(
    session: AsyncSession,
) -> None:
    """`persistence = "flush"`; a rollback undoes it."""

    class Flushed(AuthorFactory):
        class Meta:
            persistence = "flush"

    author = await Flushed()

    assert author.id is not None
    assert {"Author": 1} == await rows(session)
    await session.rollback()
    assert {} == await rows(session)


async def test_a_factory_that_persists_nothing_only_adds(
    session: AsyncSession,
) -> None:
    """`persistence = None`, also by the name that factory_boy has for it."""

    class Added(BookFactory):
        class Meta:
            sqlalchemy_session_persistence = None

    book = await Added()

    assert {book, book.author} == set(session.new)
    assert book.id is None


async def test_a_sub_factory_makes_the_parent(session: AsyncSession) -> None:
    """Its values are named with two underscores."""
    book = await BookFactory(author__name="Zed")

    assert {"Author": 1, "Book": 1} == await rows(session)
    assert "Zed" == book.author.name
    assert book.author_id == book.author.id


async def test_a_key_that_the_server_makes_can_be_copied(
    session: AsyncSession,
) -> None:
    """A parent has been written before a declaration looks at its key."""

    class ByKey(AsyncModelFactory[Book]):
        class Meta:
            model = Book
            exclude = ("writer",)

        title = factory.Sequence(str)
        price = Decimal(1)
        writer = factory.SubFactory(AuthorFactory)
        author_id = factory.SelfAttribute("writer.id")

    books = await ByKey.create_batch(3)

    assert 3 == len({book.author_id for book in books})


@pytest.mark.parametrize(
    "declaration",
    [
        factory.LazyAttribute(lambda o: f"by {o.author.email}"),
        factory.LazyAttributeSequence(lambda o, _: f"by {o.author.email}"),
    ],
)
async def test_a_parent_can_be_read(session: AsyncSession, declaration: Any) -> None:
    """By functions of what has been made so far."""
    book = await BookFactory(title=declaration, author__email="z@books.example")

    assert "by z@books.example" == book.title


async def test_an_attribute_of_a_parent_can_be_copied(session: AsyncSession) -> None:
    """SelfAttribute with a dot."""
    book = await BookFactory(title=factory.SelfAttribute("author.email"))

    assert book.author.email == book.title


async def test_a_hook_appends_to_a_collection(session: AsyncSession) -> None:
    """What a test gives for the hook's name is what the hook receives."""

    class Tagged(BookFactory):
        @factory.post_generation
        def tags(self: Any, _create: object, extracted: Any, **_: object) -> None:
            self.tags.extend(extracted)

    await Tagged(tags=await TagFactory.create_batch(2))

    assert 2 == await session.scalar(select(func.count()).select_from(book_tags))


async def test_a_list_of_sub_factories_fills_a_collection(
    session: AsyncSession,
) -> None:
    """Many-to-many, declared."""
    subs = [factory.SubFactory(TagFactory), factory.SubFactory(TagFactory, name="x")]
    book = await BookFactory(tags=factory.List(subs))

    assert ["tag0", "x"] == [tag.name for tag in book.tags]
    assert {"Author": 1, "Book": 1, "Tag": 2} == await rows(session)


async def test_related_factories_make_children(session: AsyncSession) -> None:
    """One, or several; the parent's collections hold them."""

    class Famous(AuthorFactory):
        profile = factory.RelatedFactory(ProfileFactory, "author")
        books = factory.RelatedFactoryList(BookFactory, "author", size=3)

    author = await Famous(profile__bio="Famous.")

    assert {"Author": 1, "Profile": 1, "Book": 3} == await rows(session)
    assert 3 == len(author.books)
    assert author.profile is not None
    assert "Famous." == author.profile.bio


async def test_a_trait_switches_a_related_factory_on(session: AsyncSession) -> None:
    """And off where it is not asked for."""

    class Author(AuthorFactory):
        class Params:
            with_profile = factory.Trait(
                profile=factory.RelatedFactory(ProfileFactory, "author")
            )

    await Author()
    await Author(with_profile=True)

    assert {"Author": 2, "Profile": 1} == await rows(session)


async def test_a_hook_reads_the_key_and_changes_the_object(
    session: AsyncSession,
) -> None:
    """The change is written, and what it expired is loaded again."""

    class Numbered(AuthorFactory):
        @factory.post_generation
        def number(self: Any, *_: object, **__: object) -> None:
            self.name = f"number {self.id}"

    author = await Numbered()
    named = await session.scalar(select(Author.name))

    assert f"number {author.id}" == author.name == named
    assert author.updated_at is not None


async def test_an_async_hook_is_awaited(session: AsyncSession) -> None:
    """It may await the session, and other factories."""

    class Writing(AuthorFactory):
        @factory.post_generation
        async def books(self: Any, *_: object, **__: object) -> None:
            await session.refresh(self, ["created_at"])
            made = await BookFactory.create_batch(2, author=self)
            self.name = f"{len(made)} books"

    author = await Writing()

    assert "2 books" == author.name
    assert {"Author": 1, "Book": 2} == await rows(session)


async def test_coroutines_of_declarations_are_awaited(session: AsyncSession) -> None:
    """Before another declaration looks at what they give."""

    async def fetched() -> str:
        return "Fetched"

    async def shouted(stub: Any) -> str:
        return f"{stub.name.upper()}!"

    author = await AuthorFactory(
        name=factory.LazyFunction(fetched), nickname=factory.LazyAttribute(shouted)
    )

    assert ("Fetched", "FETCHED!") == (author.name, author.nickname)


async def test_objects_stay_readable_where_commits_expire(
    engine: AsyncEngine,
) -> None:
    """A factory's commit expires nothing; the session's own do as before."""
    async with AsyncSession(engine, expire_on_commit=True, autoflush=False) as session:
        with AuthorFactory.using(session):
            author = await AuthorFactory()
            book = await BookFactory(author=author)

    assert (book.author_id, "Ann") == (author.id, author.name)
    assert [book] == author.books
    assert session.sync_session.expire_on_commit


async def test_build_and_stub_know_no_database() -> None:
    """They give objects at once, sub-factories and lists of them too."""
    book = BookFactory.build(author__name="Zed")
    books = BookFactory.build_batch(2)
    stub = BookFactory.stub(price=Decimal(1))

    assert "id" not in vars(book)
    assert "Zed" == book.author.name
    assert [Book, Book] == [*map(type, books)]
    assert (Decimal(1), "Ann") == (stub.price, stub.author.name)


async def test_code_inside_of_run_sync_gets_objects(session: AsyncSession) -> None:
    """As in a hook: a factory is called where nothing can be awaited."""
    author: Any = await session.run_sync(lambda _: AuthorFactory())

    assert isinstance(author, Author)
    assert author.id is not None


async def test_an_attribute_that_is_a_collection_may_be_given(
    session: AsyncSession,
) -> None:
    """Objects of a session, or objects that nobody has added."""
    tags = [await TagFactory(), Tag(name="loose")]
    book = await BookFactory(tags=tags, author=Author(email="l@x.example", name="L"))

    assert tags == book.tags
    assert {"Author": 1, "Book": 1, "Tag": 2} == await rows(session)
    assert Profile is ProfileFactory._meta.model
