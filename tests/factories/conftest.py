"""A session on each database, and what is sent on it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import pytest
from sqlalchemy import event, func, select
from sqlalchemy.ext.asyncio import AsyncSession

from tests.databases import KINDS, Databases
from tests.factories.library import Author, AuthorFactory, Base, Book, Profile, Tag

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
    """An engine on an empty library."""
    engine = await databases.engine(kind)
    yield engine
    if kind != "sqlite":
        async with engine.begin() as connection:
            for table in reversed(Base.metadata.sorted_tables):
                await connection.execute(table.delete())
    await engine.dispose()


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
