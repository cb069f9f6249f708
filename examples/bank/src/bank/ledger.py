"""What one transaction does with accounts. Nothing here commits."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from sqlalchemy import false, select, update
from sqlalchemy.exc import IntegrityError

from bank.models import Account, Entry, Transfer

if TYPE_CHECKING:
    from sqlalchemy.ext.asyncio import AsyncSession


class Refused(Exception):
    """The bank does not carry out an order, and says why."""


class InsufficientFunds(Refused):
    """There is less in the account than the order takes."""


class NoSuchAccount(Refused):
    """One of the accounts does not exist."""


class KeyReused(Refused):
    """Another order was sent with the same key."""


@dataclass(frozen=True)
class Order:
    """What a customer wants; sent again, it has the same key."""

    key: str
    source: int
    target: int
    cents: int


async def locked(session: AsyncSession, *numbers: int) -> dict[int, Account]:
    """The accounts, locked in the order of their numbers, so that nobody deadlocks.

    As they are now, also if the session has read them before; raises NoSuchAccount.
    """
    if session.get_bind().dialect.name == "sqlite":
        await _lock_file(session)
    query = (
        select(Account)
        .where(Account.id.in_(numbers))
        .order_by(Account.id)
        .with_for_update()
        .execution_options(populate_existing=True)
    )
    found = {account.id: account for account in await session.scalars(query)}
    if missing := set(numbers) - set(found):
        raise NoSuchAccount(sorted(missing))
    return found


async def _lock_file(session: AsyncSession) -> None:
    """SQLite has no locks of rows, and its driver begins with the first write.

    A savepoint that came before it would be a transaction, and its release a commit.
    """
    await session.execute(update(Account).where(false()).values(cents=0))


async def transfer(session: AsyncSession, order: Order) -> Transfer:
    """Carry out an order, or give what it did before; raises Refused."""
    done = await _by_key(session, order)
    if done is not None:
        return done
    # Before the transfer, whose foreign keys would lock them in an order of their own.
    accounts = await locked(session, order.source, order.target)
    new = Transfer(
        key=order.key,
        source_id=order.source,
        target_id=order.target,
        cents=order.cents,
    )
    try:
        async with session.begin_nested():
            session.add(new)
    except IntegrityError:
        done = await _by_key(session, order, now=True)
        if done is None:
            raise
        return done
    _book(session, new, accounts[order.source], accounts[order.target])
    await session.flush()
    return new


def _book(
    session: AsyncSession, transfer: Transfer, source: Account, target: Account
) -> None:
    if source.cents < transfer.cents:
        raise InsufficientFunds(source.id)
    for account, cents in ((source, -transfer.cents), (target, transfer.cents)):
        # The database adds: SQLite has no locks of rows that would keep others away.
        account.cents = Account.cents + cents
        note(session, account.id, transfer.key, cents, transfer.id)


def note(
    session: AsyncSession,
    account: int,
    text: str,
    cents: int = 0,
    transfer: int | None = None,
) -> None:
    """Write into the audit trail of an account."""
    entry = Entry(account_id=account, text=text, cents=cents, transfer_id=transfer)
    session.add(entry)


async def _by_key(
    session: AsyncSession, order: Order, *, now: bool = False
) -> Transfer | None:
    """What an order with that key did; raises KeyReused if it was another one."""
    query = select(Transfer).where(Transfer.key == order.key)
    if now:  # on MariaDB a plain SELECT repeats what it has read before
        query = query.with_for_update(read=True)
    done = (await session.scalars(query)).one_or_none()
    if done is not None and order != Order(
        done.key, done.source_id, done.target_id, done.cents
    ):
        raise KeyReused(order.key)
    return done
