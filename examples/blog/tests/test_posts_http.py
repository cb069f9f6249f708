"""Posts over HTTP: written, listed, read, counted and deleted."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from sqlalchemy import func, select

from blog.models import Comment, Post, Tag
from blog.repositories import Posts

if TYPE_CHECKING:
    import httpx
    from sqlalchemy.ext.asyncio import AsyncSession

    from blog.models import Tenant, User


def _post(slug: str, **fields: object) -> dict[str, object]:
    return {"author": "ann@acme.example", "slug": slug, "title": slug.title(), **fields}


@pytest.mark.usefixtures("ann")
async def test_a_post_is_written(client: httpx.AsyncClient) -> None:
    """The answer sums up the post, with the database's default of no views."""
    answer = await client.post("/posts", json=_post("hello", tags=["sql"]))

    assert 201 == answer.status_code
    assert {"slug": "hello", "title": "Hello", "views": 0} == answer.json()


async def test_a_post_needs_an_author_that_exists(
    client: httpx.AsyncClient, db_session: AsyncSession
) -> None:
    """An author whom nobody registered is a 404, and nothing is written."""
    answer = await client.post("/posts", json=_post("hello", tags=["sql"]))

    assert 404 == answer.status_code
    assert 0 == await db_session.scalar(select(func.count(Post.id)))


@pytest.mark.usefixtures("ann")
async def test_a_slug_that_is_taken_is_a_conflict(
    client: httpx.AsyncClient, db_session: AsyncSession
) -> None:
    """The second post of a slug is a 409, and the tags made for it are gone too."""
    await client.post("/posts", json=_post("hello", tags=["sql"]))
    answer = await client.post("/posts", json=_post("hello", tags=["new"]))

    assert 409 == answer.status_code
    assert ["sql"] == list(await db_session.scalars(select(Tag.name)))


async def test_a_post_is_read_with_all_that_belongs_to_it(
    client: httpx.AsyncClient,
    db_session: AsyncSession,
    tenant: Tenant,
    ann: User,
    bob: User,
) -> None:
    """The answer has the author, the tags by name and the comments in order."""
    posts = Posts(db_session, tenant)
    post = await posts.create(ann, "hello", "Hello", tags=["sql", "async"])
    await posts.comment(post, bob, "First!")
    await posts.comment(post, ann, "Thanks.")
    await db_session.commit()
    answer = await client.get("/posts/hello")

    assert {
        "slug": "hello",
        "title": "Hello",
        "author": ann.email,
        "tags": ["async", "sql"],
        "comments": [
            {"author": bob.email, "body": "First!"},
            {"author": ann.email, "body": "Thanks."},
        ],
    } == answer.json()


@pytest.mark.parametrize("method", ["GET", "DELETE"])
async def test_an_unknown_post_is_not_found(
    client: httpx.AsyncClient, method: str
) -> None:
    """A slug that nobody wrote is a 404, however it is asked for."""
    answer = await client.request(method, "/posts/nothing")

    assert 404 == answer.status_code
    assert {"detail": "no post nothing"} == answer.json()


@pytest.mark.parametrize(
    "page", [{"limit": 0}, {"limit": 101}, {"offset": -1}, {"limit": "ten"}]
)
async def test_a_page_that_makes_no_sense_is_refused(
    client: httpx.AsyncClient, page: dict[str, str | int]
) -> None:
    """Limits and offsets out of range are a 422."""
    answer = await client.get("/posts", params=page)

    assert 422 == answer.status_code


@pytest.mark.usefixtures("ann")
async def test_posts_are_listed_page_by_page(client: httpx.AsyncClient) -> None:
    """The newest come first; limit and offset cut a page out of one tag's posts."""
    for number in range(5):
        tags = ["odd"] if number % 2 else ["even"]
        await client.post("/posts", json=_post(f"post-{number}", tags=tags))
    page: dict[str, str | int] = {"tag": "even", "limit": 2, "offset": 1}
    answer = await client.get("/posts", params=page)

    assert ["post-2", "post-0"] == [post["slug"] for post in answer.json()]


@pytest.mark.usefixtures("ann")
async def test_drafts_are_not_listed(client: httpx.AsyncClient) -> None:
    """A post that is not published has an address, and is in no list."""
    await client.post("/posts", json=_post("draft", published=False))

    assert [] == (await client.get("/posts")).json()
    assert [] == (await client.get("/posts/popular")).json()
    assert 200 == (await client.get("/posts/draft")).status_code


@pytest.mark.usefixtures("ann")
async def test_a_view_is_counted_after_the_answer(client: httpx.AsyncClient) -> None:
    """The background task commits in a session of its own."""
    await client.post("/posts", json=_post("hello"))
    await client.get("/posts/hello")
    await client.get("/posts/hello")

    assert [2] == [post["views"] for post in (await client.get("/posts")).json()]


async def test_a_post_is_deleted_with_its_comments(
    client: httpx.AsyncClient,
    db_session: AsyncSession,
    tenant: Tenant,
    ann: User,
) -> None:
    """Comments go with their post; its tags stay for other posts."""
    posts = Posts(db_session, tenant)
    post = await posts.create(ann, "hello", "Hello", tags=["sql"])
    await posts.comment(post, ann, "A note to myself.")
    await db_session.commit()
    answer = await client.delete("/posts/hello")

    assert 204 == answer.status_code
    assert 0 == await db_session.scalar(select(func.count(Post.id)))
    assert 0 == await db_session.scalar(select(func.count(Comment.id)))
    assert 1 == await db_session.scalar(select(func.count(Tag.id)))


@pytest.mark.usefixtures("ann")
async def test_a_slug_is_free_again_after_its_post_is_deleted(
    client: httpx.AsyncClient,
) -> None:
    """A delete that was committed makes room for a new post."""
    await client.post("/posts", json=_post("hello"))
    await client.delete("/posts/hello")
    answer = await client.post("/posts", json=_post("hello", title="Again"))

    assert 201 == answer.status_code
    assert "Again" == (await client.get("/posts/hello")).json()["title"]


@pytest.mark.usefixtures("bob")
async def test_the_most_discussed_posts_come_first(
    client: httpx.AsyncClient, ann: User
) -> None:
    """Popular posts are listed with how many comments they have."""
    for slug, comments in (("quiet", 0), ("loud", 2), ("fair", 1)):
        await client.post("/posts", json=_post(slug))
        for _ in range(comments):
            comment = {"author": ann.email, "body": "More!"}
            await client.post(f"/posts/{slug}/comments", json=comment)
    answer = await client.get("/posts/popular")

    assert [["loud", 2], ["fair", 1], ["quiet", 0]] == answer.json()
