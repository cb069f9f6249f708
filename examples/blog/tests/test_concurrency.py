"""Concurrency: many requests and many sessions at the same time."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest
from sqlalchemy import func, select

from blog.database import sessions
from blog.models import Comment, Post, Tag, User
from blog.repositories import Tenants, Users
from blog.routers import count_view

if TYPE_CHECKING:
    import httpx
    from sqlalchemy.ext.asyncio import AsyncSession, async_sessionmaker

    from blog.models import Tenant
    from pytest_asyncdb.factories import AsyncModelFactory


@pytest.fixture
async def post(post_factory: type[AsyncModelFactory[Post]], ann: User) -> Post:
    """A post that everybody reads."""
    return await post_factory(author=ann, slug="hello")


async def test_no_view_is_lost(
    client: httpx.AsyncClient, db_session: AsyncSession, post: Post
) -> None:
    """Twenty requests at once count twenty views, through a pool of fifteen."""

    async def read() -> int:
        return (await client.get("/posts/hello")).status_code

    statuses = await asyncio.gather(*(read() for _ in range(20)))
    await db_session.refresh(post)

    assert [200] * 20 == statuses
    assert 20 == post.views


async def test_no_view_is_lost_between_sessions(
    db_session: AsyncSession, tenant: Tenant, post: Post
) -> None:
    """Twenty sessions of the application at once add to the same counter."""
    await asyncio.gather(*(count_view(tenant, post) for _ in range(20)))
    await db_session.refresh(post)

    assert 20 == post.views


async def test_many_users_register_at_once(
    client: httpx.AsyncClient, db_session: AsyncSession
) -> None:
    """Each of the requests that run at the same time commits its own row."""
    emails = [f"user-{number}@acme.example" for number in range(15)]
    answers = await asyncio.gather(
        *(client.post("/users", json={"email": email}) for email in emails)
    )

    assert {201} == {answer.status_code for answer in answers}
    assert set(emails) == set(await db_session.scalars(select(User.email)))


async def test_of_two_equal_requests_one_wins(
    client: httpx.AsyncClient, db_session: AsyncSession
) -> None:
    """One row is written, whoever is faster; the others are told of the conflict."""
    new = {"email": "eve@acme.example"}
    answers = await asyncio.gather(*(client.post("/users", json=new) for _ in range(2)))

    assert [201, 409] == sorted(answer.status_code for answer in answers)
    assert 1 == await db_session.scalar(select(func.count(User.id)))


@pytest.mark.usefixtures("post")
async def test_comments_are_written_while_the_post_is_read(
    client: httpx.AsyncClient, db_session: AsyncSession, bob: User
) -> None:
    """Readers and writers do not disturb each other."""
    comment = {"author": bob.email, "body": "Me too!"}
    requests = [client.post("/posts/hello/comments", json=comment) for _ in range(8)]
    requests += [client.get("/posts/hello") for _ in range(8)]
    answers = await asyncio.gather(*requests)

    assert [201] * 8 + [200] * 8 == [answer.status_code for answer in answers]
    assert 8 == await db_session.scalar(select(func.count(Comment.id)))


async def test_posts_written_at_once_share_a_tag(
    client: httpx.AsyncClient, db_session: AsyncSession, ann: User
) -> None:
    """Requests that want the same new tag at the same time make one row of it."""
    fields = {"author": ann.email, "title": "A post", "tags": ["sql"]}
    answers = await asyncio.gather(
        *(client.post("/posts", json={**fields, "slug": f"p-{n}"}) for n in range(5))
    )
    found = await client.get("/posts", params={"tag": "sql"})

    assert {201} == {answer.status_code for answer in answers}
    assert 1 == await db_session.scalar(select(func.count(Tag.id)))
    assert 5 == len(found.json())


async def test_several_sessions_are_open_at_once(
    db_sessionmaker: async_sessionmaker[AsyncSession], tenant: Tenant
) -> None:
    """Each session has its own objects; all see what one has committed."""
    async with db_sessionmaker() as one, db_sessionmaker() as two, sessions() as three:
        await Users(one, tenant).register("eve@acme.example")
        await one.commit()
        found = [
            await Users(session, tenant).by_email("eve@acme.example")
            for session in (one, two, three)
        ]

    assert None not in found
    assert 3 == len({id(user) for user in found})
    assert 1 == len({user.id for user in found if user})


@pytest.mark.asyncdb(requires=["concurrent_writers"])
async def test_sessions_take_turns_at_writing(
    db_session: AsyncSession, db_sessionmaker: async_sessionmaker[AsyncSession]
) -> None:
    """Transactions that overlap are all kept, in whatever order they commit."""
    async with db_sessionmaker() as one, db_sessionmaker() as two:
        await Tenants(one).create("one")
        await Tenants(two).create("two")
        await two.commit()
        await Tenants(two).create("two again")
        await one.commit()
        await two.commit()

    for slug in ("one", "two", "two again"):
        assert await Tenants(db_session).by_slug(slug) is not None


async def test_a_stale_object_is_refreshed(
    db_session: AsyncSession, tenant: Tenant, post: Post
) -> None:
    """What another session has committed is seen when an object is read again."""
    await count_view(tenant, post)
    before = post.views
    await db_session.refresh(post)

    assert 0 == before
    assert 1 == post.views


async def test_a_task_may_outlive_its_request(
    client: httpx.AsyncClient, db_session: AsyncSession, tenant: Tenant, post: Post
) -> None:
    """A task started beside a request ends in a transaction of its own."""
    task = asyncio.create_task(count_view(tenant, post))
    await client.get("/posts/hello")
    await task
    await db_session.refresh(post)

    assert 2 == post.views
