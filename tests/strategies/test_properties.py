"""Properties of rows: what they find, and what they are content with."""

from __future__ import annotations

import datetime as dt
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import pytest
from pydantic import BaseModel, ConfigDict
from sqlalchemy import CheckConstraint, DateTime, ForeignKey, Numeric, String, text
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.ext.hybrid import hybrid_property
from sqlalchemy.orm import (
    DeclarativeBase,
    Mapped,
    mapped_column,
    relationship,
    validates,
)

from pytest_asyncdb.errors import PropertyFailed
from pytest_asyncdb.strategies import (
    assert_constraints_agree,
    assert_equivalent,
    assert_no_orphans,
    assert_round_trip,
    assert_schema_round_trip,
    from_model,
)
from tests.databases import KINDS, Databases
from tests.strategies.conftest import drawn

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator


class Base(DeclarativeBase):
    """Tables with a flaw each."""


class Person(Base):
    """Has hybrids, one of which forgets NULL, and a check that Python knows."""

    __tablename__ = "people"
    __table_args__ = (CheckConstraint("age < 150"),)

    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str] = mapped_column(String(20))
    nick: Mapped[str | None] = mapped_column(String(20))
    age: Mapped[int] = mapped_column(default=1)
    pets: Mapped[list[Pet]] = relationship(
        back_populates="owner", cascade="all, delete-orphan"
    )
    toys: Mapped[list[Toy]] = relationship(back_populates="owner", passive_deletes=True)

    @validates("age")
    def _check_age(self, _: str, age: int) -> int:
        if age > 150:
            raise ValueError(age)
        return age

    @hybrid_property
    def called(self) -> str:
        """The same in SQL."""
        return self.name

    @hybrid_property
    def has_nick(self) -> bool:
        """NULL in SQL where there is none."""
        return self.nick != "none"


class Pet(Base):
    """Goes with its owner."""

    __tablename__ = "pets"

    id: Mapped[int] = mapped_column(primary_key=True)
    owner_id: Mapped[int] = mapped_column(ForeignKey("people.id"))
    owner: Mapped[Person] = relationship(back_populates="pets")


class Toy(Base):
    """Is left to the database, which has not been told."""

    __tablename__ = "toys"

    id: Mapped[int] = mapped_column(primary_key=True)
    owner_id: Mapped[int] = mapped_column(ForeignKey("people.id"))
    owner: Mapped[Person] = relationship(back_populates="toys")


class Price(Base):
    """Has money with less digits than it is given, and a moment."""

    __tablename__ = "prices"

    id: Mapped[int] = mapped_column(primary_key=True)
    amount: Mapped[Decimal] = mapped_column(Numeric(10, 2, asdecimal=True))
    seen: Mapped[dt.datetime] = mapped_column(DateTime(timezone=True))


class PersonOut(BaseModel):
    """What an API gives."""

    model_config = ConfigDict(from_attributes=True)
    id: int
    name: str


class Shout(PersonOut):
    """Changes what it reads."""

    def model_post_init(self, _: Any, /) -> None:
        """Make it loud."""
        self.name = self.name + "!"


@pytest.fixture(scope="module")
def flawed() -> Iterator[Databases]:
    """Databases with these tables."""
    made = Databases(Base.metadata)
    yield made
    made.close()


@pytest.fixture(params=KINDS)
async def session(
    request: pytest.FixtureRequest, flawed: Databases
) -> AsyncIterator[AsyncSession]:
    """A session that is rolled back in the end, without foreign keys on SQLite."""
    engine = await flawed.engine(request.param)
    async with AsyncSession(engine, expire_on_commit=False) as session:
        if request.param == "sqlite":
            await session.execute(text("PRAGMA defer_foreign_keys = ON"))
        yield session
    await engine.dispose()


MOMENT = dt.datetime(2020, 1, 1, tzinfo=dt.UTC)


async def test_what_is_drawn_comes_back(session: AsyncSession) -> None:
    """From every product, with the rows that it needs."""
    for pet in drawn(from_model(Pet), 20):
        await assert_round_trip(pet, session=session)
        await session.rollback()
        session.expunge_all()


async def test_digits_that_are_lost_are_told(session: AsyncSession) -> None:
    """With both values."""
    price = Price(amount=Decimal("1.005"), seen=MOMENT)

    with pytest.raises(PropertyFailed, match=r"Price\.amount: .*1\.005.* comes"):
        await assert_round_trip(price, session=session)


async def test_a_zone_that_is_lost_is_told(session: AsyncSession) -> None:
    """Where the product keeps none."""
    price = Price(amount=Decimal(1), seen=MOMENT)
    if session.get_bind().dialect.name == "postgresql":
        await assert_round_trip(price, session=session)
    else:
        with pytest.raises(PropertyFailed, match=r"Price\.seen"):
            await assert_round_trip(price, session=session)


async def test_text_that_is_cut_is_told(session: AsyncSession) -> None:
    """MariaDB cuts it where it is not told to be strict."""
    if session.get_bind().dialect.name != "mysql":
        pytest.skip("other products refuse it, or do not know lengths")
    await session.execute(text("SET sql_mode = ''"))

    with pytest.raises(PropertyFailed, match=r"Person\.name"):
        await assert_round_trip(Person(name="x" * 21), session=session)


async def test_a_hybrid_is_the_same_in_python_and_in_sql(session: AsyncSession) -> None:
    """Also of rows that hang on the one that is written."""
    owner = Person(name="ann")

    await assert_equivalent(Pet(owner=owner), Person.called, session=session)


async def test_a_hybrid_that_forgets_null_is_told(session: AsyncSession) -> None:
    """Python has True where SQL has NULL."""
    words = "Python has True, SQL has None"

    with pytest.raises(PropertyFailed, match=words):
        await assert_equivalent(Person(name="ann"), Person.has_nick, session=session)


async def test_children_go_with_their_parent(session: AsyncSession) -> None:
    """Where the relationship says so."""
    person = Person(name="ann", pets=[Pet(), Pet()])

    await assert_no_orphans(person, session=session)


async def test_children_that_stay_are_told(session: AsyncSession) -> None:
    """By the database that refuses it, or by the rows that are left."""
    person = Person(name="ann", toys=[Toy()])

    with pytest.raises(PropertyFailed, match=r"cannot be deleted|is still there"):
        await assert_no_orphans(person, session=session)


async def test_python_and_the_database_agree(session: AsyncSession) -> None:
    """Both accept it, or both refuse it."""
    values = {"name": "ann", "age": 149}

    await assert_constraints_agree(Person, values, session=session)
    await assert_constraints_agree(Person, {**values, "age": 151}, session=session)


async def test_what_only_the_database_refuses_is_told(session: AsyncSession) -> None:
    """With the values, and what it says."""
    values = {"name": "ann", "age": 150}

    with pytest.raises(PropertyFailed, match="Person accepts what the database refus"):
        await assert_constraints_agree(Person, values, session=session)


async def test_a_schema_gives_back_what_it_reads() -> None:
    """One that changes it does not."""
    person = Person(id=1, name="ann")

    assert_schema_round_trip(PersonOut, person)
    with pytest.raises(PropertyFailed, match=r"Shout does not give back"):
        assert_schema_round_trip(Shout, person)
