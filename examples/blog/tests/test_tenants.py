"""Tenants: made over HTTP, named by a header, and kept apart."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from sqlalchemy import func, select
from sqlalchemy.exc import IntegrityError

from blog.models import Post, Tag, Tenant
from blog.repositories import Posts, Tenants

if TYPE_CHECKING:
    import httpx
    from sqlalchemy.ext.asyncio import AsyncSession

    from blog.models import User
    from pytest_asyncdb.factories import AsyncModelFactory


async def test_a_new_tenant_is_committed(
    client: httpx.AsyncClient, db_session: AsyncSession
) -> None:
    """A tenant made over HTTP is found by the repository."""
    answer = await client.post("/tenants", json={"slug": "globex"})

    assert 201 == answer.status_code
    assert await Tenants(db_session).by_slug("globex") is not None


async def test_a_tenant_that_is_taken_is_a_conflict(
    client: httpx.AsyncClient, db_session: AsyncSession
) -> None:
    """The second tenant of a name is a 409 and leaves no row."""
    answer = await client.post("/tenants", json={"slug": "acme"})

    assert 409 == answer.status_code
    assert {"detail": "it exists already"} == answer.json()
    assert 1 == await db_session.scalar(select(func.count(Tenant.id)))


async def test_an_unknown_tenant_is_not_found(client: httpx.AsyncClient) -> None:
    """A header that names no tenant is a 404."""
    answer = await client.get("/posts", headers={"X-Tenant": "initech"})

    assert 404 == answer.status_code
    assert {"detail": "no tenant initech"} == answer.json()


async def test_a_request_names_its_tenant(client: httpx.AsyncClient) -> None:
    """Without the header a request is a 422."""
    del client.headers["X-Tenant"]
    answer = await client.get("/posts")

    assert 422 == answer.status_code


async def test_users_of_another_tenant_are_not_found(
    client: httpx.AsyncClient, ann: User
) -> None:
    """A user is seen by his own tenant only."""
    await client.post("/tenants", json={"slug": "globex"})
    answer = await client.get(f"/users/{ann.email}", headers={"X-Tenant": "globex"})

    assert 404 == answer.status_code


async def test_posts_of_another_tenant_are_hidden(
    client: httpx.AsyncClient, post_factory: type[AsyncModelFactory[Post]]
) -> None:
    """Neither the list nor the address shows what another tenant has published."""
    await post_factory(slug="hello", tags=["sql"], author__tenant__slug="globex")

    assert [] == (await client.get("/posts")).json()
    assert [] == (await client.get("/posts", params={"tag": "sql"})).json()
    assert 404 == (await client.get("/posts/hello")).status_code


async def test_tenants_may_use_the_same_slug(
    db_session: AsyncSession,
    ann: User,
    post_factory: type[AsyncModelFactory[Post]],
) -> None:
    """The slug of a post is unique in its tenant only."""
    same = {"slug": "hello", "tags": ["sql"]}
    await post_factory(author=ann, title="Of acme", **same)
    await post_factory(author__tenant__slug="globex", title="Of globex", **same)

    assert 2 == await db_session.scalar(select(func.count(Post.id)))
    assert 2 == await db_session.scalar(select(func.count(Tag.id)))


async def test_a_slug_is_unique_in_its_tenant(
    db_session: AsyncSession, tenant: Tenant, ann: User
) -> None:
    """The second post of a slug is refused, and the first one stays."""
    posts = Posts(db_session, tenant)
    await posts.create(ann, "hello", "The first")
    await db_session.commit()
    with pytest.raises(IntegrityError):
        await posts.create(ann, "hello", "The second")
    await db_session.rollback()

    assert ["The first"] == list(await db_session.scalars(select(Post.title)))
