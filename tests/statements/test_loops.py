"""Loads that are sent for one object after the other."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from sqlalchemy import select
from sqlalchemy.orm import joinedload, selectinload, subqueryload

from pytest_asyncdb.errors import BudgetExceeded
from tests.statements.blog import Comment, Post, User

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from sqlalchemy.ext.asyncio import AsyncSession
    from sqlalchemy.sql.base import ExecutableOption

    from pytest_asyncdb.statements import Recorder


async def _users(session: AsyncSession) -> Sequence[User]:
    return (await session.scalars(select(User).order_by(User.id))).all()


async def _posts(session: AsyncSession) -> None:
    for user in await _users(session):
        await user.awaitable_attrs.posts


async def test_a_lazy_load_for_each_object(
    session: AsyncSession, recorder: Recorder
) -> None:
    """Names the relationship, both lines, and the option for the query."""
    for user in await _users(session):
        await user.awaitable_attrs.posts

    (loop,) = recorder.n_plus_one()
    assert ("User.posts", 3) == (loop.relationship, loop.objects)
    assert loop.line is not None
    assert "test_a_lazy_load_for_each_object" == loop.line.function
    assert loop.loaded_at is not None
    assert "_users" == loop.loaded_at.function
    assert (
        f"add .options(selectinload(User.posts)) to the query at {loop.loaded_at}"
        == (loop.remedy)
    )


async def test_a_query_that_was_sent_before(
    session: AsyncSession, recorder: Recorder
) -> None:
    """Is known as the first one is, though SQLAlchemy has it compiled already."""
    await _users(session)
    session.expunge_all()
    recorder.clear()
    for user in await _users(session):
        await user.awaitable_attrs.posts

    (loop,) = recorder.n_plus_one()
    assert loop.loaded_at is not None
    assert "_users" == loop.loaded_at.function


async def test_loads_in_a_function_that_is_not_awaited(
    session: AsyncSession, recorder: Recorder
) -> None:
    """`run_sync` is where async code loads lazily without saying so."""
    users = await _users(session)
    await session.run_sync(lambda _: [user.posts for user in users])

    assert ["User.posts"] == [each.relationship for each in recorder.n_plus_one()]


async def test_the_one_of_many(session: AsyncSession, recorder: Recorder) -> None:
    """What one object is loaded by is best joined."""
    for post in await session.scalars(select(Post)):
        await post.awaitable_attrs.author

    (loop,) = recorder.n_plus_one()
    assert "Post.author" == loop.relationship
    assert 3 == loop.objects
    assert ".options(joinedload(Post.author))" in loop.remedy


async def test_a_load_below_a_load(session: AsyncSession, recorder: Recorder) -> None:
    """The option goes to the query at which it all begins."""
    for user in await _users(session):
        for post in await user.awaitable_attrs.posts:
            await post.awaitable_attrs.comments

    below, above = recorder.n_plus_one()
    assert ("Post.comments", 6) == (below.relationship, below.objects)
    assert "(selectinload(User.posts).selectinload(Post.comments))" in below.remedy
    assert "User.posts" == above.relationship
    assert below.loaded_at == above.loaded_at


@pytest.mark.parametrize("load", [selectinload, joinedload, subqueryload])
async def test_eager_loading_is_no_loop(
    session: AsyncSession, recorder: Recorder, load: Callable[[Any], ExecutableOption]
) -> None:
    """Whatever it is done by."""
    users = await session.scalars(select(User).options(load(User.posts)))
    for user in users.unique():
        await user.awaitable_attrs.posts

    assert [] == recorder.n_plus_one()


async def test_one_object_is_no_loop(session: AsyncSession, recorder: Recorder) -> None:
    """Nor are two lines with an object each."""
    first, second, _ = await _users(session)
    await first.awaitable_attrs.posts
    await second.awaitable_attrs.posts

    assert [] == recorder.n_plus_one()


async def test_objects_that_were_got_one_by_one_are_no_loop(
    session: AsyncSession, recorder: Recorder
) -> None:
    """No query loaded them together, so there is none to give an option to."""
    ids = (await session.scalars(select(User.id))).all()
    for each in ids:
        user = await session.get_one(User, each)
        await user.awaitable_attrs.posts

    assert [] == recorder.n_plus_one()


async def test_a_query_for_each_object(
    session: AsyncSession, recorder: Recorder
) -> None:
    """Written by the application itself, with the keys of what one query found."""
    for user in await _users(session):
        await session.scalars(select(Post).where(Post.author_id == user.id))

    (loop,) = recorder.n_plus_one()
    assert 3 == loop.objects
    assert "FROM posts WHERE posts.author_id = " in str(loop)
    assert "ask once for all of them" in loop.remedy
    assert loop.loaded_at is not None
    assert "_users" == loop.loaded_at.function


def _name(_: object, user: User) -> str:
    return user.name


async def test_a_refresh_of_each_object(
    session: AsyncSession, recorder: Recorder
) -> None:
    """Asked for, or because a commit has expired them; of two it may be wanted."""
    users = await _users(session)
    for user in users:
        await session.refresh(user)
    (asked,) = recorder.n_plus_one()
    await session.commit()
    for user in users:
        await session.run_sync(_name, user)

    assert "a refresh at " in str(asked)
    assert "populate_existing" in asked.remedy
    assert "test_a_refresh_of_each_object" in str(asked.line)
    assert [3, 3] == [each.objects for each in recorder.n_plus_one()]
    recorder.clear()
    users = await _users(session)
    for user in users[:2]:
        await session.refresh(user)

    assert [] == recorder.n_plus_one()


async def test_a_query_for_other_keys_is_no_loop(
    session: AsyncSession, recorder: Recorder
) -> None:
    """The caller wrote the loop over values that no query had found."""
    await session.scalars(select(Comment))
    for title in ("ann 1", "bob 1", "cid 1"):
        await session.scalars(select(Post).where(Post.title == title))

    assert [] == recorder.n_plus_one()


async def test_a_loop_that_is_wanted(session: AsyncSession, recorder: Recorder) -> None:
    """Is allowed for a block: for one relationship, or for any."""
    users = await _users(session)
    with recorder.allow_n_plus_one("User.posts"):
        posts = [post for user in users for post in await user.awaitable_attrs.posts]
    with recorder.allow_n_plus_one("User.posts"):
        for post in posts:
            await post.awaitable_attrs.comments

    assert ["Post.comments"] == [each.relationship for each in recorder.n_plus_one()]


async def test_a_budget_without_loops(
    session: AsyncSession, recorder: Recorder
) -> None:
    """Fails with each loop, and what helps."""
    with pytest.raises(BudgetExceeded) as caught:
        async with recorder.expect(no_n_plus_one=True):
            await _posts(session)

    message = str(caught.value)
    assert message.startswith("N+1: a lazy load of User.posts at ")
    assert "for each of 3 objects loaded at " in message
    assert "add .options(selectinload(User.posts)) to the query at" in message
    assert "3 x SELECT … FROM posts" in message
    assert "lazy load of User.posts at" in message
