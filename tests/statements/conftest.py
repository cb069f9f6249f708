"""A blog with rows on each database, and a recorder of what is sent to it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import pytest
from sqlalchemy import NullPool, StaticPool
from sqlalchemy.ext.asyncio import AsyncSession, create_async_engine

from pytest_asyncdb.errors import SourceUnavailable
from pytest_asyncdb.provisioning import Run
from pytest_asyncdb.settings import parse_target
from pytest_asyncdb.statements import Recorder, record
from tests.statements.blog import Base, Comment, Post, User

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator

    from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

KINDS: Final = {
    "sqlite": "",
    "postgresql": "postgresql+asyncpg:18@embedded",
    "mariadb": "mariadb+asyncmy@local",
}


class _Tables:
    """Builds the blog's tables."""

    key = None

    async def __call__(self, connection: AsyncConnection, /) -> None:
        """Create them."""
        await connection.run_sync(Base.metadata.create_all)


@pytest.fixture(scope="session")
def urls() -> Iterator[dict[str, Any]]:
    """URLs of the databases that have been asked for so far."""
    known: dict[str, Any] = {}
    runs: list[Run] = known.setdefault("runs", [])
    yield known
    for run in runs:
        run.close()


@pytest.fixture(params=list(KINDS))
def kind(request: pytest.FixtureRequest) -> str:
    """A product."""
    return str(request.param)


@pytest.fixture
async def engine(kind: str, urls: dict[str, Any]) -> AsyncIterator[AsyncEngine]:
    """An engine on a blog: three users, of two posts each, of one comment each."""
    if kind == "sqlite":
        engine = create_async_engine("sqlite+aiosqlite://", poolclass=StaticPool)
        async with engine.begin() as connection:
            await connection.run_sync(Base.metadata.create_all)
    else:
        engine = create_async_engine(_url(kind, urls), poolclass=NullPool)
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


def _url(kind: str, urls: dict[str, Any]) -> Any:
    if kind not in urls:
        run = Run(parse_target(KINDS[kind]))
        urls["runs"].append(run)
        try:
            urls[kind] = run.database(_Tables()).url
        except SourceUnavailable as error:
            pytest.skip(error.cause)
    return urls[kind]


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
