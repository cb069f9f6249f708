"""What two requests do at the same time. Each function is a transaction or more."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sqlalchemy import select, update
from sqlalchemy.exc import IntegrityError

from snippets.models import Account, CuredReader, Job, Tag, TaughtReader

if TYPE_CHECKING:
    from sqlalchemy.ext.asyncio import AsyncSession, async_sessionmaker

    Sessions = async_sessionmaker[AsyncSession]


async def taught_subscribe(sessions: Sessions, email: str) -> bool:
    """Look whether the address is there, then insert it."""
    async with sessions.begin() as session:
        look = select(TaughtReader).where(TaughtReader.email == email)
        if await session.scalar(look) is not None:
            return False
        session.add(TaughtReader(email=email))
    return True


async def cured_subscribe(sessions: Sessions, email: str) -> bool:
    """Insert it: the column is unique, and the database looks."""
    try:
        async with sessions.begin() as session:
            session.add(CuredReader(email=email))
    except IntegrityError:
        return False
    return True


async def taught_tag(sessions: Sessions, name: str) -> int:
    """Get the tag, or else create it."""
    async with sessions.begin() as session:
        tag = await session.scalar(select(Tag).where(Tag.name == name))
        if tag is None:
            session.add(tag := Tag(name=name))
            await session.flush()
        return tag.id


async def cured_tag(sessions: Sessions, name: str) -> int:
    """The same; whoever comes second gets what the first one has created."""
    try:
        return await taught_tag(sessions, name)
    except IntegrityError:
        return await taught_tag(sessions, name)


async def taught_transfer(sessions: Sessions, source: int, target: int) -> None:
    """Read both balances, write both."""
    async with sessions.begin() as session:
        one = await session.get_one(Account, source)
        other = await session.get_one(Account, target)
        one.balance -= 10
        other.balance += 10


async def cured_transfer(sessions: Sessions, source: int, target: int) -> None:
    """Let the database add, to accounts in one order, so that nobody deadlocks."""
    async with sessions.begin() as session:
        for number, change in sorted(((source, -10), (target, 10))):
            await session.execute(
                update(Account)
                .where(Account.id == number)
                .values(balance=Account.balance + change)
            )


async def taught_claim(sessions: Sessions, worker: str) -> int | None:
    """Take the first job that nobody has."""
    return await _claim(sessions, worker, locked=False)


async def cured_claim(sessions: Sessions, worker: str) -> int | None:
    """Take the first one that nobody has, and that nobody is taking."""
    return await _claim(sessions, worker, locked=True)


async def _claim(sessions: Sessions, worker: str, *, locked: bool) -> int | None:
    first = select(Job).where(Job.worker.is_(None)).order_by(Job.id).limit(1)
    if locked:
        first = first.with_for_update(skip_locked=True)
    async with sessions.begin() as session:
        job = await session.scalar(first)
        if job is None:
            return None
        job.worker = worker
        return job.id
