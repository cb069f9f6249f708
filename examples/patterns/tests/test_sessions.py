"""A transaction for each request, or for each unit of work."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from sqlalchemy import select
from sqlalchemy.exc import IntegrityError

from patterns.models import User
from patterns.sessions import request, units_of_work

if TYPE_CHECKING:
    from sqlalchemy.ext.asyncio import AsyncSession, async_sessionmaker

    from patterns.sessions import Step


def _add(email: str) -> Step:
    async def step(session: AsyncSession) -> None:
        session.add(User(email=email))
        await session.flush()

    return step


STEPS = [_add(email) for email in ("a@x", "b@x", "a@x", "c@x")]


async def _emails(session: AsyncSession) -> list[str]:
    return list(await session.scalars(select(User.email).order_by(User.email)))


async def test_a_request_is_all_or_nothing(
    db_sessionmaker: async_sessionmaker[AsyncSession], db_session: AsyncSession
) -> None:
    """The third step fails, and the first two are undone with it."""

    async def handle() -> None:
        async with request(db_sessionmaker) as session:
            for step in STEPS:
                await step(session)

    with pytest.raises(IntegrityError):
        await handle()

    assert [] == await _emails(db_session)


async def test_units_of_work_are_for_themselves(
    db_sessionmaker: async_sessionmaker[AsyncSession], db_session: AsyncSession
) -> None:
    """The third step fails alone."""
    errors = await units_of_work(db_sessionmaker, STEPS)

    assert [IntegrityError] == [type(error) for error in errors]
    assert ["a@x", "b@x", "c@x"] == await _emails(db_session)
