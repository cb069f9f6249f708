"""Isolation levels: what each of them lets through."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest
from sqlalchemy import func, select

from bank.ledger import InsufficientFunds, Order
from bank.models import Account

if TYPE_CHECKING:
    from sqlalchemy.engine.interfaces import IsolationLevel
    from sqlalchemy.ext.asyncio import AsyncSession, async_sessionmaker

    from bank.service import Bank

pytestmark = pytest.mark.asyncdb(isolation="commit", requires=["row_locks"])


@pytest.mark.parametrize(
    ("level", "second"), [("READ COMMITTED", 9_00), ("REPEATABLE READ", 10_00)]
)
async def test_a_report_reads_twice(  # noqa: PLR0917
    bank: Bank,
    ann: int,
    bob: int,
    db_session: AsyncSession,
    level: IsolationLevel,
    second: int,
) -> None:
    """With REPEATABLE READ it is all of one moment; with less it is not."""
    cents = select(Account.cents).where(Account.id == ann)
    await db_session.connection(execution_options={"isolation_level": level})
    first = await db_session.scalar(cents)
    await bank.transfer(Order("rent", ann, bob, 1_00))

    assert (10_00, second) == (first, await db_session.scalar(cents))


async def test_two_withdrawals_cannot_each_rely_on_the_other_account(
    bank: Bank, db_sessionmaker: async_sessionmaker[AsyncSession]
) -> None:
    """One is given up by the server, runs again, and is refused by the bank."""
    eve = [await bank.open("eve", 1_00) for _ in range(2)]
    ends = await asyncio.gather(
        *(bank.withdraw(number, 1_00) for number in eve), return_exceptions=True
    )
    async with db_sessionmaker() as session:
        left = await session.scalar(select(func.sum(Account.cents)))

    assert 1_00 == left
    assert [InsufficientFunds] == [type(end) for end in ends if end is not None]


@pytest.mark.parametrize("level", ["READ COMMITTED", "REPEATABLE READ"])
async def test_with_less_than_serializable_they_do(
    bank: Bank,
    db_sessionmaker: async_sessionmaker[AsyncSession],
    level: IsolationLevel,
) -> None:
    """Why withdraw() asks for it: both read a sum that was right, and both write."""
    eve = [await bank.open("eve", 1_00) for _ in range(2)]
    together = select(func.sum(Account.cents)).where(Account.owner == "eve")
    async with db_sessionmaker() as one, db_sessionmaker() as other:
        for session in (one, other):
            await session.connection(execution_options={"isolation_level": level})
            assert 2_00 == await session.scalar(together)
        for session, number in zip((one, other), eve, strict=True):
            (await session.get_one(Account, number)).cents -= 1_00
            await session.commit()
        left = await one.scalar(together)

    assert 0 == left
