"""A bank: accounts, and what the transfers between them leave."""

from __future__ import annotations

import random
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from sqlalchemy import String, select
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

if TYPE_CHECKING:
    from sqlalchemy.ext.asyncio import AsyncEngine

__all__ = [
    "ACCOUNTS",
    "TRANSFERS",
    "Account",
    "Base",
    "Receipt",
    "Transfer",
    "check_transfers",
    "transfers",
]

ACCOUNTS: Final = range(1, 11)
TRANSFERS: Final = 200


class Base(DeclarativeBase):
    """The tables of the tests of faults and retries."""


class Account(Base):
    """Holds money."""

    __tablename__ = "accounts"
    id: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    balance: Mapped[int]
    code: Mapped[int | None] = mapped_column(unique=True)


class Receipt(Base):
    """A transfer that was made, by whatever name its caller gave it."""

    __tablename__ = "receipts"
    name: Mapped[str] = mapped_column(String(40), primary_key=True)


@dataclass(frozen=True)
class Transfer:
    """From one account to another, by a name of its own."""

    name: str
    source: int
    target: int
    amount: int

    async def __call__(self, session: AsyncSession) -> None:
        """Lock one account after the other, in whatever order."""
        session.add(Receipt(name=self.name))
        for number, amount in ((self.source, -self.amount), (self.target, self.amount)):
            account = await session.get_one(Account, number, with_for_update=True)
            account.balance += amount
            await session.flush()


def transfers() -> list[Transfer]:
    """The same ones each time."""
    chance = random.Random(9)  # noqa: S311 - any numbers will do
    return [
        Transfer(f"transfer {number}", *_two(chance), number)
        for number in range(TRANSFERS)
    ]


def _two(chance: random.Random) -> tuple[int, int]:
    source, target = chance.sample(ACCOUNTS, 2)
    return source, target


async def check_transfers(engine: AsyncEngine) -> int:
    """Whatever was applied, was applied as a whole and once; how many were."""
    async with AsyncSession(engine) as session:
        names = set(await session.scalars(select(Receipt.name)))
        rows = await session.execute(select(Account.id, Account.balance))
        found = {row.id: row.balance for row in rows}
    expected = dict.fromkeys(ACCOUNTS, 1000)
    for transfer in transfers():
        if transfer.name in names:
            expected[transfer.source] -= transfer.amount
            expected[transfer.target] += transfer.amount

    assert 10 * 1000 == sum(found.values())
    assert expected == found
    return len(names)
