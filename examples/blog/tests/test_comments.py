"""Comments: written over HTTP, deleted as orphans."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from sqlalchemy import func, select
from sqlalchemy.exc import IntegrityError

from blog.models import Comment, Post
from blog.repositories import Posts

if TYPE_CHECKING:
    import httpx
    from sqlalchemy.ext.asyncio import AsyncSession

    from blog.models import Tenant, User
    from pytest_asyncdb.factories import AsyncModelFactory


@pytest.fixture
async def post(post_factory: type[AsyncModelFactory[Post]], ann: User) -> Post:
    """A post to comment on."""
    return await post_factory(author=ann, slug="hello")


@pytest.mark.usefixtures("post")
async def test_a_comment_is_shown_with_its_post(
    client: httpx.AsyncClient, bob: User
) -> None:
    """What a reader writes the next reader sees."""
    comment = {"author": bob.email, "body": "First!"}
    answer = await client.post("/posts/hello/comments", json=comment)

    assert 201 == answer.status_code
    assert [comment] == (await client.get("/posts/hello")).json()["comments"]


async def test_a_comment_needs_a_post(client: httpx.AsyncClient, bob: User) -> None:
    """A comment on nothing is a 404."""
    comment = {"author": bob.email, "body": "First!"}
    answer = await client.post("/posts/nothing/comments", json=comment)

    assert 404 == answer.status_code


@pytest.mark.usefixtures("post")
async def test_a_comment_needs_an_author(
    client: httpx.AsyncClient, db_session: AsyncSession
) -> None:
    """A comment of nobody is a 404 and leaves no row."""
    comment = {"author": "nobody@acme.example", "body": "Boo!"}
    answer = await client.post("/posts/hello/comments", json=comment)

    assert 404 == answer.status_code
    assert 0 == await db_session.scalar(select(func.count(Comment.id)))


@pytest.mark.usefixtures("post")
async def test_an_empty_request_is_refused(client: httpx.AsyncClient) -> None:
    """The answer to a comment without its fields names each of them."""
    answer = await client.post("/posts/hello/comments", json={})

    assert 422 == answer.status_code
    assert [["body", "author"], ["body", "body"]] == [
        error["loc"] for error in answer.json()["detail"]
    ]


async def test_a_comment_taken_from_its_post_is_deleted(
    db_session: AsyncSession,
    tenant: Tenant,
    post: Post,
    comment_factory: type[AsyncModelFactory[Comment]],
) -> None:
    """A comment without a post is an orphan; the others stay in order."""
    for body in ("one", "two", "three"):
        await comment_factory(post=post, body=body)
    db_session.expunge_all()
    found = await Posts(db_session, tenant).details("hello")
    assert found is not None
    del found.comments[1]
    await db_session.commit()
    bodies = await db_session.scalars(select(Comment.body).order_by(Comment.id))

    assert ["one", "three"] == list(bodies)


async def test_a_comment_on_a_post_that_is_gone_is_refused(
    db_session: AsyncSession, tenant: Tenant, post: Post, bob: User
) -> None:
    """The foreign key holds, and the session is usable after a rollback."""
    await db_session.delete(post)
    await db_session.commit()
    with pytest.raises(IntegrityError):
        await Posts(db_session, tenant).comment(post, bob, "Too late.")
    await db_session.rollback()

    assert 0 == await db_session.scalar(select(func.count(Comment.id)))
