"""Queries that every service needs at some time."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sqlalchemy import Date, func, insert, select, update
from sqlalchemy.orm import aliased, joinedload

from patterns.models import Article, Reading, Role, User

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Iterable, Sequence
    from datetime import date

    from sqlalchemy.ext.asyncio import AsyncSession


async def with_role(session: AsyncSession, name: str) -> Sequence[User]:
    """Users who have a role."""
    query = select(User).where(User.roles.any(Role.name == name)).order_by(User.email)
    return (await session.scalars(query)).all()


async def latest(session: AsyncSession, count: int) -> Sequence[Article]:
    """The newest articles of each author, so many of each; a window numbers them."""
    rank = func.row_number().over(
        partition_by=Article.author_id, order_by=Article.number.desc()
    )
    ranked = select(Article, rank.label("rank")).subquery()
    newest = aliased(Article, ranked)
    query = (
        select(newest)
        .where(ranked.c.rank <= count)
        .order_by(ranked.c.author_id, ranked.c.rank)
        .options(joinedload(newest.author))
    )
    return (await session.scalars(query)).all()


async def last_words(session: AsyncSession) -> Sequence[tuple[str, str | None]]:
    """Everybody and the title of his last article, by a correlated subquery."""
    title = (
        select(Article.title)
        .where(Article.author_id == User.id)
        .order_by(Article.number.desc())
        .limit(1)
        .correlate(User)
        .scalar_subquery()
    )
    rows = await session.execute(select(User.email, title).order_by(User.email))
    return [(email, last) for email, last in rows]


async def sign_ups(session: AsyncSession) -> dict[date, int]:
    """How many users have joined on each day on which one did."""
    day = func.date(User.joined_at, type_=Date)
    rows = await session.execute(select(day, func.count()).group_by(day).order_by(day))
    return {row[0]: row[1] for row in rows}


async def pages(session: AsyncSession) -> Sequence[tuple[str, int]]:
    """Readers and what they have read: a plain model joined with SQLModel's."""
    total = func.sum(Reading.pages).label("total")
    query = (
        select(User.email, total)
        .join(Reading, Reading.user_id == User.id)  # type: ignore[arg-type]
        .group_by(User.id, User.email)
        .order_by(total.desc())
    )
    return [(email, int(count)) for email, count in await session.execute(query)]


async def import_users(session: AsyncSession, emails: Iterable[str]) -> None:
    """Insert many users without an object for each."""
    await session.execute(insert(User), [{"email": email} for email in emails])


async def deactivate(session: AsyncSession, ids: Iterable[int]) -> None:
    """Change many users by their keys, in one call of the driver."""
    rows = [{"id": each, "is_active": False} for each in ids]
    await session.execute(update(User), rows)


async def emails(session: AsyncSession, at_once: int = 100) -> AsyncGenerator[str]:
    """The addresses of all users, read from the server so many at once."""
    query = select(User.email).order_by(User.email)
    stream = await session.stream_scalars(
        query, execution_options={"yield_per": at_once}
    )
    async for email in stream:
        yield email
