"""Which engine is asked."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from sqlalchemy import event, select, update

from tenants import registry
from tenants.database import primary, replica
from tenants.models import Note

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession, async_sessionmaker

pytestmark = pytest.mark.asyncdb(requires=["schemas"])


@pytest.fixture
async def sessions() -> async_sessionmaker[AsyncSession]:
    """Sessions of a tenant with a note."""
    await registry.create("acme")
    sessions = await registry.sessions_of("acme")
    async with sessions.begin() as session:
        session.add(Note(text="buy anvils"))
    return sessions


@pytest.fixture
def asked(sessions: async_sessionmaker[AsyncSession]) -> Iterator[list[str]]:
    """The names of the engines that are asked, one for each statement."""
    names: list[str] = []
    listening = []
    for name, engine in _engines(sessions).items():

        def note(*_: object, name: str = name) -> None:
            names.append(name)

        event.listen(engine, "before_cursor_execute", note)
        listening.append((engine, note))
    yield names
    for engine, note in listening:
        event.remove(engine, "before_cursor_execute", note)


def _engines(sessions: async_sessionmaker[AsyncSession]) -> dict[str, AsyncEngine]:
    info = sessions.kw["info"]
    return {name: info[name] for name in ("primary", "replica")}


async def test_a_session_that_only_reads_asks_the_replica(
    sessions: async_sessionmaker[AsyncSession], asked: list[str]
) -> None:
    """Which has what the primary has committed."""
    async with sessions() as session:
        found = list(await session.scalars(select(Note.text)))

    assert ["buy anvils"] == found
    assert ["replica"] == asked


async def test_a_session_reads_what_it_has_written(
    sessions: async_sessionmaker[AsyncSession], asked: list[str]
) -> None:
    """After a flush the replica would be too late."""
    async with sessions() as session:
        session.add(Note(text="sell anvils"))
        await session.flush()
        found = list(await session.scalars(select(Note.text).order_by(Note.id)))

    assert ["buy anvils", "sell anvils"] == found
    assert {"primary"} == set(asked)


async def test_a_bulk_statement_is_a_write(
    sessions: async_sessionmaker[AsyncSession], asked: list[str]
) -> None:
    """It passes by the unit of work, and goes to the primary."""
    async with sessions() as session:
        await session.execute(update(Note).values(text="melt anvils"))
        found = list(await session.scalars(select(Note.text)))

    assert ["melt anvils"] == found
    assert ["primary", "primary"] == asked


async def test_after_its_commit_it_asks_the_replica_again(
    sessions: async_sessionmaker[AsyncSession], asked: list[str]
) -> None:
    """What it has written is there by then."""
    async with sessions() as session:
        session.add(Note(text="sell anvils"))
        await session.commit()
        found = len((await session.scalars(select(Note))).all())

    assert 2 == found
    assert ["primary", "replica"] == asked


def test_they_are_two_engines() -> None:
    """On one database in the tests, and on two servers in production."""
    assert primary is not replica
