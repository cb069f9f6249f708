"""Transactions: what is committed stays, what fails leaves nothing."""

from __future__ import annotations

from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Annotated

import pytest
from fastapi import Depends, HTTPException
from sqlalchemy import func, select
from sqlalchemy.exc import IntegrityError, PendingRollbackError
from sqlalchemy.ext.asyncio import AsyncSession

from blog.database import get_db, sessions
from blog.models import Post, Tenant, User
from blog.repositories import Posts, Tenants, Users

if TYPE_CHECKING:
    import httpx
    from fastapi import FastAPI
    from sqlalchemy.ext.asyncio import async_sessionmaker

SessionDependency = Annotated[AsyncSession, Depends(get_db, scope="function")]


async def _slugs(session: AsyncSession) -> list[str]:
    return list(await session.scalars(select(Tenant.slug).order_by(Tenant.slug)))


async def test_a_request_that_breaks_leaves_nothing(
    app: FastAPI, client: httpx.AsyncClient, db_session: AsyncSession
) -> None:
    """What a request wrote before an error of the program is rolled back."""

    @app.post("/broken")
    async def broken(session: SessionDependency) -> None:
        await Tenants(session).create("globex")
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        await client.post("/broken")

    assert ["acme"] == await _slugs(db_session)


async def test_a_request_that_is_refused_late_leaves_nothing(
    app: FastAPI, client: httpx.AsyncClient, db_session: AsyncSession
) -> None:
    """An answer with an error is a rollback too, of all that the request wrote."""

    @app.post("/refused")
    async def refused(session: SessionDependency) -> None:
        await Tenants(session).create("globex")
        raise HTTPException(422, "on second thought")

    answer = await client.post("/refused")

    assert 422 == answer.status_code
    assert ["acme"] == await _slugs(db_session)


async def test_a_request_may_commit_in_between(
    app: FastAPI, client: httpx.AsyncClient, db_session: AsyncSession
) -> None:
    """What was committed before the error stays, what came after it does not."""

    @app.post("/halfway")
    async def halfway(session: SessionDependency) -> None:
        await Tenants(session).create("globex")
        await session.commit()
        await Tenants(session).create("initech")
        raise HTTPException(409)

    await client.post("/halfway")

    assert ["acme", "globex"] == await _slugs(db_session)


async def test_a_conflict_at_the_commit_is_answered(
    app: FastAPI, client: httpx.AsyncClient, db_session: AsyncSession
) -> None:
    """The commit comes before the answer, so what fails there is a 409 too."""

    @app.post("/unflushed", status_code=201)
    async def unflushed(session: SessionDependency) -> None:
        session.add_all([Tenant(slug="globex"), Tenant(slug="acme")])

    answer = await client.post("/unflushed")

    assert 409 == answer.status_code
    assert ["acme"] == await _slugs(db_session)


async def test_the_dependency_commits(db_session: AsyncSession) -> None:
    """The session of a request is committed when the request has succeeded."""
    async with asynccontextmanager(get_db)() as session:
        await Tenants(session).create("globex")

    assert ["globex"] == await _slugs(db_session)


async def test_the_application_and_the_test_see_each_other(
    db_session: AsyncSession,
) -> None:
    """Rows go both ways between the application's sessions and the test's."""
    await Tenants(db_session).create("globex")
    await db_session.commit()
    async with sessions.begin() as session:
        seen = await _slugs(session)
        await Tenants(session).create("initech")

    assert ["globex"] == seen
    assert ["globex", "initech"] == await _slugs(db_session)


async def test_a_block_that_fails_is_rolled_back(db_session: AsyncSession) -> None:
    """An exception inside of begin() takes back what the block wrote."""

    async def fail() -> None:
        async with sessions.begin() as session:
            await Tenants(session).create("globex")
            raise LookupError

    with pytest.raises(LookupError):
        await fail()

    assert [] == await _slugs(db_session)


async def test_a_session_closed_without_a_commit_leaves_nothing(
    db_session: AsyncSession, db_sessionmaker: async_sessionmaker[AsyncSession]
) -> None:
    """What was only flushed is gone with its session."""
    async with db_sessionmaker() as session:
        await Tenants(session).create("globex")

    assert [] == await _slugs(db_session)


async def test_a_session_is_usable_after_a_conflict(db_session: AsyncSession) -> None:
    """After the rollback of a failed flush the same session commits again."""
    tenants = Tenants(db_session)
    await tenants.create("globex")
    await db_session.commit()
    with pytest.raises(IntegrityError):
        await tenants.create("globex")
    await db_session.rollback()
    await tenants.create("initech")
    await db_session.commit()

    assert ["globex", "initech"] == await _slugs(db_session)


async def test_a_conflict_takes_back_what_came_before_it(
    db_session: AsyncSession,
) -> None:
    """The rollback goes to the last commit, not only to the failed statement."""
    tenants = Tenants(db_session)
    await tenants.create("globex")
    await db_session.commit()
    await tenants.create("initech")
    with pytest.raises(IntegrityError):
        await tenants.create("globex")
    await db_session.rollback()

    assert ["globex"] == await _slugs(db_session)


async def test_a_failed_flush_wants_a_rollback(db_session: AsyncSession) -> None:
    """A session whose flush has failed refuses to go on without a rollback."""
    await Tenants(db_session).create("globex")
    await db_session.commit()
    with pytest.raises(IntegrityError):
        await Tenants(db_session).create("globex")
    with pytest.raises(PendingRollbackError):
        await _slugs(db_session)
    await db_session.rollback()

    assert ["globex"] == await _slugs(db_session)


async def test_a_savepoint_that_fails_spares_the_rest(
    db_session: AsyncSession, tenant: Tenant, ann: User
) -> None:
    """Only what the failed begin_nested wrote is taken back."""
    users = Users(db_session, tenant)

    async def fail() -> None:
        async with db_session.begin_nested():
            await users.register("inside@acme.example")
            await users.register(ann.email)

    await users.register("before@acme.example")
    with pytest.raises(IntegrityError):
        await fail()
    await users.register("after@acme.example")
    await db_session.commit()
    emails = await db_session.scalars(select(User.email).order_by(User.id))

    assert [ann.email, "before@acme.example", "after@acme.example"] == list(emails)


async def test_savepoints_are_nested(db_session: AsyncSession) -> None:
    """An inner savepoint may be given up and the outer one kept."""
    tenants = Tenants(db_session)
    async with db_session.begin_nested():
        await tenants.create("globex")
        inner = await db_session.begin_nested()
        await tenants.create("initech")
        await inner.rollback()
    await db_session.commit()

    assert ["globex"] == await _slugs(db_session)


async def test_a_rollback_forgets_a_released_savepoint(
    db_session: AsyncSession,
) -> None:
    """A savepoint that succeeded is no commit: the rollback takes it back."""
    await Tenants(db_session).create("initech")
    async with db_session.begin_nested():
        await Tenants(db_session).create("globex")
    await db_session.rollback()

    assert [] == await _slugs(db_session)


async def test_an_import_skips_what_exists(
    db_session: AsyncSession, tenant: Tenant, ann: User
) -> None:
    """A savepoint for each row lets an import go on after duplicates."""
    posts, skipped = Posts(db_session, tenant), 0
    for slug in ("a", "b", "a", "c", "b"):
        try:
            async with db_session.begin_nested():
                await posts.create(ann, slug, slug.upper(), tags=["imported"])
        except IntegrityError:
            skipped += 1
    await db_session.commit()

    assert 2 == skipped
    assert 3 == await db_session.scalar(select(func.count(Post.id)))
    assert 3 == len(await posts.published(tag="imported"))


@pytest.mark.parametrize("time", ["first", "second", "third"])
async def test_every_test_starts_with_an_empty_database(
    db_session: AsyncSession, time: str
) -> None:
    """What a test commits through the application's sessions is gone in the next."""
    before = await _slugs(db_session)
    await db_session.commit()
    async with sessions.begin() as session:
        await Tenants(session).create("always the same")

    assert [] == before, time
    assert ["always the same"] == await _slugs(db_session)
