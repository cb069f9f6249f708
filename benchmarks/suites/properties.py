"""What the examples of a property-based test do, and how they are undone by hand."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncSession

from models import User

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

__all__ = ["begin", "commits", "flushes", "in_savepoint", "in_session", "reads"]


async def begin(session: AsyncSession) -> None:
    """Write the row that every example is to see, and no other one."""
    session.add(User(name="seed"))
    await session.flush()


async def reads(session: AsyncSession, number: int) -> None:
    """See the seed alone: the least that an example can do."""
    del number
    assert [*await session.scalars(select(User.name))] == ["seed"]


async def flushes(session: AsyncSession, number: int) -> None:
    """See the seed alone, add a user, and select it."""
    assert [*await session.scalars(select(User.name))] == ["seed"]
    session.add(User(name=f"user {number}"))
    await session.flush()
    await _find(session, number)


async def commits(session: AsyncSession, number: int) -> None:
    """The same, but the user is committed."""
    assert [*await session.scalars(select(User.name))] == ["seed"]
    session.add(User(name=f"user {number}"))
    await session.commit()
    await _find(session, number)


async def _find(session: AsyncSession, number: int) -> None:
    found = await session.scalars(select(User).where(User.name == f"user {number}"))
    assert found.one().id is not None


async def in_savepoint(
    work: Callable[[AsyncSession, int], Awaitable[None]],
    session: AsyncSession,
    number: int,
) -> None:
    """One savepoint of the test's own session around `work`, which may not commit."""
    savepoint = await session.begin_nested()
    await work(session, number)
    await savepoint.rollback()
    session.expunge_all()


async def in_session(
    work: Callable[[AsyncSession, int], Awaitable[None]],
    session: AsyncSession,
    number: int,
) -> None:
    """One savepoint below a session of the example's own, which may commit."""
    connection = session.bind
    assert isinstance(connection, AsyncConnection)
    savepoint = await connection.begin_nested()
    async with AsyncSession(
        bind=connection,
        join_transaction_mode="create_savepoint",
        expire_on_commit=False,
    ) as own:
        await work(own, number)
    await savepoint.rollback()
