"""Posts over their repository: pages, eager loading, counters and batches."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import pytest
from sqlalchemy import delete, event, func, select
from sqlalchemy.exc import IntegrityError

from blog.models import Comment, Post, post_tags
from blog.repositories import Posts

if TYPE_CHECKING:
    from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession

    from blog.models import Tenant, User
    from pytest_asyncdb.factories import AsyncModelFactory


@pytest.fixture
def posts(db_session: AsyncSession, tenant: Tenant) -> Posts:
    """The tenant's posts."""
    return Posts(db_session, tenant)


async def test_the_newest_post_comes_first(
    posts: Posts, ann: User, post_factory: type[AsyncModelFactory[Post]]
) -> None:
    """Published posts are ordered by their date, not by their making."""
    today = datetime.now(UTC)
    for slug, age in (("old", 9), ("new", 1), ("oldest", 99)):
        date = today - timedelta(days=age)
        await post_factory(author=ann, slug=slug, published_at=date)

    assert ["new", "old", "oldest"] == [post.slug for post in await posts.published()]


@pytest.mark.parametrize(
    ("limit", "offset", "numbers"),
    [(3, 0, [6, 5, 4]), (3, 3, [3, 2, 1]), (3, 6, [0]), (3, 7, []), (10, 5, [1, 0])],
)
async def test_a_page_is_cut_out_of_the_list(
    posts: Posts,
    ann: User,
    post_factory: type[AsyncModelFactory[Post]],
    *,
    limit: int,
    offset: int,
    numbers: list[int],
) -> None:
    """Limit and offset give every post once, and nothing beyond the end."""
    await post_factory.create_batch(7, author=ann)
    page = await posts.published(limit=limit, offset=offset)

    assert [f"post-{number}" for number in numbers] == [post.slug for post in page]


async def test_posts_are_found_by_tag(
    posts: Posts, ann: User, post_factory: type[AsyncModelFactory[Post]]
) -> None:
    """Only published posts with the tag are found, each of them once."""
    await post_factory(author=ann, slug="both", tags=["sql", "async"])
    await post_factory(author=ann, slug="one", tags=["sql"])
    await post_factory(author=ann, slug="none")
    await post_factory(author=ann, slug="draft", tags=["sql"], draft=True)

    assert ["one", "both"] == [post.slug for post in await posts.published(tag="sql")]
    assert ["both"] == [post.slug for post in await posts.published(tag="async")]
    assert [] == await posts.published(tag="css")


async def test_a_tag_of_another_tenant_finds_nothing_of_his(
    posts: Posts, ann: User, post_factory: type[AsyncModelFactory[Post]]
) -> None:
    """Tenants with a tag of the same name see their own posts."""
    await post_factory(slug="theirs", tags=["sql"])
    await post_factory(author=ann, slug="ours", tags=["sql"])

    assert ["ours"] == [post.slug for post in await posts.published(tag="sql")]


async def test_details_need_no_lazy_load(posts: Posts, ann: User, bob: User) -> None:
    """Author, comments, their authors and tags are there without a session."""
    post = await posts.create(ann, "hello", "Hello", tags=["sql", "async"])
    await posts.comment(post, bob, "First!")
    await posts.session.commit()
    posts.session.expunge_all()
    found = await posts.details("hello")
    posts.session.expunge_all()

    assert found is not None
    assert ann.email == found.author.email
    assert [bob.email] == [comment.author.email for comment in found.comments]
    assert ["async", "sql"] == [tag.name for tag in found.tags]


async def test_details_take_three_statements(
    posts: Posts, ann: User, bob: User, db_engine: AsyncEngine
) -> None:
    """However many comments there are, the number of statements is the same."""
    post = await posts.create(ann, "hello", "Hello", tags=["sql", "async"])
    for number in range(10):
        await posts.comment(post, bob, f"Comment {number}")
    await posts.session.commit()
    posts.session.expunge_all()
    statements: list[object] = []

    @event.listens_for(db_engine.sync_engine, "before_cursor_execute")
    def remember(*words: object) -> None:
        statements.append(words[2])

    found = await posts.details("hello")

    assert found is not None
    assert 10 == len(found.comments)
    assert 3 == len(statements)


async def test_details_of_an_unknown_post_are_none(posts: Posts) -> None:
    """A slug that nobody wrote is no error of the repository."""
    assert await posts.details("nothing") is None


async def test_popular_posts_are_ordered_by_comments(
    posts: Posts, ann: User, bob: User
) -> None:
    """Most comments come first, the older post at a tie, no more than the limit."""
    for slug, comments in (("a", 1), ("b", 3), ("c", 0), ("d", 1)):
        post = await posts.create(ann, slug, slug)
        for _ in range(comments):
            await posts.comment(post, bob, "Hm.")
    await posts.session.commit()
    popular = await posts.popular(limit=3)

    assert [("b", 3), ("a", 1), ("d", 1)] == [(post.slug, n) for post, n in popular]


async def test_a_view_is_counted_by_the_database(posts: Posts, ann: User) -> None:
    """The counter goes up from what the database has, not from what was loaded."""
    post = await posts.create(ann, "hello", "Hello")
    for _ in range(3):
        await posts.view(post)
    await posts.session.commit()
    await posts.session.refresh(post)

    assert 3 == post.views
    assert post.updated_at is not None


async def test_many_drafts_are_inserted_at_once(
    posts: Posts, db_session: AsyncSession, ann: User
) -> None:
    """A batch of rows gets the database's defaults and is not published."""
    drafts = {f"draft-{number}": f"Idea {number}" for number in range(200)}
    made = await posts.create_many(ann, drafts)
    await db_session.commit()
    found = (await db_session.scalars(select(Post).order_by(Post.id))).all()

    assert 200 == made
    assert drafts == {post.slug: post.title for post in found}
    assert all(post.created_at is not None for post in found)
    assert [] == await posts.published()


async def test_a_batch_is_inserted_whole_or_not_at_all(
    posts: Posts, db_session: AsyncSession, ann: User
) -> None:
    """One row that exists already takes the whole batch back."""
    await posts.create(ann, "draft-3", "In the way")
    await db_session.commit()
    with pytest.raises(IntegrityError):
        await posts.create_many(ann, {f"draft-{n}": "Idea" for n in range(5)})
    await db_session.rollback()

    assert ["draft-3"] == list(await db_session.scalars(select(Post.slug)))


async def test_a_change_of_a_post_is_dated(posts: Posts, ann: User) -> None:
    """Making a post fills in created_at, changing it updated_at."""
    post = await posts.create(ann, "hello", "Hello")
    await posts.session.refresh(post)
    before = post.updated_at
    post.title = "Hello again"
    await posts.session.commit()
    await posts.session.refresh(post)

    assert before is None
    assert post.updated_at is not None
    assert post.created_at <= post.updated_at


async def test_the_database_cascades_a_delete(
    posts: Posts, db_session: AsyncSession, ann: User
) -> None:
    """A DELETE that no mapper sees takes comments and uses of tags with it."""
    post = await posts.create(ann, "hello", "Hello", tags=["sql"])
    await posts.comment(post, ann, "A note to myself.")
    await db_session.commit()
    await db_session.execute(delete(Post).where(Post.slug == "hello"))
    await db_session.commit()

    assert 0 == await db_session.scalar(select(func.count(Comment.id)))
    assert 0 == await db_session.scalar(select(func.count()).select_from(post_tags))
