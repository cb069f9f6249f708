"""Two people change one order: the second one is told, by a 409."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import httpx
import pytest

from inventory.app import Step, change, create_app
from inventory.models import Base, Customer, Order, Status
from pytest_asyncdb import AnomalyFound, check_optimistic_lock, lint_versions
from pytest_asyncdb.concurrency import all_succeed

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from sqlalchemy.ext.asyncio import AsyncSession, async_sessionmaker

    from pytest_asyncdb.concurrency import Explorer


@pytest.fixture
async def client() -> AsyncIterator[httpx.AsyncClient]:
    """A client of the application as it is deployed."""
    transport = httpx.ASGITransport(create_app())
    async with httpx.AsyncClient(transport=transport, base_url="http://i") as client:
        yield client


@pytest.fixture
async def order(db_session: AsyncSession) -> int:
    """An open order, of version 1."""
    db_session.add(customer := Customer(name="Ann"))
    await db_session.flush()
    db_session.add(order := Order(customer_id=customer.id))
    await db_session.commit()
    return order.id


async def _patch(client: httpx.AsyncClient, order: int, status: str) -> int:
    step = {"status": status, "version": 1}
    return (await client.patch(f"/orders/{order}", json=step)).status_code


async def test_who_comes_second_gets_a_409(
    client: httpx.AsyncClient, order: int
) -> None:
    """He has seen a version that is gone."""
    assert 200 == await _patch(client, order, "sent")
    assert 409 == await _patch(client, order, "paid")


async def test_in_every_order_of_two_requests_one_gets_a_409(
    client: httpx.AsyncClient, order: int, db_concurrency: Explorer
) -> None:
    """Also where both have read the order before either changes it."""
    result = await db_concurrency.explore(
        send=lambda: _patch(client, order, "sent"),
        pay=lambda: _patch(client, order, "paid"),
        invariant=all_succeed,
    )

    assert result.complete


class Unversioned(Base):
    """The same rows as guides map them: the version is a column like others."""

    __table__ = Order.__table__


async def test_a_version_compared_by_hand_loses_a_change(
    order: int,
    db_sessionmaker: async_sessionmaker[AsyncSession],
    db_concurrency: Explorer,
) -> None:
    """Why it is `version_id_col`: both compare before either writes."""

    async def by_hand(status: Status) -> None:
        async with db_sessionmaker.begin() as session:
            found: Any = await session.get_one(Unversioned, order)
            if found.version != 1:
                raise ValueError("somebody was faster")
            found.status, found.version = status, 2

    with pytest.raises(AnomalyFound, match="lost update"):
        await db_concurrency.explore(
            send=lambda: by_hand(Status.sent), pay=lambda: by_hand(Status.paid)
        )


@pytest.mark.usefixtures("order", "db_concurrency")
async def test_of_two_writers_one_wins(
    db_sessionmaker: async_sessionmaker[AsyncSession],
) -> None:
    """One after the other and at once, and nothing of the winner is lost."""

    async def update(session: AsyncSession, seen: Order, number: int) -> None:
        status = [Status.sent, Status.paid][number - 1]
        await change(session, seen.id, Step(status=status, version=seen.version))

    await check_optimistic_lock(Order, update=update, sessionmaker=db_sessionmaker)


def test_every_version_is_compared_by_the_mapper() -> None:
    """Of all models only the one above compares by hand."""
    assert [Unversioned] == [each.model for each in lint_versions(Base)]
