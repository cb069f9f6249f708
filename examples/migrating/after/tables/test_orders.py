"""Orders take from the stock, or are refused."""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING

import pytest
from sqlalchemy import func, select
from sqlalchemy.exc import IntegrityError, NoResultFound

from shop.models import Order, Product
from shop.orders import OutOfStock, place, stocked

if TYPE_CHECKING:
    from sqlalchemy.ext.asyncio import AsyncSession


@pytest.fixture
async def lamp(db_session: AsyncSession) -> Product:
    return await stocked(db_session, "lamp", Decimal("9.90"), 10)


@pytest.mark.parametrize("quantity", [1, 2, 3, 5, 9, 10])
async def test_an_order_takes_from_the_stock(
    db_session: AsyncSession, lamp: Product, quantity: int
) -> None:
    await place(db_session, "ann", lamp.name, quantity)
    await db_session.refresh(lamp)

    assert 10 - quantity == lamp.stock


@pytest.mark.parametrize("quantity", [11, 12, 100])
async def test_more_than_there_is_is_refused(
    db_session: AsyncSession, lamp: Product, quantity: int
) -> None:
    with pytest.raises(OutOfStock):
        await place(db_session, "ann", lamp.name, quantity)

    assert 0 == await db_session.scalar(select(func.count(Order.id)))


async def test_the_last_one_is_sold_once(
    db_session: AsyncSession, lamp: Product
) -> None:
    await place(db_session, "ann", lamp.name, 10)
    with pytest.raises(OutOfStock):
        await place(db_session, "bob", lamp.name, 1)

    assert ["ann"] == list(await db_session.scalars(select(Order.customer)))


async def test_what_is_not_sold_cannot_be_ordered(db_session: AsyncSession) -> None:
    with pytest.raises(NoResultFound):
        await place(db_session, "ann", "lamp", 1)


async def test_a_name_is_taken_once(db_session: AsyncSession, lamp: Product) -> None:
    with pytest.raises(IntegrityError):
        await stocked(db_session, lamp.name, Decimal(1), 1)
