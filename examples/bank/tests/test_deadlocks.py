"""Deadlocks: how they come about, how they are cured, and who tries again."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest
from sqlalchemy import select, text
from sqlalchemy.exc import DBAPIError

from bank.ledger import Order, locked
from bank.models import Account
from bank.transactions import in_transaction, is_transient

if TYPE_CHECKING:
    from sqlalchemy.ext.asyncio import AsyncSession, async_sessionmaker

    from bank.service import Bank

pytestmark = pytest.mark.asyncdb(isolation="commit", requires=["row_locks"])


async def _take(session: AsyncSession, number: int) -> None:
    """Lock one account, as a program does that locks each when it comes to it."""
    await session.get_one(Account, number, with_for_update=True)


async def test_locks_in_two_orders_are_a_deadlock(
    db_sessionmaker: async_sessionmaker[AsyncSession], ann: int, bob: int
) -> None:
    """Each has what the other wants: the server gives one of them up."""
    async with db_sessionmaker() as one, db_sessionmaker() as other:
        await _take(one, ann)
        await _take(other, bob)
        ends = await asyncio.gather(
            _take(one, bob), _take_and_end(other, ann), return_exceptions=True
        )
        errors = [end for end in ends if end is not None]

    assert 1 == len(errors)
    assert isinstance(errors[0], DBAPIError)
    assert is_transient(errors[0])


async def _take_and_end(session: AsyncSession, number: int) -> None:
    try:
        await _take(session, number)
    finally:
        await session.rollback()


async def test_locks_in_one_order_only_wait(
    db_sessionmaker: async_sessionmaker[AsyncSession], ann: int, bob: int
) -> None:
    """The cure: whoever comes second waits, and nobody is given up."""

    async def work(*numbers: int) -> list[int]:
        async with db_sessionmaker.begin() as session:
            return list(await locked(session, *numbers))

    async with asyncio.timeout(30):
        one, other = await asyncio.gather(work(ann, bob), work(bob, ann))

    assert [ann, bob] == one == other


async def test_transfers_in_both_directions_all_succeed(
    bank: Bank, ann: int, bob: int
) -> None:
    """Many sessions, real locks, and no money is made or lost."""
    orders = [
        Order(f"order {n}", *((ann, bob) if n % 2 else (bob, ann)), n)
        for n in range(1, 11)
    ]
    await asyncio.gather(*(bank.transfer(order) for order in orders))

    assert 15_00 == await bank.balance(ann) + await bank.balance(bob)
    assert [] == await bank.unexplained()


async def test_a_transaction_that_was_given_up_runs_again(
    db_sessionmaker: async_sessionmaker[AsyncSession], ann: int, bob: int
) -> None:
    """Two that lock in two orders both succeed, in three attempts or more."""
    attempts, both = 0, asyncio.Barrier(2)

    async def work(session: AsyncSession, *numbers: int) -> None:
        nonlocal attempts
        attempts += 1
        await _take(session, numbers[0])
        if attempts <= 2:
            await both.wait()
        await _take(session, numbers[1])
        (await session.get_one(Account, numbers[0])).cents -= 1

    await asyncio.gather(
        in_transaction(db_sessionmaker, lambda session: work(session, ann, bob)),
        in_transaction(db_sessionmaker, lambda session: work(session, bob, ann)),
    )
    async with db_sessionmaker() as session:
        cents = await session.scalars(select(Account.cents).order_by(Account.id))

        assert [9_99, 4_99] == list(cents)
    assert attempts >= 3


async def test_what_is_wrong_is_not_tried_again(
    db_sessionmaker: async_sessionmaker[AsyncSession],
) -> None:
    """A statement that the server does not understand is sent once."""
    attempts = 0

    async def work(session: AsyncSession) -> None:
        nonlocal attempts
        attempts += 1
        await session.execute(text("SELECT nonsense"))

    with pytest.raises(DBAPIError):
        await in_transaction(db_sessionmaker, work)

    assert 1 == attempts
