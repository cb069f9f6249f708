"""The export: read row by row from the database, sent line by line."""

from __future__ import annotations

import json
from contextlib import aclosing
from typing import TYPE_CHECKING

import pytest
from sqlalchemy import func, select

from blog.models import Post
from blog.repositories import Posts

if TYPE_CHECKING:
    import httpx
    from sqlalchemy.ext.asyncio import AsyncSession, async_sessionmaker

    from blog.models import Tenant, User
    from pytest_asyncdb.factories import AsyncModelFactory

ROWS = [(f"draft-{number}", f"Idea {number}") for number in range(120)]


@pytest.fixture
async def posts(db_session: AsyncSession, tenant: Tenant, ann: User) -> Posts:
    """More posts than are fetched at once."""
    posts = Posts(db_session, tenant)
    await posts.create_many(ann, dict(ROWS))
    await db_session.commit()
    return posts


async def test_the_export_has_every_post_in_order(posts: Posts) -> None:
    """No row is lost or doubled where one portion ends and the next begins."""
    exported = [row async for row in posts.export()]

    assert ROWS == exported


@pytest.mark.usefixtures("posts")
async def test_the_export_is_sent_line_by_line(client: httpx.AsyncClient) -> None:
    """Each line of the answer is a post in JSON."""
    async with client.stream("GET", "/posts/export") as answer:
        lines = [json.loads(line) async for line in answer.aiter_lines()]

    assert "application/x-ndjson" == answer.headers["content-type"]
    assert ROWS == [(line["slug"], line["title"]) for line in lines]


async def test_nothing_is_exported_from_an_empty_blog(
    client: httpx.AsyncClient,
) -> None:
    """A tenant without posts gets an empty answer."""
    answer = await client.get("/posts/export")

    assert 200 == answer.status_code
    assert "" == answer.text


@pytest.mark.usefixtures("posts")
async def test_the_export_is_of_one_tenant(
    client: httpx.AsyncClient, post_factory: type[AsyncModelFactory[Post]]
) -> None:
    """What others wrote is not exported."""
    await post_factory(slug="theirs", title="Theirs", author__tenant__slug="globex")
    answer = await client.get("/posts/export", headers={"X-Tenant": "globex"})

    assert {"slug": "theirs", "title": "Theirs"} == json.loads(answer.text)


async def test_an_export_may_be_given_up(posts: Posts) -> None:
    """A reader who has seen enough leaves the session usable."""
    seen = []
    async with aclosing(posts.export()) as rows:
        async for slug, _ in rows:
            seen.append(slug)
            if len(seen) == 60:
                break

    assert [slug for slug, _ in ROWS[:60]] == seen
    assert 120 == await posts.session.scalar(select(func.count(Post.id)))


@pytest.mark.asyncdb(requires=["concurrent_writers"])
async def test_posts_are_viewed_while_they_are_exported(
    posts: Posts,
    tenant: Tenant,
    db_session: AsyncSession,
    db_sessionmaker: async_sessionmaker[AsyncSession],
) -> None:
    """Another session commits between two rows of the export."""
    first = await posts.details("draft-0")
    assert first is not None
    count = 0
    async for _ in posts.export():
        count += 1
        if count % 40 == 0:
            async with db_sessionmaker.begin() as session:
                await Posts(session, tenant).view(first)
    await db_session.commit()
    await db_session.refresh(first)

    assert 120 == count
    assert 3 == first.views


@pytest.mark.usefixtures("posts")
async def test_two_exports_run_side_by_side(
    db_sessionmaker: async_sessionmaker[AsyncSession], tenant: Tenant
) -> None:
    """Two sessions read the same rows, one row each in turn."""
    async with db_sessionmaker() as one, db_sessionmaker() as two:
        other = Posts(two, tenant).export()
        pairs = [(row, await anext(other)) async for row in Posts(one, tenant).export()]

    assert [(row, row) for row in ROWS] == pairs
