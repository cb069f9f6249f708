"""Outcomes that no pattern explains are told with what an actor has met."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

import pytest
from sqlalchemy import select
from sqlalchemy.exc import IntegrityError

from pytest_asyncdb.concurrency import explore
from pytest_asyncdb.errors import AnomalyFound, ReadAnomaly
from tests.concurrency.explore.shop import Job, Unique

if TYPE_CHECKING:
    from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession, async_sessionmaker

    Sessions = async_sessionmaker[AsyncSession]

pytestmark = pytest.mark.parametrize(
    ("server", "where"),
    [
        ("postgresql+asyncpg", "unique_email.email"),
        ("postgresql+psycopg", "unique_email.email"),
        ("mariadb+asyncmy", "unique_email"),
        ("wal, the driver", "unique_email.email"),
    ],
    indirect=["server"],
)


async def _post(sessions: Sessions, number: int, *, jobs: bool) -> int:
    """Get or create the address, then a job; a conflict is an answer, not an error."""
    async with sessions() as session:
        if await session.scalar(select(Unique).where(Unique.email == "x")) is None:
            session.add(Unique(email="x"))
        if jobs:
            session.add(Job(id=number))
        try:
            await session.commit()
        except IntegrityError:
            return 409
        return 201


async def test_an_error_that_was_swallowed_is_told(
    where: str, engine: AsyncEngine, sessions: Sessions
) -> None:
    """It is the reason where no serial order meets it; and what helps is told."""
    actors = {
        name: partial(_post, sessions, number, jobs=True)
        for name, number in (("a", 10), ("b", 20))
    }

    with pytest.raises(AnomalyFound, match=r"^unserializable outcome") as caught:
        await explore(engine, actors)

    met = f"b met unique_violation on {where}; in no serial order of a and b does it"
    assert met in str(caught.value)
    assert ["INSERT ... ON CONFLICT" in each for each in caught.value.remedies] == [
        True
    ]


async def test_an_answer_that_tells_of_it_is_told_as_well(
    where: str, engine: AsyncEngine, sessions: Sessions
) -> None:
    """All rows are right, and the second one would have found the first one's."""
    actors = {name: partial(_post, sessions, 0, jobs=False) for name in "ab"}

    with pytest.warns(ReadAnomaly, match=f"met unique_violation on {where};") as seen:
        await explore(engine, actors)
    assert "what helps" in str(seen[0].message)
