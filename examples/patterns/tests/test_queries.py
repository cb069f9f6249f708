"""Queries, on rows that would show their mistakes."""

from __future__ import annotations

from datetime import UTC, date, datetime
from typing import TYPE_CHECKING

import pytest
from sqlalchemy import func, select
from sqlalchemy.exc import IntegrityError

from patterns import queries
from patterns.models import Reading, User

if TYPE_CHECKING:
    from sqlalchemy.ext.asyncio import AsyncSession

    from patterns.models import Article, Role
    from pytest_asyncdb import Recorder
    from pytest_asyncdb.factories import AsyncModelFactory


async def test_the_latest_of_each_author(
    db_session: AsyncSession,
    user_factory: type[AsyncModelFactory[User]],
    article_factory: type[AsyncModelFactory[Article]],
    db_statements: Recorder,
) -> None:
    """Two of each who has two, in one statement, and one of who has one."""
    much, little, _ = await user_factory.create_batch(3)
    for number in (1, 4, 2, 3):
        await article_factory(author=much, number=number)
    await article_factory(author=little, number=9)
    async with db_statements.expect(exactly=1):
        found = await queries.latest(db_session, 2)

    assert [(much, 4), (much, 3), (little, 9)] == [
        (article.author, article.number) for article in found
    ]


async def test_everybody_has_last_words_or_none(
    db_session: AsyncSession,
    user_factory: type[AsyncModelFactory[User]],
    article_factory: type[AsyncModelFactory[Article]],
) -> None:
    """The subquery is of the row outside, and an empty one is NULL."""
    ann = await user_factory(email="ann@x")
    await user_factory(email="bob@x")
    await article_factory(author=ann, number=2, title="the last")
    await article_factory(author=ann, number=1, title="the first")

    assert [("ann@x", "the last"), ("bob@x", None)] == (
        await queries.last_words(db_session)
    )


async def test_sign_ups_by_day(
    db_session: AsyncSession, user_factory: type[AsyncModelFactory[User]]
) -> None:
    """Midnight is the day that begins."""
    for day, hour, minute in ((1, 0, 0), (1, 23, 59), (3, 12, 0)):
        await user_factory(joined_at=datetime(2024, 5, day, hour, minute, tzinfo=UTC))

    assert {date(2024, 5, 1): 2, date(2024, 5, 3): 1} == (
        await queries.sign_ups(db_session)
    )


async def test_users_by_role(
    db_session: AsyncSession,
    user_factory: type[AsyncModelFactory[User]],
    role_factory: type[AsyncModelFactory[Role]],
) -> None:
    """A user with two roles is found by each, once."""
    writer, reader = [await role_factory(name=name) for name in ("writer", "reader")]
    both = await user_factory(email="a@x", roles=[writer, reader])
    one = await user_factory(email="b@x", roles=[reader])

    assert [both, one] == await queries.with_role(db_session, "reader")
    assert [both] == await queries.with_role(db_session, "writer")


async def test_a_role_is_given_once(
    db_session: AsyncSession, role: Role, user: User
) -> None:
    """The association has a key of both; a second row of it is refused."""
    await db_session.refresh(user, ["roles"])
    user.roles += [role, role]
    with pytest.raises(IntegrityError):
        await db_session.commit()


async def test_a_model_of_sqlmodel_beside_plain_ones(
    db_session: AsyncSession, user: User
) -> None:
    """They are in one schema, one session and one query."""
    db_session.add_all([Reading(user_id=user.id, pages=pages) for pages in (3, 4)])
    await db_session.commit()

    assert [(user.email, 7)] == await queries.pages(db_session)


async def test_many_users_in_one_statement(
    db_session: AsyncSession, db_statements: Recorder
) -> None:
    """An import sends as many rows as it likes in a call of the driver."""
    async with db_statements.expect(exactly=1, writes=1):
        await queries.import_users(db_session, [f"u{n}@x" for n in range(500)])

    assert 500 == await db_session.scalar(select(func.count(User.id)))


async def test_many_users_are_changed_in_one_statement(
    db_session: AsyncSession,
    user_factory: type[AsyncModelFactory[User]],
    db_statements: Recorder,
) -> None:
    """Those that are named, and no other."""
    users = await user_factory.create_batch(5)
    async with db_statements.expect(exactly=1, writes=1):
        await queries.deactivate(db_session, [user.id for user in users[:3]])
    active = select(User.id).where(User.is_active).order_by(User.id)

    assert [user.id for user in users[3:]] == list(await db_session.scalars(active))


async def test_a_stream_gives_every_row_once(db_session: AsyncSession) -> None:
    """In their order, over the borders of what is read at once."""
    every = [f"u{n:03}@x" for n in range(25)]
    await queries.import_users(db_session, every)

    assert every == [email async for email in queries.emails(db_session, at_once=10)]


async def test_a_stream_that_is_left_early_is_no_leak(
    db_session: AsyncSession,
) -> None:
    """The session goes on after it."""
    await queries.import_users(db_session, [f"u{n}@x" for n in range(25)])
    stream = queries.emails(db_session, at_once=10)
    first = await anext(stream)
    await stream.aclose()

    assert "u0@x" == first
    assert 25 == await db_session.scalar(select(func.count(User.id)))
