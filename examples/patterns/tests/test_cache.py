"""Results are kept until a commit changes what they have read."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from sqlalchemy import func, select, update

from patterns.cache import Cache
from patterns.models import Role, User

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sqlalchemy.ext.asyncio import AsyncSession, async_sessionmaker

    from pytest_asyncdb import Recorder


class Users:
    """Counts active users, through a cache."""

    def __init__(
        self, cache: Cache, sessions: async_sessionmaker[AsyncSession]
    ) -> None:
        self.cache = cache
        self.sessions = sessions

    async def count(self) -> int | None:
        """How many there are, as the cache knows it."""
        return await self.cache.get("active users", {"users"}, self._load)

    async def _load(self) -> int | None:
        async with self.sessions() as session:
            query = select(func.count(User.id)).where(User.is_active)
            return await session.scalar(query)


@pytest.fixture
def users(db_sessionmaker: async_sessionmaker[AsyncSession]) -> Iterator[Users]:
    """A cache that listens as long as the test runs."""
    cache = Cache()
    yield Users(cache, db_sessionmaker)
    cache.close()


async def test_a_result_is_loaded_once(users: Users, db_statements: Recorder) -> None:
    """The second question costs no statement."""
    async with db_statements.expect(exactly=1):
        assert 0 == await users.count() == await users.count()


async def test_a_commit_makes_it_forget(users: Users, db_session: AsyncSession) -> None:
    """A flush alone does not, as it may be rolled back."""
    await users.count()
    db_session.add(User(email="a@x"))
    await db_session.flush()
    flushed = await users.count()
    await db_session.commit()

    assert (0, 1) == (flushed, await users.count())


async def test_a_rollback_does_not(
    users: Users, db_session: AsyncSession, db_statements: Recorder
) -> None:
    """Nothing has changed, so nothing is loaded, nor at a later commit."""
    await users.count()
    db_session.add(User(email="a@x"))
    await db_session.flush()
    await db_session.rollback()
    db_session.add(Role(name="writer"))
    await db_session.commit()
    async with db_statements.expect(exactly=0):
        assert 0 == await users.count()


async def test_a_bulk_statement_counts_too(
    users: Users, db_session: AsyncSession, user: User
) -> None:
    """It passes by the unit of work, and not by the cache."""
    before = await users.count()
    await db_session.execute(update(User).values(is_active=False))
    await db_session.commit()

    assert (1, 0) == (before, await users.count()), user.email
