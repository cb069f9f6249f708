"""The stock, as one session leaves it and the next one finds it."""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING

import pytest
from sqlalchemy import select

from shop.models import Product
from shop.orders import place, stocked

if TYPE_CHECKING:
    from sqlalchemy.ext.asyncio import AsyncSession, async_sessionmaker


@pytest.mark.parametrize("stock", [0, 1, 5, 10, 100])
async def test_another_session_finds_it(
    db_session: AsyncSession,
    db_sessionmaker: async_sessionmaker[AsyncSession],
    stock: int,
) -> None:
    await stocked(db_session, "lamp", Decimal("9.90"), stock)
    async with db_sessionmaker() as other:
        found = await other.scalar(select(Product.stock))

    assert stock == found


@pytest.mark.parametrize("quantity", [1, 2, 3, 4])
async def test_orders_of_two_sessions_add_up(
    db_sessionmaker: async_sessionmaker[AsyncSession], quantity: int
) -> None:
    async with db_sessionmaker() as session:
        await stocked(session, "lamp", Decimal("9.90"), 10)
    for customer in ("ann", "bob"):
        async with db_sessionmaker() as session:
            await place(session, customer, "lamp", quantity)
    async with db_sessionmaker() as session:
        left = await session.scalar(select(Product.stock))

    assert 10 - 2 * quantity == left


@pytest.mark.parametrize("price", ["0.10", "9.90", "12345678.90"])
async def test_a_price_is_exact(db_session: AsyncSession, price: str) -> None:
    lamp = await stocked(db_session, "lamp", Decimal(price), 1)
    await db_session.refresh(lamp)

    assert Decimal(price) == lamp.price
