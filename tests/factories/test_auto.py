"""Factories that derive what their model demands: `Meta.auto`."""

from __future__ import annotations

import datetime as dt
import enum
import uuid
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import factory
import pytest
from sqlalchemy import (
    JSON,
    CheckConstraint,
    Date,
    DateTime,
    Enum,
    Float,
    ForeignKey,
    Interval,
    LargeBinary,
    Numeric,
    SmallInteger,
    String,
    Text,
    Time,
    UniqueConstraint,
    Uuid,
)
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column, relationship

from pytest_asyncdb.errors import FactoryRefused, ValuesExhausted, ValueUnknown
from pytest_asyncdb.factories import AsyncModelFactory
from tests.factories.conftest import rows
from tests.factories.library import Author, AuthorFactory, Book, Profile, Tag

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession


class Base(DeclarativeBase):
    """Tables that are hard to fill."""


class Grade(enum.Enum):
    """Two of them."""

    GOOD = "good"
    BAD = "bad"


class Zoo(Base):
    """A column of each type."""

    __tablename__ = "auto_zoo"

    id: Mapped[uuid.UUID] = mapped_column(Uuid, primary_key=True)
    short: Mapped[str] = mapped_column(String(2), unique=True)
    text: Mapped[str] = mapped_column(Text)
    small: Mapped[int] = mapped_column(SmallInteger)
    price: Mapped[Decimal] = mapped_column(Numeric(3, 2))
    ratio: Mapped[float] = mapped_column(Float)
    flag: Mapped[bool]
    grade: Mapped[Grade] = mapped_column(Enum(Grade))
    raw: Mapped[bytes] = mapped_column(LargeBinary)
    day: Mapped[dt.date] = mapped_column(Date)
    hour: Mapped[dt.time] = mapped_column(Time)
    moment: Mapped[dt.datetime] = mapped_column(DateTime)
    aware: Mapped[dt.datetime] = mapped_column(DateTime(timezone=True))
    span: Mapped[dt.timedelta] = mapped_column(Interval)
    document: Mapped[dict[str, Any]] = mapped_column(JSON)


class Stay(Base):
    """Checks that only the database understands, and a composite unique."""

    __tablename__ = "auto_stays"
    __table_args__ = (
        CheckConstraint("arrives < leaves"),
        CheckConstraint("guests > 0 AND guests <= rooms * 2"),
        UniqueConstraint("house", "arrives"),
    )

    id: Mapped[int] = mapped_column(primary_key=True)
    house: Mapped[str] = mapped_column(String(10))
    arrives: Mapped[dt.date]
    leaves: Mapped[dt.date]
    guests: Mapped[int]
    rooms: Mapped[int]


class Vote(Base):
    """Twelve different rows for each voter."""

    __tablename__ = "auto_votes"
    __table_args__ = (
        UniqueConstraint("grade", "stars", "flag"),
        CheckConstraint("stars BETWEEN 1 AND 3"),
    )

    id: Mapped[int] = mapped_column(primary_key=True)
    grade: Mapped[Grade] = mapped_column(Enum(Grade, name="auto_vote_grade"))
    stars: Mapped[int]
    flag: Mapped[bool]


class Node(Base):
    """Needs a node above it."""

    __tablename__ = "auto_nodes"

    id: Mapped[int] = mapped_column(primary_key=True)
    above_id: Mapped[int] = mapped_column(ForeignKey("auto_nodes.id"))
    above: Mapped[Node] = relationship(remote_side="Node.id")


class Leaf(Base):
    """Needs a stay, by its key alone."""

    __tablename__ = "auto_leaves"

    id: Mapped[int] = mapped_column(primary_key=True)
    stay_id: Mapped[int] = mapped_column(ForeignKey("auto_stays.id"))


class Other(DeclarativeBase):
    """Another base, on the same tables."""

    metadata = Base.metadata


class Remark(Other):
    """Refers to a model of the first base."""

    __tablename__ = "auto_remarks"

    id: Mapped[int] = mapped_column(primary_key=True)
    stay_id: Mapped[int] = mapped_column(ForeignKey("auto_stays.id"))


class Impossible(Base):
    """Has a check that nothing passes."""

    __tablename__ = "auto_impossible"
    __table_args__ = (CheckConstraint("low > high + 1000000000"),)

    id: Mapped[int] = mapped_column(primary_key=True)
    low: Mapped[int]
    high: Mapped[int]


def auto(of: type[Any], **declared: Any) -> type[AsyncModelFactory[Any]]:
    """A factory that derives what is not declared."""
    meta = type("Meta", (), {"model": of, "auto": True})
    define: Any = type(AsyncModelFactory)
    made: type[AsyncModelFactory[Any]] = define(
        f"{of.__name__}Factory", (AsyncModelFactory,), {"Meta": meta, **declared}
    )
    return made


@pytest.fixture
async def tables(engine: AsyncEngine, session: AsyncSession) -> AsyncIterator[None]:
    """The tables of this module, besides the library's."""
    async with engine.begin() as connection:
        await connection.run_sync(Base.metadata.create_all)
    yield
    await session.close()
    async with engine.begin() as connection:
        await connection.run_sync(Base.metadata.drop_all)


@pytest.mark.parametrize("model", [Author, Book, Profile, Tag])
async def test_the_library_accepts_all_that_is_derived(
    session: AsyncSession, model: Any
) -> None:
    """Three hundred rows, with the parents that they need."""
    made = await auto(model).create_batch(300)

    assert 300 == (await rows(session))[model.__name__]
    assert 300 == len({each.id for each in made})


@pytest.mark.usefixtures("tables")
@pytest.mark.parametrize("model", [Zoo, Stay, Leaf, Remark])
async def test_tables_that_are_hard_to_fill(session: AsyncSession, model: Any) -> None:
    """Each type; checks that only the database understands; keys."""
    made = await auto(model).create_batch(300)
    session.expunge_all()
    again = await session.get(model, made[7].id)

    assert 300 == len({each.id for each in made})
    assert again is not None


async def test_the_database_fills_in_what_is_its_own(session: AsyncSession) -> None:
    """Keys, server defaults, the version; defaults of the model; what may be NULL."""
    author = await auto(Author)()

    assert author.id is not None
    assert author.created_at is not None
    assert (1, None) == (author.version, author.nickname)


async def test_what_is_declared_or_given_stays(session: AsyncSession) -> None:
    """Of a parent also its key, which then is not made."""
    author = await AuthorFactory()
    factory_of = auto(Book, title="Declared")
    books = [await factory_of(author_id=author.id), await factory_of(author__name="Z")]

    assert {"Declared"} == {book.title for book in books}
    assert ("Z", author.id) == (books[1].author.name, books[0].author_id)
    assert {"Author": 2, "Book": 2} == await rows(session)


async def test_rows_of_one_parent_differ(session: AsyncSession) -> None:
    """Where they are unique together with it."""
    author = await AuthorFactory()
    books = await auto(Book).create_batch(40, author=author)

    assert 40 == len({book.title for book in books})


async def test_two_factories_of_one_model_give_no_value_twice(
    session: AsyncSession,
) -> None:
    """Values that are unique are numbered for each model."""
    one, two = auto(Author), auto(Author, name="Two")
    await auto(Book).create_batch(3)
    await one.create_batch(3)
    await two.create_batch(3)

    assert {"Author": 9, "Book": 3} == await rows(session)


@pytest.mark.usefixtures("tables")
async def test_few_values_are_used_in_turn(session: AsyncSession) -> None:
    """All of them, then it is said that they are exhausted."""
    votes = await auto(Vote).create_batch(12)
    with pytest.raises(ValuesExhausted):
        await auto(Vote)()

    assert 12 == len({(vote.grade, vote.stars, vote.flag) for vote in votes})
    assert votes[0] in session


def test_models_that_need_each_other() -> None:
    """The way around is named."""
    with pytest.raises(FactoryRefused, match="Node needs Node"):
        auto(Node).build()


@pytest.mark.usefixtures("tables")
async def test_a_check_that_nothing_passes(session: AsyncSession) -> None:
    """How many were tried, and which check it was."""
    with pytest.raises(ValueUnknown, match="no values could be found for high, low"):
        await auto(Impossible)()

    made = await auto(Impossible, low=1_000_000_100).create(high=1)
    assert made in session


async def test_build_derives_too() -> None:
    """Without asking a database."""
    book = auto(Book).build()

    assert (str, Decimal, Author) == tuple(
        map(type, (book.title, book.price, book.author))
    )


async def test_a_declaration_sees_what_was_derived(session: AsyncSession) -> None:
    """As any other attribute."""
    title = factory.LazyAttribute(lambda o: f"{o.author.name} at {o.price}")
    book = await auto(Book, title=title)()

    assert f"{book.author.name} at {book.price}" == book.title
