"""A session on each database, and what is sent on it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

import pytest
from sqlalchemy import NullPool, StaticPool, event, func, select
from sqlalchemy.ext.asyncio import AsyncSession, create_async_engine

from pytest_asyncdb.errors import DriverMissing, SourceUnavailable
from pytest_asyncdb.provisioning import Run
from pytest_asyncdb.settings import parse_target
from tests.factories.library import Author, AuthorFactory, Base, Book, Profile, Tag

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator

    from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

KINDS: Final = {
    "sqlite": "",
    "postgresql": "postgresql+asyncpg:18@embedded",
    "mariadb": "mariadb+asyncmy@local",
}


class _Tables:
    """Builds the library's tables."""

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
    """An engine on an empty library."""
    if kind == "sqlite":
        engine = _in_memory()
        async with engine.begin() as connection:
            await connection.run_sync(Base.metadata.create_all)
    else:
        engine = create_async_engine(_url(kind, urls), poolclass=NullPool)
    yield engine
    if kind != "sqlite":
        async with engine.begin() as connection:
            for table in reversed(Base.metadata.sorted_tables):
                await connection.execute(table.delete())
    await engine.dispose()


def _url(kind: str, urls: dict[str, Any]) -> Any:
    if kind not in urls:
        try:
            run = Run(parse_target(KINDS[kind]))
            urls["runs"].append(run)
            urls[kind] = run.database(_Tables()).url
        except (DriverMissing, SourceUnavailable) as error:
            pytest.skip(error.cause)
    return urls[kind]


def _in_memory() -> AsyncEngine:
    """SQLite that begins its transactions when it is told to, with foreign keys."""
    engine = create_async_engine("sqlite+aiosqlite://", poolclass=StaticPool)

    @event.listens_for(engine.sync_engine, "connect")
    def connect(connection: Any, _: object) -> None:
        connection.isolation_level = None
        connection.execute("PRAGMA foreign_keys = ON")

    @event.listens_for(engine.sync_engine, "begin")
    def begin(connection: Any) -> None:
        connection.exec_driver_sql("BEGIN")

    return engine


@pytest.fixture
async def session(engine: AsyncEngine) -> AsyncIterator[AsyncSession]:
    """A session as SQLAlchemy makes it, which every factory of the test uses."""
    async with AsyncSession(engine) as session:
        with AuthorFactory.using(session):
            yield session


@dataclass
class Sent:
    """What went to the database."""

    flushes: int = 0
    statements: list[str] = field(default_factory=list)

    def besides(self, *words: str) -> list[str]:
        """Statements that begin with none of these words."""
        return [each for each in self.statements if not each.startswith(words)]


@pytest.fixture
def sent(engine: AsyncEngine, session: AsyncSession) -> Iterator[Sent]:
    """Flushes and statements of the test from here on."""
    sent = Sent()

    def flushed(*_: object) -> None:
        sent.flushes += 1

    def executed(_c: object, _u: object, statement: str, *_: object) -> None:
        sent.statements.append(statement)

    event.listen(session.sync_session, "after_flush", flushed)
    event.listen(engine.sync_engine, "before_cursor_execute", executed)
    yield sent
    event.remove(engine.sync_engine, "before_cursor_execute", executed)


async def rows(session: AsyncSession) -> dict[str, int]:
    """How many rows there are of each model."""
    counts = {}
    for model in (Author, Book, Profile, Tag):
        counts[model.__name__] = await session.scalar(
            select(func.count()).select_from(model)
        )
    return {name: count for name, count in counts.items() if count}
