"""Six planted bugs: each is found by one line, and shrunk to a row or two."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from tests.plugin.conftest import Project

PLUGINS = ("asyncdb", "asyncio", "hypothesispytest")
MODELS = """
    import datetime as dt
    from decimal import Decimal
    from sqlalchemy import DateTime, Float, String
    from sqlalchemy.ext.hybrid import hybrid_property
    from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

    class Base(DeclarativeBase):
        pass

    class User(Base):
        __tablename__ = "users"
        id: Mapped[int] = mapped_column(primary_key=True)
        name: Mapped[str] = mapped_column(String(20), unique=True)
        gone: Mapped[bool]
        size: Mapped[int]
        weight: Mapped[int | None]

        @hybrid_property
        def is_light(self):
            return self.weight != 5

    class Seen(Base):
        __tablename__ = "seen"
        id: Mapped[int] = mapped_column(primary_key=True)
        at: Mapped[dt.datetime] = mapped_column(DateTime)

    class Price(Base):
        __tablename__ = "prices"
        id: Mapped[int] = mapped_column(primary_key=True)
        amount: Mapped[Decimal] = mapped_column(Float)
"""
HEAD = """
    import datetime as dt
    from models import Price, Seen
    from hypothesis import Phase, given, settings, strategies as st
    from sqlalchemy import Column, String, delete, func, select, text, update
    from sqlalchemy.dialects.sqlite import insert as upsert
    from pytest_asyncdb.strategies import (
        assert_equivalent, assert_round_trip, from_column, from_model
    )

    PHASES = (Phase.generate, Phase.shrink)
    settings.register_profile("ours", deadline=None, max_examples=200, phases=PHASES)
    settings.load_profile("ours")
    LAST = {}
"""
BUGS = {
    "a time zone is lost": """
        @given(seen=from_model(Seen, at=st.datetimes(timezones=st.just(dt.UTC))))
        async def test_it(db_session, seen):
            LAST["rows"] = 1
            await assert_round_trip(seen)
    """,
    "money is a float": """
        @given(price=from_model(Price, amount=st.decimals(0, 1000, places=2)))
        async def test_it(db_session, price):
            LAST["rows"] = 1
            await assert_round_trip(price)
    """,
    "a hybrid forgets NULL": """
        @given(item=from_model(User))
        async def test_it(db_session, item):
            LAST["rows"] = 1
            await assert_equivalent(item, User.is_light)
    """,
    "a query forgets the soft delete": """
        async def count(session):
            return await session.scalar(select(func.count()).select_from(User))

        async def names(session):
            return [*await session.scalars(select(User.name).where(~User.gone))]

        @given(items=st.lists(from_model(User), max_size=5))
        async def test_it(db_session, db_persist, items):
            LAST["rows"] = len(items)
            await db_persist(items)
            assert len(await names(db_session)) == await count(db_session)
    """,
    "an upsert loses a column": """
        async def put(session, **values):
            again = {key: values[key] for key in ("gone", "weight")}
            query = upsert(User).values(**values)
            await session.execute(query.on_conflict_do_update(["name"], set_=again))

        @given(item=from_model(User), size=st.integers(0, 100))
        async def test_it(db_session, db_persist, item, size):
            LAST["rows"] = 1
            await db_persist(item)
            await put(db_session, name=item.name, gone=False, size=size, weight=None)
            query = select(User.size).where(User.name == item.name)
            assert size == await db_session.scalar(query)
    """,
}
CUT = """
    @given(item=from_model(User, name=from_column(Column("name", String(30)))))
    async def test_it(db_session, item):
        LAST["rows"] = 1
        await db_session.execute(text("SET sql_mode = ''"))
        await assert_round_trip(item)
"""
SMALL = """
    def test_it_was_shrunk():
        assert 2 >= LAST["rows"] > 0
"""


@pytest.fixture
def project(project: Project) -> Project:
    """A project with these models."""
    project.write("models", MODELS)
    return project


@pytest.mark.parametrize("bug", BUGS)
def test_a_bug_is_found_and_shrunk(project: Project, bug: str) -> None:
    """Within 200 examples, with the example that shows it."""
    project.test(HEAD, BUGS[bug], SMALL)
    result = project.run("--hypothesis-seed=1", plugins=PLUGINS)

    result.assert_outcomes(failed=1, passed=1)
    result.stdout.fnmatch_lines(["*: test_it(*"])


def test_a_text_that_is_cut_is_found_and_shrunk(project: Project) -> None:
    """MariaDB cuts it where it is not told to be strict."""
    project.test(HEAD, CUT, SMALL)
    result = project.run("--asyncdb=mariadb", "--hypothesis-seed=1", plugins=PLUGINS)
    if "SourceUnavailable" in result.stdout.str():
        pytest.skip("there is no MariaDB")

    result.assert_outcomes(failed=1, passed=1)
    result.stdout.fnmatch_lines(["*PropertyFailed: what was written is not what*"])
