"""The unit of work that every contender's test does."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sqlalchemy import select

from models import User

if TYPE_CHECKING:
    from sqlalchemy.ext.asyncio import AsyncSession


async def unit_of_work(session: AsyncSession) -> None:
    """Add and commit a user, then select it by name: another test's row would fail."""
    session.add(User(name="ann"))
    await session.commit()
    found = await session.scalars(select(User).where(User.name == "ann"))
    assert found.one().id is not None


async def twenty_statements(session: AsyncSession) -> None:
    """Five times: add and commit a user, and three queries of objects and columns."""
    for number in range(5):
        session.add(User(name=f"user {number}"))
        await session.commit()
        one = select(User).where(User.name == f"user {number}")
        assert (await session.scalars(one)).one().id is not None
        assert (await session.scalars(select(User).where(User.id > 0))).all()
        assert (await session.execute(select(User.name))).all()
