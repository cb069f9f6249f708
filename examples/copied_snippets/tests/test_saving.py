"""Two sessions that have read the same, and changes that nobody notices."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sqlalchemy import select

from snippets import saving
from snippets.models import Customer

if TYPE_CHECKING:
    from sqlalchemy.ext.asyncio import AsyncSession, async_sessionmaker


async def test_taught_visit(
    db_sessionmaker: async_sessionmaker[AsyncSession], ann: Customer
) -> None:
    """Two visits that overlap are one."""
    async with db_sessionmaker() as one, db_sessionmaker() as other:
        read = [await each.get_one(Customer, ann.id) for each in (one, other)]
        for session in (one, other):
            await saving.taught_visit(session, ann.id)
        await one.refresh(read[0])

    assert 1 == read[0].visits


async def test_cured_visit(
    db_sessionmaker: async_sessionmaker[AsyncSession], ann: Customer
) -> None:
    """Two visits are two, whatever the sessions have read."""
    async with db_sessionmaker() as one, db_sessionmaker() as other:
        read = [await each.get_one(Customer, ann.id) for each in (one, other)]
        for session in (one, other):
            await session.rollback()
            await saving.cured_visit(session, ann.id)
        await one.refresh(read[0])

    assert 2 == read[0].visits


async def test_taught_theme(db_session: AsyncSession, ann: Customer) -> None:
    """Nothing is written."""
    await saving.taught_theme(db_session, ann.id)

    assert {} == await db_session.scalar(select(Customer.taught_settings))


async def test_cured_theme(db_session: AsyncSession, ann: Customer) -> None:
    """The change is written."""
    await saving.cured_theme(db_session, ann.id)

    assert {"theme": "dark"} == await db_session.scalar(select(Customer.cured_settings))


async def test_taught_rename(db_session: AsyncSession, ann: Customer) -> None:
    """The object in the session has its old name."""
    mine = await db_session.get_one(Customer, ann.id)

    assert "ann" == await saving.taught_rename(db_session, mine, "anna")
    assert "anna" == await db_session.scalar(select(Customer.name))


async def test_cured_rename(db_session: AsyncSession, ann: Customer) -> None:
    """The object in the session has its new name."""
    mine = await db_session.get_one(Customer, ann.id)

    assert "anna" == await saving.cured_rename(db_session, mine, "anna")
