"""What one line each can say of a transfer: by search, and by faults."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from sqlalchemy import func, select

from bank.ledger import Order, locked
from bank.models import Account
from pytest_asyncdb import (
    AnomalyFound,
    check_deadlock_free,
    check_idempotent,
    check_isolation,
    check_retries,
)

if TYPE_CHECKING:
    from sqlalchemy.ext.asyncio import AsyncSession, async_sessionmaker

    from bank.service import Bank
    from pytest_asyncdb.concurrency import Explorer, Faults

    Sessions = async_sessionmaker[AsyncSession]


# -------------------------------------------------------------------- in every order
async def test_transfers_in_both_directions_are_as_one_after_the_other(
    bank: Bank, ann: int, bob: int, db_concurrency: Explorer
) -> None:
    """Whatever comes between their statements, and nobody is a deadlock's victim."""
    result = await db_concurrency.explore(
        there=lambda: bank.transfer(Order("there", ann, bob, 1_00)),
        back=lambda: bank.transfer(Order("back", bob, ann, 2_00)),
    )

    assert result.complete


@pytest.mark.asyncdb(requires=["row_locks"])
async def test_locks_as_they_come_are_a_deadlock(
    ann: int, bob: int, db_sessionmaker: Sessions, db_concurrency: Explorer
) -> None:
    """What the search finds, it shows: both statements, and who waits for whom."""

    async def take(first: int, second: int) -> None:
        async with db_sessionmaker.begin() as session:
            for number in (first, second):
                await session.get_one(Account, number, with_for_update=True)

    with pytest.raises(AnomalyFound, match="deadlock"):
        await check_deadlock_free(
            lambda: take(ann, bob), lambda: take(bob, ann), engine=db_concurrency
        )


@pytest.mark.asyncdb(requires=["row_locks"])
async def test_locks_in_one_order_are_none(
    ann: int, bob: int, db_sessionmaker: Sessions, db_concurrency: Explorer
) -> None:
    """The cure, in the same search."""

    async def take(*numbers: int) -> None:
        async with db_sessionmaker.begin() as session:
            await locked(session, *numbers)

    await check_deadlock_free(
        lambda: take(ann, bob), lambda: take(bob, ann), engine=db_concurrency
    )


@pytest.mark.asyncdb(requires=["row_locks"])
async def test_withdrawals_need_serializable(
    bank: Bank, db_sessionmaker: Sessions, db_concurrency: Explorer
) -> None:
    """What `Bank.withdraw` asks for is the weakest level at which it is right."""
    numbers = [await bank.open("eve", 1_00) for _ in range(2)]
    together = select(func.sum(Account.cents)).where(Account.owner == "eve")

    async def withdraw(number: int) -> None:
        async with db_sessionmaker.begin() as session:
            if (await session.scalar(together) or 0) >= 2_00:
                (await session.get_one(Account, number)).cents -= 1_00

    one, other = ((lambda each=each: withdraw(each)) for each in numbers)
    found = await check_isolation(
        one, other, engine=db_concurrency, level="SERIALIZABLE"
    )

    assert found.complete


# ------------------------------------------------------------ at each of its statements
@pytest.fixture
def order(ann: int, bob: int) -> Order:
    """A quarter of what Ann has, to Bob."""
    return Order("rent", ann, bob, 2_50)


async def test_a_transfer_is_right_wherever_a_deadlock_comes(
    bank: Bank, order: Order, db_faults: Faults
) -> None:
    """At each statement and the COMMIT in turn, in savepoints too."""
    async for fault in db_faults.sweep("deadlock_detected", recovers=True):
        async with fault:
            await bank.transfer(order)


async def test_a_transfer_is_retried(
    bank: Bank, order: Order, db_faults: Faults
) -> None:
    """As a whole, once, and neither for ever nor after what is no use to repeat."""
    await check_retries(lambda: bank.transfer(order), engine=db_faults)


async def test_a_transfer_is_idempotent(
    bank: Bank, order: Order, db_faults: Faults
) -> None:
    """Its key says that it was carried out."""
    await check_idempotent(lambda: bank.transfer(order), engine=db_faults)
