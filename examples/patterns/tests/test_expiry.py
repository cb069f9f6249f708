"""What an object knows after its commit, with expire_on_commit and without."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from sqlalchemy import select, update
from sqlalchemy.exc import MissingGreenlet
from sqlalchemy.ext.asyncio import AsyncSession

from patterns.models import User

if TYPE_CHECKING:
    from sqlalchemy.ext.asyncio import AsyncEngine

    from pytest_asyncdb import Recorder


async def _changed_by_somebody(engine: AsyncEngine) -> None:
    async with engine.begin() as connection:
        await connection.execute(update(User).values(email="new@x"))


async def test_what_does_not_expire_can_be_read_and_may_be_old(
    db_engine: AsyncEngine, db_statements: Recorder
) -> None:
    """No statement is sent, until it is refreshed."""
    async with AsyncSession(db_engine, expire_on_commit=False) as session:
        session.add(user := User(email="old@x"))
        await session.commit()
        await _changed_by_somebody(db_engine)
        with db_statements.expect(exactly=0):
            assert "old@x" == user.email
        await session.refresh(user)

        assert "new@x" == user.email


async def test_what_expires_cannot_be_read_without_an_await(
    db_engine: AsyncEngine,
) -> None:
    """The attribute would send a statement, and nobody awaits that."""
    async with AsyncSession(db_engine, expire_on_commit=True) as session:
        session.add(user := User(email="old@x"))
        await session.commit()
        with pytest.raises(MissingGreenlet):
            _ = user.email


async def test_what_expires_is_read_anew_by_the_next_query(
    db_engine: AsyncEngine,
) -> None:
    """It is never old, at the price of a statement after each commit."""
    async with AsyncSession(db_engine, expire_on_commit=True) as session:
        session.add(user := User(email="old@x"))
        await session.commit()
        await _changed_by_somebody(db_engine)
        again = (await session.scalars(select(User))).one()

        assert user is again
        assert "new@x" == user.email
