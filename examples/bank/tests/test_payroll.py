"""Many payments in one transaction, each in a savepoint."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from bank.ledger import NoSuchAccount, Order

if TYPE_CHECKING:
    from bank.service import Bank


async def test_a_refused_payment_spares_the_others(
    bank: Bank, ann: int, bob: int
) -> None:
    """Only its savepoint is undone; those before and after it are paid."""
    refused = await bank.pay(
        [
            Order("bonus", ann, bob, 3_00),
            Order("yacht", ann, bob, 900_00),
            Order("rent", bob, ann, 8_00),
        ]
    )

    assert [("yacht", "InsufficientFunds")] == refused
    assert (15_00, 0) == (await bank.balance(ann), await bank.balance(bob))
    assert ["opened", "bonus", "rent"] == [text for text, _ in await bank.trail(bob)]


async def test_a_payment_may_use_what_one_before_it_brought(
    bank: Bank, ann: int, bob: int
) -> None:
    """Savepoints of one transaction see each other."""
    refused = await bank.pay(
        [Order("first", ann, bob, 10_00), Order("then", bob, ann, 15_00)]
    )

    assert [] == refused
    assert 15_00 == await bank.balance(ann)


async def test_a_payroll_with_an_unknown_account_is_paid_to_nobody(
    bank: Bank, ann: int, bob: int
) -> None:
    """Whoever wrote the list made a mistake, and has to look at it again."""
    with pytest.raises(NoSuchAccount):
        await bank.pay([Order("good", ann, bob, 1), Order("bad", ann, 4711, 1)])

    assert 10_00 == await bank.balance(ann)


async def test_a_payroll_sent_twice_is_paid_once(
    bank: Bank, ann: int, bob: int
) -> None:
    """Its payments have keys like all orders."""
    payroll = [Order(f"salary {n}", ann, bob, 1_00) for n in range(3)]
    await bank.pay(payroll)
    await bank.pay(payroll)

    assert 7_00 == await bank.balance(ann)
