"""The bank: each of its methods is a transaction, committed when it returns."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sqlalchemy import func, select

from bank import ledger
from bank.ledger import InsufficientFunds, NoSuchAccount, Order, Refused
from bank.models import Account, Entry
from bank.transactions import in_transaction

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sqlalchemy.ext.asyncio import AsyncSession, async_sessionmaker

MINIMUM = 1_00


class Bank:
    """Accounts, as customers use them."""

    def __init__(self, sessions: async_sessionmaker[AsyncSession]) -> None:
        self.sessions = sessions

    async def open(self, owner: str, cents: int = 0) -> int:
        """A new account; gives its number."""

        async def work(session: AsyncSession) -> int:
            account = Account(owner=owner, cents=cents)
            session.add(account)
            await session.flush()
            ledger.note(session, account.id, "opened", cents)
            return account.id

        return await in_transaction(self.sessions, work)

    async def transfer(self, order: Order) -> int:
        """Carry out an order, once however often it is sent; raises Refused.

        A refusal is noted in a transaction of its own, as that of the order is undone.
        """

        async def work(session: AsyncSession) -> int:
            return (await ledger.transfer(session, order)).id

        try:
            return await in_transaction(self.sessions, work)
        except InsufficientFunds:
            await self._note(order.source, f"{order.key}: insufficient funds")
            raise

    async def pay(self, orders: Sequence[Order]) -> list[tuple[str, str]]:
        """Carry out those that can be, all in one transaction; gives the refusals."""

        async def work(session: AsyncSession) -> list[tuple[str, str]]:
            refused = []
            # All at once and in order: the savepoints could lock them in any.
            numbers = {n for order in orders for n in (order.source, order.target)}
            await ledger.locked(session, *numbers)
            for order in orders:
                try:
                    async with session.begin_nested():
                        await ledger.transfer(session, order)
                except Refused as error:
                    refused.append((order.key, type(error).__name__))
            return refused

        return await in_transaction(self.sessions, work)

    async def withdraw(self, number: int, cents: int) -> None:
        """Pay out, as long as the owner keeps MINIMUM in all; raises Refused.

        That is a condition on rows which are read and not written, so it takes
        SERIALIZABLE: with less, two withdrawals could each rely on the other account.
        """

        async def work(session: AsyncSession) -> None:
            account = await session.get(Account, number)
            if account is None:
                raise NoSuchAccount(number)
            together = select(func.sum(Account.cents)).where(
                Account.owner == account.owner
            )
            if (await session.scalar(together) or 0) - cents < MINIMUM:
                raise InsufficientFunds(number)
            account.cents -= cents
            ledger.note(session, number, "withdrawn", -cents)

        await in_transaction(self.sessions, work, level="SERIALIZABLE")

    async def balance(self, number: int) -> int:
        """Cents in an account."""

        async def work(session: AsyncSession) -> int:
            return (await session.get_one(Account, number)).cents

        return await in_transaction(self.sessions, work)

    async def trail(self, number: int) -> list[tuple[str, int]]:
        """What has happened to an account."""

        async def work(session: AsyncSession) -> list[tuple[str, int]]:
            query = select(Entry).where(Entry.account_id == number).order_by(Entry.id)
            return [(entry.text, entry.cents) for entry in await session.scalars(query)]

        return await in_transaction(self.sessions, work)

    async def unexplained(self) -> Sequence[int]:
        """Accounts whose entries do not add up; there should be none."""

        async def work(session: AsyncSession) -> Sequence[int]:
            entries = (
                select(func.coalesce(func.sum(Entry.cents), 0))
                .where(Entry.account_id == Account.id)
                .correlate(Account)
                .scalar_subquery()
            )
            query = select(Account.id).where(Account.cents != entries)
            return (await session.scalars(query)).all()

        return await in_transaction(self.sessions, work)

    async def _note(self, account: int, text: str) -> None:
        async def work(session: AsyncSession) -> None:
            ledger.note(session, account, text)

        await in_transaction(self.sessions, work)
