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

pytestmark = pytest.mark.asyncio(loop_scope="session")


@pytest.mark.parametrize("stock", [0, 1, 5, 10, 100])
async def test_another_session_finds_it(
    session: AsyncSession, new_session: async_sessionmaker[AsyncSession], stock: int
) -> None:
    await stocked(session, "lamp", Decimal("9.90"), stock)
    async with new_session() as other:
        found = await other.scalar(select(Product.stock))

    assert stock == found


@pytest.mark.parametrize("quantity", [1, 2, 3, 4])
async def test_orders_of_two_sessions_add_up(
    new_session: async_sessionmaker[AsyncSession], quantity: int
) -> None:
    async with new_session() as session:
        await stocked(session, "lamp", Decimal("9.90"), 10)
    for customer in ("ann", "bob"):
        async with new_session() as session:
            await place(session, customer, "lamp", quantity)
    async with new_session() as session:
        left = await session.scalar(select(Product.stock))

    assert 10 - 2 * quantity == left


@pytest.mark.parametrize("price", ["0.10", "9.90", "12345678.90"])
async def test_a_price_is_exact(session: AsyncSession, price: str) -> None:
    lamp = await stocked(session, "lamp", Decimal(price), 1)
    await session.refresh(lamp)

    assert Decimal(price) == lamp.price
