"""Transfers, refusals, and the trail of both."""

from __future__ import annotations

import asyncio
from decimal import Decimal
from typing import TYPE_CHECKING

import pytest
from sqlalchemy.exc import DBAPIError

from bank import ledger
from bank.ledger import InsufficientFunds, NoSuchAccount, Order
from bank.models import Account

if TYPE_CHECKING:
    from sqlalchemy.ext.asyncio import AsyncSession

    from bank.service import Bank
    from pytest_asyncdb import Recorder


async def test_money_moves(bank: Bank, ann: int, bob: int) -> None:
    """What leaves one account comes to the other."""
    await bank.transfer(Order("rent", ann, bob, 2_50))

    assert 7_50 == await bank.balance(ann)
    assert 7_50 == await bank.balance(bob)


async def test_the_trail_says_what_happened(bank: Bank, ann: int, bob: int) -> None:
    """Both accounts know the order, and their entries add up."""
    await bank.transfer(Order("rent", ann, bob, 2_50))

    assert [("opened", 10_00), ("rent", -2_50)] == await bank.trail(ann)
    assert [("opened", 5_00), ("rent", 2_50)] == await bank.trail(bob)
    assert [] == await bank.unexplained()


@pytest.mark.parametrize(("cents", "allowed"), [(10_00, True), (10_01, False)])
async def test_an_account_may_be_emptied_and_no_more(
    bank: Bank, ann: int, bob: int, cents: int, *, allowed: bool
) -> None:
    """The last cent may go, and not one more."""
    if allowed:
        await bank.transfer(Order("all", ann, bob, cents))
    else:
        with pytest.raises(InsufficientFunds):
            await bank.transfer(Order("more", ann, bob, cents))

    assert (0 if allowed else 10_00) == await bank.balance(ann)


async def test_a_refusal_is_noted_and_nothing_else_stays(
    bank: Bank, ann: int, bob: int
) -> None:
    """The order is rolled back; that there was one is not."""
    with pytest.raises(InsufficientFunds):
        await bank.transfer(Order("car", ann, bob, 999_00))

    assert ("car: insufficient funds", 0) == (await bank.trail(ann))[-1]
    assert [("opened", 5_00)] == await bank.trail(bob)
    assert 10_00 == await bank.balance(ann)


async def test_an_account_has_to_exist(bank: Bank, ann: int) -> None:
    """Who pays into the void keeps his money."""
    with pytest.raises(NoSuchAccount):
        await bank.transfer(Order("void", ann, 4711, 1))

    assert 10_00 == await bank.balance(ann)


async def test_nobody_takes_money_by_a_negative_order(
    bank: Bank, ann: int, bob: int
) -> None:
    """A CHECK refuses it, whoever has forgotten to."""
    with pytest.raises(DBAPIError, match="ck_transfers_cents"):
        await bank.transfer(Order("steal", ann, bob, -1))

    assert 10_00 == await bank.balance(ann)


async def test_the_schema_allows_no_debt(db_session: AsyncSession, ann: int) -> None:
    """A program that does not ask for the balance fails, and writes nothing."""
    account = await db_session.get_one(Account, ann)
    account.cents -= 10_01
    with pytest.raises(DBAPIError, match="ck_accounts_cents"):
        await db_session.commit()


async def test_a_balance_is_shown_in_whole_units(
    db_session: AsyncSession, bob: int
) -> None:
    """Cents are for the table, and a Decimal for people."""
    account = await db_session.get_one(Account, bob)

    assert Decimal("5.00") == account.balance


async def test_accounts_are_locked_in_one_order(
    db_session: AsyncSession, ann: int, bob: int, db_statements: Recorder
) -> None:
    """However an order names them, they are read by one statement, sorted."""
    async with db_statements.expect(reads=1, tables={"accounts"}):
        found = await ledger.locked(db_session, bob, ann)

    assert [ann, bob] == list(found)


async def test_no_money_is_made_or_lost(bank: Bank, ann: int, bob: int) -> None:
    """Orders in both directions at once leave the sum as it was."""
    orders = [
        Order(f"order {n}", *((ann, bob) if n % 2 else (bob, ann)), n)
        for n in range(1, 13)
    ]
    await asyncio.gather(*(bank.transfer(order) for order in orders))

    assert 15_00 == await bank.balance(ann) + await bank.balance(bob)
    assert [] == await bank.unexplained()
