"""An order that is sent again is carried out once."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest

from bank import ledger
from bank.ledger import InsufficientFunds, KeyReused, Order

if TYPE_CHECKING:
    from sqlalchemy.ext.asyncio import AsyncSession, async_sessionmaker

    from bank.service import Bank


async def test_the_second_time_gives_the_first_transfer(
    bank: Bank, ann: int, bob: int
) -> None:
    """A customer whose connection broke may send the order again."""
    order = Order("rent", ann, bob, 2_50)
    transfers = {await bank.transfer(order) for _ in range(3)}

    assert 1 == len(transfers)
    assert 7_50 == await bank.balance(ann)


async def test_a_key_belongs_to_one_order(bank: Bank, ann: int, bob: int) -> None:
    """Another order with it is refused, rather than taken for the first."""
    await bank.transfer(Order("rent", ann, bob, 2_50))
    with pytest.raises(KeyReused):
        await bank.transfer(Order("rent", ann, bob, 2_51))

    assert 7_50 == await bank.balance(ann)


async def test_a_refused_order_may_be_sent_again(
    bank: Bank, ann: int, bob: int
) -> None:
    """The refusal has used up no key."""
    order = Order("car", ann, bob, 12_00)
    with pytest.raises(InsufficientFunds):
        await bank.transfer(order)
    await bank.transfer(Order("loan", bob, ann, 5_00))
    await bank.transfer(order)

    assert 3_00 == await bank.balance(ann)


@pytest.mark.parametrize(
    "isolation",
    ["sandbox", pytest.param("commit", marks=pytest.mark.asyncdb(isolation="commit"))],
)
async def test_of_many_at_once_one_is_carried_out(
    bank: Bank, ann: int, bob: int, isolation: str
) -> None:
    """All get the same transfer, whoever was first."""
    order = Order("rent", ann, bob, 2_50)
    transfers = await asyncio.gather(*(bank.transfer(order) for _ in range(4)))

    assert 1 == len(set(transfers)), isolation
    assert 7_50 == await bank.balance(ann)


@pytest.mark.asyncdb(isolation="commit", requires=["row_locks"])
async def test_the_constraint_finds_what_the_look_has_missed(
    bank: Bank,
    ann: int,
    bob: int,
    db_sessionmaker: async_sessionmaker[AsyncSession],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The same order comes between the look and the locks of another request."""
    order, locked = Order("rent", ann, bob, 2_50), ledger.locked
    theirs: list[int] = []

    async def overtaken(session: AsyncSession, *numbers: int) -> object:
        monkeypatch.undo()
        theirs.append(await bank.transfer(order))
        return await locked(session, *numbers)

    monkeypatch.setattr(ledger, "locked", overtaken)
    async with db_sessionmaker.begin() as session:
        ours = await ledger.transfer(session, order)

    assert theirs == [ours.id]
    assert 7_50 == await bank.balance(ann)
