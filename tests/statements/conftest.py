"""A blog with rows on each database, and a recorder of what is sent to it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from sqlalchemy.ext.asyncio import AsyncSession

from pytest_asyncdb.statements import Recorder, record
from tests.databases import KINDS, Databases
from tests.statements.blog import Base, Comment, Post, User

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator

    from sqlalchemy.ext.asyncio import AsyncEngine


@pytest.fixture(scope="session")
def databases() -> Iterator[Databases]:
    """Those that have been asked for so far."""
    made = Databases(Base.metadata)
    yield made
    made.close()


@pytest.fixture(params=KINDS)
def kind(request: pytest.FixtureRequest) -> str:
    """A product."""
    return str(request.param)


@pytest.fixture
async def engine(kind: str, databases: Databases) -> AsyncIterator[AsyncEngine]:
    """An engine on a blog: three users, of two posts each, of one comment each."""
    engine = await databases.engine(kind, explicit=False)
    async with AsyncSession(engine) as session, session.begin():
        session.add_all(map(_user, ["ann", "bob", "cid"]))
    yield engine
    async with engine.begin() as connection:
        for table in reversed(Base.metadata.sorted_tables):
            await connection.execute(table.delete())
    await engine.dispose()


def _user(name: str) -> User:
    posts = [
        Post(title=f"{name} {number}", comments=[Comment(body="yes")])
        for number in (1, 2)
    ]
    return User(name=name, posts=posts)


@pytest.fixture
async def session(engine: AsyncEngine) -> AsyncIterator[AsyncSession]:
    """A session as SQLAlchemy makes it."""
    async with AsyncSession(engine) as session:
        yield session


@pytest.fixture
def recorder(engine: AsyncEngine) -> Iterator[Recorder]:
    """Records what the engine sends."""
    with record(engine) as recorder:
        yield recorder
