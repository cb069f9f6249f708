"""Tags: found where they exist, made where they do not."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from sqlalchemy import event, func, select
from sqlalchemy.exc import IntegrityError

from blog.models import Tag
from blog.repositories import Posts, Tenants

if TYPE_CHECKING:
    from sqlalchemy.engine import Result
    from sqlalchemy.ext.asyncio import AsyncSession, async_sessionmaker
    from sqlalchemy.orm import ORMExecuteState

    from blog.models import Tenant, User


@pytest.fixture
def posts(db_session: AsyncSession, tenant: Tenant) -> Posts:
    """The tenant's posts, which make its tags."""
    return Posts(db_session, tenant)


async def _names(session: AsyncSession) -> list[str]:
    return list(await session.scalars(select(Tag.name).order_by(Tag.name)))


async def test_a_new_tag_is_made(posts: Posts) -> None:
    """A name that nobody used becomes a tag of the tenant."""
    tag = await posts.tag("sql")
    await posts.session.commit()

    assert posts.tenant.id == tag.tenant_id
    assert ["sql"] == await _names(posts.session)


async def test_a_tag_that_exists_is_found(posts: Posts) -> None:
    """The second call gives the row that the first one made."""
    first = await posts.tag("sql")
    await posts.session.commit()
    posts.session.expunge_all()
    second = await posts.tag("sql")

    assert first.id == second.id
    assert ["sql"] == await _names(posts.session)


async def test_a_tag_named_twice_is_used_once(posts: Posts, ann: User) -> None:
    """Duplicates among the tags of a post are one tag."""
    tags = ["sql", "async", "sql"]
    post = await posts.create(ann, "hello", "Hello", tags=tags)
    await posts.session.commit()

    assert ["sql", "async"] == [tag.name for tag in post.tags]
    assert ["async", "sql"] == await _names(posts.session)


async def test_posts_share_their_tags(posts: Posts, ann: User) -> None:
    """Of the tags of a second post only the unknown ones are made."""
    one = await posts.create(ann, "one", "One", tags=["sql"])
    await posts.session.commit()
    two = await posts.create(ann, "two", "Two", tags=["async", "sql"])
    await posts.session.commit()

    assert one.tags[0].id == two.tags[1].id
    assert ["async", "sql"] == await _names(posts.session)


async def test_each_tenant_has_its_own_tags(posts: Posts) -> None:
    """The same name is another tag for another tenant."""
    globex = await Tenants(posts.session).create("globex")
    ours = await posts.tag("sql")
    theirs = await Posts(posts.session, globex).tag("sql")
    await posts.session.commit()

    assert ours.id != theirs.id
    assert ["sql", "sql"] == await _names(posts.session)


async def test_a_tag_is_unique_in_its_tenant(posts: Posts) -> None:
    """The schema refuses the second row, and the session goes on."""
    await posts.tag("sql")
    await posts.session.commit()
    posts.session.add(Tag(tenant_id=posts.tenant.id, name="sql"))
    with pytest.raises(IntegrityError):
        await posts.session.flush()
    await posts.session.rollback()

    assert ["sql"] == await _names(posts.session)


async def test_a_tag_that_somebody_made_faster_is_found(
    posts: Posts, db_sessionmaker: async_sessionmaker[AsyncSession], ann: User
) -> None:
    """The savepoint fails on a tag made meanwhile, and the post is written anyway."""
    async with db_sessionmaker() as faster:
        their = await Posts(faster, posts.tenant).tag("sql")
        await faster.commit()
    asked = posts.session.sync_session
    empty = select(Tag).where(Tag.name == "not yet there")

    @event.listens_for(asked, "do_orm_execute", once=True)
    def too_early(state: ORMExecuteState) -> Result[Tag]:
        return state.invoke_statement(statement=empty)

    post = await posts.create(ann, "hello", "Hello", tags=["sql"])
    await posts.session.commit()

    assert [their.id] == [tag.id for tag in post.tags]
    assert 1 == await posts.session.scalar(select(func.count(Tag.id)))
