"""What one tenant notes, no other one reads."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from sqlalchemy import inspect, select, text

from tenants import registry
from tenants.models import Note, Tenant
from tenants.registry import NoSuchTenant, SlugRefused

if TYPE_CHECKING:
    from sqlalchemy import Connection
    from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession

pytestmark = pytest.mark.asyncdb(requires=["schemas"])


@pytest.fixture
async def acme() -> str:
    """A tenant."""
    await registry.create("acme")
    return "acme"


@pytest.fixture
async def globex() -> str:
    """Another one."""
    await registry.create("globex")
    return "globex"


async def _note(slug: str, *texts: str) -> None:
    sessions = await registry.sessions_of(slug)
    async with sessions.begin() as session:
        session.add_all([Note(text=text) for text in texts])


async def _notes(slug: str) -> list[str]:
    async with (await registry.sessions_of(slug))() as session:
        return list(await session.scalars(select(Note.text).order_by(Note.id)))


async def _schemas(engine: AsyncEngine) -> set[str]:
    def ask(connection: Connection) -> set[str]:
        return set(inspect(connection).get_schema_names())

    async with engine.connect() as connection:
        return await connection.run_sync(ask)


async def test_tenants_have_notes_of_their_own(acme: str, globex: str) -> None:
    """The same query gives each his own rows."""
    await _note(acme, "buy anvils")
    await _note(globex, "build a dome", "close the dome")

    assert ["buy anvils"] == await _notes(acme)
    assert ["build a dome", "close the dome"] == await _notes(globex)


async def test_keys_are_counted_by_each(acme: str, globex: str) -> None:
    """Each has a sequence of his own."""
    keys = []
    for slug in (acme, globex):
        await _note(slug, "first")
        async with (await registry.sessions_of(slug))() as session:
            keys.append(await session.scalar(select(Note.id)))

    assert [1, 1] == keys


async def test_the_schema_that_stands_for_theirs_stays_empty(
    acme: str, db_session: AsyncSession
) -> None:
    """Nothing is written by a session that has forgotten its tenant."""
    await _note(acme, "buy anvils")

    assert [] == list(await db_session.scalars(select(Note)))


async def test_a_name_is_given_once(acme: str, db_engine: AsyncEngine) -> None:
    """The second tenant is refused, and the first one keeps his notes."""
    await _note(acme, "buy anvils")
    with pytest.raises(SlugRefused):
        await registry.create(acme)

    assert ["buy anvils"] == await _notes(acme)
    assert "tenant_acme" in await _schemas(db_engine)


@pytest.mark.parametrize("slug", ["", "Acme", "a b", 'x"; DROP SCHEMA public', "ü"])
async def test_what_is_no_name_is_refused(
    slug: str, db_engine: AsyncEngine, db_session: AsyncSession
) -> None:
    """Before anything is sent."""
    before = await _schemas(db_engine)
    with pytest.raises(SlugRefused):
        await registry.create(slug)

    assert before == await _schemas(db_engine)
    assert [] == list(await db_session.scalars(select(Tenant)))


async def test_a_tenant_whose_schema_cannot_be_made_is_none(
    db_engine: AsyncEngine, db_session: AsyncSession
) -> None:
    """His row is rolled back with it."""
    async with db_engine.begin() as connection:
        await connection.execute(text("CREATE SCHEMA tenant_acme"))
    with pytest.raises(Exception, match="already exists"):
        await registry.create("acme")

    assert [] == list(await db_session.scalars(select(Tenant)))


async def test_a_removed_tenant_is_gone(acme: str, db_engine: AsyncEngine) -> None:
    """With his schema, and nobody finds him."""
    await _note(acme, "buy anvils")
    await registry.remove(acme)

    assert "tenant_acme" not in await _schemas(db_engine)
    with pytest.raises(NoSuchTenant):
        await registry.sessions_of(acme)


@pytest.mark.parametrize("time", ["first", "second"])
async def test_a_schema_is_gone_in_the_next_test(
    db_engine: AsyncEngine, time: str
) -> None:
    """What a test makes is rolled back, or put back after real commits."""
    before = await _schemas(db_engine)
    await registry.create("always_the_same")

    assert "tenant_always_the_same" not in before, time
